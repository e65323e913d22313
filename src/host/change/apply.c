/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "host/change/apply_run.h"
#include "host/change/guard.h"
#include "host/change/store.h"

/* The way of a list of changes:
 *
 *   lock -> is an earlier one unfinished? -> read the host -> is anything in use, is each `from` as it
 *   was? -> begin -> [doing, set, read back, done] ... -> end
 *
 * Until `begin` is on the disk nothing was touched. From then on the journal is ahead of the host by one
 * step at most: of the step that has a `doing` and no `done` nothing is known but that it may have happened,
 * whole or half. Going on does it once more, going back takes it back whatever stands there; both are
 * harmless where nothing happened. */

static int run_open(struct run *r, const struct apply *a, struct err *e) {
	int rc;

	*r = (struct run){.a = a, .state = store_folder(a->state), .j = {.fd = -1}};
	r->lock = lock_take(r->state, a->command, a->wait_ms, e);
	if (r->lock < 0)
		return r->lock;
	boot_read(a->root, r->boot);
	rc = run_refresh(r, e);
	if (rc < 0)
		lock_drop(r->lock);
	return rc;
}

static void run_close(struct run *r) {
	journal_close(&r->j);
	host_free(&r->h);
	lock_drop(r->lock);
}

/* What a restart of the host cut off has no end any more: what it changed is gone with it. */
static int close_void(struct run *r, struct err *e) {
	int rc = journal_end(&r->j, END_VOID, e);

	if (rc == 0)
		log_warn(
			"transaction %u (%s) was cut off by a restart of this host, which took its "
			"changes with it; it is closed",
			r->j.id, r->j.command);
	journal_close(&r->j);
	return rc;
}

/* Opens the transaction of this boot that has no end: 1; 0: none. */
static int open_pending(struct run *r, struct err *e) {
	unsigned id = 0;
	int rc;

	while ((id = journal_before(r->state, id)) != 0) {
		if (journal_ended(r->state, id))
			continue;
		rc = journal_open(&r->j, r->state, id, e);
		if (rc < 0)
			return rc;
		if (strcmp(r->j.boot, r->boot) == 0)
			return 1;
		rc = close_void(r, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int refuse_pending(struct run *r, struct err *e) {
	int rc = open_pending(r, e);

	if (rc <= 0)
		return rc;
	return err_set(e, EBUSY,
		"transaction %u (%s) was cut off in the middle; 'weir host undo' takes it back, "
		"'weir host "
		"apply --resume' goes on with it",
		r->j.id, r->j.command);
}

/* The first change of each value: is `from` what stands there? What is not there yet is looked at when its
 * turn comes. */
static int check_from(const struct run *r, const struct changes *l, struct err *e) {
	char now[ATTR_TEXT_MAX];

	for (unsigned i = 0; i < l->n; i++) {
		const struct change *c = &l->c[i];
		bool first = true;

		for (unsigned k = 0; k < i && first; k++)
			first = l->c[k].attr != c->attr || l->c[k].vf != c->vf ||
				strcmp(l->c[k].slot, c->slot) != 0;
		if (!first || attr_get(&r->h, c->attr, c->slot, c->vf, now, NULL) < 0)
			continue;
		if (c->from[0] != '\0' && strcmp(now, c->from) != 0 &&
			(c->implied || strcmp(now, c->to) != 0))
			return refuse_third(c, now, e);
	}
	return 0;
}

static int judge(const struct run *r, const struct changes *l, struct err *e) {
	int rc = r->a->force ? 0 : check_from(r, l, e);

	return rc == 0 && !r->a->force ? guard_changes(&r->h, l, e) : rc;
}

int apply_changes(const struct apply *a, const struct changes *l, unsigned *id, struct err *e) {
	struct run r;
	int rc = run_open(&r, a, e);

	if (rc < 0)
		return rc;
	rc = refuse_pending(&r, e);
	if (rc == 0)
		rc = judge(&r, l, e);
	if (rc == 0)
		rc = journal_begin(&r.j, r.state, r.boot, a->command, l, e);
	if (rc == 0) {
		journal_prune(r.state);
		if (id != NULL)
			*id = r.j.id;
		rc = run_forward(&r, e);
	}
	run_close(&r);
	return rc;
}

int apply_check(const struct apply *a, const struct changes *l, struct err *e) {
	struct run r = {.a = a, .state = store_folder(a->state), .j = {.fd = -1}};
	int rc = run_refresh(&r, e);

	if (rc == 0)
		rc = judge(&r, l, e);
	host_free(&r.h);
	return rc;
}

int apply_pending(const struct apply *a, unsigned *id, char *command, size_t size, struct err *e) {
	struct run r;
	int rc = run_open(&r, a, e);

	if (rc < 0)
		return rc;
	rc = open_pending(&r, e);
	if (rc == 1) {
		*id = r.j.id;
		snprintf(command, size, "%s", r.j.command);
	}
	run_close(&r);
	return rc;
}

int apply_resume(const struct apply *a, struct err *e) {
	struct run r;
	int rc = run_open(&r, a, e);

	if (rc < 0)
		return rc;
	rc = open_pending(&r, e);
	if (rc == 0)
		rc = err_set(e, ENOENT,
			"nothing was cut off since this host was started, so there is nothing to "
			"go on "
			"with");
	else if (rc == 1)
		rc = r.j.back ? run_back(&r, END_UNDONE, e) : run_forward(&r, e);
	run_close(&r);
	return rc;
}

/* The one to be undone is open then; 0 or a negative errno. */
static int open_undoable(struct run *r, unsigned id, struct err *e) {
	int rc = id == 0 ? open_pending(r, e) : 0;
	unsigned at = id;

	if (rc != 0)
		return rc < 0 ? rc : 0;
	while (id != 0 || (at = journal_before(r->state, at)) != 0) {
		rc = journal_open(&r->j, r->state, at, e);
		if (rc == -ENOENT)
			return err_set(e, ENOENT, "there is no transaction %u in %s/journal", id,
				r->state);
		if (rc < 0)
			return rc;
		if (strcmp(r->j.boot, r->boot) == 0 &&
			(r->j.end == END_APPLIED || r->j.end == END_NONE))
			return 0;
		if (id != 0)
			return err_set(e, ENOENT,
				strcmp(r->j.boot, r->boot) == 0
					? "transaction %u (%s) is taken back already"
					: "transaction %u (%s) was before this host was started "
					  "anew, "
					  "which took its changes with it",
				id, r->j.command);
		journal_close(&r->j);
	}
	return err_set(e, ENOENT,
		"there is nothing to undo: weir has changed nothing since this host was started");
}

int apply_undo(const struct apply *a, unsigned id, struct changes *dry, struct err *e) {
	struct changes back = {0};
	struct run r;
	int rc = run_open(&r, a, e);

	if (rc < 0)
		return rc;
	rc = open_undoable(&r, id, e);
	if (rc == 0)
		rc = run_way_back(&r, &back, e);
	// One that was cut off is taken back from wherever it stands.
	if (rc == 0 && r.j.end == END_APPLIED)
		rc = judge(&r, &back, e);
	if (rc == 0 && dry == NULL)
		rc = run_back(&r, END_UNDONE, e);
	if (rc == 0 && dry != NULL)
		*dry = back;
	else
		changes_free(&back);
	run_close(&r);
	return rc;
}
