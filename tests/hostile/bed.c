/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

enum {
	FRAME = 64,
	NUMBER_AT = 42, /* behind Ethernet, IP and UDP */
	BURST = 8,
	UNDER_WAY_MAX = 128, /* frames; half of the receiver's ring */
	STILL_MS = 2000, /* without a frame for so long, a neighbour stands still */
	SHUT_MS = 4000, /* half a message is given 2 s */
	ATTACH_MS = 4000,
};

const struct bed_mac mac_bad = {{2, 0, 0, 0xba, 0xd0, 0}}, mac_mate = {{2, 0, 0, 0xba, 0xd0, 1}};
static const struct bed_mac mac_one = {{2, 0, 0, 0, 0, 1}}, mac_two = {{2, 0, 0, 0, 0, 2}};

/* What goes from one neighbour to the other. */
struct stream {
	struct front *from, *to;
	uint8_t frame[FRAME];
	uint32_t sent;
	_Atomic uint32_t got;
	atomic_uint lost, strange;
	uint64_t last_ms;
	atomic_uint still_ms; /* longest time without a frame */
};

static struct {
	char folder[96];
	const char *program;
	pid_t pid;
	unsigned files;
	struct front mate, one, two, liar, honest;
	struct stream stream[2];
	pthread_t neighbours;
	atomic_bool stop;
} bed;

static unsigned open_files(void);
static void close_honest(struct front *f);

static uint64_t now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

unsigned bed_patience(void) {
	return getenv("WEIR_SANITIZED") != NULL ? 4 : 1;
}

static void rest_us(unsigned us) {
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000L}, NULL);
}

void bed_rest(unsigned ms) {
	rest_us(ms * bed_patience() * 1000);
}

char *bed_path(char *buf, size_t size, const char *port) {
	snprintf(buf, size, "%s/%s", bed.folder, port);
	return buf;
}

struct front *bed_mate(void) {
	return &bed.mate;
}

/* --- The neighbours -------------------------------------------------------------------------- */

static void stream_receive(struct stream *s) {
	uint8_t in[FRAME];
	uint32_t number, expected = atomic_load(&s->got);
	int len;

	while ((len = front_recv(s->to, 0, in, sizeof(in), NULL)) != -EAGAIN) {
		if (len != FRAME || memcmp(in, s->frame, NUMBER_AT) != 0) {
			atomic_fetch_add(&s->strange, 1);
			if (len < 0)
				return;
			continue;
		}
		memcpy(&number, in + NUMBER_AT, sizeof(number));
		atomic_fetch_add(&s->lost, number - expected); /* doubled ones are a huge number */
		expected = number + 1;
		atomic_store(&s->got, expected);
		s->last_ms = now_ms();
	}
}

static void stream_turn(struct stream *s) {
	uint64_t still;

	for (unsigned i = 0; i < BURST && s->sent - atomic_load(&s->got) < UNDER_WAY_MAX; i++) {
		memcpy(s->frame + NUMBER_AT, &s->sent, sizeof(s->sent));
		if (front_put(s->from, 0, s->frame, FRAME, NULL) < 0)
			break;
		s->sent++;
	}
	front_flush(s->from, 0);
	stream_receive(s);
	still = now_ms() - s->last_ms;
	if (still > atomic_load(&s->still_ms))
		atomic_store(&s->still_ms, (unsigned)still);
}

static void *neighbours(void *arg) {
	for (unsigned i = 0; i < 2; i++)
		bed.stream[i].last_ms = now_ms();
	while (!atomic_load(&bed.stop)) {
		stream_turn(&bed.stream[0]);
		stream_turn(&bed.stream[1]);
		rest_us(200);
	}
	return arg;
}

static void neighbours_hold(void) {
	for (unsigned i = 0; i < 2; i++) {
		struct stream *s = &bed.stream[i];
		uint32_t begin = atomic_load(&s->got);
		uint64_t end = now_ms() + STILL_MS * bed_patience();

		while (atomic_load(&s->got) - begin < 2 * UNDER_WAY_MAX && now_ms() < end)
			rest_us(1000);
		if (atomic_load(&s->got) - begin < 2 * UNDER_WAY_MAX)
			fail_msg("neighbour %u stands still", i);
		if (atomic_load(&s->lost) != 0 || atomic_load(&s->strange) != 0)
			fail_msg("neighbour %u: %u frames lost, %u strange", i,
				atomic_load(&s->lost), atomic_load(&s->strange));
		if (atomic_exchange(&s->still_ms, 0) > STILL_MS * bed_patience())
			fail_msg("neighbour %u stood still", i);
	}
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

static int spawn(const char *config, const char *log) {
	bed.pid = fork();
	if (bed.pid == 0) {
		int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		execl(bed.program, bed.program, "switch", "-c", config, (char *)NULL);
		_exit(127);
	}
	return bed.pid < 0 ? -1 : 0;
}

static bool switch_alive(void) {
	return bed.pid > 0 && waitpid(bed.pid, NULL, WNOHANG) == 0;
}

/* The switch's log, each line a TAP comment. */
static void show_log(void) {
	char path[128], line[512];
	FILE *f = fopen(bed_path(path, sizeof(path), "log"), "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		print_message("# weir: %s", line);
	if (f != NULL)
		fclose(f);
}

static int clean(void) {
	char command[160];

	snprintf(command, sizeof(command), "rm -rf '%s'", bed.folder);
	return system(command);
}

static int open_honest(struct front *f, const char *port, struct front_options o) {
	char path[128];

	o.path = strdup(bed_path(path, sizeof(path), port));
	o.timeout_ms = ATTACH_MS * bed_patience();
	return front_open(f, &o);
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
	const char *tmp = getenv("TMPDIR");
	char config[128], log[128];

	bed.program = getenv("WEIR") != NULL ? getenv("WEIR") : WEIR_PROGRAM;
	snprintf(bed.folder, sizeof(bed.folder), "%s/hXXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(bed.folder) == NULL ||
		write_config(bed_path(config, sizeof(config), "weir.yaml"), networks, ports) != 0 ||
		spawn(config, bed_path(log, sizeof(log), "log")) != 0)
		return -1;
	if (open_honest(&bed.mate, "mate", (struct front_options){0}) != 0 ||
		open_honest(&bed.one, "one", (struct front_options){0}) != 0 ||
		open_honest(&bed.two, "two", (struct front_options){0}) != 0) {
		print_message(
			"# mate: %s, one: %s, two: %s\n", bed.mate.why, bed.one.why, bed.two.why);
		show_log();
		return -1;
	}
	bed.stream[0] = (struct stream){.from = &bed.one, .to = &bed.two};
	bed.stream[1] = (struct stream){.from = &bed.two, .to = &bed.one};
	front_udp_frame(bed.stream[0].frame, FRAME, mac_two.octet, mac_one.octet);
	front_udp_frame(bed.stream[1].frame, FRAME, mac_one.octet, mac_two.octet);
	if (ports == NULL) {
		bed_attach(&bed.honest, "bad", (struct front_options){0});
		if (!bed_passes(&bed.honest))
			return -1;
		bed.files = open_files();
		close_honest(&bed.honest);
	}
	return pthread_create(&bed.neighbours, NULL, neighbours, NULL);
}

static void neighbours_stop(void) {
	atomic_store(&bed.stop, true);
	if (bed.neighbours != 0)
		pthread_join(bed.neighbours, NULL);
	bed.neighbours = 0;
}

void bed_kill_switch(void) {
	neighbours_stop();
	kill(bed.pid, SIGKILL);
	waitpid(bed.pid, NULL, 0);
	bed.pid = 0;
}

void bed_restart_switch(void) {
	char config[128], log[128];

	assert_int_equal(spawn(bed_path(config, sizeof(config), "weir.yaml"),
				 bed_path(log, sizeof(log), "log")),
		0);
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
			rest_us(10000);
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
	clean();
	return gone > 0 && status == 0 ? 0 : -1;
}

/* What `weir show WHAT -j` prints; to be given back. */
static json_t *ask(const char *what) {
	char command[512];
	FILE *out;
	json_t *all;

	snprintf(command, sizeof(command), "'%s' --api '%s/api' show %s -j", bed.program,
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

/* --- Lies ------------------------------------------------------------------------------------ */

unsigned bed_mate_gets(unsigned want, unsigned ms) {
	uint64_t end = now_ms() + ms * bed_patience();
	uint8_t in[FRAME];
	unsigned n = 0;

	for (;;) {
		int len = front_recv(&bed.mate, 0, in, sizeof(in), NULL);

		if (len == -EPROTO)
			fail_msg("mate: %s", bed.mate.why);
		n += len >= 0;
		if (n == want || now_ms() > end)
			return n;
		if (len < 0)
			rest_us(100);
	}
}

unsigned bed_mate_sends(unsigned n) {
	uint64_t end = now_ms() + 500 * bed_patience();
	uint8_t frame[FRAME];
	unsigned sent = 0;

	front_udp_frame(frame, FRAME, mac_bad.octet, mac_mate.octet);
	while (sent < n && now_ms() < end)
		if (front_send(&bed.mate, 0, frame, FRAME, NULL) == 0)
			sent++;
		else
			rest_us(100);
	return sent;
}

bool bed_passes(struct front *f) {
	uint8_t frame[FRAME];

	bed_mate_gets(UINT32_MAX, 0); /* what is left from before */
	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	return front_send(f, 0, frame, FRAME, NULL) == 0 && bed_mate_gets(1, 1000) == 1;
}

void bed_attach(struct front *f, const char *port, struct front_options o) {
	uint64_t end = now_ms() + ATTACH_MS * bed_patience();
	int err;

	while ((err = open_honest(f, port, o)) != 0 && now_ms() < end) {
		free((char *)f->o.path);
		rest_us(20000);
	}
	if (err != 0)
		fail_msg("%s: no honest front end can attach: %s", port, f->why);
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

static unsigned open_files(void) {
	char path[64];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", bed.pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return n;
}

/* With an honest guest attached to each port the switch has as many files open as at first. */
static void files_hold(void) {
	uint64_t end = now_ms() + STILL_MS * bed_patience();

	while (open_files() > bed.files && now_ms() < end)
		rest_us(10000);
	if (open_files() > bed.files)
		fail_msg("the switch has %u files open, %u before", open_files(), bed.files);
}

void bed_judge(struct front *f, const struct lie *l) {
	uint64_t end = now_ms() + SHUT_MS * bed_patience();
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
		if (strcmp(state, "shut") == 0 || l->ending != SHUT)
			break;
		rest_us(20000);
	} while (now_ms() < end);
	print_message("# %s: %s: %s\n", l->sentence, state, reason);
	if (l->ending == SHUT && strcmp(state, "shut") != 0)
		fail_msg("the port is %s (%s), not shut", state, reason);
	if (strcmp(state, "shut") == 0 && reason[0] == '\0')
		fail_msg("the port is shut without a reason");
	if (l->ending == SHUT && l->reason != NULL && strstr(reason, l->reason) == NULL)
		fail_msg("the reason is \"%s\", expected \"...%s...\"", reason, l->reason);
	if (l->ending == SHUT && !front_hung_up(f, 1000 * bed_patience()))
		fail_msg("the port is shut, but its connection is open");
	if (l->ending == ALIVE && l->stage == RUNNING && !bed_passes(f))
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
