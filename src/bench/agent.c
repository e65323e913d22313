/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The coordinator's side: agents are opened, asked and heard. An agent that has a job ticks, so that a
 * machine which vanished without a word is told from one that is merely quiet. Ticks can be late when
 * the path that is measured is also the one they come on, and is full: what its peer still receives
 * counts as a sign of life too. */
#include "bench/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/clock.h"
#include "bench/flows/agent_stream.h"
#include "bench/lines.h"
#include "bench/proc.h"
#include "bench/secret.h"
#include "bench/zone.h"

enum {
	ANSWER_MAX = 1 << 20, // bytes of a line: a histogram takes some 200 KiB
	// Events that wait to be heard. An agent says one an interval, 10 ms at the least, and its
	// coordinator hears each within half a second.
	EVENTS_MAX = 1024,
	EVENTS_BYTES = 4 << 20, // of their lines
	LOOK_LINES = 64, // that are read of one agent until the others have their turn
	ALIVE_MS = 10000, // between two words to servers that have nothing to do meanwhile
	LOOK_MS = 20, // between two looks at who has become silent
	TRIES = 3,
	AGAIN_MS = 300,
	END_MS = 2000 // for a child to end by itself
};

struct agent {
	struct endpoint ep;
	struct lines lines;
	struct agent_stream stream;
	json_t *hello, *events; // events that came while an answer was awaited
	size_t events_bytes; // of those that wait
	bool gone, broken;
	bool flooded; // it says more than an agent has to say: not heard any more
	uint64_t heard, got; // last sign of life; bytes it said it had received
	struct agent *next; // of all that are open
};

/* One coordinator a process: it has one secret, and all its agents are here. */
static struct secret secret; // len 0: none
static struct agent *all_open;
static uint64_t alive_at; // when servers were told last

int agents_secret(const char *path, struct err *e) {
	int ret = secret_read(&secret, path, e);

	if (ret < 0)
		secret.len = 0;
	return ret == -ENOENT && path == NULL ? 0 : ret;
}

/* How long may an agent be quiet? The stream to one on this host, or in a VM of it, closes when it ends;
 * a silent one waits for CPUs that have other work. Of another host nothing else would tell. */
static uint64_t patience_ns(const struct agent *a) {
	return (a->ep.kind == ENDPOINT_HOST ? AGENT_SILENCE_MS : AGENT_PATIENCE_MS) * NS_PER_MS;
}

static int gone(struct agent *a, struct err *e) {
	a->gone = true;
	return err_set(e, EPIPE, "endpoint %s has vanished", a->ep.text);
}

/* Whoever listens at the other end of a network has to show the secret, too. On loopback only this host's
 * own users are. */
static bool far(const struct agent *a) {
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	return a->ep.kind == ENDPOINT_HOST &&
	       getpeername(a->lines.fd, (struct sockaddr *)&sa, &len) == 0 &&
	       !secret_is_loopback(&sa);
}

/* Answers the number that came for a hello; what an agent says of itself follows. */
static json_t *prove(struct agent *a, const char *ours, const json_t *challenge, struct err *e) {
	const char *theirs = json_string_value(json_object_get(challenge, "nonce"));
	char proof[SECRET_PROOF_TEXT];
	json_t *hello;

	if (secret.len == 0) {
		err_set(e, EACCES,
			"endpoint %s wants a secret; give that of its `weir bench serve` by "
			"--secret-file or WEIR_BENCH_SECRET",
			a->ep.text);
		return NULL;
	}
	secret_proof(&secret, SECRET_CLIENT, ours, theirs, proof);
	hello = agent_ask(a, "prove", json_pack("{s:s}", "proof", proof), e);
	secret_proof(&secret, SECRET_SERVER, ours, theirs, proof);
	if (hello == NULL ||
		secret_shown(proof, json_string_value(json_object_get(hello, "proof"))))
		return hello;
	json_decref(hello);
	err_set(e, EACCES, "endpoint %s does not know the secret", a->ep.text);
	return NULL;
}

/* What the agent says of itself. */
static json_t *greet(struct agent *a, struct err *e) {
	char nonce[SECRET_NONCE_TEXT];
	json_t *hello, *ok;

	if (secret_nonce(nonce, e) < 0)
		return NULL;
	hello = agent_ask(
		a, "hello", json_pack("{s:i, s:s}", "protocol", AGENT_PROTOCOL, "nonce", nonce), e);
	if (json_is_string(json_object_get(hello, "nonce"))) {
		ok = prove(a, nonce, hello, e);
		json_decref(hello);
		return ok;
	}
	if (hello != NULL && secret.len > 0 && far(a)) {
		json_decref(hello);
		err_set(e, EACCES, "endpoint %s does not ask for the secret that was given",
			a->ep.text);
		return NULL;
	}
	return hello;
}

static struct agent *open_once(const struct endpoint *ep, bool *again, struct err *e) {
	struct agent *a = calloc(1, sizeof(*a));
	int fd;

	*again = false;
	if (a == NULL) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	a->ep = *ep;
	a->lines.fd = -1;
	fd = agent_stream_open(&a->stream, ep, e);
	if (fd < 0)
		goto failed;
	if (lines_init(&a->lines, fd, ANSWER_MAX) < 0) {
		close(fd);
		a->lines.fd = -1;
		err_set(e, ENOMEM, "out of memory");
		goto failed;
	}
	a->events = json_array();
	a->next = all_open;
	all_open = a;
	a->hello = greet(a, e);
	json_array_clear(a->events); // of a measurement that somebody broke off
	a->events_bytes = 0;
	if (json_integer_value(json_object_get(a->hello, "protocol")) == AGENT_PROTOCOL)
		return a;
	*again = a->stream.is_vm && (a->hello != NULL || a->broken);
	if (a->gone && a->stream.is_vm && !a->broken)
		err_set(e, EHOSTUNREACH,
			"endpoint %s: its QEMU listens, but nobody answers; run `weir bench agent` "
			"in the VM, and let nobody else measure it meanwhile",
			ep->text);
	if (a->hello == NULL)
		goto failed;
	err_set(e, EPROTO, "endpoint %s speaks protocol %lld, this weir %d; use the same version",
		ep->text, (long long)json_integer_value(json_object_get(a->hello, "protocol")),
		AGENT_PROTOCOL);
failed:
	agent_close(a);
	return NULL;
}

/* Behind the serial port of a VM may be the rest of what its agent had to say to somebody else, who is
 * gone; it notices that soon. */
struct agent *agent_open(const struct endpoint *ep, struct err *e) {
	for (int i = 1;; i++) {
		bool again;
		struct agent *a = open_once(ep, &again, e);

		if (a != NULL || !again || i == TRIES)
			return a;
		usleep(AGAIN_MS * 1000);
	}
}

void agent_close(struct agent *a) {
	uint64_t end = clock_ns() + END_MS * NS_PER_MS;
	struct agent **at = &all_open;

	if (a == NULL)
		return;
	while (*at != NULL && *at != a)
		at = &(*at)->next;
	if (*at == a)
		*at = a->next;
	// The stream to a VM stays open: nothing may be left on it for the next to find.
	if (a->ep.kind == ENDPOINT_VM && a->hello != NULL && !a->gone)
		json_decref(agent_ask(a, "drop", NULL, NULL));
	if (a->lines.fd >= 0)
		close(a->lines.fd); // of which a child ends
	lines_fini(&a->lines);
	while (a->stream.child > 0 && waitpid(a->stream.child, NULL, WNOHANG) == 0) {
		if (clock_ns() > end)
			kill(a->stream.child, SIGKILL);
		usleep(2000);
	}
	json_decref(a->hello);
	json_decref(a->events);
	free(a);
}

/* One message: an event is queued (ticks are only noted), an answer returned in *answer. */
static void sort(struct agent *a, json_t *msg, json_t **answer) {
	const char *event = json_string_value(json_object_get(msg, "event"));

	a->heard = clock_ns();
	if (event == NULL && answer != NULL) {
		json_decref(*answer);
		*answer = msg;
	} else if (event != NULL && strcmp(event, "tick") != 0) {
		a->events_bytes += a->lines.last;
		if (json_array_size(a->events) >= EVENTS_MAX || a->events_bytes > EVENTS_BYTES)
			a->flooded = true;
		if (a->flooded)
			json_decref(msg);
		else
			json_array_append_new(a->events, msg);
	} else {
		json_t *got = json_object_get(msg, "got");

		a->got = json_is_integer(got) ? (uint64_t)json_integer_value(got) : a->got;
		json_decref(msg);
	}
}

json_t *agent_ask(struct agent *a, const char *what, json_t *args, struct err *e) {
	json_t *msg, *answer = NULL, *ok;
	uint64_t end = clock_ns() + AGENT_PATIENCE_MS * NS_PER_MS;
	int ret;

	if (args == NULL)
		args = json_object();
	json_object_set_new(args, "do", json_string(what));
	ret = a->gone ? -EPIPE : lines_write(&a->lines, args, (int)(patience_ns(a) / NS_PER_MS));
	json_decref(args);
	while (ret == 0 && answer == NULL && !a->flooded && clock_ns() < end) {
		ret = lines_read(&a->lines, &msg, 100);
		if (ret == 0)
			sort(a, msg, &answer);
		ret = ret == -EAGAIN ? 0 : ret;
	}
	if (ret == -EPROTO || ret == -EMSGSIZE || a->flooded) {
		a->gone = a->broken = true;
		err_set(e, EPROTO, "endpoint %s does not speak as a weir agent does", a->ep.text);
		return NULL;
	}
	if (answer == NULL) {
		gone(a, e);
		return NULL;
	}
	ok = json_object_get(answer, "ok");
	if (ok == NULL) {
		const char *why = json_string_value(json_object_get(answer, "error"));

		err_set(e, EREMOTEIO, "endpoint %s: %.400s", a->ep.text,
			why != NULL ? why : "no reason given");
	}
	json_incref(ok);
	json_decref(answer);
	return ok;
}

/* Reads what is there; false when the stream has ended. */
static bool read_all(struct agent *a) {
	json_t *msg;
	int ret = 0;

	for (int i = 0; i < LOOK_LINES && !a->flooded; i++) {
		ret = lines_read(&a->lines, &msg, 0);
		if (ret < 0)
			return ret == -EAGAIN;
		sort(a, msg, NULL);
	}
	return !a->flooded;
}

/* Reads from all; the first that has vanished, -1: none. */
static int look(struct agent *const *a, unsigned n) {
	uint64_t now = clock_ns();

	for (unsigned i = 0; i < n; i++) {
		uint64_t was = a[i]->got;

		if (a[i]->gone || !read_all(a[i]))
			return (int)i;
		for (unsigned j = 0; j < n && a[i]->got > was; j++)
			a[j]->heard = now; // somebody sends
	}
	for (unsigned i = 0; i < n; i++)
		if (json_array_size(a[i]->events) == 0 && now > a[i]->heard + patience_ns(a[i]))
			return (int)i;
	return -1;
}

/* Servers take the place of who says nothing for long: while some measure, the others are told that this
 * is not the end. There is no answer. */
static void say_alive(void) {
	json_t *word;

	if (clock_ns() < alive_at + ALIVE_MS * NS_PER_MS)
		return;
	alive_at = clock_ns();
	word = json_pack("{s:s}", "do", "alive");
	for (struct agent *a = all_open; a != NULL; a = a->next)
		if (a->ep.kind == ENDPOINT_HOST && !a->gone)
			lines_write(&a->lines, word, 0); // one that is lost, its stream says itself
	json_decref(word);
}

int agents_wait(struct agent *const *a, unsigned n, int timeout_ms, unsigned *which, json_t **event,
	struct err *e) {
	uint64_t end = clock_ns() + (uint64_t)timeout_ms * NS_PER_MS, now, left;
	struct pollfd p[AGENTS_MAX];

	for (unsigned i = 0; i < n && i < AGENTS_MAX; i++)
		p[i] = (struct pollfd){.fd = a[i]->lines.fd, .events = POLLIN};
	for (;;) {
		int lost = look(a, n);

		for (unsigned i = 0; i < n; i++) {
			if (json_array_size(a[i]->events) == 0)
				continue;
			*event = json_incref(json_array_get(a[i]->events, 0));
			json_array_remove(a[i]->events, 0);
			if (json_array_size(a[i]->events) == 0)
				a[i]->events_bytes = 0;
			*which = i;
			return 0;
		}
		if (lost >= 0) {
			*which = (unsigned)lost;
			return gone(a[lost], e);
		}
		say_alive();
		now = clock_ns();
		if (now >= end)
			return -EAGAIN;
		left = (end - now) / NS_PER_MS + 1;
		poll(p, n < AGENTS_MAX ? n : AGENTS_MAX, left < LOOK_MS ? (int)left : LOOK_MS);
	}
}

bool agent_gone(const struct agent *a) {
	return a->gone;
}

const struct endpoint *agent_endpoint(const struct agent *a) {
	return &a->ep;
}

const json_t *agent_hello(const struct agent *a) {
	return a->hello;
}

bool agent_here(const struct agent *a) {
	return a->stream.child > 0;
}

bool agent_vm(const struct agent *a, pid_t *qemu) {
	char name[PROC_NAME];

	// Where libvirt made the socket it is libvirt that listens.
	*qemu = a->stream.listener > 0 &&
				strncmp(proc_name(a->stream.listener, a->stream.listener, name),
					"qemu", 4) == 0
			? a->stream.listener
			: 0;
	return a->stream.is_vm;
}

bool agents_together(const struct agent *a, const struct agent *b) {
	const char *x = json_string_value(json_object_get(a->hello, "boot"));
	const char *y = json_string_value(json_object_get(b->hello, "boot"));

	return x != NULL && y != NULL && strcmp(x, y) == 0;
}

/* The address by which a server was reached; false when that is this host's own and means nothing to
 * others. */
static bool peer_address(const struct agent *a, char *text, size_t size) {
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return a->ep.kind == ENDPOINT_HOST &&
	       getpeername(a->lines.fd, (struct sockaddr *)&sa, &len) == 0 &&
	       getnameinfo((struct sockaddr *)&sa, len, text, (socklen_t)size, NULL, 0,
		       NI_NUMERICHOST) == 0;
}

/* What `from` has to know of it: a zone is one of this process's, so of an agent that is in its namespace. */
static void for_agent(const struct agent *from, char *address) {
	if (from->ep.kind != ENDPOINT_IF)
		zone_strip(address);
}

/* Our own address on the way to a server; "" when there is none. */
static void our_address(const struct agent *a, char *text, size_t size) {
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (a->ep.kind != ENDPOINT_HOST ||
		getsockname(a->lines.fd, (struct sockaddr *)&sa, &len) < 0 ||
		getnameinfo((struct sockaddr *)&sa, len, text, (socklen_t)size, NULL, 0,
			NI_NUMERICHOST) != 0)
		text[0] = '\0';
	zone_strip(text);
}

static bool is_loopback(const char *address) {
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* Are both addresses in one network of that many bits? */
static bool shared(const char *a, const char *b, unsigned prefix) {
	unsigned char x[16] = {0}, y[16] = {0};
	int family = strchr(a, ':') != NULL ? AF_INET6 : AF_INET;

	if (inet_pton(family, a, x) != 1 || inet_pton(family, b, y) != 1)
		return false;
	for (unsigned i = 0; i < prefix && i < 128; i++)
		if (((x[i / 8] ^ y[i / 8]) >> (7 - i % 8) & 1) != 0)
			return false;
	return true;
}

static const char *address_at(const json_t *list, size_t i) {
	const char *text = json_string_value(json_object_get(json_array_get(list, i), "address"));

	return text != NULL ? text : "";
}

static const char *choose(const json_t *from, const json_t *to) {
	for (size_t i = 0; i < json_array_size(to); i++)
		for (size_t j = 0; j < json_array_size(from); j++) {
			json_t *prefix = json_object_get(json_array_get(to, i), "prefix");

			if (shared(address_at(to, i), address_at(from, j),
				    (unsigned)json_integer_value(prefix)))
				return address_at(to, i);
		}
	return address_at(to, 0);
}

int agents_address(struct agent *from, struct agent *to, const char *given, char *address,
	size_t size, struct err *e) {
	char peer[ZONED_MAX], ours_there[ZONED_MAX];
	json_t *ours, *theirs;
	const char *best;
	int ret = 0;

	if (given != NULL) {
		snprintf(address, size, "%s", given);
		return 0;
	}
	if (from->ep.kind == ENDPOINT_IF && to->ep.kind == ENDPOINT_IF)
		return err_set(e, EINVAL,
			"%s and %s are of one namespace, which keeps traffic between its own "
			"addresses to itself; move one with `ip link set %s netns NAME`",
			from->ep.text, to->ep.text, to->ep.name);
	if (peer_address(to, address, size) &&
		(!is_loopback(address) ||
			(peer_address(from, peer, sizeof(peer)) && is_loopback(peer)))) {
		for_agent(from, address);
		return 0;
	}
	ours = agent_ask(from, "addresses", NULL, e);
	theirs = ours != NULL ? agent_ask(to, "addresses", NULL, e) : NULL;
	best = theirs != NULL ? choose(ours, theirs) : NULL;
	// Link-local addresses are not told: they would be everybody's. One that leads there is as good.
	if (best != NULL && best[0] == '\0' && to->ep.kind == ENDPOINT_IF) {
		our_address(from, ours_there, sizeof(ours_there));
		best = is_loopback(ours_there) ? "" : ours_there;
	}
	if (best == NULL)
		ret = -EPIPE;
	else if (best[0] == '\0')
		ret = err_set(e, EADDRNOTAVAIL,
			"endpoint %s has no address; give it one with `ip addr add`, and set its "
			"interface up",
			to->ep.text);
	else
		snprintf(address, size, "%s", best);
	json_decref(ours);
	json_decref(theirs);
	return ret;
}
