/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "host/prove.h"

static void what_was_found_is_told_by_its_name_and_else_unknown(void **state) {
	json_t *k = json_pack("{s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{}}}", "findings", "vlan",
		"verdict", "enforced", "rate", "verdict", "not-enforced", "state", "verdict",
		"never heard of", "spoofchk");

	assert_non_null(k);
	assert_int_equal(prove_verdict(k, PROVE_VLAN), PROVE_ENFORCED);
	assert_int_equal(prove_verdict(k, PROVE_RATE), PROVE_NOT_ENFORCED);
	assert_int_equal(prove_verdict(k, PROVE_STATE), PROVE_UNKNOWN);
	assert_int_equal(prove_verdict(k, PROVE_SPOOFCHK), PROVE_UNKNOWN);
	assert_int_equal(prove_verdict(k, PROVE_BROADCAST), PROVE_UNKNOWN);
	assert_int_equal(prove_verdict(NULL, PROVE_VLAN), PROVE_UNKNOWN);
	json_decref(k);
}

static void findings_are_stale_when_driver_kernel_or_firmware_changed(void **state) {
	json_t *k = json_pack(
		"{s:s, s:s, s:s}", "driver", "igb", "kernel", "6.1.0", "firmware", "3.25");
	struct prove_conditions now = {.driver = "igb", .kernel = "6.1.0", .firmware = "3.25"};
	char why[200] = "";

	assert_false(prove_stale(k, &now, why, sizeof(why)));
	strcpy(now.firmware, "3.30");
	assert_true(prove_stale(k, &now, why, sizeof(why)));
	assert_string_equal(why, "the firmware was 3.25, it is 3.30 now");
	now.firmware[0] = '\0'; // not told now
	assert_false(prove_stale(k, &now, why, sizeof(why)));
	strcpy(now.kernel, "6.12.0");
	assert_true(prove_stale(k, &now, why, sizeof(why)));
	assert_string_equal(why, "the kernel was 6.1.0, it is 6.12.0 now");
	json_decref(k);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_found_is_told_by_its_name_and_else_unknown),
		cmocka_unit_test(findings_are_stale_when_driver_kernel_or_firmware_changed),
	};

	return cmocka_run_group_tests_name("prove", tests, NULL, NULL);
}
