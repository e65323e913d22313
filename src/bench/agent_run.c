/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The agent's side. One thread waits for requests and, while there is a job, for what it has to do
 * next; the data moves in threads of the job. Whoever is at the other end may be anybody: lines are
 * bounded, every number of a request is checked where it is read, and nothing but the table of jobs
 * can be started. */
#include "bench/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/agent_guard.h"
#include "bench/clock.h"
#include "bench/lines.h"
#include "bench/zone.h"
#include "host/nic.h"

enum {
	REQUEST_MAX = 64 << 10, // bytes of a line
	HELLO_MS = 10000, // for who has started it to say hello
	WRITE_MS = 2000, // for the coordinator to read
	LINGER_MS = 500, // after the last word to somebody who speaks something else
	IDLE_MS = 1000 // waiting without a job
};
#define TIME_MAX (25 * 3600 * NS_PER_S) // of one measurement: a day and its warm-up
#define TIME_MIN (10 * NS_PER_MS)

static const struct job_kind *const kinds[] = {&job_stream, &job_rr};
enum { NKINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct run {
	struct lines lines;
	const char *device;
	unsigned
		zone; /* of the device, or of the stream: link-local addresses are most likely there */
	const struct agent_guard *guard; // NULL: who is at the other end may all this
	struct guard_talk talk;
	bool greeted, started;
	uint64_t over_at; // clock_ns: what was started has ended by then
	uint64_t silent_at; // and who has not said anything then has to go
	int failed; // writing, or -EPROTO
	const struct job_kind *kind; // NULL: no job
	void *job;
	uint64_t next_step, next_tick;
};

static void send_line(struct run *r, json_t *line) {
	int ret = line != NULL ? lines_write(&r->lines, line, WRITE_MS) : -ENOMEM;

	json_decref(line);
	if (ret < 0)
		r->failed = ret;
}

static void say(void *to, json_t *event) {
	send_line(to, event);
}

static json_t *boot_id(void) {
	char id[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (f == NULL || fgets(id, sizeof(id), f) == NULL)
		id[0] = '\0';
	if (f != NULL)
		fclose(f);
	id[strcspn(id, "\n")] = '\0';
	return id[0] != '\0' ? json_string(id) : json_null();
}

static void drop(struct run *r) {
	if (r->kind != NULL)
		r->kind->drop(r->job);
	r->kind = NULL;
	r->started = false;
	r->over_at = 0;
}

static json_t *introduce(struct run *r) {
	struct utsname un;

	r->greeted = true;
	if (r->guard != NULL && r->guard->known != NULL)
		atomic_store(r->guard->known, true);
	uname(&un);
	return json_pack("{s:i, s:s, s:s, s:o, s:i, s:i}", "protocol", AGENT_PROTOCOL, "version",
		WEIR_VERSION, "host", un.nodename, "boot", boot_id(), "pid", (int)getpid(), "cpus",
		(int)sysconf(_SC_NPROCESSORS_ONLN));
}

static json_t *do_prove(struct run *r, const json_t *msg, struct err *e) {
	char proof[SECRET_PROOF_TEXT];
	json_t *ok;

	r->failed = guard_check(&r->talk, r->guard, msg, proof, e);
	if (r->failed < 0)
		return NULL;
	ok = introduce(r);
	json_object_set_new(ok, "proof", json_string(proof));
	return ok;
}

static json_t *do_hello(struct run *r, const json_t *msg, struct err *e) {
	json_int_t theirs = json_integer_value(json_object_get(msg, "protocol"));

	if (theirs != AGENT_PROTOCOL) {
		r->failed = -EPROTO;
		err_set(e, EPROTO, "this is protocol %d, not %lld; use the same version",
			AGENT_PROTOCOL, (long long)theirs);
		return NULL;
	}
	drop(r); // somebody else's, when a serial port changed hands
	r->greeted = false;
	if (r->guard != NULL && r->guard->secret != NULL)
		return guard_challenge(&r->talk, msg, e);
	return introduce(r);
}

static json_t *one_address(const struct ifaddrs *i) {
	const void *raw, *mask;
	char text[INET6_ADDRSTRLEN];
	unsigned prefix = 0;
	size_t len;

	if (i->ifa_addr->sa_family == AF_INET) {
		raw = &((struct sockaddr_in *)i->ifa_addr)->sin_addr;
		mask = &((struct sockaddr_in *)i->ifa_netmask)->sin_addr;
		len = 4;
	} else {
		raw = &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
		mask = &((struct sockaddr_in6 *)i->ifa_netmask)->sin6_addr;
		len = 16;
		if (IN6_IS_ADDR_LINKLOCAL(raw))
			return NULL;
	}
	for (size_t b = 0; b < len; b++)
		prefix += (unsigned)__builtin_popcount(((const unsigned char *)mask)[b]);
	inet_ntop(i->ifa_addr->sa_family, raw, text, sizeof(text));
	return json_pack(
		"{s:s, s:s, s:i}", "device", i->ifa_name, "address", text, "prefix", (int)prefix);
}

/* IPv4 first: more hosts have it. */
static json_t *do_addresses(struct run *r, const json_t *msg, struct err *e) {
	static const int families[] = {AF_INET, AF_INET6};
	struct ifaddrs *all = NULL;
	json_t *list = json_array();

	if (getifaddrs(&all) < 0)
		return list;
	for (int f = 0; f < 2; f++)
		for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
			json_t *one = NULL;

			if (i->ifa_addr != NULL && i->ifa_addr->sa_family == families[f] &&
				i->ifa_netmask != NULL && (i->ifa_flags & IFF_UP) != 0 &&
				(i->ifa_flags & IFF_LOOPBACK) == 0 &&
				(r->device == NULL || strcmp(i->ifa_name, r->device) == 0))
				one = one_address(i);
			if (one != NULL)
				json_array_append_new(list, one);
		}
	freeifaddrs(all);
	return list;
}

/* The interface with this address. */
static bool device_of(const struct sockaddr *sa, char name[IFNAMSIZ]) {
	struct ifaddrs *all = NULL;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (struct ifaddrs *i = all; i != NULL && !found; i = i->ifa_next) {
		const struct sockaddr *own = i->ifa_addr;

		if (own == NULL || own->sa_family != sa->sa_family)
			continue;
		if (sa->sa_family == AF_INET)
			found = ((const struct sockaddr_in *)own)->sin_addr.s_addr ==
				((const struct sockaddr_in *)sa)->sin_addr.s_addr;
		else
			found = memcmp(&((const struct sockaddr_in6 *)own)->sin6_addr,
					&((const struct sockaddr_in6 *)sa)->sin6_addr, 16) == 0;
		snprintf(name, IFNAMSIZ, "%s", i->ifa_name);
	}
	freeifaddrs(all);
	return found;
}

/* The kernel says by which address of ours it would go there; nothing is sent for that. */
static bool source_to(
	const struct run *r, const json_t *msg, struct sockaddr_storage *own, socklen_t *len) {
	const char *to = json_string_value(json_object_get(msg, "address"));
	struct sockaddr_storage there = {0};
	socklen_t there_len = 0;
	bool found = false;
	int fd;

	*len = sizeof(*own);
	if (to == NULL || zone_resolve(to, 9, r->zone, &there, &there_len, NULL) != 0)
		return false;
	fd = socket(there.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && r->device != NULL)
		setsockopt(
			fd, SOL_SOCKET, SO_BINDTODEVICE, r->device, (socklen_t)strlen(r->device));
	if (fd >= 0)
		found = connect(fd, (struct sockaddr *)&there, there_len) == 0 &&
			getsockname(fd, (struct sockaddr *)own, len) == 0;
	if (fd >= 0)
		close(fd);
	return found;
}

static json_t *do_interface(struct run *r, const json_t *msg, struct err *e) {
	struct sockaddr_storage own = {0};
	char name[IFNAMSIZ] = "";
	json_t *nic = NULL;
	socklen_t len;

	if (r->device != NULL)
		nic = nic_json(r->device);
	else if (source_to(r, msg, &own, &len) && device_of((struct sockaddr *)&own, name))
		nic = nic_json(name);
	return nic != NULL ? nic : json_null();
}

static json_t *do_source(struct run *r, const json_t *msg, struct err *e) {
	char text[INET6_ADDRSTRLEN + IFNAMSIZ];
	struct sockaddr_storage own = {0};
	socklen_t len;

	if (!source_to(r, msg, &own, &len) || getnameinfo((struct sockaddr *)&own, len, text,
						      sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
		return json_null();
	return json_string(text);
}

static json_t *do_prepare(struct run *r, const json_t *msg, struct err *e) {
	const char *name = json_string_value(json_object_get(msg, "job"));
	bool is_tied = r->guard != NULL && r->guard->tied;
	json_t *answer = NULL, *args;

	drop(r);
	json_object_set_new((json_t *)msg, "zone",
		json_integer((json_int_t)r->zone)); // ours, whatever they say
	for (int i = 0; i < NKINDS; i++) {
		if (name == NULL || strcmp(kinds[i]->name, name) != 0)
			continue;
		args = is_tied ? guard_tied(r->guard, msg, e) : json_incref((json_t *)msg);
		if (args == NULL)
			return NULL;
		r->job = kinds[i]->prepare(args, r->device, &answer, e);
		json_decref(args);
		if (r->job == NULL)
			return NULL;
		r->kind = kinds[i];
		r->next_tick = clock_ns();
		return answer;
	}
	err_set(e, EINVAL, "no such job; there are: stream, rr");
	return NULL;
}

static json_t *do_start(struct run *r, const json_t *msg, struct err *e) {
	json_int_t omit = 0, time = 0, interval = 0, at = 0;
	uint64_t now = clock_ns();

	if (json_unpack((json_t *)msg, "{s:I, s:I, s:I, s?I}", "omit", &omit, "time", &time,
		    "interval", &interval, "at", &at) < 0 ||
		(at != 0 && (at < 0 || (uint64_t)at > now + TIME_MAX)) || omit < 0 ||
		time < (json_int_t)TIME_MIN || interval < (json_int_t)TIME_MIN ||
		omit > (json_int_t)TIME_MAX || time > (json_int_t)TIME_MAX) {
		err_set(e, EINVAL,
			"start wants omit, time and interval in nanoseconds; time and interval "
			"from 10 ms on, none above a day");
		return NULL;
	}
	if (r->kind == NULL || r->started) {
		err_set(e, EINVAL, "there is no job that could start");
		return NULL;
	}
	if (r->kind->start(r->job, at != 0 ? (uint64_t)at : now + (uint64_t)omit, (uint64_t)time,
		    (uint64_t)interval, e) < 0)
		return NULL;
	r->started = true;
	r->next_step = clock_ns();
	r->over_at = (at != 0 ? (uint64_t)at : now + (uint64_t)omit) + (uint64_t)time;
	return json_object();
}

static json_t *do_end(struct run *r, const json_t *msg, struct err *e) {
	if (r->started)
		r->kind->end(r->job);
	r->next_step = clock_ns();
	return json_object();
}

static json_t *do_drain(struct run *r, const json_t *msg, struct err *e) {
	if (r->started)
		r->kind->drain(r->job);
	r->next_step = clock_ns();
	return json_object();
}

static json_t *do_drop(struct run *r, const json_t *msg, struct err *e) {
	drop(r);
	return json_object();
}

static const struct {
	const char *what;
	json_t *(*run)(struct run *r, const json_t *msg, struct err *e);
} verbs[] = {
	{"hello", do_hello},
	{"prove", do_prove},
	{"addresses", do_addresses},
	{"interface", do_interface},
	{"source", do_source},
	{"prepare", do_prepare},
	{"start", do_start},
	{"end", do_end},
	{"drain", do_drain},
	{"drop", do_drop},
};

/* When who has just said something has to say something again. */
static void heard(struct run *r) {
	uint64_t from = clock_ns();

	if (!r->greeted)
		return; // the first deadline is for all until then
	from = r->over_at > from ? r->over_at : from;
	r->silent_at = r->guard != NULL ? from + r->guard->silence_ms * NS_PER_MS : UINT64_MAX;
}

static void handle(struct run *r, const json_t *msg) {
	const char *what = json_string_value(json_object_get(msg, "do"));
	struct err e = {"no such request"};
	json_t *ok = NULL;

	if (what != NULL && r->greeted && strcmp(what, "alive") == 0)
		return;
	if (what != NULL && !r->greeted && strcmp(what, "hello") != 0 &&
		strcmp(what, "prove") != 0) {
		err_set(&e, EPROTO, "say hello first");
		r->failed = -EPROTO;
	} else {
		for (size_t i = 0; what != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++)
			if (strcmp(verbs[i].what, what) == 0)
				ok = verbs[i].run(r, msg, &e);
	}
	if (ok != NULL)
		send_line(r, json_pack("{s:o}", "ok", ok));
	else
		send_line(r, json_pack("{s:s}", "error", e.text));
}

/* Has who is silent been told to go? */
static bool sent_away(struct run *r) {
	if (clock_ns() < r->silent_at)
		return false;
	send_line(r, json_pack("{s:s}", "error",
			     r->greeted ? "nothing was asked for too long; the place is for others"
					: "hello and the secret did not come in time"));
	return true;
}

/* What is due now; returns milliseconds until the next. */
static int due(struct run *r) {
	uint64_t now = clock_ns(), next;

	if (r->kind == NULL)
		return IDLE_MS;
	if (r->started && now >= r->next_step)
		r->next_step = r->kind->step(r->job, say, r);
	if (now >= r->next_tick) {
		send_line(r, json_pack("{s:s, s:I}", "event", "tick", "got",
				     (json_int_t)r->kind->got(r->job)));
		r->next_tick = now + AGENT_TICK_MS * NS_PER_MS;
	}
	next = r->started && r->next_step < r->next_tick ? r->next_step : r->next_tick;
	now = clock_ns();
	return next <= now ? 0 : (int)((next - now) / NS_PER_MS) + 1;
}

/* Whoever is told off is still sending: closed now, the connection would be reset, and the sentence lost
 * on its way. */
static void linger(int fd) {
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t end = clock_ns() + LINGER_MS * NS_PER_MS;
	char waste[4096];
	ssize_t n = 1;

	shutdown(fd, SHUT_WR);
	while (n > 0 && clock_ns() < end && poll(&p, 1, LINGER_MS) > 0)
		n = read(fd, waste, sizeof(waste));
}

/* A line that cannot be read ends it, after a word about why. */
static void broken(struct run *r, int ret) {
	if (ret == -EMSGSIZE)
		send_line(r, json_pack("{s:s}", "error", "a line is longer than 64 KiB"));
	else if (ret == -EPROTO)
		send_line(r, json_pack("{s:s}", "error",
				     "this is a weir bench agent: it wants a JSON object a line"));
	r->failed = ret;
	linger(r->lines.fd);
}

static int run_agent(int fd, const char *device, const struct agent_guard *guard) {
	struct run r = {.device = device,
		.guard = guard,
		.zone = device != NULL ? if_nametoindex(device) : zone_of(fd)};
	int ret = lines_init(&r.lines, fd, REQUEST_MAX);
	struct stat st;
	// A client says hello at once; behind a serial port a coordinator may come any time.
	bool hurries = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	uint64_t patience = guard != NULL ? guard->prove_ms : HELLO_MS;

	r.silent_at = hurries ? clock_ns() + patience * NS_PER_MS : UINT64_MAX;
	while (ret == 0 && r.failed == 0 && !sent_away(&r)) {
		int wait = due(&r);
		json_t *msg;

		ret = lines_read(&r.lines, &msg, wait);
		if (ret == 0) {
			handle(&r, msg);
			heard(&r);
		} else if (ret == -EAGAIN)
			ret = 0;
		else if (ret == -EMSGSIZE || ret == -EPROTO)
			broken(&r, ret);
		json_decref(msg);
	}
	drop(&r);
	lines_fini(&r.lines);
	return ret == -EPIPE && r.failed == 0 ? 0 : ret < 0 ? ret : r.failed;
}

int agent_run(int fd, const char *device) {
	return run_agent(fd, device, NULL);
}

int agent_run_guarded(int fd, const struct agent_guard *guard) {
	return run_agent(fd, NULL, guard);
}
