/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char file[64];

static int set_up(void **state) {
	int fd;

	strcpy(file, "/tmp/weir-pcapng-XXXXXX");
	fd = mkstemp(file);
	close(fd);
	return fd < 0 ? -1 : 0;
}

static int tear_down(void **state) {
	return unlink(file);
}

/* Runs a command on the file; its output with its errors, and the exit status checked. */
static void run(const char *command, char *out, size_t size) {
	char line[512];
	FILE *p;
	size_t n;

	snprintf(line, sizeof(line), command, file);
	p = popen(line, "r");
	assert_non_null(p);
	n = fread(out, 1, size - 1, p);
	out[n] = '\0';
	assert_int_equal(pclose(p), 0);
}

static void tshark_reads_back_what_was_written(void **state) {
	static uint8_t buf[8192];
	size_t n = pcapng_head(buf, sizeof(buf), "weir 1.2.3", "vm1", 100);
	char out[2048];
	FILE *f;

	assert_true(n > 0 && n <= PCAPNG_HEAD_MAX && n % 4 == 0);
	for (uint32_t i = 0; i < 5; i++) { // every remainder of the padding
		struct pcapng_frame fr = {.ns = 1700000000123456789ull + i,
			.len = 96 + i * 10,
			.cap = 96 + i,
			.dir = i & 1};
		uint8_t *bytes;
		size_t m = pcapng_frame(buf + n, sizeof(buf) - n, &fr, &bytes);

		assert_true(m > 0 && m <= fr.cap + PCAPNG_FRAME_OVER);
		memset(bytes, 0, fr.cap);
		memset(bytes, 2, 12);
		bytes[12] = 0x88, bytes[13] = 0xb5;
		n += m;
	}
	size_t m = pcapng_stats(
		buf + n, sizeof(buf) - n, 1700000000000000000ull, 1700000001000000000ull, 12, 7);
	assert_true(m > 0 && m <= PCAPNG_STATS_MAX);
	n += m;
	f = fopen(file, "w");
	assert_int_equal(fwrite(buf, 1, n, f), n);
	fclose(f);

	run("tshark -r %s -T fields -e frame.time_epoch -e frame.len -e frame.cap_len "
	    "-e frame.packet_flags_direction -e frame.interface_name 2>&1 | grep -v '^Running as "
	    "user'",
		out, sizeof(out));
	assert_string_equal(out, "1700000000.123456789\t96\t96\t0x00000001\tvm1\n"
				 "1700000000.123456790\t106\t97\t0x00000002\tvm1\n"
				 "1700000000.123456791\t116\t98\t0x00000001\tvm1\n"
				 "1700000000.123456792\t126\t99\t0x00000002\tvm1\n"
				 "1700000000.123456793\t136\t100\t0x00000001\tvm1\n");
	run("capinfos %s 2>&1", out, sizeof(out));
	assert_non_null(strstr(out, "weir 1.2.3"));
	assert_non_null(strstr(out, "Name = vm1"));
	assert_non_null(strstr(out, "Time precision = nanoseconds (9)"));
	assert_non_null(strstr(out, "Number of stat entries = 1"));
}

static void a_block_that_does_not_fit_is_not_begun(void **state) {
	uint8_t buf[256], *bytes;
	struct pcapng_frame fr = {.len = 60, .cap = 60};
	size_t full = pcapng_frame(buf, sizeof(buf), &fr, &bytes);

	assert_true(full > 0);
	for (size_t room = 0; room < full; room++) {
		buf[room] = 0x5a;
		assert_int_equal(pcapng_frame(buf, room, &fr, &bytes), 0);
		assert_int_equal(buf[room], 0x5a);
		assert_int_equal(pcapng_stats(buf, room < 64 ? room : 0, 0, 0, 0, 0), 0);
	}
	assert_int_equal(pcapng_head(buf, 40, "weir", "vm1", 0), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			tshark_reads_back_what_was_written, set_up, tear_down),
		cmocka_unit_test(a_block_that_does_not_fit_is_not_begun),
	};

	return cmocka_run_group_tests_name("pcapng", tests, NULL, NULL);
}
