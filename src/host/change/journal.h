/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_JOURNAL_H
#define WEIR_HOST_JOURNAL_H

#include <limits.h>
#include <stdbool.h>

#include "host/change/change.h"
#include "host/change/owner.h"

/* The lock of the state folder, and the journal of one transaction: STATE/journal/N.json, a line an event,
 * each synced before what it announces is done.
 *
 *   {"begin": COMMAND, "boot": ID, "time": ..., "changes": [...]}
 *   {"doing": i, "from": what stood there, "override": driver_override then}
 *   {"done": i}  or  {"found": i}     the latter: its value stood there already, it is not ours
 *   {"undoing": i}, {"undone": i}     on the way back
 *   {"end": "applied"|"rolled back"|"undone"|"void"}
 *
 * A line without its newline was cut off, and what it announced did not begin. */

struct err;

enum step_state { STEP_NONE, STEP_DOING, STEP_DONE, STEP_FOUND, STEP_UNDOING, STEP_UNDONE };
enum journal_end { END_NONE, END_APPLIED, END_ROLLED_BACK, END_UNDONE, END_VOID };

enum { COMMAND_MAX = 200, JOURNALS_KEPT = 50 };

struct journal {
	int fd; /* -1: not open */
	unsigned id;
	char path[PATH_MAX], command[COMMAND_MAX], boot[BOOT_MAX];
	struct changes l; /* `from` is what was really found, once a step began */
	unsigned char *step; /* enum step_state of each */
	bool back; /* it is on its way back, or was taken back */
	enum journal_end end;
	/* driver_override before the driver that was bound last, for one that was cut off in between */
	char override[PCI_DRIVER_MAX];
};

/* Opens a file of STATE that is there to be locked (base/lockfile.h), and makes the folders. -EPERM with a
 * sentence: others could write to them, or to the file. */
int lock_open(const char *state, const char *name, struct err *e);
/* Descriptor of the lock, to be given to lock_drop; -EBUSY with who has it. Makes the folders. */
int lock_take(const char *state, const char *command, unsigned wait_ms, struct err *e);
void lock_drop(int fd);

/* Writes the first line, and claims the disk space for all that follow. Nothing is left when it fails. */
int journal_begin(struct journal *j, const char *state, const char *boot, const char *command,
	const struct changes *l, struct err *e);
/* Reads one, and opens it to go on. -ENOENT, -EBADMSG. */
int journal_open(struct journal *j, const char *state, unsigned id, struct err *e);
void journal_close(struct journal *j);

/* A line, on the disk when it returns; the state of step i follows. */
int journal_step(struct journal *j, unsigned i, enum step_state s, struct err *e);
int journal_end(struct journal *j, enum journal_end end, struct err *e);

/* The newest transaction before number `below` (0: of all), 0: none. */
unsigned journal_before(const char *state, unsigned below);
/* Whether the last whole line is an end, without reading the rest. */
bool journal_ended(const char *state, unsigned id);
/* Removes all but the newest JOURNALS_KEPT. */
void journal_prune(const char *state);

#endif
