/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "frame/offload.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>

/* Where the checksum of an L4 protocol is in its header; 0: none that a sender could leave to us. */
static unsigned csum_field(uint8_t proto) {
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

/* Bytes of the private L4 header of a frame that is no fragment. */
static unsigned l4_len(const struct frame *f) {
	switch (f->proto) {
	case IPPROTO_TCP:
		return (f->head[f->l4_off + 12] >> 4) * 4;
	case IPPROTO_SCTP:
		return 12;
	default:
		return csum_field(f->proto) ? 8 : 0;
	}
}

static bool is_ip(const struct frame *f) {
	return f->ethertype == ETHERTYPE_IP4 || f->ethertype == ETHERTYPE_IP6 ||
	       f->ethertype == ETHERTYPE_CTAG || f->ethertype == ETHERTYPE_STAG;
}

/* May the checksum at csum_start + csum_offset be written? */
static bool csum_ok(struct frame *f, const uint8_t *room_end) {
	uint32_t start = f->ol.csum_start, field = start + f->ol.csum_offset;

	if (start < FRAME_LEN_MIN || frame_pull(f, field + 2, room_end) < 0)
		return false;
	if (!frame_parse_l4(f, room_end))
		return !is_ip(f); /* nothing behind the Ethernet header was judged */
	if (start == f->l4_off && csum_field(f->proto) != 0)
		return f->ol.csum_offset == csum_field(f->proto);
	return start >= f->l4_off + l4_len(f);
}

/* Do the headers match the gso_type? */
static bool gso_ok(struct frame *f) {
	static const struct {
		uint8_t version, proto;
	} kinds[] = {
		[VIRTIO_NET_HDR_GSO_TCPV4] = {4, IPPROTO_TCP},
		[VIRTIO_NET_HDR_GSO_UDP] = {0, IPPROTO_UDP},
		[VIRTIO_NET_HDR_GSO_TCPV6] = {6, IPPROTO_TCP},
	};
	unsigned type = f->ol.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	bool ecn = f->ol.gso_type & VIRTIO_NET_HDR_GSO_ECN;

	if (type >= RTE_DIM(kinds) || kinds[type].proto == 0 || f->ol.gso_size == 0 ||
		!(f->ol.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !(f->flags & FRAME_L4))
		return false;
	if (f->proto != kinds[type].proto || f->ol.csum_start != f->l4_off ||
		(kinds[type].version != 0 && kinds[type].version != f->head[f->l3_off] >> 4) ||
		(ecn && f->proto != IPPROTO_TCP))
		return false;
	f->ol.hdr_len = f->l4_off + l4_len(f);
	return true;
}

enum drop offload_check(struct frame *f, const uint8_t *room_end) {
	struct offload *ol = &f->ol;

	if (f->head_len < FRAME_LEN_MIN)
		return DROP_OFFLOAD_BAD;
	/* frame_parse, whose work this is, may come later. */
	f->ethertype = be16_get(f->head + 12);
	ol->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (ol->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (!csum_ok(f, room_end))
			return DROP_OFFLOAD_BAD;
	} else {
		ol->csum_start = ol->csum_offset = 0;
	}
	if (ol->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return gso_ok(f) ? DROP_NONE : DROP_OFFLOAD_BAD;
	ol->gso_size = ol->hdr_len = 0;
	return DROP_NONE;
}

bool offload_fits(const struct frame *f, unsigned caps) {
	static const unsigned needs[] = {
		[VIRTIO_NET_HDR_GSO_TCPV4] = CAP_CSUM | CAP_TSO4,
		[VIRTIO_NET_HDR_GSO_UDP] = CAP_CSUM | CAP_UFO,
		[VIRTIO_NET_HDR_GSO_TCPV6] = CAP_CSUM | CAP_TSO6,
	};
	unsigned type = f->ol.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	unsigned need = f->ol.flags != 0 ? CAP_CSUM : 0;

	if (type >= RTE_DIM(needs))
		return false;
	need |= needs[type];
	if (f->ol.gso_type & VIRTIO_NET_HDR_GSO_ECN)
		need |= CAP_ECN;
	return (need & ~caps) == 0;
}

static uint16_t csum_complete(const struct frame *f) {
	uint32_t start = f->ol.csum_start;
	struct csum c = {0};
	uint16_t value;

	csum_add(&c, f->head + start, f->head_len - start);
	for (unsigned i = 0; i < f->nsegs; i++)
		csum_add(&c, f->segs[i].base, f->segs[i].len);
	value = csum_value(&c);
	/* To UDP a 0 says that there is no checksum (RFC 768). */
	return value == 0 && f->ol.csum_offset == csum_field(IPPROTO_UDP) ? 0xffff : value;
}

void offload_csum(struct frame *f) {
	if (f->ol.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		uint16_t value = csum_complete(f);

		memcpy(f->head + f->ol.csum_start + f->ol.csum_offset, &value, sizeof(value));
	}
	f->ol = (struct offload){0};
}
