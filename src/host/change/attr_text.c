/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "base/units.h"
#include "host/change/attr.h"

/* Values as users write them, and their one canonical text. */

const char *on_off(bool on) {
	return on ? "on" : "off";
}

const char *vf_state_word(enum vf_state s) {
	static const char *const words[] = {"auto", "enable", "disable"};

	return s <= VF_STATE_DISABLE ? words[s] : "auto";
}

/* A decimal number, nothing behind it. */
static bool number(const char *text, unsigned long max, unsigned *v) {
	unsigned long n;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (*end != '\0' || errno != 0 || n > max)
		return false;
	*v = (unsigned)n;
	return true;
}

/* The next word of *text, without blanks and commas; false: there is none. */
static bool next_word(const char **text, char *word, size_t size) {
	size_t n;

	*text += strspn(*text, " \t,");
	n = strcspn(*text, " \t,");
	if (n == 0)
		return false;
	snprintf(word, size, "%.*s", (int)(n < size ? n : size - 1), *text);
	*text += n;
	return true;
}

static int proto_parse(const char *word, unsigned *proto, struct err *e) {
	if (strcasecmp(word, "802.1Q") == 0)
		*proto = 0x8100;
	else if (strcasecmp(word, "802.1ad") == 0)
		*proto = 0x88a8;
	else
		return err_set(e, EINVAL,
			"'%.40s' is no VLAN protocol; there are 802.1Q and 802.1ad", word);
	return 0;
}

int vlan_parse(const char *text, struct attr_vlan *v, struct err *e) {
	char word[32], value[32];
	int rc = 0;

	while (rc == 0 && next_word(&text, word, sizeof(word))) {
		bool qos = strcmp(word, "qos") == 0, proto = strcmp(word, "proto") == 0;

		if (strcmp(word, "none") == 0)
			snprintf(word, sizeof(word), "0");
		if (qos || proto)
			if (!next_word(&text, value, sizeof(value)))
				return err_set(e, EINVAL, "'%s' has no value; write %s", word,
					qos ? "qos 0 to 7" : "proto 802.1Q or 802.1ad");
		if (proto)
			rc = proto_parse(value, &v->proto, e);
		else if (qos && !number(value, 7, &v->qos))
			rc = err_set(e, ERANGE, "'%.40s' is no priority; qos is 0 to 7", value);
		else if (!qos && !number(word, 4094, &v->vlan))
			rc = err_set(e, ERANGE,
				"'%.40s' is no VLAN; write 1 to 4094, or 0 for none, then qos N "
				"and "
				"proto 802.1ad where wanted",
				word);
	}
	if (v->vlan == 0 && v->qos == 0)
		v->proto = 0x8100; // no tag is no tag of any protocol
	return rc;
}

void vlan_format(const struct attr_vlan *v, char text[ATTR_TEXT_MAX]) {
	int n = snprintf(text, ATTR_TEXT_MAX, "%u", v->vlan);

	if (v->qos != 0)
		n += snprintf(text + n, (size_t)(ATTR_TEXT_MAX - n), " qos %u", v->qos);
	if (v->proto == 0x88a8)
		snprintf(text + n, (size_t)(ATTR_TEXT_MAX - n), " proto 802.1ad");
}

/* "1Gbit", or bare Mbit/s as the kernel has them. */
static int mbit_parse(const char *word, uint32_t *mbit, struct err *e) {
	uint64_t bits;
	unsigned n;

	if (strcmp(word, "none") == 0) {
		*mbit = 0;
	} else if (number(word, UINT32_MAX, &n)) {
		*mbit = n;
	} else {
		if (units_rate(word, &bits, e) < 0)
			return -EINVAL;
		if (bits % 1000000 != 0)
			return err_set(e, EINVAL,
				"'%.40s': VFs are limited in whole Mbit/s, this is between %llu "
				"and "
				"%llu",
				word, (unsigned long long)bits / 1000000,
				(unsigned long long)bits / 1000000 + 1);
		if (bits / 1000000 > UINT32_MAX)
			return err_set(
				e, ERANGE, "'%.40s' is more than the kernel can be told", word);
		*mbit = (uint32_t)(bits / 1000000);
	}
	return 0;
}

int rate_parse(const char *text, struct attr_rate *v, struct err *e) {
	char word[32];
	int rc = 0;

	while (rc == 0 && next_word(&text, word, sizeof(word))) {
		bool min = strcmp(word, "min") == 0, max = strcmp(word, "max") == 0;

		if ((min || max) && !next_word(&text, word, sizeof(word)))
			return err_set(e, EINVAL, "'%s' has no rate; write %s 1Gbit", word, word);
		rc = mbit_parse(word, min ? &v->min : &v->max, e);
	}
	if (rc == 0 && v->max != 0 && v->min > v->max)
		rc = err_set(e, EINVAL,
			"a min rate of %u Mbit/s is above the max rate of %u; lower one or raise "
			"the "
			"other",
			v->min, v->max);
	return rc;
}

void rate_format(const struct attr_rate *v, char text[ATTR_TEXT_MAX]) {
	snprintf(text, ATTR_TEXT_MAX, "min %u max %u", v->min, v->max);
}

bool attr_holds(const struct change *c, const char *now) {
	uint64_t to, is;

	if (strcmp(now, c->to) == 0)
		return true;
	return c->attr == ATTR_MAC && mac_parse(c->to, &to) == 0 && to == 0 &&
	       mac_parse(now, &is) == 0 && (is & 2) != 0 && strcmp(now, c->from) != 0;
}

/* What a word may also be called, to its canonical one; NULL at the end. */
static int word_parse(const char *const pairs[][2], const char *value, char text[ATTR_TEXT_MAX],
	const char *allowed, struct err *e) {
	for (; (*pairs)[0] != NULL; pairs++)
		if (strcasecmp((*pairs)[0], value) == 0) {
			snprintf(text, ATTR_TEXT_MAX, "%s", (*pairs)[1]);
			return 0;
		}
	return err_set(e, EINVAL, "'%.40s' is not possible; there are: %s", value, allowed);
}

static int switch_parse(const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	static const char *const words[][2] = {{"on", "on"}, {"yes", "on"}, {"true", "on"},
		{"1", "on"}, {"off", "off"}, {"no", "off"}, {"false", "off"}, {"0", "off"},
		{NULL, NULL}};

	return word_parse(words, value, text, "on, off", e);
}

static int state_parse(const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	static const char *const words[][2] = {{"auto", "auto"}, {"enable", "enable"},
		{"up", "enable"}, {"disable", "disable"}, {"down", "disable"}, {NULL, NULL}};

	return word_parse(words, value, text, "auto, enable, disable", e);
}

static int up_parse(const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	static const char *const words[][2] = {{"up", "up"}, {"down", "down"}, {NULL, NULL}};

	return word_parse(words, value, text, "up, down", e);
}

static int eswitch_parse(const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	static const char *const words[][2] = {
		{"legacy", "legacy"}, {"switchdev", "switchdev"}, {NULL, NULL}};

	return word_parse(words, value, text, "legacy, switchdev", e);
}

static int mac_text(const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	uint64_t mac = 0;

	if (strcmp(value, "none") != 0 && mac_parse(value, &mac) < 0)
		return err_set(e, EINVAL,
			"'%.40s' is no MAC address; write it like 52:54:00:00:00:01, or none",
			value);
	if (mac_is_group(mac))
		return err_set(e, EINVAL,
			"'%.40s' is a group address (its first octet is odd), which no VF can have "
			"as "
			"its own",
			value);
	mac_format(mac, text);
	return 0;
}

static int count_text(const char *value, unsigned long min, unsigned long max, const char *what,
	char text[ATTR_TEXT_MAX], struct err *e) {
	unsigned n;

	if (!number(value, max, &n) || n < min)
		return err_set(
			e, ERANGE, "'%.40s' is no %s; it is %lu to %lu", value, what, min, max);
	snprintf(text, ATTR_TEXT_MAX, "%u", n);
	return 0;
}

static int name_text(const char *value, size_t max, const char *also, const char *what,
	char text[ATTR_TEXT_MAX], struct err *e) {
	size_t n = strlen(value), good = 0;

	while (isalnum((unsigned char)value[good]) ||
		(value[good] != '\0' && strchr(also, value[good]) != NULL))
		good++;
	if (n == 0 || n > max || good < n || !isalnum((unsigned char)value[0]))
		return err_set(e, EINVAL,
			"'%.40s' is no name of %s; it has 1 to %zu letters, digits and %s, and "
			"begins "
			"with a letter or digit",
			value, what, max, also);
	memcpy(text, value, n + 1);
	return 0;
}

static int vlan_text(const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	struct attr_vlan v = {.proto = 0x8100};
	int rc = vlan_parse(value, &v, e);

	if (rc == 0)
		vlan_format(&v, text);
	return rc;
}

static int rate_text(const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	struct attr_rate v = {0};
	int rc = rate_parse(value, &v, e);

	if (rc == 0)
		rate_format(&v, text);
	return rc;
}

int attr_parse(enum attr a, const char *value, char text[ATTR_TEXT_MAX], struct err *e) {
	if (value[strspn(value, " \t")] == '\0')
		return err_set(e, EINVAL, "%s wants a value", attr_name(a));
	switch (a) {
	case ATTR_DRIVER:
	case ATTR_OVERRIDE:
		return name_text(value, PCI_DRIVER_MAX - 1, "-_", "a driver", text, e);
	case ATTR_VFS:
		return count_text(value, 0, UINT16_MAX, "number of VFs", text, e);
	case ATTR_MTU:
		return count_text(value, 68, UINT16_MAX, "MTU", text, e);
	case ATTR_ESWITCH:
		return eswitch_parse(value, text, e);
	case ATTR_UP:
		return up_parse(value, text, e);
	case ATTR_MAC:
		return mac_text(value, text, e);
	case ATTR_VLAN:
		return vlan_text(value, text, e);
	case ATTR_RATE:
		return rate_text(value, text, e);
	case ATTR_STATE:
		return state_parse(value, text, e);
	case ATTR_OWNER:
		return name_text(value, ATTR_TEXT_MAX - 1, "-_.:@/", "an owner", text, e);
	case ATTR_AUTOPROBE:
	case ATTR_SPOOFCHK:
	case ATTR_TRUST:
	case ATTR_RSS_QUERY:
		return switch_parse(value, text, e);
	case ATTR_COUNT:
		break;
	}
	return err_set(e, EINVAL, "no such attribute");
}
