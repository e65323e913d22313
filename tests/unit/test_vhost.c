/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/pages.h"
#include "control/daemon.h"
#include "control/switch.h"
#include "front.h"
#include "port/vhost.h"

#if PAGES_WATCHED
#include <sanitizer/common_interface_defs.h>
#endif

/* vhost-user ports in a switch of this process, real librte_vhost and all. The switch has a thread of
 * its own for its loop; guests are played by the test. Nothing moves but what the test moves, so the
 * worker sleeps in between. */

enum {
	FRAME = 64,
	SOON_MS = 300, /* a worker looks by itself after 1000 */
	POLLED_MS = 10, /* it should look after 1 */
};

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

static struct bed {
	char dir[64], yaml[600];
	bool silent; // guests that attach give no kick descriptor
	pthread_t thread;
	int started, stop; // eventfds
	int rc;
	struct err e;
	struct front a, b;
} bed;

static int on_stop(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	return sd_event_exit(arg, 0);
}

static void *run(void *arg) {
	sd_event *loop = NULL;
	struct config *c = NULL;
	struct sw *sw = NULL;

	sd_event_new(&loop);
	sd_event_add_io(loop, NULL, bed.stop, EPOLLIN, on_stop, loop);
	bed.rc = config_parse(&c, bed.yaml, strlen(bed.yaml), "test", &bed.e);
	if (bed.rc == 0)
		bed.rc = sw_start(&sw, c, loop, &bed.e);
	eventfd_write(bed.started, 1);
	if (bed.rc == 0)
		sd_event_loop(loop);
	sw_stop(sw);
	config_free(c);
	sd_event_unref(loop);
	return NULL;
}

static int start_dpdk(void **state) {
	cpu_set_t cpus;
	struct err e;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (host_start_dpdk(&cpus, host_switch_memory, &e) == 0)
		return 0;
	print_message("# %s\n", e.text);
	return -1;
}

static void start_idle(const char *idle, const char *ports) {
	uint64_t n;

	strcpy(bed.dir, "/tmp/weir-test.XXXXXX");
	assert_non_null(mkdtemp(bed.dir));
	snprintf(bed.yaml, sizeof(bed.yaml), "idle: %s\nports:\n", idle);
	for (const char *p = ports; *p != '\0'; p++)
		snprintf(bed.yaml + strlen(bed.yaml), sizeof(bed.yaml) - strlen(bed.yaml),
			*p == '@' ? "%s" : "%.1s", *p == '@' ? bed.dir : p);
	bed.started = eventfd(0, EFD_CLOEXEC);
	bed.stop = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&bed.thread, NULL, run, NULL), 0);
	eventfd_read(bed.started, &n);
	if (bed.rc != 0)
		fail_msg("%s", bed.e.text);
}

static void start(const char *ports) {
	start_idle("interrupt", ports);
}

static int end(void **state) {
	if (bed.thread == 0)
		return 0;
	if (bed.a.o.path != NULL)
		front_close(&bed.a);
	if (bed.b.o.path != NULL)
		front_close(&bed.b);
	eventfd_write(bed.stop, 1);
	pthread_join(bed.thread, NULL);
	close(bed.started);
	close(bed.stop);
	rmdir(bed.dir);
	free((char *)bed.a.o.path);
	free((char *)bed.b.o.path);
	bed = (struct bed){0};
	return 0;
}

/* Tells the switch that the guest will not kick (vhost-user.rst: bit 8 of SET_VRING_KICK). */
static int give_no_kick(struct front *f, struct front_ring *r) {
	struct front_message m = {
		.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = r->index | 1 << 8};

	return front_message(f, &m, NULL, 0);
}

/* As front_open does, but without a kick for rings that have nothing yet, which a guest need not give. */
static void attach(struct front *f, const char *name, struct front_options o) {
	char path[128];
	int err;

	snprintf(path, sizeof(path), "%s/%s", bed.dir, name);
	o.path = strdup(path);
	o.timeout_ms = 3000;
	err = front_init(f, &o) || front_connect(f) || front_negotiate(f) || front_set_features(f);
	front_layout(f);
	err = err || front_set_memory(f) || front_set_inflight(f);
	for (unsigned i = 0; i < f->nrings && !err; i++)
		err = front_set_ring(f, &f->ring[i]) ||
		      (bed.silent && give_no_kick(f, &f->ring[i])) ||
		      front_enable(f, &f->ring[i], true);
	if (err || front_post(f) != 0)
		fail_msg("%s: %s", name, f->why);
}

static uint64_t now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A sends a frame, kicking if it was asked to; after how many ms B has it, up to 3000. */
static unsigned crosses(void) {
	uint8_t frame[FRAME];
	uint64_t begin = now_ms();

	front_udp_frame(frame, FRAME, mac_b, mac_a);
	assert_int_equal(front_send(&bed.a, 0, frame, FRAME, NULL), 0);
	while (front_recv(&bed.b, 0, frame, FRAME, NULL) < 0 && now_ms() - begin < 3000)
		usleep(200);
	return (unsigned)(now_ms() - begin);
}

/* After how many ms the first frame of a guest that just started crosses. */
static unsigned first_crosses(uint64_t features) {
	unsigned ms;

	attach(&bed.a, "a", (struct front_options){.features = FRONT_F_PLAIN | features});
	usleep(50000); // whoever was woken sleeps again
	ms = crosses();
	free((char *)bed.a.o.path);
	front_close(&bed.a);
	bed.a.o.path = NULL;
	return ms;
}

static void a_guest_that_starts_while_the_worker_sleeps_is_heard(void **state) {
	static const uint64_t kind[] = {0, FRONT_BIT(VIRTIO_F_RING_PACKED)};

	start("  a: {vhost-user: @/a}\n  b: {vhost-user: @/b}\n");
	attach(&bed.b, "b", (struct front_options){0});
	for (unsigned i = 0; i < 2; i++) {
		unsigned ms = UINT_MAX;

		// The machine may be busy; but who was not heard would wait for long every time.
		for (unsigned tries = 0; tries < 6 && ms > SOON_MS; tries++)
			ms = first_crosses(kind[i]);
		assert_in_range(ms, 0, SOON_MS);
	}
}

/* Nothing else moves, so a frame that is sent at any moment waits for the worker to look by itself. */
static void a_guest_that_does_not_kick_is_looked_at_every_millisecond(void **state) {
	static const char *const idle[] = {"interrupt", "adaptive"};
	unsigned total = 0, fast = 0;

	for (unsigned i = 0; i < 2; i++) {
		start_idle(idle[i], "  a: {vhost-user: @/a}\n  b: {vhost-user: @/b}\n");
		bed.silent = true;
		attach(&bed.a, "a", (struct front_options){0});
		attach(&bed.b, "b", (struct front_options){0});
		usleep(50000);
		for (unsigned k = 0; k < 20; k++) {
			unsigned ms = crosses();

			total += ms;
			fast += ms <= POLLED_MS;
			usleep(3700);
		}
		end(state);
	}
	print_message("# 40 frames took %u ms\n", total);
	// A busy machine may hold some up; a worker that sleeps for a second holds all.
	assert_in_range(fast, 30, 40);
}

static void a_guest_that_waits_for_an_interrupt_gets_one_when_its_rings_start_again(void **state) {
	uint64_t n;

	start("  a: {vhost-user: @/a}\n");
	attach(&bed.a, "a", (struct front_options){0});
	for (unsigned i = 0; i < bed.a.nrings; i++) {
		n = 0;
		usleep(20000);
		while (read(bed.a.ring[i].call, &n, sizeof(n)) > 0)
			n = 0;
		assert_int_equal(front_enable(&bed.a, &bed.a.ring[i], false), 0);
		assert_int_equal(front_enable(&bed.a, &bed.a.ring[i], true), 0);
		for (unsigned k = 0; k < 200 && read(bed.a.ring[i].call, &n, sizeof(n)) < 0; k++)
			usleep(5000);
		assert_true(n > 0);
	}
}

static void a_server_that_does_not_accept_holds_up_no_other_port(void **state) {
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client[2];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/weir-test-%d.sock", (int)getpid());
	unlink(sa.sun_path);
	assert_int_equal(bind(server, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(server, 0), 0);
	for (unsigned i = 0; i < 2; i++) { // its queue is full
		client[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(client[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	char ports[300];
	snprintf(ports, sizeof(ports),
		"  b: {vhost-user: @/b}\n  c: {vhost-user: %s, mode: client}\n", sa.sun_path);
	start(ports);
	usleep(100000);
	attach(&bed.b, "b", (struct front_options){0});
	close(client[0]);
	close(client[1]);
	close(server);
	unlink(sa.sun_path);
}

/* --- What lies between the rings of ports ---------------------------------------------------- */

/* A port of two queue pairs that is looked after once, after a byte was written `at` bytes behind a ring
 * (-1: none was). Ends the process. */
static void look_after(bool receives, int at) {
	const struct port_spec s = {.name = "spoilt",
		.kind = PORT_VHOST_USER,
		.path = "/nonexistent/weir-test",
		.client = true,
		.queues = 2,
		.mtu = 1500};
	struct port_env env = {.loop = NULL};
	uint8_t *end;
	struct port *p;
	struct err e;

	if (sd_event_new(&env.loop) < 0)
		_exit(2);
	port_env_set(&env);
	if (port_open(&p, 1, &s, &e) < 0)
		_exit(3);
	end = receives ? (uint8_t *)p->rxq[1] + sizeof(struct vhost_rx)
		       : (uint8_t *)p->txq[1] + sizeof(struct vhost_tx);
	end = (uint8_t *)(((uintptr_t)end + 63) & ~(uintptr_t)63);
	if (at >= 0)
		*(volatile uint8_t *)(end + at) = 0;
	port_look(p);
	port_close(p);
	_exit(0);
}

/* A sanitizer's report goes where it is read, and is not counted as one of this test. */
static void report_here(void) {
#if PAGES_WATCHED
	__sanitizer_set_report_fd((void *)STDERR_FILENO);
#endif
}

/* What its process said and how it ended. */
static int looked_after(bool receives, int at, char *said, size_t size) {
	int out[2], status;
	size_t n = 0;
	ssize_t k;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDERR_FILENO);
		report_here();
		look_after(receives, at);
	}
	close(out[1]);
	while (n < size - 1 && (k = read(out[0], said + n, size - 1 - n)) > 0)
		n += (size_t)k;
	said[n] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Weir ends before what was written into one port's rings is another guest's. */
static void a_byte_behind_a_ring_ends_the_process(void **state) {
	static const int places[] = {0, 1, 63, 64, 2048, 4095};
	char said[4096];

	for (unsigned receives = 0; receives < 2; receives++) {
		assert_int_equal(looked_after(receives, -1, said, sizeof(said)), 0);
		for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			const int status = looked_after(receives, places[i], said, sizeof(said));

			if (PAGES_WATCHED) { // the write itself does
				assert_int_not_equal(status, 0);
				assert_non_null(strstr(said, "use-after-poison"));
				continue;
			}
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
			if (strstr(said, "port spoilt: memory behind the rings of queue pair 1 was "
					 "written over") == NULL)
				fail_msg("it says \"%s\"", said);
		}
	}
}

int main(void) {
#define T(f) cmocka_unit_test_teardown(f, end)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_byte_behind_a_ring_ends_the_process),
		T(a_guest_that_starts_while_the_worker_sleeps_is_heard),
		T(a_guest_that_does_not_kick_is_looked_at_every_millisecond),
		T(a_guest_that_waits_for_an_interrupt_gets_one_when_its_rings_start_again),
		T(a_server_that_does_not_accept_holds_up_no_other_port),
	};

	return cmocka_run_group_tests_name("vhost", tests, start_dpdk, NULL);
}
