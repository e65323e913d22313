/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *severity_name(enum severity s) {
	static const char *const names[] = {"good", "note", "warning", "error"};

	return names[s];
}

static json_t *pack(const struct finding *f) {
	return json_pack("{s:s, s:s, s:s, s:s, s:s*}", "rule", f->rule, "severity",
		severity_name(f->severity), "subject", f->subject, "evidence", f->evidence,
		"remedy", f->remedy[0] != '\0' ? f->remedy : NULL);
}

static void to_ascii(char *text) {
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
}

/* JSON has no place for what is no UTF-8: lines of files may be anything, and a text may have been cut. */
json_t *finding_json(const struct finding *f) {
	struct finding plain = *f;
	json_t *v = pack(f);

	if (v != NULL)
		return v;
	to_ascii(plain.subject);
	to_ascii(plain.evidence);
	to_ascii(plain.remedy);
	return pack(&plain);
}

void finding_say(struct finding *f, enum severity s, const char *fmt, ...) {
	va_list ap;

	f->severity = s;
	va_start(ap, fmt);
	vsnprintf(f->evidence, sizeof(f->evidence), fmt, ap);
	va_end(ap);
}

void finding_advise(struct finding *f, const char *fmt, ...) {
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->remedy, sizeof(f->remedy), fmt, ap);
	va_end(ap);
}

void text_add(char *buf, size_t size, const char *fmt, ...) {
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}
