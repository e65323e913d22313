/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "frame/frame.h"

#include <errno.h>
#include <netinet/in.h>

#include <rte_hash_crc.h>

enum { TAGS_MAX = 3 };

int frame_pull_more(struct frame *f, unsigned n, const uint8_t *room_end) {
	if (n <= f->head_len)
		return 0;
	if (n > f->len)
		return -EINVAL;
	if (n > (size_t)(room_end - f->head))
		return -E2BIG;
	while (f->head_len < n && f->nsegs > 0) {
		struct seg *s = f->segs;
		uint32_t take = RTE_MIN(s->len, (uint32_t)n - f->head_len);

		memcpy(f->head + f->head_len, s->base, take);
		f->head_len += take;
		s->base += take;
		s->len -= take;
		if (s->len == 0) {
			f->segs++;
			f->nsegs--;
		}
	}
	return f->head_len < n ? -EINVAL : 0;
}

void frame_copy(const struct frame *f, uint32_t off, void *dst, uint32_t len) {
	uint8_t *to = dst;

	if (off < f->head_len) {
		uint32_t take = RTE_MIN(len, f->head_len - off);

		memcpy(to, f->head + off, take);
		to += take;
		len -= take;
		off = 0;
	} else {
		off -= f->head_len;
	}
	for (unsigned i = 0; len > 0 && i < f->nsegs; i++) {
		const struct seg *s = &f->segs[i];
		uint32_t take;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		take = RTE_MIN(len, s->len - off);
		memcpy(to, s->base + off, take);
		to += take;
		len -= take;
		off = 0;
	}
}

static uint16_t less_tag(uint16_t off) {
	return off < 4 ? 0 : off - 4;
}

static void pop_tag(struct frame *f) {
	uint8_t macs[12];

	f->tci = be16_get(f->head + 14);
	f->ethertype = be16_get(f->head + 16);
	f->flags |= FRAME_TAGGED;
	memcpy(macs, f->head, sizeof(macs));
	f->head += 4;
	memcpy(f->head, macs, sizeof(macs));
	f->head_len -= 4;
	f->len -= 4;
	f->ol.csum_start = less_tag(f->ol.csum_start);
	f->ol.hdr_len = less_tag(f->ol.hdr_len);
	f->l3_off = less_tag(f->l3_off); /* found by offload_check, if it came before */
	f->l4_off = less_tag(f->l4_off);
}

enum drop frame_parse_tag(struct frame *f) {
	const bool service = frame_is_service_tag(f->ethertype);

	if (f->ethertype != ETHERTYPE_CTAG && !service)
		return DROP_NONE;
	if (f->head_len < FRAME_LEN_MIN + 4)
		return DROP_RUNT;
	if (!service)
		pop_tag(f);
	return frame_is_service_tag(f->ethertype) ? DROP_SERVICE_TAG : DROP_NONE;
}

/* Where the walk through the headers stands. */
struct walk {
	uint32_t off; /* of the next header */
	uint32_t end; /* of the IP packet; what follows is padding */
	uint8_t proto;
	bool fragment;
};

/* Fixes w->end for an IP packet at `l3` that claims to be `claimed` bytes long and may be at most
 * `most`. A GSO frame is as long as it is, its senders leave anything in the length. */
static bool ip_end(
	const struct frame *f, struct walk *w, uint32_t l3, uint32_t claimed, uint32_t most) {
	uint32_t have = f->len - l3;

	if (f->ol.gso_type != 0)
		claimed = have;
	w->end = l3 + claimed;
	return claimed <= have && claimed <= most;
}

static bool walk_ip4(struct frame *f, struct walk *w, const uint8_t *room_end) {
	uint32_t l3 = w->off, ihl;
	const uint8_t *ip;

	if (frame_pull(f, l3 + 20, room_end) < 0)
		return false;
	ip = f->head + l3;
	ihl = (ip[0] & 0xf) * 4;
	if (ip[0] >> 4 != 4 || ihl < 20 || frame_pull(f, l3 + ihl, room_end) < 0)
		return false;
	w->fragment = (be16_get(ip + 6) & 0x3fff) != 0; /* offset or more to come */
	w->proto = ip[9];
	w->off = l3 + ihl;
	return ip_end(f, w, l3, be16_get(ip + 2), UINT16_MAX) && w->off <= w->end;
}

/* Bytes of an IPv6 extension header, 0 when w->proto is none. */
static uint32_t ext_len(const struct walk *w, const uint8_t *ext) {
	switch (w->proto) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return (ext[1] + 1) * 8;
	case IPPROTO_AH:
		return (ext[1] + 2) * 4;
	case IPPROTO_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

static bool is_ext(uint8_t proto) {
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_AH || proto == IPPROTO_FRAGMENT;
}

/* Each header takes at least 8 private bytes: the room bounds the loop. */
static bool walk_ip6(struct frame *f, struct walk *w, const uint8_t *room_end) {
	uint32_t l3 = w->off;

	if (frame_pull(f, l3 + 40, room_end) < 0 || f->head[l3] >> 4 != 6 ||
		!ip_end(f, w, l3, 40 + be16_get(f->head + l3 + 4), 40 + UINT16_MAX))
		return false;
	w->proto = f->head[l3 + 6];
	w->off = l3 + 40;
	while (is_ext(w->proto) && !w->fragment) {
		const uint8_t *ext = f->head + w->off;
		uint32_t len;

		if (w->off + 8 > w->end || frame_pull(f, w->off + 8, room_end) < 0)
			return false;
		len = ext_len(w, ext);
		if (w->off + len > w->end || frame_pull(f, w->off + len, room_end) < 0)
			return false;
		/* Offset 0 and no more to come: whole all the same (RFC 6946). */
		w->fragment = w->proto == IPPROTO_FRAGMENT && (be16_get(ext + 2) & 0xfff9) != 0;
		w->proto = ext[0];
		w->off += len;
	}
	return true;
}

/* Makes the L4 header private. */
static bool pull_l4(struct frame *f, const struct walk *w, const uint8_t *room_end) {
	uint32_t len;

	switch (w->proto) {
	case IPPROTO_TCP:
		len = 20;
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		len = 8;
		break;
	case IPPROTO_SCTP:
		len = 12;
		break;
	default:
		len = 0;
	}
	if (w->off + len > w->end || frame_pull(f, w->off + len, room_end) < 0)
		return false;
	if (w->proto == IPPROTO_TCP) {
		len = (f->head[w->off + 12] >> 4) * 4;
		return len >= 20 && w->off + len <= w->end &&
		       frame_pull(f, w->off + len, room_end) == 0;
	}
	return true;
}

bool frame_parse_l4(struct frame *f, const uint8_t *room_end) {
	struct walk w = {.off = FRAME_LEN_MIN};
	uint16_t type = f->ethertype;

	f->flags &= ~(FRAME_L4 | FRAME_FRAGMENT);
	for (unsigned i = 0; i < TAGS_MAX; i++) {
		if (type != ETHERTYPE_CTAG && type != ETHERTYPE_STAG)
			break;
		if (frame_pull(f, w.off + 4, room_end) < 0)
			return false;
		type = be16_get(f->head + w.off + 2);
		w.off += 4;
	}
	f->l3_off = w.off;
	if (type == ETHERTYPE_IP4 ? !walk_ip4(f, &w, room_end)
				  : type != ETHERTYPE_IP6 || !walk_ip6(f, &w, room_end))
		return false;
	if (!w.fragment && !pull_l4(f, &w, room_end))
		return false;
	f->l4_off = w.off;
	f->proto = w.proto;
	f->flags |= FRAME_L4 | (w.fragment ? FRAME_FRAGMENT : 0);
	return !w.fragment;
}

static bool has_ports(const struct frame *f) {
	return !(f->flags & FRAME_FRAGMENT) &&
	       (f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || f->proto == IPPROTO_UDPLITE ||
		       f->proto == IPPROTO_SCTP);
}

/* One end of a flow: address, at most 16 bytes, and port. */
static uint32_t hash_end(const uint8_t *addr, unsigned len, uint16_t port) {
	uint64_t w[2] = {0};
	uint32_t h;

	memcpy(w, addr, len);
	h = rte_hash_crc_8byte(w[0], port);
	return len > 8 ? rte_hash_crc_8byte(w[1], h) : h;
}

/* Both ends are hashed alike and put in order, so that either direction gives the same. */
uint32_t frame_flow_hash(struct frame *f, const uint8_t *room_end) {
	uint16_t sport = 0, dport = 0;
	const uint8_t *src;
	uint32_t a, b;
	unsigned len;

	if (!(f->flags & FRAME_L4))
		frame_parse_l4(f, room_end);
	if (!(f->flags & FRAME_L4)) {
		a = hash_end(f->head, 6, 0);
		b = hash_end(f->head + 6, 6, 0);
		return rte_hash_crc_8byte((uint64_t)RTE_MAX(a, b) << 32 | RTE_MIN(a, b), 0);
	}
	if (has_ports(f)) {
		sport = be16_get(f->head + f->l4_off);
		dport = be16_get(f->head + f->l4_off + 2);
	}
	len = f->head[f->l3_off] >> 4 == 4 ? 4 : 16;
	src = f->head + f->l3_off + (len == 4 ? 12 : 8);
	a = hash_end(src, len, sport);
	b = hash_end(src + len, len, dport);
	return rte_hash_crc_8byte((uint64_t)RTE_MAX(a, b) << 32 | RTE_MIN(a, b), f->proto);
}
