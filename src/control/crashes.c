/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/crashes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "port/port.h"

/* The file has a line for each port, all of one length, so that one write changes one of them: its name,
 * whether it is at work, and at how many crashes it was. It is there while the switch runs, and gone when
 * it ended by itself. It lies in /run, so a write takes a microsecond and a restart of the host forgets it.
 *
 *     vm1                             w     3
 *
 * Ports that are held come back one after another: who was not there yet at the next crash is not counted,
 * so after a few crashes the one that is at all of them stands alone. */

enum { LINE = PORT_NAME_MAX + 8, SLOTS = PORTS_MAX };
#define LINE_FORMAT "%-*.*s %c %5u\n"

struct slot {
	char name[PORT_NAME_MAX]; /* empty: free */
	bool at_work;
	unsigned crashes;
	uint64_t since_us; /* at work; 0: not */
	uint64_t until_us; /* held; 0: not */
};

struct crashes {
	int fd; /* -1: nothing is written */
	char *path;
	struct slot slot[SLOTS];
};

static struct slot *find(const struct crashes *c, const char *port) {
	for (unsigned i = 0; c != NULL && i < SLOTS; i++)
		if (c->slot[i].name[0] != '\0' && strcmp(c->slot[i].name, port) == 0)
			return (struct slot *)&c->slot[i];
	return NULL;
}

/* A slot for a port that has none; NULL: all are taken by ports with something to remember. */
static struct slot *claim(struct crashes *c, const char *port) {
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &c->slot[i];

		if (s->name[0] != '\0' && (s->at_work || s->crashes > 0))
			continue;
		*s = (struct slot){0};
		snprintf(s->name, sizeof(s->name), "%s", port);
		return s;
	}
	return NULL;
}

static void give_up(struct crashes *c, const char *what) {
	log_warn("cannot %s %s: %s; after a crash ports are let in at once", what, c->path,
		strerror(errno));
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void record(struct crashes *c, const struct slot *s) {
	char line[LINE + 16];

	if (c->fd < 0)
		return;
	snprintf(line, sizeof(line), LINE_FORMAT, PORT_NAME_MAX - 1, PORT_NAME_MAX - 1, s->name,
		s->at_work ? 'w' : '-', s->crashes % 100000);
	if (pwrite(c->fd, line, LINE, (s - c->slot) * LINE) != LINE)
		give_up(c, "write");
}

/* One line of the run before; what is none is passed over. */
static void take_line(struct crashes *c, const char *line) {
	char name[PORT_NAME_MAX], work;
	unsigned n;
	struct slot *s;

	if (sscanf(line, "%31s %c %5u", name, &work, &n) != 3 || find(c, name) != NULL)
		return;
	n += work == 'w';
	s = n > 0 ? claim(c, name) : NULL;
	if (s != NULL)
		s->crashes = n;
}

static void take_all(struct crashes *c) {
	char line[LINE + 1] = "";

	for (off_t at = 0; pread(c->fd, line, LINE, at) == LINE; at += LINE)
		take_line(c, line);
	if (ftruncate(c->fd, 0) < 0)
		give_up(c, "empty");
	for (unsigned i = 0; i < SLOTS; i++)
		if (c->slot[i].name[0] != '\0')
			record(c, &c->slot[i]);
}

static uint32_t shuffled(const char *name, unsigned seed) {
	uint32_t h = 2166136261u ^ seed * 2654435761u; // FNV-1a

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

/* In another order after each crash, within the time by which their holds differ. */
static void hold(struct crashes *c, uint64_t now_us) {
	unsigned held = 0, all = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		held += c->slot[i].crashes > CRASHES_FREE;
		all += c->slot[i].crashes;
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &c->slot[i];
		const uint32_t mine = shuffled(s->name, all);
		uint64_t us = CRASHES_HOLD_S * 1000000ull, before = 0;

		if (s->crashes <= CRASHES_FREE)
			continue;
		for (unsigned k = CRASHES_FREE + 1;
			k < s->crashes && us < CRASHES_HOLD_MAX_S * 1000000ull; k++)
			us *= 2;
		us = us < CRASHES_HOLD_MAX_S * 1000000ull ? us : CRASHES_HOLD_MAX_S * 1000000ull;
		for (unsigned k = 0; k < SLOTS; k++)
			before += c->slot[k].crashes > CRASHES_FREE &&
				  shuffled(c->slot[k].name, all) < mine;
		s->until_us = now_us + us + us * before / held;
		log_warn("port %s was at work at %u crashes; it is let in %llu ms from now",
			s->name, s->crashes, (unsigned long long)(s->until_us - now_us) / 1000);
	}
}

struct crashes *crashes_open(const char *path, uint64_t now_us) {
	struct crashes *c = calloc(1, sizeof(*c));
	struct stat st;

	if (c == NULL || (c->path = strdup(path)) == NULL) {
		free(c);
		return NULL;
	}
	c->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (c->fd >= 0 && (fstat(c->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
				  st.st_uid != geteuid() || (st.st_mode & 022) != 0)) {
		errno = EPERM; // somebody else's
		give_up(c, "use");
	} else if (c->fd < 0) {
		give_up(c, "open");
	}
	if (c->fd >= 0) {
		take_all(c);
		hold(c, now_us);
	}
	return c;
}

void crashes_close(struct crashes *c, bool ended) {
	if (c == NULL)
		return;
	for (unsigned i = 0; i < SLOTS && !ended; i++)
		if (c->slot[i].at_work)
			crashes_working(c, c->slot[i].name, false, 0);
	if (c->fd >= 0) {
		if (ended)
			unlink(c->path);
		close(c->fd);
	}
	free(c->path);
	free(c);
}

unsigned crashes_of(const struct crashes *c, const char *port) {
	const struct slot *s = find(c, port);

	return s != NULL ? s->crashes : 0;
}

uint64_t crashes_held_until(const struct crashes *c, const char *port) {
	const struct slot *s = find(c, port);

	return s != NULL ? s->until_us : 0;
}

void crashes_working(struct crashes *c, const char *port, bool at_work, uint64_t now_us) {
	struct slot *s = find(c, port);

	if (c == NULL || (s == NULL && !at_work))
		return;
	if (s == NULL)
		s = claim(c, port);
	if (s == NULL || s->at_work == at_work)
		return;
	s->at_work = at_work;
	s->since_us = at_work ? now_us : 0;
	record(c, s);
}

void crashes_look(struct crashes *c, uint64_t now_us) {
	for (unsigned i = 0; c != NULL && i < SLOTS; i++) {
		struct slot *s = &c->slot[i];

		if (s->until_us != 0 && now_us >= s->until_us)
			s->until_us = 0;
		if (!s->at_work || s->crashes == 0 ||
			now_us - s->since_us < CRASHES_FINE_S * 1000000ull)
			continue;
		if (s->crashes > CRASHES_FREE)
			log_info("port %s has been at work for %d s; the %u crashes it was at are "
				 "forgotten",
				s->name, CRASHES_FINE_S, s->crashes);
		s->crashes = 0;
		record(c, s);
	}
}
