/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "forward/forward.h"

#include "base/mac.h"
#include "forward/fdb.h"

/* A batch is judged in three passes, so that what one frame waits for is fetched while others are
 * worked on: fwd_parse takes the tag off and finds the network; the first half of fwd_verdict makes
 * the keys and prefetches their buckets in the MAC table; the second half decides.
 *
 * The rules stand once. `weir trace` runs them with an explanation to fill: the compiler makes a
 * second copy of the same function for it, and the workers' copy knows nothing of explaining. */

enum {
	VID_MASK = 0x0fff,
	PRIO_MASK = 0xf000, /* PCP and DEI */
};

/* 01:80:c2:00:00:00 to 0f: reserved for the link itself (802.1Q-2022, 8.6.3). */
#define LINK_LOCAL      0x00000000c28001ULL
#define LINK_LOCAL_MASK 0xf0ffffffffffULL

#define MAC_MASK 0xffffffffffffULL

/* Where a frame comes from and goes to, as keys of the MAC table (fdb_key: network and MAC; group
 * bit and all in their places) and where to look for them. No key is 0. */
struct where {
	uint64_t src, dst;
	uint64_t src_hash, dst_hash;
};

/* What was decided for the frame before: frames come in runs between the same two stations, and
 * what holds for the first of a run holds for the rest of it within the batch. */
struct run {
	uint64_t src, dst; /* keys; 0: none */
	uint16_t out;
};

#define judge_inline static inline __attribute__((always_inline))
#define likely(x)    __builtin_expect(!!(x), 1)
#define unlikely(x)  __builtin_expect(!!(x), 0)

judge_inline uint64_t mac_of(uint64_t key) {
	return key & MAC_MASK;
}

judge_inline bool is_member(const struct fwd *fw, uint16_t port, uint16_t net) {
	const struct fwd_port *p = &fw->ports[port];

	if (unlikely(port >= fw->nports || net >= fw->nnets))
		return false;
	return p->native == net || (p->trunk && p->vlan_net[fw->nets[net].vlan] == net);
}

bool fwd_member(const struct fwd *fw, uint16_t port, uint16_t net) {
	return is_member(fw, port, net);
}

static bool is_tag(uint16_t ethertype) {
	return ethertype == ETHERTYPE_CTAG || frame_is_service_tag(ethertype);
}

uint32_t fwd_trunk_tag(const struct fwd *fw, uint16_t port, const struct frame *f) {
	const struct fwd_port *p = &fw->ports[port];

	if (p->native == f->net && !is_tag(f->ethertype))
		return 0;
	return (uint32_t)ETHERTYPE_CTAG << 16 | (f->tci & PRIO_MASK) | fw->nets[f->net].vlan;
}

judge_inline bool keeps_apart(const struct fwd *fw, uint16_t in, uint16_t out) {
	return fw->ports[in].isolated && fw->ports[out].isolated;
}

enum drop fwd_admits(const struct fwd *fw, uint16_t in, uint16_t out, uint16_t net) {
	if (out == in)
		return DROP_SAME_PORT;
	if (!is_member(fw, out, net))
		return DROP_VLAN_NOT_MEMBER;
	return keeps_apart(fw, in, out) ? DROP_ISOLATED : DROP_NONE;
}

/* Parsing. */

__attribute__((cold, noinline)) static void tell_network(
	const struct fwd_port *p, const struct frame *f, uint16_t in, struct explain *ex) {
	unsigned vid = f->tci & VID_MASK;
	bool tagged = (f->flags & FRAME_TAGGED) && vid != 0;
	const char *what = f->flags & FRAME_TAGGED ? "frame with a priority tag" : "untagged frame";

	if (f->drop == DROP_VLAN_NOT_MEMBER && p->trunk)
		explain_step(ex, "parse", "tag %u: no network of trunk port %u has it", vid, in);
	else if (f->drop == DROP_VLAN_NOT_MEMBER)
		explain_step(ex, "parse", "tag %u: port %u is an access port and takes no tags",
			vid, in);
	else if (f->drop == DROP_UNTAGGED && p->trunk)
		explain_step(ex, "parse", "%s: trunk port %u has no native network", what, in);
	else if (f->drop == DROP_UNTAGGED)
		explain_step(ex, "parse", "%s: port %u is in no network", what, in);
	else if (tagged)
		explain_step(ex, "parse", "tag %u: network %u (trunk port %u)", vid, f->net, in);
	else
		explain_step(ex, "parse", "%s: network %u (%s port %u)", what, f->net,
			p->trunk ? "native of" : "access", in);
}

judge_inline enum drop find_network(const struct fwd_port *p, uint16_t native, struct frame *f) {
	uint16_t vid = f->tci & VID_MASK;

	if ((f->flags & FRAME_TAGGED) == 0 || vid == 0) {
		f->net = native;
		return unlikely(native == NET_NONE) ? DROP_UNTAGGED : DROP_NONE;
	}
	f->net = p->trunk ? p->vlan_net[vid] : NET_NONE;
	return unlikely(f->net == NET_NONE) ? DROP_VLAN_NOT_MEMBER : DROP_NONE;
}

/* Why a frame that frame_parse did not take goes no further; DROP_NONE: it does. */
__attribute__((cold, noinline)) static enum drop judge_odd(const struct fwd_port *p,
	const struct frame *f, enum drop why, uint16_t in, struct explain *ex) {
	if (why != DROP_SERVICE_TAG) {
		EXPLAIN(ex, "parse", "%u bytes: %s", f->len, drop_text(why));
		return why;
	}
	EXPLAIN(ex, "parse", "service tag (%04x)%s: port %u %s", f->ethertype,
		f->flags & FRAME_TAGGED ? " behind the tag" : "", in,
		p->qinq ? "carries it as payload" : "does not say qinq: true");
	return p->qinq ? DROP_NONE : why;
}

void fwd_parse(const struct fwd *fw, struct batch *b, uint16_t in, struct explain *ex) {
	const struct fwd_port *p = &fw->ports[in];
	const uint16_t native = p->native;
	const unsigned n = b->n;

	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &b->f[i];
		enum drop why;

		if (unlikely(f->drop != DROP_NONE))
			continue;
		f->out = OUT_NONE;
		why = frame_parse(f);
		if (unlikely(why != DROP_NONE)) {
			f->drop = (uint8_t)judge_odd(p, f, why, in, ex);
			if (f->drop != DROP_NONE)
				continue;
		}
		f->drop = (uint8_t)find_network(p, native, f);
		if (unlikely(ex != NULL))
			tell_network(p, f, in, ex);
	}
}

/* The verdict. */

__attribute__((cold, noinline)) static void tell_source(const struct fwd *fw, const struct where *w,
	uint16_t in, uint32_t now_s, enum fdb_learned learned, struct explain *ex) {
	uint16_t was = fdb_lookup(fw->fdb, w->src, w->src_hash, now_s);
	char mac[MAC_TEXT_MAX];
	uint64_t refused, moves;
	uint32_t used;

	mac_format(mac_of(w->src), mac);
	fdb_port_stats(fw->fdb, in, &used, &refused, &moves);
	switch (learned) {
	case FDB_KNOWN:
		explain_step(ex, "verdict", "source %s is known on port %u", mac, in);
		break;
	case FDB_NEW:
		explain_step(
			ex, "verdict", "source %s is new and would be learned on port %u", mac, in);
		break;
	case FDB_MOVED:
		explain_step(ex, "verdict", "source %s was on port %u and would move to port %u",
			mac, was, in);
		break;
	case FDB_LIMIT:
		explain_step(ex, "verdict",
			"source %s would not be learned: port %u holds %u MACs, all it may", mac,
			in, used);
		break;
	case FDB_FULL:
		explain_step(ex, "verdict", "source %s would not be learned: the MAC table is full",
			mac);
		break;
	case FDB_STATIC:
		explain_step(
			ex, "verdict", "source %s belongs to port %u and none other", mac, was);
		break;
	}
}

judge_inline enum drop judge_source(const struct fwd *fw, const struct where *w, uint16_t in,
	uint32_t now_s, struct explain *ex) {
	uint64_t pinned = fw->ports[in].pinned, src = mac_of(w->src);
	char mac[MAC_TEXT_MAX], only[MAC_TEXT_MAX];
	enum fdb_learned learned;

	if (unlikely(pinned != 0 && src != pinned)) {
		EXPLAIN(ex, "verdict", "source %s: port %u may send from %s only",
			mac_format(src, mac), in, mac_format(pinned, only));
		return DROP_MAC_PINNED;
	}
	if (unlikely(mac_is_group(src) || src == 0)) {
		EXPLAIN(ex, "verdict", "source %s is %s", mac_format(src, mac),
			src == 0 ? "zero" : "a group address");
		return DROP_SOURCE_BAD;
	}
	if (ex == NULL) {
		learned = fdb_learn(fw->fdb, w->src, w->src_hash, in, now_s);
	} else {
		learned = fdb_would_learn(fw->fdb, w->src, in, now_s);
		tell_source(fw, w, in, now_s, learned, ex);
	}
	return unlikely(learned == FDB_STATIC) ? DROP_MAC_STOLEN : DROP_NONE;
}

judge_inline enum drop flood(
	const struct fwd *fw, struct frame *f, uint16_t in, struct explain *ex) {
	const struct fwd_net *net = &fw->nets[f->net];
	bool isolated = fw->ports[in].isolated;
	unsigned others = isolated ? net->nopen : net->nmembers - 1u;

	if (unlikely(others == 0)) {
		EXPLAIN(ex, "verdict", "network %u has no other port that port %u%s reaches",
			f->net, in, isolated ? " (isolated)" : "");
		return DROP_NO_DESTINATION;
	}
	EXPLAIN(ex, "verdict", "flooded to %u other port%s of network %u%s", others,
		others == 1 ? "" : "s", f->net, isolated ? ", those not isolated" : "");
	f->out = OUT_FLOOD;
	return DROP_NONE;
}

judge_inline enum drop judge_destination(const struct fwd *fw, struct frame *f,
	const struct where *w, uint16_t in, uint32_t now_s, struct explain *ex) {
	char mac[MAC_TEXT_MAX];
	uint16_t out;

	if (mac_is_group(w->dst)) {
		if (unlikely((w->dst & LINK_LOCAL_MASK) == LINK_LOCAL)) {
			EXPLAIN(ex, "verdict", "destination %s stays on its link",
				mac_format(mac_of(w->dst), mac));
			return DROP_LINK_LOCAL;
		}
		EXPLAIN(ex, "verdict", "destination %s is a group",
			mac_format(mac_of(w->dst), mac));
		return flood(fw, f, in, ex);
	}
	/* A frame to its own source: on this port, learned or not (at its limit, or in a trace). */
	out = in;
	if (w->dst != w->src)
		out = fdb_lookup(fw->fdb, w->dst, w->dst_hash, now_s);
	/* A port that left the network may still have entries for a moment. */
	if (unlikely(out == OUT_NONE || !is_member(fw, out, f->net))) {
		EXPLAIN(ex, "verdict", "destination %s is unknown in network %u",
			mac_format(mac_of(w->dst), mac), f->net);
		return flood(fw, f, in, ex);
	}
	EXPLAIN(ex, "verdict", "destination %s is on port %u", mac_format(mac_of(w->dst), mac),
		out);
	if (unlikely(out == in))
		return DROP_SAME_PORT;
	if (unlikely(keeps_apart(fw, in, out))) {
		EXPLAIN(ex, "verdict", "ports %u and %u are both isolated", in, out);
		return DROP_ISOLATED;
	}
	f->out = out;
	return DROP_NONE;
}

/* Both MACs, by loads of eight bytes that stay inside the fourteen every frame has. False: the same as
 * those of the frame before. What is the same has been hashed and is on its way already. */
judge_inline bool look(
	const struct fwd *fw, const struct frame *f, struct where *w, const struct where *before) {
	uint64_t dst, src;

	memcpy(&dst, f->head, sizeof(dst));
	memcpy(&src, f->head + 4, sizeof(src));
	dst = fdb_key(f->net, dst & MAC_MASK);
	src = fdb_key(f->net, src >> 16);
	if (src == before->src && dst == before->dst)
		return false;
	w->src_hash = src == before->src ? before->src_hash : fdb_prefetch(fw->fdb, src);
	w->dst_hash = dst == before->dst ? before->dst_hash : fdb_prefetch(fw->fdb, dst);
	w->src = src;
	w->dst = dst;
	return true;
}

judge_inline void judge_one(const struct fwd *fw, struct frame *f, const struct where *w,
	struct run *run, uint16_t in, uint32_t now_s, struct explain *ex) {
	if (w->src != run->src) {
		f->drop = judge_source(fw, w, in, now_s, ex);
		if (unlikely(f->drop != DROP_NONE))
			return;
		*run = (struct run){.src = w->src};
	} else if (w->dst == run->dst) {
		f->out = run->out;
		return;
	}
	f->drop = judge_destination(fw, f, w, in, now_s, ex);
	if (unlikely(f->drop != DROP_NONE))
		return;
	run->dst = w->dst;
	run->out = f->out;
}

judge_inline void judge(
	const struct fwd *fw, struct batch *b, uint16_t in, uint32_t now_s, struct explain *ex) {
	struct where where[1 + BATCH_MAX]; /* one for each run of frames; the first is nowhere */
	uint8_t at[BATCH_MAX];
	const unsigned n = b->n;
	struct run run = {0};
	unsigned last = 0;

	where[0] = (struct where){0};
	for (unsigned i = 0; i < n; i++) {
		if (likely(b->f[i].drop == DROP_NONE))
			last += look(fw, &b->f[i], &where[last + 1], &where[last]);
		at[i] = (uint8_t)last;
	}
	for (unsigned i = 0; i < n; i++)
		if (likely(b->f[i].drop == DROP_NONE))
			judge_one(fw, &b->f[i], &where[at[i]], &run, in, now_s, ex);
}

__attribute__((cold, noinline)) static void judge_aloud(
	const struct fwd *fw, struct batch *b, uint16_t in, uint32_t now_s, struct explain *ex) {
	judge(fw, b, in, now_s, ex);
}

void fwd_verdict(
	const struct fwd *fw, struct batch *b, uint16_t in, uint32_t now_s, struct explain *ex) {
	if (unlikely(ex != NULL))
		judge_aloud(fw, b, in, now_s, ex);
	else
		judge(fw, b, in, now_s, NULL);
}
