/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/vhost_message.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Messages of a port with two queue pairs and an MTU of 1500. */
enum { PAGE = 4096, FILE_SIZE = 16 * PAGE, BYTES_MAX = 1012 };

static const struct message_limits limits = {.queues = 2, .mtu = 1500};
static uint8_t bytes[MESSAGE_HEADER + BYTES_MAX];
static char why[192];

static bool pass(uint32_t request, const void *payload, size_t len, const int *fds, unsigned nfds) {
	const uint32_t head[3] = {request, 1, (uint32_t)len};

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + sizeof(head), payload, len);
	why[0] = '\0';
	return message_admit(&(struct message){bytes, MESSAGE_HEADER + len, fds, nfds}, &limits,
		why, sizeof(why));
}

static void refused(const char *words) {
	if (strstr(why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static int file_new(off_t size) {
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static const struct {
	unsigned request, payload;
	const char *name;
	bool ring; /* begins with a ring's index */
} taken[] = {
	{1, 0, "GET_FEATURES"},
	{2, 8, "SET_FEATURES"},
	{3, 0, "SET_OWNER"},
	{4, 0, "RESET_OWNER"},
	{8, 8, "SET_VRING_NUM", true},
	{9, 40, "SET_VRING_ADDR", true},
	{10, 8, "SET_VRING_BASE", true},
	{11, 8, "GET_VRING_BASE", true},
	{12, 8, "SET_VRING_KICK", true},
	{13, 8, "SET_VRING_CALL", true},
	{14, 8, "SET_VRING_ERR", true},
	{15, 0, "GET_PROTOCOL_FEATURES"},
	{16, 8, "SET_PROTOCOL_FEATURES"},
	{17, 0, "GET_QUEUE_NUM"},
	{18, 8, "SET_VRING_ENABLE", true},
	{20, 8, "NET_SET_MTU"},
	{31, 20, "GET_INFLIGHT_FD"},
	{39, 8, "SET_STATUS"},
	{40, 0, "GET_STATUS"},
};
enum { TAKEN = sizeof(taken) / sizeof(taken[0]) };

static void every_request_weir_takes_passes_when_it_is_whole(void **state) {
	static const uint8_t zero[64];

	for (unsigned i = 0; i < TAKEN; i++) {
		assert_string_equal(message_name(taken[i].request), taken[i].name);
		if (!pass(taken[i].request, zero, taken[i].payload, NULL, 0))
			fail_msg("%s: %s", taken[i].name, why);
	}
}

static void a_request_that_lacks_a_byte_is_refused_by_name(void **state) {
	static const uint8_t zero[64];
	char words[100];

	for (unsigned i = 0; i < TAKEN; i++) {
		if (taken[i].payload == 0)
			continue;
		assert_false(pass(taken[i].request, zero, taken[i].payload - 1, NULL, 0));
		snprintf(words, sizeof(words), "%s of %u bytes; expected %u", taken[i].name,
			taken[i].payload - 1, taken[i].payload);
		refused(words);
	}
	assert_false(pass(5, zero, 7, NULL, 0));
	refused("SET_MEM_TABLE of 7 bytes; expected 8");
	assert_false(pass(32, zero, 19, NULL, 0));
	refused("SET_INFLIGHT_FD of 19 bytes; expected 20");
}

static void all_other_requests_are_refused_by_number(void **state) {
	static const uint8_t zero[64];
	char words[60];

	for (uint32_t r = 0; r < 300; r++) {
		if (message_name(r) != NULL)
			continue;
		assert_false(pass(r, zero, sizeof(zero), NULL, 0));
		snprintf(words, sizeof(words), "message %u, which weir does not take", r);
		refused(words);
	}
	// The log of a migration, IOTLB, the back end's own channel, post-copy, vDPA.
	for (const uint32_t *r = (const uint32_t[]){6, 7, 21, 22, 23, 24, 25, 28, 29, 30, 0}; *r;
		r++)
		assert_null(message_name(*r));
	assert_false(pass(UINT32_MAX, zero, sizeof(zero), NULL, 0));
	refused("4294967295");
}

static void a_ring_the_port_has_not_is_refused_with_those_it_has(void **state) {
	static const uint32_t beyond[] = {4, 5, 127, 255};
	uint8_t payload[40] = {0};
	char words[100];

	for (unsigned i = 0; i < TAKEN; i++) {
		if (!taken[i].ring)
			continue;
		payload[0] = 3;
		assert_true(pass(taken[i].request, payload, taken[i].payload, NULL, 0));
		for (unsigned k = 0; k < 4; k++) {
			payload[0] = (uint8_t)beyond[k];
			assert_false(pass(taken[i].request, payload, taken[i].payload, NULL, 0));
			snprintf(words, sizeof(words),
				"%s for ring %u; the port has 2 queue pairs, rings 0 to 3",
				taken[i].name, beyond[k]);
			refused(words);
		}
		payload[0] = 0;
	}
}

static void an_index_is_read_at_its_full_width(void **state) {
	uint32_t state_of[2] = {0x10000, 0};
	uint64_t kick = 0x103; // ring 3, and the flag that says there is no descriptor

	assert_false(pass(18, state_of, sizeof(state_of), NULL, 0));
	refused("ring 65536");
	assert_true(pass(12, &kick, sizeof(kick), NULL, 0));
}

static void an_mtu_passes_when_the_port_has_as_much(void **state) {
	uint64_t mtu = 1500;

	assert_true(pass(20, &mtu, sizeof(mtu), NULL, 0));
	mtu = 1501;
	assert_false(pass(20, &mtu, sizeof(mtu), NULL, 0));
	refused("host_mtu is 1501 and the port's mtu 1500");
	mtu = 1ull << 32 | 1000;
	assert_false(pass(20, &mtu, sizeof(mtu), NULL, 0));
}

/* Memory tables. */

struct region {
	uint64_t gpa, size, uva, offset;
};

static struct {
	uint32_t n, padding;
	struct region r[9];
} table;

static bool pass_table(unsigned n, int fd) {
	int fds[9];

	for (unsigned i = 0; i < 9; i++)
		fds[i] = fd;
	table.n = n;
	return pass(5, &table, 8 + n * sizeof(table.r[0]), fds, n);
}

static void tidy_table(void) {
	for (unsigned i = 0; i < 9; i++)
		table.r[i] = (struct region){.gpa = i * PAGE,
			.size = PAGE,
			.uva = 0x7f0000000000 + i * PAGE,
			.offset = i * PAGE};
}

static void a_memory_table_of_one_to_eight_regions_passes(void **state) {
	int fd = file_new(FILE_SIZE);

	tidy_table();
	for (unsigned n = 1; n <= 8; n++)
		if (!pass_table(n, fd))
			fail_msg("%u: %s", n, why);
	table.r[0] = (struct region){.gpa = 1ull << 40, .size = FILE_SIZE, .uva = 4096};
	assert_true(pass_table(1, fd)); // the whole file
	close(fd);
}

static void a_memory_table_of_another_shape_is_refused(void **state) {
	int fd = file_new(FILE_SIZE), fds[3] = {fd, fd, fd};

	tidy_table();
	assert_false(pass_table(0, fd));
	refused("memory table of 0 regions");
	assert_false(pass_table(9, fd));
	refused("memory table of 9 regions; at most 8 are taken: give the guest fewer NUMA nodes "
		"or "
		"DIMMs, or one memory backend");
	table.n = 2;
	assert_false(pass(5, &table, 8 + 2 * 32, fds, 1));
	refused("2 regions in 72 bytes with 1 descriptors");
	assert_false(pass(5, &table, 8 + 2 * 32, fds, 3));
	refused("with 3 descriptors");
	assert_false(pass(5, &table, 8 + 2 * 32 - 1, fds, 2));
	refused("in 71 bytes");
	table.n = UINT32_MAX;
	assert_false(pass(5, &table, 8 + 32, fds, 1));
	refused("4294967295 regions");
	close(fd);
}

static void a_region_that_cannot_be_is_refused(void **state) {
	static const struct {
		struct region r;
		const char *says;
	} bad[] = {
		{{0, 0, PAGE, 0}, "is empty"},
		{{UINT64_MAX - 100, PAGE, PAGE, 0}, "wraps around"},
		{{0, PAGE, UINT64_MAX - 100, 0}, "wraps around"},
		{{0, PAGE, PAGE, UINT64_MAX - 100}, "wraps around"},
		{{0, FILE_SIZE + 1, PAGE, 0}, "longer than its file"},
		{{0, PAGE, PAGE, FILE_SIZE - PAGE + 1}, "longer than its file"},
	};
	int fd = file_new(FILE_SIZE);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tidy_table();
		table.r[1] = bad[i].r;
		if (table.r[1].gpa == 0)
			table.r[1].gpa = 64 * PAGE;
		assert_false(pass_table(2, fd));
		refused("memory table: region 1");
		refused(bad[i].says);
	}
	close(fd);
}

static void regions_that_overlap_are_refused_and_neighbours_are_not(void **state) {
	int fd = file_new(FILE_SIZE);

	tidy_table();
	assert_true(pass_table(3, fd));
	table.r[2].gpa--;
	assert_false(pass_table(3, fd));
	refused("region 2");
	refused("overlaps another");
	table.r[2].gpa = 0;
	assert_false(pass_table(3, fd));
	table.r[2] = (struct region){.gpa = 0, .size = 8 * PAGE, .uva = PAGE};
	assert_false(pass_table(3, fd));
	close(fd);
}

static void memory_that_cannot_be_mapped_for_writing_is_refused(void **state) {
	int event = eventfd(0, EFD_CLOEXEC);
	int reader = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(reader, FILE_SIZE), 0);
	assert_int_equal(fcntl(reader, F_ADD_SEALS, F_SEAL_WRITE), 0);
	tidy_table();
	assert_false(pass_table(1, reader));
	refused("cannot be mapped for reading and writing");
	assert_false(pass_table(1, event));
	refused("memory table: region 0");
	assert_false(pass_table(1, -1));
	close(event);
	close(reader);
}

static void a_file_on_disk_is_memory_only_where_the_port_says_so(void **state) {
	const struct message_limits any = {.queues = 2, .mtu = 1500, .any_memory = true};
	char path[] = "/var/tmp/weirXXXXXX";
	int fd = mkstemp(path);
	struct message m;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
	tidy_table();
	assert_false(pass_table(1, fd));
	refused("memory: any");
	m = (struct message){bytes, MESSAGE_HEADER + 8 + 32, &fd, 1};
	assert_true(message_admit(&m, &any, why, sizeof(why)));
	close(fd);
}

static void descriptors_pass_only_where_they_belong_and_as_what_they_are_for(void **state) {
	static const uint8_t zero[64];
	int event = eventfd(0, EFD_CLOEXEC), file = file_new(FILE_SIZE);
	const int two[2] = {event, event};

	for (unsigned i = 0; i < TAKEN; i++) {
		const bool has_one = taken[i].request >= 12 && taken[i].request <= 14;

		assert_int_equal(
			pass(taken[i].request, zero, taken[i].payload, &event, 1), has_one);
		assert_false(pass(taken[i].request, zero, taken[i].payload, two, 2));
		refused(has_one ? "2 descriptors; it carries one"
				: "2 descriptors; it carries none");
		if (has_one) {
			assert_false(pass(taken[i].request, zero, taken[i].payload, &file, 1));
			refused("not an eventfd");
		}
	}
	assert_false(pass(32, zero, 20, &event, 1));
	refused("neither tmpfs nor hugetlbfs");
	close(event);
	close(file);
}

static unsigned mappings(void) {
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned n = 0;
	int c;

	assert_non_null(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void a_part_of_a_huge_page_is_looked_at_and_leaves_nothing_mapped(void **state) {
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	unsigned before;

	if (fd < 0 || ftruncate(fd, 4 << 20) < 0) {
		print_message("SKIP: no huge pages in this kernel\n");
		skip();
	}
	tidy_table();
	before = mappings();
	for (unsigned i = 0; i < 20; i++)
		if (!pass_table(8, fd))
			fail_msg("%s", why);
	assert_in_range(mappings(), 0, before + 5);
	close(fd);
}

/* In-flight regions. */

static bool pass_inflight(unsigned request, uint64_t size, uint64_t offset, uint16_t rings,
	uint16_t ring_size, const int *fd) {
	struct {
		uint64_t size, offset;
		uint16_t rings, ring_size;
	} __attribute__((packed)) m = {size, offset, rings, ring_size};

	return pass(request, &m, sizeof(m), fd, fd != NULL);
}

static void an_in_flight_region_has_a_mark_for_each_ring_inside_its_file(void **state) {
	const unsigned ask = MESSAGE_GET_INFLIGHT_FD, give = MESSAGE_SET_INFLIGHT_FD;
	int fd = file_new(PAGE), event = eventfd(0, EFD_CLOEXEC);

	assert_true(pass_inflight(ask, 0, 0, 4, 32768, NULL));
	assert_true(pass_inflight(give, 4 * MESSAGE_INFLIGHT_RING, 0, 4, 256, &fd));
	assert_true(pass_inflight(give, PAGE, 0, 4, 256, &fd));
	assert_true(pass_inflight(give, 0, 0, 0, 0, &fd));
	assert_false(pass_inflight(ask, 0, 0, 5, 256, NULL));
	refused("for 5 rings of 256; the port has 4 rings");
	assert_false(pass_inflight(ask, 0, 0, 4, 32769, NULL));
	refused("at most 32768");
	assert_false(pass_inflight(give, PAGE, 0, 5, 256, &fd));
	assert_false(pass_inflight(give, 4 * MESSAGE_INFLIGHT_RING - 1, 0, 4, 256, &fd));
	refused("too small for 4 rings");
	assert_false(pass_inflight(give, PAGE, 1, 4, 256, &fd));
	assert_false(pass_inflight(give, PAGE, UINT64_MAX - 10, 4, 256, &fd));
	assert_false(pass_inflight(give, UINT64_MAX, 1, 4, 256, &fd));
	assert_false(pass_inflight(give, PAGE, 0, 4, 256, &event));
	assert_false(pass_inflight(give, PAGE, 0, 4, 256, NULL));
	close(fd);
	close(event);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_weir_takes_passes_when_it_is_whole),
		cmocka_unit_test(a_request_that_lacks_a_byte_is_refused_by_name),
		cmocka_unit_test(all_other_requests_are_refused_by_number),
		cmocka_unit_test(a_ring_the_port_has_not_is_refused_with_those_it_has),
		cmocka_unit_test(an_index_is_read_at_its_full_width),
		cmocka_unit_test(an_mtu_passes_when_the_port_has_as_much),
		cmocka_unit_test(a_memory_table_of_one_to_eight_regions_passes),
		cmocka_unit_test(a_memory_table_of_another_shape_is_refused),
		cmocka_unit_test(a_region_that_cannot_be_is_refused),
		cmocka_unit_test(regions_that_overlap_are_refused_and_neighbours_are_not),
		cmocka_unit_test(memory_that_cannot_be_mapped_for_writing_is_refused),
		cmocka_unit_test(a_file_on_disk_is_memory_only_where_the_port_says_so),
		cmocka_unit_test(descriptors_pass_only_where_they_belong_and_as_what_they_are_for),
		cmocka_unit_test(a_part_of_a_huge_page_is_looked_at_and_leaves_nothing_mapped),
		cmocka_unit_test(an_in_flight_region_has_a_mark_for_each_ring_inside_its_file),
	};

	return cmocka_run_group_tests_name("vhost_message", tests, NULL, NULL);
}
