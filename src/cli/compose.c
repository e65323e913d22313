/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Frames in words: a layer's name, then its fields as key=value, then the next layer. A field is a
 * place in the layer and a way to write it, so a layer is a table. Lengths, checksums and the type
 * fields that say what comes next are filled in from the inside out; what the user set stays. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mac.h"
#include "cli/cli.h"

enum as { AS_MAC, AS_IPV4, AS_U8, AS_U16, AS_ARP_OP, AS_VLAN, AS_LEN };

struct field {
	const char *key;
	int at;
	enum as as;
};

struct layer {
	const char *name;
	unsigned size;
	uint8_t preset[28];
	struct field fields[8];
};

enum { ETH, ARP, IPV4, UDP, NLAYERS };

static const struct layer layers[NLAYERS] = {
	{"eth", 14, {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5},
		{{"dst", 0, AS_MAC}, {"src", 6, AS_MAC}, {"type", 12, AS_U16}, {"vlan", 0, AS_VLAN},
			{"len", 0, AS_LEN}}},
	{"arp", 28, {0, 1, 8, 0, 6, 4, 0, 1},
		{{"op", 6, AS_ARP_OP}, {"sha", 8, AS_MAC}, {"spa", 14, AS_IPV4},
			{"tha", 18, AS_MAC}, {"tpa", 24, AS_IPV4}}},
	{"ipv4", 20, {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 253, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2},
		{{"src", 12, AS_IPV4}, {"dst", 16, AS_IPV4}, {"ttl", 8, AS_U8}, {"tos", 1, AS_U8},
			{"proto", 9, AS_U8}, {"len", 0, AS_LEN}}},
	{"udp", 8, {0x30, 0x39, 0, 9},
		{{"sport", 0, AS_U16}, {"dport", 2, AS_U16}, {"len", 0, AS_LEN}}},
};

/* What is being put together. */
struct compose {
	uint8_t *frame;
	unsigned len;
	int at[NLAYERS]; /* where each layer begins, -1: not there */
	bool vlan;
	uint16_t tci;
	bool type_set, proto_set;
	unsigned payload; /* bytes behind the last layer */
};

static int number(const char *text, unsigned long max, unsigned long *n) {
	char *end;

	errno = 0;
	*n = strtoul(text, &end, 0);
	return isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && *n <= max ? 0
											  : -EINVAL;
}

static int put_number(uint8_t *at, int bytes, const char *text) {
	unsigned long n;

	if (number(text, bytes == 1 ? 0xff : 0xffff, &n) < 0)
		return -EINVAL;
	if (bytes == 2)
		*at++ = (uint8_t)(n >> 8);
	*at = (uint8_t)n;
	return 0;
}

static int put_mac(uint8_t *at, const char *text) {
	uint64_t mac;

	if (mac_parse(text, &mac) < 0)
		return -EINVAL;
	mac_store(at, mac);
	return 0;
}

static int put_field(struct compose *c, enum as as, uint8_t *at, const char *text) {
	unsigned long n;
	int ret = 0;

	switch (as) {
	case AS_MAC:
		return put_mac(at, text);
	case AS_IPV4:
		return inet_pton(AF_INET, text, at) == 1 ? 0 : -EINVAL;
	case AS_U8:
		return put_number(at, 1, text);
	case AS_U16:
		return put_number(at, 2, text);
	case AS_ARP_OP:
		if (strcmp(text, "request") == 0 || strcmp(text, "reply") == 0)
			at[1] = text[2] == 'q' ? 1 : 2;
		else
			ret = put_number(at, 2, text);
		return ret;
	case AS_VLAN:
		ret = number(text, 4095, &n);
		c->vlan = true;
		c->tci = (uint16_t)n;
		return ret;
	case AS_LEN:
		ret = number(text, 65000, &n);
		c->payload = (unsigned)n;
		return ret;
	}
	return -EINVAL;
}

static int begin_layer(struct compose *c, int l, struct err *e) {
	static const int below[NLAYERS] = {-1, ETH, ETH, IPV4};

	if (c->at[l] >= 0)
		return err_set(e, EINVAL, "frame: '%s' is there twice", layers[l].name);
	if (below[l] >= 0 && c->at[below[l]] < 0)
		return err_set(e, EINVAL, "frame: '%s' goes behind '%s', which is not there",
			layers[l].name, layers[below[l]].name);
	if ((l == IPV4 && c->at[ARP] >= 0) || (l == ARP && c->at[IPV4] >= 0))
		return err_set(e, EINVAL, "frame: arp and ipv4 exclude each other");
	c->at[l] = (int)c->len;
	memcpy(c->frame + c->len, layers[l].preset, layers[l].size);
	c->len += layers[l].size;
	return 0;
}

static int set_field(struct compose *c, int l, const char *word, struct err *e) {
	const char *eq = strchr(word, '=');

	for (const struct field *f = layers[l].fields; f->key != NULL && eq != NULL; f++) {
		if (strlen(f->key) != (size_t)(eq - word) ||
			strncmp(f->key, word, strlen(f->key)) != 0)
			continue;
		if (put_field(c, f->as, c->frame + c->at[l] + f->at, eq + 1) < 0)
			return err_set(e, EINVAL, "frame: '%s' is no valid %s of %s", eq + 1,
				f->key, layers[l].name);
		c->type_set |= strcmp(f->key, "type") == 0;
		c->proto_set |= strcmp(f->key, "proto") == 0;
		return 0;
	}
	return err_set(e, EINVAL,
		"frame: '%s' is neither a layer (eth, arp, ipv4, udp) nor a field of %s", word,
		layers[l].name);
}

static void put16(uint8_t *at, unsigned v) {
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* RFC 1071. */
static unsigned sum(const uint8_t *p, unsigned n, unsigned s) {
	for (unsigned i = 0; i < n; i++)
		s += i & 1 ? p[i] : (unsigned)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void finish(struct compose *c) {
	uint8_t *eth = c->frame, *ip = c->frame + c->at[IPV4], *udp = c->frame + c->at[UDP];

	memset(c->frame + c->len, 0, c->payload);
	c->len += c->payload;
	if (!c->type_set && (c->at[ARP] >= 0 || c->at[IPV4] >= 0))
		put16(eth + 12, c->at[ARP] >= 0 ? 0x0806 : 0x0800);
	if (c->at[ARP] >= 0) {
		uint8_t *arp = c->frame + c->at[ARP];

		if (mac_load(arp + 8) == 0)
			memcpy(arp + 8, eth + 6, 6);
	}
	if (c->at[IPV4] >= 0) {
		unsigned all = c->len - (unsigned)c->at[IPV4];

		if (!c->proto_set && c->at[UDP] >= 0)
			ip[9] = 17;
		put16(ip + 2, all);
		put16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
	}
	if (c->at[UDP] >= 0) {
		unsigned n = c->len - (unsigned)c->at[UDP], s;

		put16(udp + 4, n);
		s = ~sum(udp, n, sum(ip + 12, 8, 17 + n)) & 0xffff;
		put16(udp + 6, s == 0 ? 0xffff : s);
	}
	if (c->vlan) {
		memmove(eth + 16, eth + 12, c->len - 12);
		put16(eth + 12, 0x8100);
		put16(eth + 14, c->tci);
		c->len += 4;
	}
	if (c->len < 60) { // what a wire would make of it
		memset(c->frame + c->len, 0, 60 - c->len);
		c->len = 60;
	}
}

static int from_words(int argc, char **argv, uint8_t *frame, struct err *e) {
	struct compose c = {.frame = frame, .at = {-1, -1, -1, -1}};
	int now = -1, ret = 0;

	for (int i = 0; i < argc && ret == 0; i++) {
		int l = 0;

		while (l < NLAYERS && strcmp(layers[l].name, argv[i]) != 0)
			l++;
		if (l < NLAYERS) {
			ret = begin_layer(&c, l, e);
			now = l;
		} else {
			ret = set_field(&c, now, argv[i], e);
		}
	}
	if (ret < 0)
		return ret;
	finish(&c);
	return (int)c.len;
}

/* Hex digits to bytes; the separators people use are passed over. */
static int from_hex(const char *text, size_t n, uint8_t *frame, struct err *e) {
	unsigned len = 0, half = 0;
	int high = 0;

	for (size_t i = 0; i < n; i++) {
		int ch = (unsigned char)text[i], v;

		if (isspace(ch) || ch == ':' || ch == '-')
			continue;
		if (!isxdigit(ch))
			return err_set(e, EINVAL, "frame: byte %zu of it is no hex digit", i + 1);
		v = isdigit(ch) ? ch - '0' : tolower(ch) - 'a' + 10;
		if (half ^= 1) {
			high = v;
			continue;
		}
		if (len == COMPOSE_MAX)
			return err_set(e, EINVAL, "frame: longer than %d bytes", COMPOSE_MAX);
		frame[len++] = (uint8_t)(high << 4 | v);
	}
	if (half)
		return err_set(e, EINVAL, "frame: an odd number of hex digits; a byte has two");
	if (len == 0)
		return err_set(e, EINVAL, "frame: it is empty");
	return (int)len;
}

/* Text that is all hex and separators is hex, anything else is the frame itself. */
static int from_file(const char *name, uint8_t *frame, struct err *e) {
	FILE *f = strcmp(name, "-") == 0 ? stdin : file_stream(name, e);
	char *text = f != NULL ? malloc(4 * COMPOSE_MAX) : NULL;
	bool raw = false;
	size_t n = 0;
	int ret;

	if (f == NULL) {
		err_prefix(e, "frame: ");
		return -EINVAL;
	}
	if (text == NULL) {
		if (f != stdin)
			fclose(f);
		return err_set(e, ENOMEM, "frame: no memory to read %s", name);
	}
	n = fread(text, 1, 4 * COMPOSE_MAX, f);
	if (f != stdin)
		fclose(f);
	for (size_t i = 0; i < n; i++)
		raw |= !isxdigit((unsigned char)text[i]) && !isspace((unsigned char)text[i]) &&
		       text[i] != ':' && text[i] != '-';
	if (!raw) {
		ret = from_hex(text, n, frame, e);
	} else if (n > COMPOSE_MAX) {
		ret = err_set(e, EINVAL, "frame: longer than %d bytes", COMPOSE_MAX);
	} else {
		memcpy(frame, text, n);
		ret = (int)n;
	}
	free(text);
	return ret;
}

int compose_frame(int argc, char **argv, uint8_t *frame, struct err *e) {
	size_t n = 1;
	char *text;
	int ret;

	if (argc == 1 && (strcmp(argv[0], "-") == 0 || argv[0][0] == '@'))
		return from_file(argv[0][0] == '@' ? argv[0] + 1 : "-", frame, e);
	if (strcmp(argv[0], "eth") == 0)
		return from_words(argc, argv, frame, e);
	for (int i = 0; i < argc; i++)
		n += strlen(argv[i]);
	text = calloc(1, n);
	if (text == NULL)
		return err_set(e, ENOMEM, "out of memory");
	for (int i = 0; i < argc; i++)
		strcat(text, argv[i]);
	ret = from_hex(text, n - 1, frame, e);
	free(text);
	return ret;
}
