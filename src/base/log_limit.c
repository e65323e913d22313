/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A client that is refused comes again at once: some thousand lines a second, of which the first few say
 * all. So lines that others can bring about are counted by who they are about and why. The first BURST of
 * a subject and reason within a window are written, the others counted, and when the window is over one
 * line says how many there were. A reason is the words, without numbers; who varies them gets no further
 * than REASONS of a subject, all others share one count. */
#include "base/log.h"

#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	BURST = 5, // lines of a subject and reason in a window
	WINDOW_S = 10,
	REASONS = 8, // of a subject in a window
	ENTRIES = 256, // subjects and reasons at a time; some 60 KiB
	SUBJECT = 64,
	TEXT = 160 // of a line that is told again
};

struct entry {
	bool used, others; // others: of all further reasons of the subject
	enum log_level level;
	uint64_t reason;
	uint64_t from_ns; // begin of its window
	unsigned lines, held;
	char subject[SUBJECT], text[TEXT];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct entry entries[ENTRIES];

static uint64_t now_ns(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* FNV-1a of the text without its digits. */
static uint64_t reason_of(const char *text) {
	uint64_t h = 0xcbf29ce484222325;

	for (; *text != '\0'; text++)
		if (!isdigit((unsigned char)*text))
			h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

static void end_window(struct entry *x, uint64_t now) {
	if (x->held > 0 && x->others)
		log_msg(x->level, "%s: %u more of other kinds in %llu s", x->subject, x->held,
			(unsigned long long)((now - x->from_ns) / 1000000000));
	else if (x->held > 0)
		log_msg(x->level, "%s: %u more of these in %llu s: %s", x->subject, x->held,
			(unsigned long long)((now - x->from_ns) / 1000000000), x->text);
	x->used = false;
}

static void end_old(uint64_t now, bool all) {
	for (int i = 0; i < ENTRIES; i++)
		if (entries[i].used &&
			(all || now - entries[i].from_ns >= WINDOW_S * (uint64_t)1000000000))
			end_window(&entries[i], now);
}

/* A free entry; the oldest has to go when there is none. */
static struct entry *free_entry(uint64_t now) {
	struct entry *oldest = &entries[0];

	for (int i = 0; i < ENTRIES; i++) {
		if (!entries[i].used)
			return &entries[i];
		if (entries[i].from_ns < oldest->from_ns)
			oldest = &entries[i];
	}
	end_window(oldest, now);
	return oldest;
}

static struct entry *find(const char *subject, uint64_t reason, uint64_t now) {
	struct entry *others = NULL, *x;
	unsigned reasons = 0;

	for (int i = 0; i < ENTRIES; i++) {
		x = &entries[i];
		if (!x->used || strncmp(x->subject, subject, SUBJECT - 1) != 0)
			continue;
		if (!x->others && x->reason == reason)
			return x;
		reasons++;
		others = x->others ? x : others;
	}
	if (others != NULL)
		return others;
	x = free_entry(now);
	*x = (struct entry){
		.used = true, .others = reasons >= REASONS, .reason = reason, .from_ns = now};
	snprintf(x->subject, sizeof(x->subject), "%s", subject);
	return x;
}

void log_limited(enum log_level level, const char *subject, const char *fmt, ...) {
	uint64_t now = now_ns();
	struct entry *x;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&mutex);
	end_old(now, false);
	x = find(subject, reason_of(text), now);
	x->level = level;
	snprintf(x->text, sizeof(x->text), "%.*s", TEXT - 1, text);
	if (x->lines < BURST) {
		x->lines++;
		log_msg(level, "%s: %s", subject, text);
	} else {
		x->held++;
	}
	pthread_mutex_unlock(&mutex);
}

void log_flush(bool all) {
	pthread_mutex_lock(&mutex);
	end_old(now_ns(), all);
	pthread_mutex_unlock(&mutex);
}
