/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Memory runs out: the n-th allocation of the running switch fails, for every n that a request needs, and
 * the same with some more after it. Each request ends in an answer that is whole, an error sentence or an
 * ended connection; the configuration is the old one or the new one; the switch goes on, and its ports lose
 * nothing. */
#include "beside.h"
#include "process.h"
#include "scarce.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

enum {
	SILENCE_MS = 5000, /* longer is silence */
	MORE = 4, /* failures behind the first, in the second pass */
};

static struct scarce *scarce;
static char scarce_path[96];

/* --- The socket ------------------------------------------------------------------------------- */

static int api_connect(void) {
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	bed_path(to.sun_path, sizeof(to.sun_path), "api");
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* The reply to a request, NULL when the connection ended without one; silence fails the test. */
static json_t *api_request(const char *method, json_t *params) {
	json_t *request = json_pack("{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", 1, "method",
		       method, "params", params),
	       *reply;
	char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
	const uint64_t begin = bed_now_ms();
	struct pollfd p = {.fd = api_connect(), .events = POLLIN};
	size_t len = 0;

	json_decref(request);
	dprintf(p.fd, "%s\n", text);
	free(text);
	for (;;) {
		ssize_t n;

		line = realloc(line, len + 65536);
		if (poll(&p, 1, SILENCE_MS * (int)bed_patience()) != 1)
			fail_msg("%s: no answer, and the connection stays", method);
		n = read(p.fd, line + len, 65536);
		if (n <= 0)
			break;
		len += (size_t)n;
		if (line[len - 1] == '\n')
			break;
	}
	close(p.fd);
	beside_answered(bed_now_ms() - begin);
	reply = json_loadb(line, len, 0, NULL);
	if (len > 0 && reply == NULL)
		fail_msg("%s: the reply is no JSON: %.*s", method, (int)len, line);
	free(line);
	return reply;
}

/* The result of a request while memory is there. */
static json_t *api_result(const char *method, json_t *params) {
	json_t *reply = api_request(method, params), *result = json_object_get(reply, "result");

	if (result == NULL)
		fail_msg("%s is refused: %s", method,
			reply != NULL ? json_dumps(reply, JSON_COMPACT) : "connection closed");
	json_incref(result);
	json_decref(reply);
	return result;
}

/* --- Requests --------------------------------------------------------------------------------- */

static void scarce_from(long n, long more) {
	atomic_store(&scarce->more, more);
	atomic_store(&scarce->left, n);
}

/* All have memory again. True when an allocation failed since `failed`. */
static bool scarce_over(unsigned long failed) {
	atomic_store(&scarce->left, 0);
	return atomic_load(&scarce->failed) != failed;
}

/* The same keys, and as many of everything? Counters differ from one answer to the next, and a worker may
 * add or leave out a null. */
static bool same_shape(const json_t *a, const json_t *b) {
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_object(a)) {
		if (json_object_size(a) != json_object_size(b))
			return false;
		json_object_foreach ((json_t *)(uintptr_t)a, key, v)
			if (!same_shape(v, json_object_get(b, key)))
				return false;
		return true;
	}
	if (json_is_array(a)) {
		if (json_array_size(a) != json_array_size(b))
			return false;
		json_array_foreach (a, i, v)
			if (!same_shape(v, json_array_get(b, i)))
				return false;
	}
	return b != NULL;
}

static bool show_once(const char *method, json_t *params, long n, long more) {
	json_t *whole = api_result(method, json_deep_copy(params)), *reply, *result;
	unsigned long failed = atomic_load(&scarce->failed);
	bool over;

	scarce_from(n, more);
	reply = api_request(method, json_deep_copy(params));
	over = scarce_over(failed);
	result = json_object_get(reply, "result");
	if (reply != NULL && result == NULL &&
		json_string_length(json_object_get(json_object_get(reply, "error"), "message")) ==
			0)
		fail_msg("%s, allocation %ld: an error without a sentence", method, n);
	if (result != NULL && !same_shape(whole, result))
		fail_msg("%s, allocation %ld: half an answer: %s", method, n,
			json_dumps(result, JSON_COMPACT));
	json_decref(whole);
	json_decref(reply);
	return over;
}

static void shows(void **state) {
	static const char *const methods[] = {"ping", "version", "show.ports", "show.networks",
		"show.workers", "show.config", "show.drops", "show.macs", "trace"};
	json_t *params = json_pack(
		"{s:s, s:s}", "port", "mate", "frame", "ffffffffffff0200000000ff08060001080006");

	(void)state;
	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		for (long more = 0; more <= MORE; more += MORE) {
			long n = 1;

			while (show_once(methods[i], params, n, more))
				n++;
			assert_true(n > 3);
			if (more == 0)
				print_message("# %s: each of %ld allocations failed\n", methods[i],
					n - 1);
		}
	}
	json_decref(params);
	bed_hold();
}

/* A CPU for a worker. */
static int cpu_first(void) {
	cpu_set_t set;
	int cpu = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	return cpu;
}

/* A configuration that differs in a port, a network and settings. */
static json_t *config_other(const json_t *now) {
	json_t *other = json_deep_copy(now), *ports = json_object_get(other, "ports");
	char path[128];

	json_object_set_new(
		json_object_get(other, "networks"), "third", json_pack("{s:i}", "vlan", 300));
	json_object_set_new(json_object_get(ports, "bad"), "mtu", json_integer(1400));
	json_object_set_new(json_object_get(ports, "bad"), "mac", json_string("02:00:00:00:00:77"));
	json_object_set_new(ports, "new",
		json_pack("{s:s, s:[s, s]}", "vhost-user", bed_path(path, sizeof(path), "new"),
			"trunk", "third", "dark"));
	return other;
}

/* One that differs in what the kernel has a part in: a TAP of two queues, workers, a listener. */
static json_t *config_host(const json_t *now) {
	json_t *other = json_deep_copy(now);

	json_object_set_new(json_object_get(other, "ports"), "host",
		json_pack("{s:s, s:s, s:i}", "tap", "weirscarce0", "network", "dark", "queues", 2));
	json_object_set_new(other, "workers", json_pack("[i]", cpu_first()));
	json_object_set_new(other, "metrics", json_string("127.0.0.1:19478"));
	return other;
}

static void config_is_one_of(const char *what, long n, const json_t *a, const json_t *b) {
	json_t *now = api_result("show.config", NULL);

	if (!json_equal(now, a) && !json_equal(now, b))
		fail_msg("%s, allocation %ld: the configuration is neither the old one nor the new "
			 "one: %s",
			what, n, json_dumps(now, JSON_COMPACT));
	json_decref(now);
}

static void config_set(json_t *to) {
	json_t *now;

	json_decref(api_result("apply", json_pack("{s:O}", "config", to)));
	now = api_result("show.config", NULL);
	assert_true(json_equal(now, to));
	json_decref(now);
}

static bool apply_once(json_t *from, json_t *to, long n, long more) {
	unsigned long failed = atomic_load(&scarce->failed);
	json_t *reply;
	bool over;

	scarce_from(n, more);
	reply = api_request("apply", json_pack("{s:O}", "config", to));
	over = scarce_over(failed);
	config_is_one_of("apply", n, from, to);
	if (json_object_get(reply, "result") != NULL) {
		json_t *now = api_result("show.config", NULL);

		assert_true(json_equal(now, to));
		json_decref(now);
	}
	json_decref(reply);
	config_set(from);
	return over;
}

/* As weir writes it. */
static json_t *config_written(json_t *now, json_t *other) {
	config_set(other);
	json_decref(other);
	other = api_result("show.config", NULL);
	config_set(now);
	return other;
}

static void applies(void **state) {
	json_t *a = api_result("show.config", NULL), *b = config_written(a, config_other(a));

	(void)state;
	for (long more = 0; more <= MORE; more += MORE) {
		long n = 1;

		while (apply_once(a, b, n, more))
			n++;
		assert_true(n > 100);
		print_message("# apply: each of %ld allocations failed\n", n - 1);
		config_set(b);
		for (n = 1; apply_once(b, a, n, more); n++)
			continue;
		config_set(a);
	}
	json_decref(a);
	json_decref(b);
	bed_hold();
}

/* Not the way back, for which the kernel takes its time. */
static void applies_to_the_host(void **state) {
	json_t *a = api_result("show.config", NULL), *b = config_written(a, config_host(a));

	(void)state;
	for (long more = 0; more <= MORE; more += MORE) {
		long n = 1;

		while (apply_once(a, b, n, more))
			n++;
		assert_true(n > 100);
		print_message("# apply: each of %ld allocations failed\n", n - 1);
	}
	json_decref(a);
	json_decref(b);
	bed_hold();
}

/* --- Reload ------------------------------------------------------------------------------------ */

static off_t log_size(void) {
	char path[128];
	struct stat st;

	assert_int_equal(stat(bed_path(path, sizeof(path), "log"), &st), 0);
	return st.st_size;
}

/* Ends when the log says how it went. */
static bool reload_once(pid_t pid, long n, long more) {
	unsigned long failed = atomic_load(&scarce->failed);
	uint64_t end = bed_now_ms() + SILENCE_MS * bed_patience();
	off_t before = log_size();
	bool over;

	scarce_from(n, more);
	kill(pid, SIGHUP);
	while (log_size() == before) {
		if (bed_now_ms() > end)
			fail_msg("reload, allocation %ld: not a word in the log", n);
		bed_rest_us(200);
	}
	over = scarce_over(failed);
	json_decref(api_result("ping", NULL)); // when that is answered, it is done with it
	return over;
}

static void reloads(void **state) {
	json_t *a = api_result("show.config", NULL), *b = config_other(a), *version;
	char path[128];
	pid_t pid;

	(void)state;
	config_set(b);
	json_decref(b);
	b = api_result("show.config", NULL);
	version = api_result("version", NULL);
	pid = (pid_t)json_integer_value(json_object_get(version, "pid"));
	json_decref(version);
	for (long more = 0; more <= MORE; more += MORE) {
		bool over = true;

		for (long n = 1; over; n++) {
			json_t *to = n % 2 != 0 ? a : b;

			assert_int_equal(
				json_dump_file(to, bed_path(path, sizeof(path), "weir.yaml"), 0),
				0);
			over = reload_once(pid, n, more);
			config_is_one_of("reload", n, a, b);
			config_set(to);
		}
	}
	config_set(a);
	json_decref(a);
	json_decref(b);
	bed_hold();
}

/* --- Attach ------------------------------------------------------------------------------------ */

/* Does a frame pass, on a machine that may be busy? */
static bool passes(struct front *f) {
	for (unsigned i = 0; i < 5; i++)
		if (bed_passes(f))
			return true;
	return false;
}

/* A front end that attaches. Ends in a refusal, a closed connection or a guest whose frames pass. */
static void attach_scarce(const char *port, struct front_options o, long n, long more) {
	struct front f = {0};
	char path[128];
	int rc;

	o.path = bed_path(path, sizeof(path), port);
	o.timeout_ms = SILENCE_MS * (int)bed_patience();
	scarce_from(n, more);
	rc = front_open(&f, &o);
	if (rc == -ETIMEDOUT)
		fail_msg("%s, allocation %ld: silence: %s", port, n, f.why);
	if (rc != 0)
		return;
	if (!passes(&f) && !front_hung_up(&f, o.timeout_ms))
		fail_msg("%s, allocation %ld: no frame passes, and the connection stays", port, n);
	front_close(&f);
	bed_rest(2);
}

static bool attach_once(const char *port, struct front_options o, long n, long more) {
	unsigned long failed = atomic_load(&scarce->failed);
	struct front f = {0};
	bool over;

	attach_scarce(port, o, n, more);
	over = scarce_over(failed);
	bed_attach(&f, port, o);
	if (!passes(&f))
		fail_msg("%s, allocation %ld: the next one gets no frame through", port, n);
	bed_detach(&f);
	return over;
}

static void attaches(void **state) {
	const struct front_options options[] = {{.pairs = 1},
		{.pairs = 2, .features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED)}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		for (long more = 0; more <= MORE; more += MORE) {
			long n = 1;

			while (attach_once(i == 0 ? "bad" : "pair", options[i], n, more))
				n++;
			assert_true(n > 3);
			print_message("# attach: each of %ld allocations failed\n", n - 1);
		}
	}
	bed_hold();
}

static void open_once(void *arg) {
	struct front big = {0};

	if (front_open(&big, arg) == 0)
		front_close(&big);
}

/* A guest that asks for the largest rings there are, in every queue of its port, gets a sentence, and takes
 * no memory from others. */
static void largest_rings(void **state) {
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		struct front_options o = {.pairs = FRONT_PAIRS_MAX,
			.ring_size = 32768,
			.buffer_size = 128,
			.features = FRONT_F_PLAIN};
		struct front big = {0}, f = {0};
		char path[128];

		o.path = bed_path(path, sizeof(path), "wide");
		if (packed)
			o.features |= FRONT_BIT(VIRTIO_F_RING_PACKED);
		beside_hold(&(struct beside){.sentence = "the largest rings",
			.attack = open_once,
			.arg = &o,
			.waits = true});
		assert_int_not_equal(front_open(&big, &o), 0);
		bed_attach(
			&f, "bad", (struct front_options){.ring_size = 32768, .buffer_size = 128});
		assert_true(passes(&f));
		bed_detach(&f);
		o.ring_size = 4096;
		bed_attach(&big, "wide", o);
		bed_detach(&big);
	}
	bed_hold();
}

/* --- The bed ----------------------------------------------------------------------------------- */

static int setup(void **state) {
	const char *tmp = getenv("TMPDIR");
	int fd, rc;

	(void)state;
	signal(SIGPIPE, SIG_IGN); // a connection may have ended before the request
	snprintf(scarce_path, sizeof(scarce_path), "%s/scarceXXXXXX", tmp != NULL ? tmp : "/tmp");
	fd = mkstemp(scarce_path);
	if (fd < 0 || ftruncate(fd, sizeof(*scarce)) != 0)
		return -1;
	scarce = mmap(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (scarce == MAP_FAILED)
		return -1;
	setenv(SCARCE_FILE, scarce_path, 1);
	setenv("LD_PRELOAD", SCARCE_LIBRARY, 1);
	rc = bed_start("  free: {vlan: 400}\n",
		"  wide: {vhost-user: @/wide, network: free, queues: 16}\n"
		"  pair: {vhost-user: @/pair, network: dark, queues: 2}\n");
	unsetenv("LD_PRELOAD");
	return rc;
}

static int calm(void **state) {
	(void)state;
	beside_end();
	return 0;
}

static int teardown(void **state) {
	unlink(scarce_path);
	return bed_teardown(state);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		{"an answer for which memory runs out is whole, an error or an ended connection",
			shows, NULL, NULL, NULL},
		{"a change for which memory runs out is done or not done", applies, NULL, NULL,
			NULL},
		{"so is one for which a TAP, workers and threads are wanted", applies_to_the_host,
			NULL, NULL, NULL},
		{"a reload for which memory runs out is done or not done, and says so", reloads,
			NULL, NULL, NULL},
		{"a front end for which memory runs out can attach again", attaches, NULL, NULL,
			NULL},
		{"the rings of one port leave memory for the others", largest_rings, NULL, calm,
			NULL},
	};

	beside_one_worker();
	cmocka_set_test_filter(getenv("WEIR_CASE"));
	return cmocka_run_group_tests_name("scarce", tests, setup, teardown);
}
