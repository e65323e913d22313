/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <systemd/sd-event.h>

#include "tap_bed.h"

/* The device a TAP port stands on: made, found, refused, changed by others. */

static void mtu_and_link_change_in_place(void **state) {
	struct bed *bed = netbed_need(state);
	struct port_spec s = spec_of(bed, 1);
	struct port_status st;
	struct err e;

	open_port(bed, 1);
	port_status(bed->p, &st);
	assert_int_equal(st.state, PORT_UP);
	assert_string_equal(st.reason, "");
	assert_int_equal(st.mtu, 1500);
	assert_string_equal(st.features, "vnet-hdr csum tso4 tso6 ecn");
	s.mtu = 9000;
	assert_int_equal(port_set(bed->p, &s, &e), 0);
	assert_int_equal(netbed_mtu(bed->ns, "weir0", 0), 9000);
	assert_int_equal(bed->p->mtu, 9000);
	s.link_down = true;
	assert_int_equal(port_set(bed->p, &s, &e), 0);
	assert_int_equal(netbed_flags(bed->ns, "weir0") & IFF_UP, 0);
	assert_false(bed->p->ops->tx_begin(bed->p->txq[0]));
	assert_int_equal(bed->p->active_pairs, 0);
	port_status(bed->p, &st);
	assert_int_equal(st.state, PORT_DOWN);
	assert_string_equal(st.reason, "its link is set down in the configuration");
	s.link_down = false;
	assert_int_equal(port_set(bed->p, &s, &e), 0);
	assert_int_equal(netbed_flags(bed->ns, "weir0") & IFF_UP, IFF_UP);
	assert_int_equal(bed->p->active_pairs, 1);
	s.path = "weir1";
	assert_int_equal(port_set(bed->p, &s, &e), -ENOTSUP);
}

static void a_device_weir_made_goes_and_one_that_was_there_stays(void **state) {
	struct bed *bed = netbed_need(state);
	struct port_status st;

	open_port(bed, 2);
	assert_true(netbed_exists(bed->ns, "weir0"));
	port_close(bed->p);
	bed->p = NULL;
	assert_false(netbed_exists(bed->ns, "weir0"));

	close(netbed_tap(bed->ns, "weir0", IFF_TAP | IFF_NO_PI));
	open_port(bed, 1);
	port_status(bed->p, &st);
	assert_non_null(strstr(st.features, "existing"));
	port_close(bed->p);
	bed->p = NULL;
	assert_true(netbed_exists(bed->ns, "weir0"));
}

/* The carrier comes with whoever attaches, and the kernel's link watch, which IFF_RUNNING waits for, tells
 * of it up to a second later. */
static void a_device_that_was_there_carries_as_soon_as_it_is_open(void **state) {
	struct bed *bed = netbed_need(state);
	struct port_status st;

	close(netbed_tap(bed->ns, "weir0", IFF_TAP | IFF_NO_PI));
	for (unsigned i = 0; i < 5; i++) {
		netbed_up(bed->ns, "weir0", i & 1);
		open_port(bed, 1);
		port_status(bed->p, &st);
		assert_string_equal(st.reason, "");
		assert_int_equal(st.state, PORT_UP);
		assert_int_equal(st.active_pairs, 1);
		port_close(bed->p);
		bed->p = NULL;
	}
}

static void an_existing_multi_queue_device_takes_one_queue_or_more(void **state) {
	struct bed *bed = netbed_need(state);

	close(netbed_tap(bed->ns, "weir0", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE));
	for (uint16_t queues = 1; queues <= 3; queues++) {
		open_port(bed, queues);
		port_close(bed->p);
		bed->p = NULL;
	}
}

static void refused(struct bed *bed, const struct port_spec *s, int code, const char *text) {
	struct err e = {""};

	assert_int_equal(port_open(&bed->p, 7, s, &e), -code);
	assert_null(bed->p);
	if (strstr(e.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, text);
}

/* A process in the namespace that has the device open, as we do; to be killed. */
static pid_t hold(struct bed *bed, int fd) {
	int there[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(there), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setns(bed->ns, CLONE_NEWNET) == 0 && write(there[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(there[0], &c, 1), 1);
	close(there[0]);
	close(there[1]);
	return pid;
}

static void errors_say_what_is_wrong_and_what_helps(void **state) {
	struct bed *bed = netbed_need(state);
	struct port_spec s = spec_of(bed, 1);
	char words[80];
	pid_t owner;
	int fd;

	s.netns = "no-such-ns";
	refused(bed, &s, ENOENT,
		"no network namespace 'no-such-ns' (there is no /run/netns/no-such-ns); make it");
	s.netns = "/proc/self/ns/mnt";
	refused(bed, &s, EINVAL, "'/proc/self/ns/mnt' is not a network namespace");
	s = spec_of(bed, 1);
	s.path = "lo";
	refused(bed, &s, EEXIST, "interface 'lo' exists and is not a TAP device");
	s.path = "sixteen-letters-";
	refused(bed, &s, EINVAL,
		"'sixteen-letters-' is no name of an interface; that has 1 to 15 bytes without");
	s.path = "a/b";
	refused(bed, &s, EINVAL, "'a/b' is no name of an interface; that has 1 to 15 bytes");

	fd = netbed_tap(bed->ns, "weir0", IFF_TAP | IFF_NO_PI);
	s = spec_of(bed, 1);
	owner = hold(bed, fd);
	close(fd);
	snprintf(words, sizeof(words), "'weir0' is in use by pid %d (test_tap_device)", (int)owner);
	refused(bed, &s, EBUSY, words);
	kill(owner, SIGKILL);
	waitpid(owner, NULL, 0);
	s.queues = 4;
	refused(bed, &s, EINVAL,
		"exists with a single queue, but 4 are wanted; use `queues: 1`, or make it with");
	open_port(bed, 1);
}

static void changes(struct port *p, void *arg) {
	++*(int *)arg;
}

/* Runs the loop until it has told `n` changes; false after 2 s. */
static bool told(sd_event *loop, const int *count, int n) {
	for (int i = 0; i < 200 && *count < n; i++)
		sd_event_run(loop, 10000);
	return *count == n;
}

static void the_control_thread_hears_of_what_others_do_to_the_device(void **state) {
	struct bed *bed = netbed_need(state);
	struct port_status st;
	struct port_env env = {.changed = changes};
	char cmd[128];
	int count = 0, other;
	bool existed;

	assert_return_code(sd_event_new(&env.loop), 0);
	env.arg = &count;
	port_env_set(&env);
	open_port(bed, 1);

	netbed_up(bed->ns, "weir0", false);
	assert_true(told(env.loop, &count, 1));
	assert_false(bed->p->rxq[0]->active);
	port_status(bed->p, &st);
	assert_int_equal(st.state, PORT_DOWN);
	assert_string_equal(st.reason, "interface weir0 is down; `ip link set weir0 up`");
	netbed_up(bed->ns, "weir0", true);
	assert_true(told(env.loop, &count, 2));

	// Moved into a container: it is followed.
	other = netbed_new();
	snprintf(cmd, sizeof(cmd), "ip link set weir0 netns /proc/%d/fd/%d", getpid(), other);
	{
		int back = netbed_enter(bed->ns);

		assert_int_equal(system(cmd), 0);
		netbed_back(back);
	}
	assert_true(told(env.loop, &count, 3));
	netbed_up(other, "weir0", true);
	assert_true(told(env.loop, &count, 4));
	assert_true(bed->p->rxq[0]->active);
	assert_false(port_gone(bed->p, &existed));

	// And removed.
	{
		int back = netbed_enter(other);

		assert_int_equal(system("ip link del weir0"), 0);
		netbed_back(back);
	}
	assert_true(told(env.loop, &count, 5));
	port_status(bed->p, &st);
	assert_int_equal(st.state, PORT_DOWN);
	assert_string_equal(st.reason, "interface weir0 was removed");
	assert_true(port_gone(bed->p, &existed));
	assert_false(existed);
	// A worker that watches it may sleep.
	assert_int_equal(
		poll(&(struct pollfd){.fd = bed->p->ops->fd(bed->p->rxq[0]), .events = POLLIN}, 1,
			0),
		0);
	assert_false(bed->p->ops->arm(bed->p->rxq[0]));
	assert_int_equal(bed->p->ops->rx(bed->p->rxq[0], &bed->b, 1), 0);
	port_close(bed->p);
	bed->p = NULL;
	close(other);
	sd_event_unref(env.loop);
	port_env_set(&(struct port_env){0});
}

int main(void) {
	const struct CMUnitTest tests[] = {
		T(mtu_and_link_change_in_place),
		T(a_device_weir_made_goes_and_one_that_was_there_stays),
		T(a_device_that_was_there_carries_as_soon_as_it_is_open),
		T(an_existing_multi_queue_device_takes_one_queue_or_more),
		T(errors_say_what_is_wrong_and_what_helps),
		T(the_control_thread_hears_of_what_others_do_to_the_device),
	};

	return cmocka_run_group_tests_name("tap device", tests, NULL, NULL);
}
