/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_UNIT_SWITCH_BED_H
#define WEIR_TESTS_UNIT_SWITCH_BED_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "control/switch.h"
#include "netbed.h"

/* The running switch with TAP ports, the real kernel at their other ends, in a namespace made for each
 * test. In configurations of the tests @ stands for `netns: THAT NAMESPACE`. */

struct bed {
	int ns;
	char netns[64];
	sd_event *loop;
	struct sw *sw;
	struct netbed_frame got;
};

static inline int setup(void **state) {
	struct bed *bed;

	if (netbed_missing() != NULL)
		return 0;
	bed = calloc(1, sizeof(*bed));
	bed->ns = netbed_new();
	snprintf(bed->netns, sizeof(bed->netns), "netns: /proc/self/fd/%d", bed->ns);
	assert_true(sd_event_new(&bed->loop) >= 0);
	*state = bed;
	return 0;
}

static inline int teardown(void **state) {
	struct bed *bed = *state;

	if (bed == NULL)
		return 0;
	sw_stop(bed->sw);
	sd_event_unref(bed->loop);
	close(bed->ns);
	free(bed);
	return 0;
}

static inline struct config *config_of(const struct bed *bed, const char *yaml) {
	char text[4096];
	size_t n = 0;
	struct err e = {""};
	struct config *c;

	for (const char *p = yaml; *p != '\0'; p++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, *p == '@' ? "%s" : "%.1s",
			*p == '@' ? bed->netns : p);
	if (config_parse(&c, text, n, "test", &e) != 0)
		fail_msg("%s", e.text);
	return c;
}

static inline void start(struct bed *bed, const char *yaml) {
	struct config *c = config_of(bed, yaml);
	struct err e = {""};

	if (sw_start(&bed->sw, c, bed->loop, &e) != 0)
		fail_msg("%s", e.text);
	config_free(c);
}

static inline int apply_to(struct bed *bed, const char *yaml, bool dry_run, struct err *e) {
	struct config *c = config_of(bed, yaml);
	json_t *diff = NULL;
	int rc = sw_apply(bed->sw, c, dry_run, &diff, e);

	assert_int_equal(diff != NULL, rc == 0);
	json_decref(diff);
	config_free(c);
	return rc;
}

static inline void apply(struct bed *bed, const char *yaml) {
	struct err e = {""};

	if (apply_to(bed, yaml, false, &e) != 0)
		fail_msg("%s", e.text);
}

// Runs the loop until nothing is waiting there.
static inline void settle(struct bed *bed) {
	for (int i = 0; i < 20; i++)
		while (sd_event_run(bed->loop, 1000) > 0)
			;
}

static inline json_t *row(json_t *list, const char *key, const char *value) {
	json_t *r;
	size_t i;

	json_array_foreach (list, i, r)
		if (json_is_string(json_object_get(r, key)) &&
			strcmp(json_string_value(json_object_get(r, key)), value) == 0)
			return r;
	return NULL;
}

static inline json_t *show_port(struct bed *bed, const char *name) {
	json_t *list = sw_show_ports(bed->sw), *r = json_incref(row(list, "name", name));

	json_decref(list);
	return r;
}

static inline int id_of(struct bed *bed, const char *name) {
	json_t *p = show_port(bed, name);
	int id = p != NULL ? (int)json_integer_value(json_object_get(p, "id")) : -1;

	json_decref(p);
	return id;
}

static inline bool has_mac(struct bed *bed, const char *mac, const char *port, bool is_static) {
	json_t *list = sw_show_macs(bed->sw), *r = row(list, "mac", mac);
	bool found = r != NULL &&
		     strcmp(json_string_value(json_object_get(r, "port")), port) == 0 &&
		     json_is_true(json_object_get(r, "static")) == is_static;

	json_decref(list);
	return found;
}

/* A frame from the last octets `from` to `to` (0xff: broadcast), EtherType 0x88b5, marked. */
static inline void transmit(int s, uint8_t from, uint8_t to, uint8_t mark) {
	uint8_t f[sizeof(struct virtio_net_hdr) + 60] = {0},
						  *eth = f + sizeof(struct virtio_net_hdr);

	memset(eth, to == 0xff ? 0xff : 0, 6);
	eth[0] = to == 0xff ? 0xff : 2;
	eth[5] = to;
	eth[6] = 2;
	eth[11] = from;
	eth[12] = 0x88;
	eth[13] = 0xb5;
	eth[14] = mark;
	assert_int_equal(send(s, f, sizeof(f), 0), sizeof(f));
}

// Does the marked frame come out of the kernel's side within `ms`?
static inline bool arrives(struct bed *bed, int s, uint8_t mark, int ms) {
	struct timeval tv = {.tv_usec = 10000};
	struct timespec from, now;

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		if (netbed_recv(s, &bed->got) && bed->got.bytes[12] == 0x88 &&
			bed->got.bytes[13] == 0xb5 && bed->got.bytes[14] == mark)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
	return false;
}

// A TAP that was just opened again has its carrier at once, but the kernel may take a second until it sends there.
static inline void wait_running(int ns, const char *name) {
	for (int i = 0; i < 500 && (netbed_flags(ns, name) & IFF_RUNNING) == 0; i++)
		usleep(10000);
}

static inline bool carries_within(struct bed *bed, const char *from, const char *to, int ms) {
	static uint8_t mark;
	int a, b;
	bool ok;

	settle(bed);
	wait_running(bed->ns, from);
	wait_running(bed->ns, to);
	a = netbed_raw(bed->ns, from);
	b = netbed_raw(bed->ns, to);
	transmit(a, 0x51, 0xff, ++mark);
	ok = arrives(bed, b, mark, ms);
	close(a);
	close(b);
	return ok;
}

static inline bool carries(struct bed *bed, const char *from, const char *to) {
	return carries_within(bed, from, to, 2000);
}

static const char two[] = "ports:\n  a: {tap: ta, @}\n  b: {tap: tb, @}\n";

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
