/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/vhost_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <cmocka.h>

/* A front end of two queue pairs that is offered everything, and has two regions of memory side by side
 * in its own eyes; ring 1 is started in the first. */
enum { REGION = 0x10000, AT = 0x100000, LOG_ALL = 26, PROTOCOL = 30 };

#define BIT(n) (1ull << (n))

static struct session s;
static char why[192];

static bool say(uint32_t request, const void *payload, size_t len) {
	uint8_t bytes[MESSAGE_HEADER + 128];
	const uint32_t head[3] = {request, 1, (uint32_t)len};

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + sizeof(head), payload, len);
	why[0] = '\0';
	return session_admit(
		&s, &(struct message){.bytes = bytes, .len = sizeof(head) + len}, why, sizeof(why));
}

static bool features(uint64_t f) {
	return say(MESSAGE_SET_FEATURES, &f, sizeof(f));
}

static bool state(uint32_t request, uint32_t ring, uint32_t num) {
	return say(request, (uint32_t[]){ring, num}, 8);
}

static bool kick(uint64_t ring) {
	return say(MESSAGE_SET_VRING_KICK, &ring, sizeof(ring));
}

static bool address(uint32_t ring, uint64_t table, uint64_t driver, uint64_t device) {
	return say(MESSAGE_SET_VRING_ADDR, (uint64_t[]){ring, table, device, driver, 0}, 40);
}

static bool memory(uint64_t uva) {
	const uint64_t table[] = {
		2, 0, REGION, uva, 0, REGION, REGION, uva + REGION, 0}; // gpa, size, uva, offset

	return say(MESSAGE_SET_MEM_TABLE, table, sizeof(table));
}

static void refused(const char *words) {
	if (strstr(why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

/* Everything but the last word of ring 1. */
static void prepare(uint64_t f) {
	session_begin(&s, UINT64_MAX);
	assert_true(features(f));
	assert_true(memory(AT));
	assert_true(state(MESSAGE_SET_VRING_NUM, 1, 256));
	assert_true(address(1, AT, AT + 0x1000, AT + 0x2000));
	assert_true(kick(1));
}

static void start(uint64_t f) {
	prepare(f);
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 1, 1));
}

static void features_change_only_while_no_ring_runs(void **unused) {
	const uint64_t f = BIT(PROTOCOL), packed = f | BIT(VIRTIO_F_RING_PACKED);

	prepare(f);
	assert_true(features(packed)); // it is not enabled yet
	start(f);
	assert_true(features(f));
	assert_false(features(packed));
	refused("changes 0x400000000 while queue 1 runs");
	start(f);
	assert_true(state(MESSAGE_GET_VRING_BASE, 1, 0));
	assert_true(features(packed));
	start(f);
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 1, 0));
	assert_true(features(packed));
	start(f);
	assert_true(say(MESSAGE_RESET_OWNER, "", 0));
	assert_true(features(packed));
}

static void the_dirty_log_is_switched_while_rings_run(void **unused) {
	const uint64_t f = BIT(PROTOCOL) | BIT(VIRTIO_RING_F_EVENT_IDX);

	start(f);
	assert_true(features(f | BIT(LOG_ALL)));
	assert_true(features(f));
}

static void a_feature_that_is_not_offered_is_refused(void **unused) {
	session_begin(&s, 0xf0);
	assert_true(features(0xf0));
	assert_false(features(0x1f0));
	refused("SET_FEATURES of 0x1f0; 0x100 of it is not offered, 0xf0 is");
}

static void a_kick_starts_a_ring_when_there_is_no_word_for_enabling(void **unused) {
	prepare(0);
	assert_false(features(BIT(VIRTIO_F_RING_PACKED)));
	refused("while queue 1 runs");
}

static void addresses_count_when_the_ring_runs(void **unused) {
	prepare(BIT(PROTOCOL));
	assert_true(address(1, 1, 2, 3));
	assert_false(state(MESSAGE_SET_VRING_ENABLE, 1, 1));
	refused("queue 1: the descriptor table, 4096 bytes at 0x1, is outside");
	start(BIT(PROTOCOL));
	assert_false(address(1, AT, AT - 1, AT + 0x2000));
	refused("the driver area, 516 bytes at 0xfffff,");
	start(BIT(PROTOCOL));
	assert_true(state(MESSAGE_GET_VRING_BASE, 1, 0));
	assert_true(memory(16 * AT)); // the ring moves too
	assert_true(address(1, 16 * AT, 16 * AT, 16 * AT));
	assert_true(kick(1));
	assert_false(memory(AT));
	refused("(2 regions, the first 0x100000 to 0x10ffff)");
}

static void a_ring_may_end_with_its_region_and_not_behind_it(void **unused) {
	const uint64_t end = AT + REGION;

	start(BIT(PROTOCOL));
	assert_true(address(1, end - 4096, end - 516, end - 2052));
	assert_true(address(1, end, end, end)); // in the next one
	assert_false(address(1, end - 4096 + 1, end, end));
	refused("the descriptor table");
	assert_false(address(1, end, end - 516 + 1, end));
	refused("the driver area");
	assert_false(address(1, end, end, end - 2052 + 1));
	refused("the device area");
	assert_false(address(1, UINT64_MAX - 4094, end, end));
	refused("at 0xfffffffffffff001");
	start(BIT(PROTOCOL) | BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_true(address(1, AT, end - 518, end - 2054));
	assert_false(address(1, AT, end - 516, end - 2054));
	refused("the driver area, 518 bytes");
	start(BIT(PROTOCOL) | BIT(VIRTIO_F_RING_PACKED));
	assert_true(address(1, AT, end - 4, end - 4));
	assert_false(address(1, AT, end - 3, end - 4));
	refused("the driver area, 4 bytes");
}

static void a_ring_has_1_to_32768_descriptors(void **unused) {
	static const uint32_t good[] = {1, 2, 256, 32768}, bad[] = {0, 32769, 65536, UINT32_MAX};
	static const uint32_t odd[] = {3, 255, 32767};

	for (unsigned packed = 0; packed < 2; packed++) {
		session_begin(&s, UINT64_MAX);
		assert_true(features(packed ? BIT(VIRTIO_F_RING_PACKED) : 0));
		for (unsigned i = 0; i < 4; i++) {
			assert_true(state(MESSAGE_SET_VRING_NUM, 3, good[i]));
			assert_false(state(MESSAGE_SET_VRING_NUM, 3, bad[i]));
			refused("it can have 1 to 32768");
		}
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(state(MESSAGE_SET_VRING_NUM, 3, odd[i]), packed);
	}
}

static void all_rings_of_a_port_have_131072_descriptors_at_most(void **unused) {
	session_begin(&s, UINT64_MAX);
	for (unsigned i = 0; i < 2 * QUEUES_MAX; i++)
		assert_true(state(MESSAGE_SET_VRING_NUM, i, 4096));
	assert_false(state(MESSAGE_SET_VRING_NUM, 0, 8192));
	refused("with its 8192 descriptors all rings of the port have 135168; at most 131072");
	session_begin(&s, UINT64_MAX);
	for (unsigned i = 0; i < 4; i++)
		assert_true(state(MESSAGE_SET_VRING_NUM, i, 32768));
	assert_true(state(MESSAGE_SET_VRING_NUM, 3, 16384)); // told again, it counts once
	assert_true(state(MESSAGE_SET_VRING_NUM, 4, 16384));
	assert_false(state(MESSAGE_SET_VRING_NUM, 5, 1));
}

static void a_packed_ring_that_becomes_split_is_looked_at_again(void **unused) {
	start(BIT(PROTOCOL) | BIT(VIRTIO_F_RING_PACKED));
	assert_true(state(MESSAGE_SET_VRING_NUM, 1, 100));
	assert_true(state(MESSAGE_GET_VRING_BASE, 1, 0));
	assert_true(features(BIT(PROTOCOL)));
	assert_false(kick(1));
	refused("queue 1: a split ring of 100 descriptors");
}

static void nothing_is_judged_without_memory(void **unused) {
	session_begin(&s, UINT64_MAX);
	assert_true(kick(0));
	assert_true(address(0, 1, 2, 3));
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 0, 1));
	assert_false(memory(AT));
	refused("queue 0: a split ring of 0 descriptors");
}

static void waits(const char *words) {
	char said[192];

	session_waits(&s, said, sizeof(said));
	if (strcmp(said, words) != 0)
		fail_msg("\"%s\", expected \"%s\"", said, words);
	assert_true(strlen(said) < sizeof(said) - 1); // whole
}

static void lacks(unsigned queue, const char *message) {
	char words[192];

	snprintf(words, sizeof(words),
		"connected; the guest's driver has not started queue %u: %s is missing", queue,
		message);
	waits(words);
}

static const char no_table[] =
	"connected; features came and no memory table: guest memory is not "
	"shared (share=on), or more than 8 regions (give the guest fewer NUMA "
	"nodes or DIMMs, or one memory backend)";
static const char stopped[] =
	"connected; the queues were stopped: the guest is paused, or its driver "
	"was reset, and has not started them again";
static const char starting[] = "connected; the queues are being started";

static void run_queue(uint32_t ring) {
	assert_true(state(MESSAGE_SET_VRING_NUM, ring, 256));
	assert_true(address(ring, AT, AT + 0x1000, AT + 0x2000));
	assert_true(say(MESSAGE_SET_VRING_CALL, (uint64_t[]){ring}, 8));
	assert_true(kick(ring));
	assert_true(state(MESSAGE_SET_VRING_ENABLE, ring, 1));
}

static void run(void) {
	session_begin(&s, UINT64_MAX);
	assert_true(features(BIT(PROTOCOL)));
	assert_true(memory(AT));
	run_queue(0);
	run_queue(1);
	waits(starting);
}

static void stop(void) {
	assert_true(state(MESSAGE_GET_VRING_BASE, 0, 0));
	assert_true(state(MESSAGE_GET_VRING_BASE, 1, 0));
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 0, 0));
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 1, 0));
}

static void each_step_that_is_missing_has_its_sentence(void **unused) {
	session_begin(&s, UINT64_MAX);
	waits("connected; the front end has sent no message yet");
	assert_true(say(1, "", 0)); // GET_FEATURES
	waits("connected; the guest's driver has not started: no features are set yet");
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 0, 1)); // QEMU does before the driver starts
	waits("connected; the guest's driver has not started: no features are set yet");
	assert_true(features(BIT(PROTOCOL)));
	waits(no_table);
	assert_true(memory(AT));
	lacks(0, "SET_VRING_NUM");
	assert_true(state(MESSAGE_SET_VRING_NUM, 0, 256));
	lacks(0, "SET_VRING_ADDR");
	assert_true(address(0, AT, AT + 0x1000, AT + 0x2000));
	lacks(0, "SET_VRING_CALL");
	assert_true(say(MESSAGE_SET_VRING_CALL, (uint64_t[]){0}, 8));
	lacks(0, "SET_VRING_KICK");
	assert_true(kick(0));
	lacks(1, "SET_VRING_NUM"); // the first is enabled already
	run_queue(1);
	waits(starting);
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 1, 0));
	lacks(1, "SET_VRING_ENABLE");
}

static void a_table_may_come_before_the_features(void **unused) {
	session_begin(&s, UINT64_MAX);
	assert_true(memory(AT));
	assert_true(features(BIT(PROTOCOL)));
	lacks(0, "SET_VRING_NUM");
}

static void a_driver_that_tells_its_status_is_waited_for_until_it_is_ready(void **unused) {
	run();
	assert_true(say(MESSAGE_SET_PROTOCOL_FEATURES, (uint64_t[]){BIT(16)}, 8));
	waits("connected; the guest's driver has not said that it is ready (DRIVER_OK; its status "
	      "is "
	      "0x0)");
	assert_true(say(MESSAGE_SET_STATUS, (uint64_t[]){0xb}, 8));
	waits("connected; the guest's driver has not said that it is ready (DRIVER_OK; its status "
	      "is "
	      "0xb)");
	assert_true(say(MESSAGE_SET_STATUS, (uint64_t[]){0xf}, 8));
	waits(starting);
}

static void queues_that_were_stopped_are_told_from_those_that_never_ran(void **unused) {
	run();
	stop();
	waits(stopped);
	assert_true(features(BIT(PROTOCOL))); // the driver is back, with more memory than fits
	waits(no_table);
	assert_true(memory(AT));
	waits(stopped);
	run_queue(0);
	run_queue(1);
	waits(starting);
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 0, 0)); // disabled before it is stopped
	assert_true(state(MESSAGE_SET_VRING_ENABLE, 1, 0));
	stop();
	waits(stopped);
	assert_true(features(BIT(PROTOCOL)));
	run_queue(0); // from the table that is there
	waits(stopped);
	run_queue(1);
	waits(starting);
	assert_true(say(MESSAGE_RESET_OWNER, "", 0));
	waits("connected; the guest's driver has not started: no features are set yet");
}

static void left(const char *words) {
	char said[150];

	session_left(&s, said, sizeof(said));
	if (strcmp(said, words) != 0)
		fail_msg("\"%s\", expected \"%s\"", said, words);
}

static void a_front_end_that_left_before_its_table_is_told_from_others(void **unused) {
	static const char early[] = "; the last one left without a memory table, as QEMU does "
				    "with more than 8 regions (give the guest fewer NUMA nodes or "
				    "DIMMs, or one memory backend)";

	assert_true(strlen("nobody has connected to the socket again") + strlen(early) < 191);
	session_begin(&s, UINT64_MAX);
	left(" since the last front end left");
	assert_true(say(1, "", 0));
	left(early);
	assert_true(features(BIT(PROTOCOL)));
	left(early);
	run();
	left(" since the last front end left");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_change_only_while_no_ring_runs),
		cmocka_unit_test(the_dirty_log_is_switched_while_rings_run),
		cmocka_unit_test(a_feature_that_is_not_offered_is_refused),
		cmocka_unit_test(a_kick_starts_a_ring_when_there_is_no_word_for_enabling),
		cmocka_unit_test(addresses_count_when_the_ring_runs),
		cmocka_unit_test(a_ring_may_end_with_its_region_and_not_behind_it),
		cmocka_unit_test(a_ring_has_1_to_32768_descriptors),
		cmocka_unit_test(all_rings_of_a_port_have_131072_descriptors_at_most),
		cmocka_unit_test(a_packed_ring_that_becomes_split_is_looked_at_again),
		cmocka_unit_test(nothing_is_judged_without_memory),
		cmocka_unit_test(each_step_that_is_missing_has_its_sentence),
		cmocka_unit_test(a_table_may_come_before_the_features),
		cmocka_unit_test(a_driver_that_tells_its_status_is_waited_for_until_it_is_ready),
		cmocka_unit_test(queues_that_were_stopped_are_told_from_those_that_never_ran),
		cmocka_unit_test(a_front_end_that_left_before_its_table_is_told_from_others),
	};

	return cmocka_run_group_tests_name("vhost_session", tests, NULL, NULL);
}
