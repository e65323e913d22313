/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_FINDING_H
#define WEIR_HOST_FINDING_H

#include <stddef.h>

#include <jansson.h>

/* What `weir pci check` and `weir host check` say: a verdict with what it rests on, and what to do. */

enum severity {
	SEVERITY_GOOD, /* nothing to do; only where each check is reported */
	SEVERITY_NOTE, /* good to know, or it could not be told */
	SEVERITY_WARNING, /* works, but not as one would wish or for long */
	SEVERITY_ERROR, /* does not work, or harms others */
};

struct finding {
	const char *rule; /* static: "iommu", "mac-duplicate" */
	enum severity severity;
	char subject[64]; /* a slot, "0000:01:00.0 vf 3", an interface, a file; "host" */
	char evidence[400],
		remedy[320]; /* sentences without a full stop; remedy "": none is needed */
};

const char *severity_name(enum severity s); /* "good", "note", "warning", "error" */

/* {"rule", "severity", "subject", "evidence", "remedy"}; remedy null when there is none to be taken. */
json_t *finding_json(const struct finding *f);

/* Sets the evidence, or the remedy, and the severity with the first. */
void finding_say(struct finding *f, enum severity s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void finding_advise(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends printf text to what stands in buf; what does not fit is cut. */
void text_add(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
