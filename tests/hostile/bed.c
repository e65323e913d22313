/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bed.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "beside.h"
#include "neighbours.h"
#include "process.h"

enum {
	FRAME = 64,
	FILES_MS = 2000, /* until descriptors of who left are closed */
	SHUT_MS = 4000, /* half a message is given 2 s */
	ATTACH_MS = 4000,
	PASS_MS = 1000,
};

const struct bed_mac mac_bad = {{2, 0, 0, 0xba, 0xd0, 0}}, mac_mate = {{2, 0, 0, 0xba, 0xd0, 1}};

static struct {
	char folder[96];
	pid_t pid;
	unsigned files;
	struct front mate, one, two, liar, honest;
} bed;

static void close_honest(struct front *f);

uint64_t bed_now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

unsigned bed_patience(void) {
	return getenv("WEIR_SANITIZED") != NULL ? 4 : 1;
}

void bed_rest_us(unsigned us) {
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000L}, NULL);
}

void bed_rest(unsigned ms) {
	bed_rest_us(ms * bed_patience() * 1000);
}

char *bed_path(char *buf, size_t size, const char *port) {
	snprintf(buf, size, "%s/%s", bed.folder, port);
	return buf;
}

struct front *bed_mate(void) {
	return &bed.mate;
}

/* --- The switch ------------------------------------------------------------------------------ */

static int write_config(const char *path, const char *networks, const char *ports) {
	static const char *const names[][2] = {
		{"bad", "dark"}, {"mate", "dark"}, {"one", "light"}, {"two", "light"}};
	const char *cpus = getenv("WEIR_CPUS");
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return -1;
	if (cpus != NULL)
		fprintf(f, "workers: [%s]\n", cpus);
	fprintf(f, "api: %s/api\nnetworks:\n  dark: {vlan: 100}\n  light: {vlan: 200}\n%sports:\n",
		bed.folder, networks != NULL ? networks : "");
	for (unsigned i = 0; i < 4; i++)
		if (ports == NULL || i > 0 || strstr(ports, "  bad:") == NULL)
			fprintf(f, "  %s: {vhost-user: %s/%s, network: %s}\n", names[i][0],
				bed.folder, names[i][0], names[i][1]);
	for (const char *p = ports; p != NULL && *p != '\0'; p++)
		if (*p == '@') /* the folder */
			fputs(bed.folder, f);
		else
			fputc(*p, f);
	return fclose(f);
}

static int start_switch(void) {
	char config[128], log[128];

	bed.pid = process_start(
		bed_path(config, sizeof(config), "weir.yaml"), bed_path(log, sizeof(log), "log"));
	return bed.pid < 0 ? -1 : 0;
}

static void show_log(void) {
	char log[128];

	process_show_log(bed_path(log, sizeof(log), "log"));
}

static bool switch_alive(void) {
	return bed.pid > 0 && waitpid(bed.pid, NULL, WNOHANG) == 0;
}

/* front_open but for the receive buffers. */
static int open_empty(struct front *f, const struct front_options *o) {
	int (*const steps[])(struct front *) = {front_connect, front_negotiate, front_set_features};
	int err = front_init(f, o);

	for (unsigned i = 0; i < 3 && err == 0; i++)
		err = steps[i](f);
	if (err == 0) {
		front_layout(f);
		err = front_set_memory(f);
	}
	if (err == 0)
		err = front_start(f);
	if (err != 0)
		front_close(f);
	return err;
}

typedef int open_fn(struct front *f, const struct front_options *o);

static int open_with(open_fn *open, struct front *f, const char *port, struct front_options o) {
	char path[128];

	o.path = strdup(bed_path(path, sizeof(path), port));
	o.timeout_ms = ATTACH_MS * bed_patience();
	return open(f, &o);
}

static int open_honest(struct front *f, const char *port, struct front_options o) {
	return open_with(front_open, f, port, o);
}

static void close_honest(struct front *f) {
	if (f->o.path == NULL)
		return;
	front_close(f);
	free((char *)f->o.path);
	*f = (struct front){0};
}

void bed_detach(struct front *f) {
	close_honest(f);
}

int bed_start(const char *networks, const char *ports) {
	static const struct front_options neighbour = {.ring_size = 1024};
	const char *tmp = getenv("TMPDIR");
	char config[128];

	snprintf(bed.folder, sizeof(bed.folder), "%s/hXXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(bed.folder) == NULL ||
		write_config(bed_path(config, sizeof(config), "weir.yaml"), networks, ports) != 0 ||
		start_switch() != 0)
		return -1;
	if (open_honest(&bed.mate, "mate", (struct front_options){0}) != 0 ||
		open_honest(&bed.one, "one", neighbour) != 0 ||
		open_honest(&bed.two, "two", neighbour) != 0) {
		print_message(
			"# mate: %s, one: %s, two: %s\n", bed.mate.why, bed.one.why, bed.two.why);
		show_log();
		return -1;
	}
	if (ports == NULL) {
		bed_attach(&bed.honest, "bad", (struct front_options){0});
		if (!bed_passes(&bed.honest))
			return -1;
		bed.files = process_files(bed.pid);
		close_honest(&bed.honest);
	}
	return neighbours_start(&bed.one, &bed.two, bed.pid);
}

void bed_kill_switch(void) {
	neighbours_stop();
	kill(bed.pid, SIGKILL);
	waitpid(bed.pid, NULL, 0);
	bed.pid = 0;
}

void bed_restart_switch(void) {
	char crashes[128];

	// How long ports are held after several crashes is tests/system/crashes.sh's.
	unlink(bed_path(crashes, sizeof(crashes), "api.crashes"));
	assert_int_equal(start_switch(), 0);
}

int bed_setup(void **state) {
	(void)state;
	return bed_start(NULL, NULL);
}

int bed_teardown(void **state) {
	int status = 0, gone = 0;

	(void)state;
	neighbours_stop();
	close_honest(&bed.mate);
	close_honest(&bed.one);
	close_honest(&bed.two);
	if (bed.pid > 0) {
		kill(bed.pid, SIGTERM);
		for (unsigned i = 0; i < 500 * bed_patience() && gone == 0; i++) {
			bed_rest_us(10000);
			gone = waitpid(bed.pid, &status, WNOHANG);
		}
		if (gone == 0) {
			print_message("# weir does not end\n");
			kill(bed.pid, SIGKILL);
			waitpid(bed.pid, &status, 0);
		}
		if (gone == 0 || status != 0)
			show_log();
	}
	process_clean(bed.folder);
	return gone > 0 && status == 0 ? 0 : -1;
}

/* What `weir show WHAT -j` prints; to be given back. */
static json_t *ask(const char *what) {
	char command[512];
	FILE *out;
	json_t *all;

	snprintf(command, sizeof(command), "'%s' --api '%s/api' show %s -j", process_program(),
		bed.folder, what);
	out = popen(command, "r");
	assert_non_null(out);
	all = json_loadf(out, 0, NULL);
	assert_int_equal(pclose(out), 0);
	return all;
}

/* What it shows of a port: a borrowed object, *all to be given back. */
static json_t *ask_port(const char *port, json_t **all) {
	json_t *p;
	size_t i;

	*all = ask("ports");
	json_array_foreach (*all, i, p) {
		if (strcmp(json_string_value(json_object_get(p, "name")), port) == 0)
			return p;
	}
	fail_msg("weir show ports knows no port %s", port);
	return NULL;
}

uint64_t bed_drops(const char *port, const char *reason) {
	json_t *all = ask("drops"), *one;
	uint64_t n = 0;
	size_t i;

	json_array_foreach (all, i, one) {
		const char *name = json_string_value(json_object_get(one, "port"));
		const char *why = json_string_value(json_object_get(one, "reason"));

		if (name != NULL && strcmp(name, port) == 0 &&
			(reason == NULL || strcmp(why, reason) == 0))
			n += (uint64_t)json_integer_value(json_object_get(one, "frames"));
	}
	json_decref(all);
	return n;
}

uint64_t bed_count(const char *port, const char *side, const char *key) {
	json_t *all, *p = ask_port(port, &all);
	uint64_t n = (uint64_t)json_integer_value(json_object_get(json_object_get(p, side), key));

	json_decref(all);
	return n;
}

unsigned long bed_preempted(void) {
	return process_preempted(bed.pid);
}

/* --- Lies ------------------------------------------------------------------------------------ */

unsigned bed_mate_gets(unsigned want, unsigned ms) {
	uint64_t end = bed_now_ms() + ms * bed_patience();
	uint8_t in[FRAME];
	unsigned n = 0;

	for (;;) {
		int len = front_recv(&bed.mate, 0, in, sizeof(in), NULL);

		if (len == -EPROTO)
			fail_msg("mate: %s", bed.mate.why);
		n += len >= 0;
		if (n == want || bed_now_ms() > end)
			return n;
		if (len < 0)
			bed_rest_us(100);
	}
}

unsigned bed_mate_sends(unsigned n) {
	uint64_t end = bed_now_ms() + 500 * bed_patience();
	uint8_t frame[FRAME];
	unsigned sent = 0;

	front_udp_frame(frame, FRAME, mac_bad.octet, mac_mate.octet);
	while (sent < n && bed_now_ms() < end)
		if (front_send(&bed.mate, 0, frame, FRAME, NULL) == 0)
			sent++;
		else
			bed_rest_us(100);
	return sent;
}

bool bed_passes(struct front *f) {
	uint8_t frame[FRAME];

	bed_mate_gets(UINT32_MAX, 0); /* what is left from before */
	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	return front_send(f, 0, frame, FRAME, NULL) == 0 && bed_mate_gets(1, PASS_MS) == 1;
}

static void attach_with(open_fn *open, struct front *f, const char *port, struct front_options o) {
	uint64_t end = bed_now_ms() + ATTACH_MS * bed_patience();
	int err;

	while ((err = open_with(open, f, port, o)) != 0 && bed_now_ms() < end) {
		free((char *)f->o.path);
		bed_rest_us(20000);
	}
	if (err != 0)
		fail_msg("%s: no honest front end can attach: %s", port, f->why);
}

void bed_attach(struct front *f, const char *port, struct front_options o) {
	attach_with(front_open, f, port, o);
}

void bed_attach_empty(struct front *f, const char *port, struct front_options o) {
	attach_with(open_empty, f, port, o);
}

static void prepare(struct front *f, const struct lie *l) {
	char path[128];
	struct front_options o = l->o;

	if (l->stage == RUNNING) {
		bed_attach(f, "bad", o);
		if (!bed_passes(f))
			fail_msg("no frame passes before the lie");
		return;
	}
	o.path = strdup(bed_path(path, sizeof(path), "bad"));
	o.timeout_ms = ATTACH_MS;
	assert_int_equal(front_init(f, &o), 0);
	assert_int_equal(front_connect(f), 0);
	if (l->stage == NEGOTIATED) {
		assert_int_equal(front_negotiate(f), 0);
		assert_int_equal(front_set_features(f), 0);
		front_layout(f);
	}
}

/* With an honest guest attached to each port the switch has as many files open as at first. */
static void files_hold(void) {
	uint64_t end = bed_now_ms() + FILES_MS * bed_patience();

	while (process_files(bed.pid) > bed.files && bed_now_ms() < end)
		bed_rest_us(10000);
	if (process_files(bed.pid) > bed.files)
		fail_msg("the switch has %u files open, %u before", process_files(bed.pid),
			bed.files);
}

void bed_judge(struct front *f, const struct lie *l) {
	uint64_t end = bed_now_ms() + SHUT_MS * bed_patience();
	char state[32], reason[256];

	if (l->ending == EITHER)
		bed_rest(50);
	do {
		json_t *all, *p = ask_port("bad", &all);

		snprintf(
			state, sizeof(state), "%s", json_string_value(json_object_get(p, "state")));
		snprintf(reason, sizeof(reason), "%s",
			json_is_string(json_object_get(p, "reason"))
				? json_string_value(json_object_get(p, "reason"))
				: "");
		json_decref(all);
		if (strcmp(state, "shut") == 0 ||
			(l->ending != SHUT &&
				(l->reason == NULL || strstr(reason, l->reason) != NULL)))
			break;
		bed_rest_us(20000);
	} while (bed_now_ms() < end);
	print_message("# %s: %s: %s\n", l->sentence, state, reason);
	if (l->ending == SHUT && strcmp(state, "shut") != 0)
		fail_msg("the port is %s (%s), not shut", state, reason);
	if (strcmp(state, "shut") == 0 && reason[0] == '\0')
		fail_msg("the port is shut without a reason");
	if (l->reason != NULL && strstr(reason, l->reason) == NULL)
		fail_msg("the reason is \"%s\", expected \"...%s...\"", reason, l->reason);
	if (l->ending == SHUT && !front_hung_up(f, 1000 * bed_patience()))
		fail_msg("the port is shut, but its connection is open");
	if (l->ending == ALIVE && l->reason != NULL && strcmp(state, "waiting") != 0)
		fail_msg("the port is %s (%s), not waiting", state, reason);
	if (l->ending == ALIVE && l->reason == NULL && l->stage == RUNNING && !bed_passes(f))
		fail_msg("the port is %s (%s), but no frame passes", state, reason);
}

static void must_live(void) {
	if (switch_alive())
		return;
	bed.pid = 0;
	show_log();
	fail_msg("weir is gone");
}

void bed_hold(void) {
	neighbours_hold();
	must_live();
}

void bed_try(void **state) {
	const struct lie *l = *state;

	prepare(&bed.liar, l);
	l->tell(&bed.liar);
	must_live();
	bed_judge(&bed.liar, l);
	close_honest(&bed.liar);
	bed_attach(&bed.honest, "bad", (struct front_options){0});
	if (!bed_passes(&bed.honest))
		fail_msg("no frame passes after the lie");
	bed_hold();
	files_hold();
}

/* Runs after each case, also one that failed. */
static int tidy(void **state) {
	(void)state;
	beside_end();
	close_honest(&bed.liar);
	close_honest(&bed.honest);
	return 0;
}

int bed_run(const char *name, struct lie *lies, unsigned n) {
	struct CMUnitTest *t = calloc(n, sizeof(*t));
	int failed;

	if (t == NULL)
		return 1;
	for (unsigned i = 0; i < n; i++)
		t[i] = (struct CMUnitTest){.name = lies[i].sentence,
			.test_func = bed_try,
			.teardown_func = tidy,
			.initial_state = &lies[i]};
	cmocka_set_test_filter(getenv("WEIR_CASE"));
	failed = _cmocka_run_group_tests(name, t, n, bed_setup, bed_teardown);
	free(t);
	return failed;
}
