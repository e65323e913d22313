/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/frame_shape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>

#include "base/err.h"
#include "bench/frames/frame_port.h"

enum { NETWORK_A = 198u << 24 | 18 << 16, NETWORK_B = 198u << 24 | 19 << 16 };
enum { HOSTS = 65534, FIRST_PORT = 1024, DISCARD = 9, TTL = 64 };

static const struct frame_shape imix = {
	.size = {60, 566, 1514},
	.sizes = 3,
	.pattern = {0, 1, 0, 1, 0, 2, 0, 1, 0, 1, 0, 0},
	.period = FRAME_PATTERN,
};

int frame_shape_size(struct frame_shape *s, const char *text, struct err *e) {
	unsigned long n;
	char *end;

	if (strcmp(text, "imix") == 0) {
		memcpy(s->size, imix.size, sizeof(s->size));
		memcpy(s->pattern, imix.pattern, sizeof(s->pattern));
		s->sizes = imix.sizes;
		s->period = imix.period;
		return 0;
	}
	n = strtoul(text, &end, 10);
	if (end == text || *end != '\0' || text[0] == '-' || n < FRAME_MIN || n > FRAME_MAX)
		return err_set(e, EINVAL,
			"a size is 'imix' or a number of bytes without FCS, %d to %d, not '%s'",
			FRAME_MIN, FRAME_MAX, text);
	s->size[0] = (unsigned)n;
	s->pattern[0] = 0;
	s->sizes = s->period = 1;
	return 0;
}

unsigned frame_shape_longest(const struct frame_shape *s) {
	unsigned most = 0;

	for (unsigned i = 0; i < s->sizes; i++)
		if (s->size[i] > most)
			most = s->size[i];
	return most;
}

double frame_shape_mean(const struct frame_shape *s) {
	double sum = 0;

	for (unsigned i = 0; i < s->period; i++)
		sum += s->size[s->pattern[i]];
	return sum / s->period;
}

static uint32_t add_words(uint32_t sum, const void *p, size_t n) {
	const uint8_t *b = p;

	for (size_t i = 0; i + 1 < n; i += 2) {
		uint16_t w;

		memcpy(&w, b + i, 2);
		sum += w;
	}
	return sum;
}

static uint32_t fold(uint32_t sum) {
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static void put_mac(uint8_t *to, const struct frame_shape *s, unsigned side, unsigned index) {
	static const uint8_t none[6];

	if (s->macs == 1 && memcmp(s->mac[side], none, sizeof(none)) != 0) {
		memcpy(to, s->mac[side], sizeof(none));
		return;
	}
	to[0] = 0x02; // locally administered
	to[1] = (uint8_t)(s->who >> 8);
	to[2] = (uint8_t)s->who;
	to[3] = (uint8_t)(0xa0 + 0x10 * side);
	to[4] = (uint8_t)(index >> 8);
	to[5] = (uint8_t)index;
}

void frame_template_make(struct frame_template *t, const struct frame_shape *s, unsigned direction,
	unsigned flow, unsigned size, uint32_t magic, uint8_t stream) {
	static const uint32_t network[] = {NETWORK_A, NETWORK_B};
	struct frame_tag tag = {.magic = magic, .stream = stream};
	struct ether_header eth = {.ether_type = htons(ETHERTYPE_IP)};
	unsigned len = s->size[size], mac = flow % s->macs;
	uint16_t udp_len = htons((uint16_t)(len - sizeof(eth) - sizeof(struct iphdr)));
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(len - sizeof(eth))),
		.frag_off = htons(IP_DF),
		.ttl = TTL,
		.protocol = IPPROTO_UDP,
		.saddr = htonl(network[direction] + flow % HOSTS + 1),
		.daddr = htonl(network[!direction] + mac % HOSTS + 1),
	};
	struct udphdr udp = {
		.source = htons((uint16_t)(FIRST_PORT + flow / HOSTS)),
		.dest = htons(DISCARD),
		.len = udp_len,
	};

	put_mac(eth.ether_shost, s, direction, mac);
	put_mac(eth.ether_dhost, s, !direction, mac);
	ip.check = (uint16_t)~fold(add_words(0, &ip, sizeof(ip)));
	memcpy(t->head, &eth, sizeof(eth));
	memcpy(t->head + sizeof(eth), &ip, sizeof(ip));
	memcpy(t->head + sizeof(eth) + sizeof(ip), &udp, sizeof(udp));
	t->len = (uint16_t)len;
	// The pseudo header has the addresses, the protocol and the length once more.
	t->sum = add_words(htons(IPPROTO_UDP), &ip.saddr, 2 * sizeof(ip.saddr)) + udp_len;
	t->sum = add_words(t->sum, &udp, sizeof(udp));
	t->sum = add_words(t->sum, &tag, sizeof(tag));
}
