/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S 1000000ull /* time is in us */

static struct backoff held;
static const struct drift vlan = {.attr = ATTR_VLAN, .slot = "0000:01:00.0", .vf = 3};
static const struct drift mac = {.attr = ATTR_MAC, .slot = "0000:01:00.0", .vf = 3};
static const struct drift other = {.attr = ATTR_VLAN, .slot = "0000:01:00.0", .vf = 4};

static int down(void **state) {
	backoff_free(&held);
	return 0;
}

static void what_drifts_now_and_then_is_restored_each_time(void **state) {
	for (uint64_t i = 1; i < 20; i++) {
		assert_int_equal(backoff_count(&held, &vlan, i * 1000 * S), 0);
		assert_false(backoff_holds(&held, &vlan, i * 1000 * S + 1));
	}
}

static void what_drifts_again_and_again_is_let_be_longer_and_longer(void **state) {
	uint64_t now = 1000 * S;

	assert_int_equal(backoff_count(&held, &vlan, now), 0);
	assert_int_equal(backoff_count(&held, &vlan, now + S), 0);
	assert_int_equal(backoff_count(&held, &vlan, now + 2 * S), BACKOFF_FIRST_S);
	assert_true(backoff_holds(&held, &vlan, now + 3 * S));
	assert_int_equal(backoff_held(&held, now + 3 * S), 1);
	now += 2 * S + BACKOFF_FIRST_S * S;
	assert_false(backoff_holds(&held, &vlan, now));
	assert_int_equal(backoff_held(&held, now), 0);
	for (unsigned s = 2 * BACKOFF_FIRST_S; s < BACKOFF_MAX_S; s *= 2) {
		assert_int_equal(backoff_count(&held, &vlan, now), s);
		now += s * S;
	}
	for (int i = 0; i < 40; i++) {
		assert_int_equal(backoff_count(&held, &vlan, now), BACKOFF_MAX_S);
		now += BACKOFF_MAX_S * S;
	}
}

static void only_what_drifts_is_let_be(void **state) {
	for (int i = 0; i < 3; i++)
		backoff_count(&held, &vlan, 1000 * S);
	assert_true(backoff_holds(&held, &vlan, 1001 * S));
	assert_false(backoff_holds(&held, &mac, 1001 * S));
	assert_false(backoff_holds(&held, &other, 1001 * S));
}

static void after_a_quiet_time_it_begins_anew(void **state) {
	uint64_t now = 1000 * S;

	for (int i = 0; i < 3; i++)
		backoff_count(&held, &vlan, now);
	now += (BACKOFF_FIRST_S + BACKOFF_WITHIN_S + 1) * S;
	assert_int_equal(backoff_count(&held, &vlan, now), 0);
	assert_int_equal(backoff_count(&held, &vlan, now), 0);
	assert_int_equal(backoff_count(&held, &vlan, now), BACKOFF_FIRST_S);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_drifts_now_and_then_is_restored_each_time, down),
		cmocka_unit_test_teardown(
			what_drifts_again_and_again_is_let_be_longer_and_longer, down),
		cmocka_unit_test_teardown(only_what_drifts_is_let_be, down),
		cmocka_unit_test_teardown(after_a_quiet_time_it_begins_anew, down),
	};

	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
