/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/apply_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/change/attr.h"

enum { STARTS = 1 }; // status that apply.h's callback gets before a step

int run_refresh(struct run *r, struct err *e) {
	host_free(&r->h);
	r->h = (struct host){0};
	int rc = host_read(&r->h, r->a->root, e);

	r->h.state = r->state;
	r->h.limit_ms = r->a->limit_ms;
	return rc;
}

int refuse_third(const struct change *c, const char *now, struct err *e) {
	char what[ATTR_WHAT_MAX];

	return err_set(e, EEXIST,
		"%s: %s is '%s' now, neither '%s' as it was nor '%s' as it shall be: somebody else "
		"changed "
		"it; look again, or say --force",
		attr_what(c->slot, c->vf, what), attr_name(c->attr), now, c->from, c->to);
}

static int get(
	const struct run *r, const struct change *c, char now[ATTR_TEXT_MAX], struct err *e) {
	return attr_get(&r->h, c->attr, c->slot, c->vf, now, e);
}

static void tell(const struct run *r, unsigned i, const struct change *c, int status) {
	if (r->a->step != NULL)
		r->a->step(r->a->ctx, i, c, status);
}

/* What a change can have changed is read again. A VF's driver may be bound anew for a MAC. */
static int refresh_after(struct run *r, const struct change *c, struct err *e) {
	if (c->attr == ATTR_OWNER)
		return 0;
	if (attr_of_vf(c->attr) && c->attr != ATTR_MAC)
		return host_read_links(&r->h, e);
	return run_refresh(r, e);
}

/* Sets it and looks whether the kernel did so. */
static int set_and_see(
	struct run *r, const struct change *c, const struct changes *l, struct err *e) {
	char now[ATTR_TEXT_MAX], what[ATTR_WHAT_MAX];
	int rc = c->attr == ATTR_OWNER ? owner_set(&r->h, c, l, e) : attr_set(&r->h, c, e);

	if (rc == 0)
		rc = refresh_after(r, c, e);
	if (rc == 0)
		rc = get(r, c, now, e);
	if (rc == 0 && !attr_holds(c, now))
		rc = err_set(e, EIO,
			"%s: the kernel took %s '%s' without a word, but has '%s'; 'dmesg' may say "
			"why",
			attr_what(c->slot, c->vf, what), attr_name(c->attr), c->to, now);
	return rc;
}

/* A driver's binding that was cut off may have left its name in driver_override. */
static void mend_override(struct run *r, const struct change *c) {
	const struct pci_function *f = attr_function(&r->h, c->slot, c->vf, NULL);
	const char *was = r->j.override[0] != '\0' ? r->j.override : "none";

	if (c->attr == ATTR_DRIVER && f != NULL)
		override_set(&r->h, f, was, NULL);
}

static int note_doing(struct run *r, unsigned i, const char *now, struct err *e) {
	struct change *c = &r->j.l.c[i];
	const struct pci_function *f = attr_function(&r->h, c->slot, c->vf, NULL);

	memcpy(c->from, now, sizeof(c->from));
	if (c->attr == ATTR_DRIVER && f != NULL)
		memcpy(r->j.override, f->wanted, sizeof(r->j.override));
	return journal_step(&r->j, i, STEP_DOING, e);
}

static int step_forward(struct run *r, unsigned i, struct err *e) {
	const struct change *c = &r->j.l.c[i];
	bool again = r->j.step[i] == STEP_DOING;
	char now[ATTR_TEXT_MAX];
	int rc = get(r, c, now, e);

	if (rc < 0)
		return rc;
	if (again)
		mend_override(r, c);
	else if (strcmp(now, c->to) == 0)
		return journal_step(&r->j, i, STEP_FOUND, e);
	else if (c->from[0] != '\0' && strcmp(now, c->from) != 0 && !r->a->force)
		return refuse_third(c, now, e);
	if (!again)
		rc = note_doing(r, i, now, e);
	if (rc < 0)
		return rc;
	tell(r, i, c, STARTS);
	rc = set_and_see(r, c, &r->j.l, e);
	if (rc == 0)
		rc = journal_step(&r->j, i, STEP_DONE, e);
	tell(r, i, c, rc);
	return rc;
}

/* Takes back after a failure, and makes one sentence of both. */
static int give_up(struct run *r, int code, struct err *e) {
	struct err back;

	if (run_back(r, END_ROLLED_BACK, &back) == 0)
		err_prefix(e, "%s", r->j.l.n > 1 ? "nothing is changed: " : "");
	else if (e != NULL)
		snprintf(e->text + strlen(e->text), sizeof(e->text) - strlen(e->text),
			"; and taking back what was done failed: %.300s", back.text);
	return code;
}

int run_forward(struct run *r, struct err *e) {
	int rc = 0;

	for (unsigned i = 0; i < r->j.l.n && rc == 0; i++)
		if (!r->j.l.c[i].implied &&
			(r->j.step[i] == STEP_NONE || r->j.step[i] == STEP_DOING))
			rc = step_forward(r, i, e);
	if (rc == 0)
		rc = journal_end(&r->j, r->a->round ? END_UNDONE : END_APPLIED, e);
	return rc < 0 ? give_up(r, rc, e) : 0;
}

/* What happened by itself did so if the VFs' change behind it was ours. */
static bool was_done(const struct journal *j, unsigned i) {
	const struct change *c = &j->l.c[i];

	if (!c->implied)
		return j->step[i] == STEP_DOING || j->step[i] == STEP_DONE ||
		       j->step[i] == STEP_UNDOING;
	if (j->step[i] == STEP_UNDONE)
		return false;
	for (unsigned k = i + 1; k < j->l.n; k++)
		if (j->l.c[k].attr == ATTR_VFS && !j->l.c[k].implied &&
			strcmp(j->l.c[k].slot, c->slot) == 0)
			return j->step[k] != STEP_NONE && j->step[k] != STEP_FOUND;
	return false;
}

static struct change reversed(const struct change *c) {
	struct change b = *c;

	memcpy(b.from, c->to, sizeof(b.from));
	memcpy(b.to, c->from, sizeof(b.to));
	return b;
}

int run_way_back(const struct run *r, struct changes *back, struct err *e) {
	*back = (struct changes){0};
	for (unsigned i = r->j.l.n; i-- > 0;) {
		struct change c = reversed(&r->j.l.c[i]);

		if (!was_done(&r->j, i) || c.to[0] == '\0')
			continue;
		// What comes back after its VF cannot be known before.
		if (c.implied)
			c.from[0] = '\0';
		c.implied = false;
		if (changes_add(back, &c, e) < 0) {
			changes_free(back);
			return -ENOMEM;
		}
	}
	return 0;
}

/* 0: it is as before, or gone with its function. -EEXIST: somebody else's value, left alone. */
static int step_back(struct run *r, unsigned i, const struct changes *back, struct err *e) {
	const struct change c = reversed(&r->j.l.c[i]);
	bool sure = r->j.step[i] == STEP_DONE && !c.implied;
	char now[ATTR_TEXT_MAX];
	struct err full;
	int rc = get(r, &c, now, e);

	if (rc == -ENODEV || c.to[0] == '\0')
		return 0;
	if (rc < 0)
		return rc;
	if (!sure)
		mend_override(r, &c);
	if (strcmp(now, c.to) == 0)
		return 0;
	if (sure && strcmp(now, c.from) != 0 && !r->a->force)
		return refuse_third(&c, now, e);
	// A journal that cannot be written stops nobody from going back.
	journal_step(&r->j, i, STEP_UNDOING, &full);
	tell(r, i, &c, STARTS);
	rc = set_and_see(r, &c, back, e);
	tell(r, i, &c, rc);
	return rc;
}

int run_back(struct run *r, enum journal_end how, struct err *e) {
	struct changes back;
	unsigned failed = 0;
	struct err one, full;
	int rc = run_way_back(r, &back, e), code = 0;

	if (rc < 0)
		return rc;
	if (run_refresh(r, &one) < 0)
		failed++;
	for (unsigned i = r->j.l.n; i-- > 0;) {
		if (!was_done(&r->j, i))
			continue;
		rc = step_back(r, i, &back, &one);
		// Where the journal is full the step counts as undone all the same.
		if (rc == 0 && journal_step(&r->j, i, STEP_UNDONE, &full) < 0)
			r->j.step[i] = STEP_UNDONE;
		if (rc < 0 && code == 0) {
			code = rc;
			err_set(e, -rc, "%s", one.text);
		}
		failed += rc < 0 && rc != -EEXIST;
	}
	changes_free(&back);
	// Without an end it can be tried again, unless the user gives it up.
	if (failed == 0 || r->a->force)
		journal_end(&r->j, how, &full);
	else
		err_prefix(e, "some of it could not be taken back, 'weir host undo' tries again: ");
	return code;
}
