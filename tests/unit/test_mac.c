/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void text_and_number_agree(void **state) {
	static const uint8_t wire[8] = {0x52, 0x54, 0x00, 0xab, 0xcd, 0xef, 0xff, 0xff};
	char text[MAC_TEXT_MAX];
	uint64_t mac;

	assert_int_equal(mac_parse("52:54:00:ab:CD:ef", &mac), 0);
	assert_int_equal(mac, mac_load(wire));
	assert_string_equal(mac_format(mac, text), "52:54:00:ab:cd:ef");
	assert_int_equal(mac_parse("52-54-00-ab-cd-ef", &mac), 0);
	assert_int_equal(mac, mac_load(wire));
}

static void what_is_no_mac_is_refused(void **state) {
	static const char *const bad[] = {"", "52:54:00:ab:cd",
		"52:54:00:ab:cd:ef:", "52:54:00:ab:cd:eg", "52:54-00:ab:cd:ef", "5254.00ab.cdef",
		" 2:54:00:ab:cd:ef", "052:54:00:ab:cd:e", "-1:54:00:ab:cd:ef"};
	uint64_t mac;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (mac_parse(bad[i], &mac) == 0)
			fail_msg("\"%s\" was taken for a MAC", bad[i]);
}

static void the_group_bit_is_the_lowest_of_the_first_octet(void **state) {
	uint64_t mac;

	assert_int_equal(mac_parse("01:00:5e:00:00:01", &mac), 0);
	assert_true(mac_is_group(mac));
	assert_int_equal(mac_parse("02:01:01:01:01:01", &mac), 0);
	assert_false(mac_is_group(mac));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_number_agree),
		cmocka_unit_test(what_is_no_mac_is_refused),
		cmocka_unit_test(the_group_bit_is_the_lowest_of_the_first_octet),
	};

	return cmocka_run_group_tests_name("mac", tests, NULL, NULL);
}
