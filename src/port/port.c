/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* What is the same for every kind of port: making and closing, and the choice of the queue on which
 * a frame leaves. A guest with several queues expects the answers of a flow on the queue it sent the
 * flow from (that is where its CPU has the socket in its cache); what the guest last did is kept in
 * a small table by flow hash. Several workers write it without a lock: the worst that a lost or
 * mixed-up entry does is that a flow moves to another queue once. */

static const struct port_ops *const kinds[] = {
	[PORT_VHOST_USER] = &vhost_port_ops,
	[PORT_TAP] = &tap_port_ops,
};
static const char *const kind_names[] = {
	[PORT_VHOST_USER] = "vhost-user",
	[PORT_TAP] = "tap",
};
static const char *const state_names[] = {
	[PORT_UP] = "up",
	[PORT_WAITING] = "waiting",
	[PORT_DOWN] = "down",
	[PORT_SHUT] = "shut",
};

enum { COUNT_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

// The queue in flow_queue that stands for "not seen".
enum { FLOW_UNSEEN = 0xff };

static struct port_env the_env;

void port_env_set(const struct port_env *env) {
	the_env = *env;
}

const struct port_env *port_env_get(void) {
	return &the_env;
}

const char *port_state_name(enum port_state s) {
	return (unsigned)s < sizeof(state_names) / sizeof(state_names[0]) ? state_names[s]
									  : "unknown";
}

const char *port_kind_name(enum port_kind k) {
	return (unsigned)k < COUNT_KINDS ? kind_names[k] : "unknown";
}

/* What holds for every kind; the configuration checks the same, but is not the only caller. */
static int check_spec(const struct port_spec *s, struct err *e) {
	if ((unsigned)s->kind >= COUNT_KINDS)
		return err_set(e, ENOTSUP, "ports of kind %s are not in this build",
			port_kind_name(s->kind));
	if (s->queues < 1 || s->queues > QUEUES_MAX)
		return err_set(e, EINVAL, "%u queues; a port has 1 to %d", (unsigned)s->queues,
			QUEUES_MAX);
	if (s->mtu < PORT_MTU_MIN || s->mtu > PORT_MTU_MAX)
		return err_set(e, EINVAL, "mtu %u is out of range; it may be %d to %d",
			(unsigned)s->mtu, PORT_MTU_MIN, PORT_MTU_MAX);
	return 0;
}

int port_open(struct port **out, uint16_t id, const struct port_spec *s, struct err *e) {
	struct port *p;
	int rc;

	*out = NULL;
	rc = check_spec(s, e);
	if (rc < 0)
		return rc;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(e, ENOMEM, "no memory for the port");
	p->id = id;
	p->queues = s->queues;
	p->mtu = s->mtu;
	p->kind = s->kind;
	p->ops = kinds[s->kind];
	memcpy(p->name, s->name, sizeof(p->name));
	p->name[sizeof(p->name) - 1] = '\0';
	if (s->queues > 1) {
		p->flow_queue = malloc(FLOW_QUEUES);
		if (p->flow_queue == NULL) {
			free(p);
			return err_set(e, ENOMEM, "no memory for the port's flows");
		}
		memset(p->flow_queue, FLOW_UNSEEN, FLOW_QUEUES);
	}
	rc = p->ops->open(p, s, e);
	if (rc < 0) {
		free(p->flow_queue);
		free(p);
		return rc;
	}
	*out = p;
	return 0;
}

int port_set(struct port *p, const struct port_spec *s, struct err *e) {
	int rc = check_spec(s, e);

	if (rc < 0)
		return rc;
	if (s->kind != p->kind || s->queues != p->queues || strcmp(s->name, p->name) != 0)
		return err_set(e, ENOTSUP,
			"name, kind and number of queues do not change in a running port; it must "
			"be reopened");
	rc = p->ops->set(p, s, e);
	if (rc == 0)
		// Workers read it while frames pass.
		__atomic_store_n(&p->mtu, s->mtu, __ATOMIC_RELAXED);
	return rc;
}

void port_close(struct port *p) {
	if (p == NULL)
		return;
	p->ops->close(p);
	free(p->flow_queue);
	free(p);
}

void port_status(struct port *p, struct port_status *out) {
	memset(out, 0, sizeof(*out));
	out->mtu = p->mtu;
	out->active_pairs = atomic_load_explicit(&p->active_pairs, memory_order_relaxed);
	p->ops->status(p, out);
}

bool port_gone(struct port *p, bool *existed) {
	*existed = false;
	return p->ops->gone != NULL && p->ops->gone(p, existed);
}

void port_look(struct port *p) {
	if (p->ops->look != NULL)
		p->ops->look(p);
}

struct txq *port_pick_txq(struct port *p, struct frame *f, const uint8_t *room_end) {
	unsigned n = atomic_load_explicit(&p->active_pairs, memory_order_relaxed);
	uint32_t hash;
	uint8_t last;

	if (n <= 1 || p->flow_queue == NULL)
		return p->txq[0];
	hash = frame_flow_hash(f, room_end);
	last = __atomic_load_n(&p->flow_queue[hash % FLOW_QUEUES], __ATOMIC_RELAXED);
	if (last < n)
		return p->txq[last];
	// The upper bits of the product, so that it does not follow the bits that chose the entry.
	return p->txq[(uint64_t)(hash * 0x9e3779b1u) * n >> 32];
}

void port_note_flow(struct port *p, struct frame *f, const uint8_t *room_end, uint16_t index) {
	uint8_t *entry;

	if (p->flow_queue == NULL)
		return;
	entry = &p->flow_queue[frame_flow_hash(f, room_end) % FLOW_QUEUES];
	// A store would take the line from the workers that read it; nearly always nothing changes.
	if (__atomic_load_n(entry, __ATOMIC_RELAXED) != index)
		__atomic_store_n(entry, (uint8_t)index, __ATOMIC_RELAXED);
}
