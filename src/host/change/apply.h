/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_APPLY_H
#define WEIR_HOST_APPLY_H

#include <stdbool.h>

#include <jansson.h>

#include "host/change/change.h"
#include "host/root.h"

/* Makes a list of changes true, or nothing of it.
 *
 * One weir at a time changes a host: a lock in the state folder says who does. Before the first step the
 * whole list goes into a journal, before and after each step a line: whoever finds a journal without an
 * end (weir was killed, the machine went down) knows exactly what was done, and can go on or back. Each
 * value is read back from the kernel after it was written; a step that fails, or that the kernel took
 * without effect, takes the steps before it back.
 *
 * STATE/lock               flock; holds the pid and command of who has it
 * STATE/journal/N.json   one transaction (journal.h)
 * STATE/owners/SLOT.json   who has a VF (owner.h) */

struct err;
struct host;

enum { APPLY_STATE_MAX = 256 };

struct apply {
	const struct root *root;
	const char *state; /* NULL: /var/lib/weir/host */
	const char *command; /* what the user said, for lock, journal and messages */
	unsigned wait_ms; /* for the lock, 0: not at all */
	bool round; /* the list ends where it began: once it is through, there is nothing to undo */
	bool force; /* changes what is in use, or was changed by somebody else meanwhile, too */
	unsigned
		limit_ms; /* for what a driver is asked to do, 0: as long as drivers are known to take */
	/* Called when a step begins, which the journal has then (status 1), and when it is done (0) or
	 * failed (-errno), on the way back too; may be NULL. */
	void (*step)(void *ctx, unsigned i, const struct change *c, int status);
	void *ctx;
};

/* 0: all done, the transaction's number in *id (may be NULL). -errno with a sentence: nothing is changed
 * any more (rolled back), or the sentence says what could not be taken back. -EBUSY: another weir has the
 * lock (who), or an earlier transaction has no end yet (resume or undo it first). */
int apply_changes(const struct apply *a, const struct changes *l, unsigned *id, struct err *e);

/* Whether it would be begun: nothing is in use that the list would take (guard.h), and each `from` stands.
 * Needs no lock and writes nothing. */
int apply_check(const struct apply *a, const struct changes *l, struct err *e);

/* The transaction that was cut off, if there is one of this boot: 1 and its number and command; 0: none. */
int apply_pending(const struct apply *a, unsigned *id, char *command, size_t size, struct err *e);
/* Goes on with it, or takes it back. */
int apply_resume(const struct apply *a, struct err *e);
/* Takes back transaction `id`, 0: the newest that is not undone. -ENOENT: there is none. `dry`, when not
 * NULL, gets the changes and nothing is done. */
int apply_undo(const struct apply *a, unsigned id, struct changes *dry, struct err *e);

#endif
