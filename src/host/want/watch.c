/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A look: read the host, plan, and if anything differs make it true in one transaction. The first one is
 * the apply of the start; those behind it restore. When a transaction is refused or fails, each function is
 * tried by itself, so that one that cannot be had keeps no other from being restored, and what failed is let
 * be for a while as what drifts again and again is.
 *
 * Looks come with events of links (gathered for a moment, for one change makes several, and our own make
 * some too) and at intervals. Everything happens in one thread: a signal waits for a transaction to end. */
#include "host/want/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "host/change/journal.h"
#include "host/change/store.h"
#include "host/host.h"
#include "host/want/backoff.h"
#include "host/want/drift.h"

#define GATHER_US  200000ull /* events of one change */
#define WAITING_US 1000000ull /* between two looks while FILE's functions are not there */
#define PATIENCE_US \
	10000000ull /* until systemd is told that we are ready though nothing was applied */
enum { ALONE_MAX = 64 }; /* functions tried by themselves in one look */

struct watch {
	const struct watch_options *o;
	struct want *want;
	sd_event *loop;
	sd_event_source *soon, *later;
	int events, lock;
	struct backoff held;
	bool applied, ready; /* the state was reached once; systemd was told */
	uint64_t started;
	char problem[ERR_TEXT_MAX]; /* that was logged last, "": all is well */
	unsigned nleft;
	/* The function that alone is planned for, "": all. */
	char slot[PCI_SLOT_MAX];
	int vf;
};

static uint64_t now_us(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void tell_ready(struct watch *w, const char *status) {
	bool now = !w->ready && (w->applied || now_us() - w->started >= PATIENCE_US);

	sd_notifyf(0, "%sSTATUS=%s", now ? "READY=1\n" : "", status);
	w->ready |= now;
}

/* Said once, not at each look. */
static void problem(struct watch *w, const char *text) {
	char status[ERR_TEXT_MAX + 16];

	if (strcmp(w->problem, text) != 0)
		log_warn("%s", text);
	snprintf(w->problem, sizeof(w->problem), "%s", text);
	snprintf(status, sizeof(status), "waiting: %s", text);
	tell_ready(w, status);
}

static void well(struct watch *w, const struct aims *a) {
	char status[160];

	if (w->problem[0] != '\0')
		log_info("%s is as wanted again", a->want->file);
	w->problem[0] = '\0';
	snprintf(status, sizeof(status),
		"%u PFs, %u VFs and devices as wanted, %u left to their owners", a->npfs,
		a->naims - w->nleft, w->nleft);
	tell_ready(w, status);
}

static bool skips(void *ctx, const struct drift *d) {
	const struct watch *w = ctx;

	if (w->slot[0] != '\0' && (d->vf != w->vf || strcmp(d->slot, w->slot) != 0))
		return true;
	return backoff_holds(&w->held, d, now_us());
}

static const char *name_of(const struct drift *d, char buf[PCI_SLOT_MAX + 16]) {
	snprintf(buf, PCI_SLOT_MAX + 16, d->vf >= 0 ? "%s vf %d" : "%s", d->slot, d->vf);
	return buf;
}

static void let_be(struct watch *w, const struct drift *d, bool failed) {
	unsigned s = backoff_count(&w->held, d, now_us());
	char who[PCI_SLOT_MAX + 16];

	if (s > 0)
		log_warn("%s: %s %s; it is let be for %u s", name_of(d, who), attr_name(d->attr),
			failed ? "could not be restored again and again"
			       : "drifts again and again, somebody else wants it otherwise",
			s);
}

static void log_restored(
	struct watch *w, const struct plan *p, const struct host *h, json_t *memory) {
	for (unsigned i = 0; i < p->ndrift; i++) {
		const struct drift *d = &p->drift[i];
		char who[PCI_SLOT_MAX + 16], why[160];

		drift_why(memory, h, d, why, sizeof(why));
		if (!w->applied)
			why[0] = '\0';
		log_info("%s %s %s: %s -> %s%s%s", w->applied ? "restored" : "applied",
			name_of(d, who), attr_name(d->attr), d->is, d->want,
			why[0] != '\0' ? "; " : "", why);
		if (w->applied)
			let_be(w, d, false);
	}
}

/* Plans for all functions, or the one in w->slot, and makes it true. */
static int restore(struct watch *w, const struct aims *a, const struct host *h, struct plan *p,
	struct err *e) {
	const struct plan_options o = {.skip = skips, .ctx = w};
	json_t *memory;
	int rc = plan_make(p, a, h, &o, e);

	if (rc < 0 || p->changes.n == 0)
		return rc;
	rc = apply_changes(&w->o->apply, &p->changes, NULL, e);
	if (rc < 0)
		return rc;
	memory = drift_memory(h);
	log_restored(w, p, h, memory);
	json_decref(memory);
	return 0;
}

/* After all together did not go. */
static void restore_alone(
	struct watch *w, const struct aims *a, const struct host *h, const struct plan *all) {
	char last[PCI_SLOT_MAX] = "";
	int last_vf = -1;

	for (unsigned i = 0, n = 0; i < all->ndrift && n < ALONE_MAX; i++) {
		const struct drift *d = &all->drift[i];
		struct plan p = {0};
		struct err e;

		if (strcmp(d->slot, last) == 0 && d->vf == last_vf)
			continue;
		memcpy(last, d->slot, sizeof(last));
		memcpy(w->slot, d->slot, sizeof(w->slot));
		last_vf = w->vf = d->vf;
		n++;
		if (restore(w, a, h, &p, &e) < 0) {
			problem(w, e.text);
			for (unsigned k = 0; k < p.ndrift; k++)
				let_be(w, &p.drift[k], true);
		}
		plan_free(&p);
	}
	w->slot[0] = '\0';
}

/* After something was changed the host is another one. */
static void remember(struct watch *w) {
	struct aims a;
	struct host h;
	struct err e;

	if (host_read(&h, w->o->apply.root, &e) < 0)
		return;
	h.state = w->o->apply.state;
	if (want_resolve(&a, w->want, &h, &e) == 0) {
		if (drift_remember(&a, &h, &e) < 0)
			log_warn("%s", e.text);
		aims_free(&a);
	}
	host_free(&h);
}

static void note_left(struct watch *w, const struct plan *p) {
	if (p->nleft != w->nleft)
		log_info("%u VFs belong to owners that %s does not name, and are left alone",
			p->nleft, w->o->file);
	w->nleft = p->nleft;
}

static void look_at(struct watch *w, const struct host *h, const struct aims *a) {
	struct plan p = {0};
	struct err e;
	int rc;

	if (a->npfs == 0 && a->naims == 0) {
		w->applied = true; // FILE wants nothing
		well(w, a);
		return;
	}
	rc = restore(w, a, h, &p, &e);
	if (rc == 0) {
		bool changed = p.changes.n > 0 || !w->applied;

		note_left(w, &p);
		w->applied = true;
		if (changed)
			remember(w);
		well(w, a);
	} else if (w->applied && p.ndrift > 0) {
		restore_alone(w, a, h, &p);
	} else {
		problem(w, e.text);
	}
	plan_free(&p);
}

static void look(struct watch *w) {
	struct host h;
	struct aims a;
	struct err e;

	if (host_read(&h, w->o->apply.root, &e) < 0) {
		problem(w, e.text);
		return;
	}
	h.state = w->o->apply.state;
	if (want_resolve(&a, w->want, &h, &e) == 0) {
		look_at(w, &h, &a);
		aims_free(&a);
	} else {
		problem(w, e.text);
	}
	host_free(&h);
}

static int again_in(sd_event_source *s, uint64_t us) {
	sd_event_source_set_time_relative(s, us);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg) {
	struct watch *w = arg;
	uint64_t us = w->o->every_us;

	look(w);
	// At the start of a host cards come up one after the other.
	return again_in(w->later, !w->applied && us > WAITING_US ? WAITING_US : us);
}

static void changed(void *ctx, int index, bool gone) {
	struct watch *w = ctx;
	int on = 0;

	sd_event_source_get_enabled(w->soon, &on);
	if (on == SD_EVENT_OFF)
		again_in(w->soon, GATHER_US);
}

static int on_event(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	int rc = link_events_read(fd, changed, arg);

	if (rc < 0)
		log_warn("events of links cannot be read: %s", strerror(-rc));
	return 0;
}

static void reload(struct watch *w) {
	struct want *fresh;
	struct err e;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_us());
	if (want_load(&fresh, w->o->file, &e) < 0) {
		log_error("reload refused, the desired state is unchanged: %s", e.text);
	} else {
		want_free(w->want);
		w->want = fresh;
		backoff_free(&w->held);
		w->applied = false;
		log_info("reloaded %s", w->o->file);
	}
	w->ready = false;
	w->started = now_us() - PATIENCE_US; // systemd waits for nobody now
	look(w);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg) {
	struct watch *w = arg;

	if (si->ssi_signo == SIGHUP) {
		reload(w);
		return 0;
	}
	log_info("%s: stopping; the host stays as it is",
		si->ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
	sd_notify(0, "STOPPING=1");
	return sd_event_exit(w->loop, 0);
}

static int start_loop(struct watch *w, struct err *e) {
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t set;
	int rc;

	sigemptyset(&set);
	for (int i = 0; i < 3; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	rc = sd_event_new(&w->loop);
	for (int i = 0; i < 3 && rc >= 0; i++)
		rc = sd_event_add_signal(w->loop, NULL, signals[i], on_signal, w);
	if (rc >= 0)
		rc = w->events = link_events_open();
	if (rc >= 0)
		rc = sd_event_add_io(w->loop, NULL, w->events, EPOLLIN, on_event, w);
	if (rc >= 0)
		rc = sd_event_add_time_relative(
			w->loop, &w->later, CLOCK_MONOTONIC, 0, 1000, on_time, w);
	if (rc >= 0)
		rc = sd_event_add_time_relative(
			w->loop, &w->soon, CLOCK_MONOTONIC, GATHER_US, 1000, on_time, w);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(w->soon, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_set_watchdog(w->loop, 1);
	return rc < 0 ? err_set(e, -rc, "event loop: %s", strerror(-rc)) : 0;
}

/* One watch a state folder. */
static int take_lock(struct watch *w, struct err *e) {
	const char *state = store_folder(w->o->apply.state);

	w->lock = lock_open(state, "watch", e);
	if (w->lock < 0)
		return w->lock;
	if (lockfile_lock(w->lock, 0) < 0)
		return err_set(
			e, EBUSY, "another 'weir host watch' runs with %s; end it first", state);
	return 0;
}

/* A transaction of ours that was cut off: by a crash, or an apply of the same file. What cannot be gone on
 * with is taken back by that, and the first look begins anew. */
static int resume(struct watch *w, struct err *e) {
	char command[COMMAND_MAX];
	unsigned id;
	int rc = apply_pending(&w->o->apply, &id, command, sizeof(command), e);

	if (rc <= 0 || strcmp(command, w->o->apply.command) != 0)
		return rc < 0 ? rc : 0;
	log_info("transaction %u (%s) was cut off in the middle; going on with it", id, command);
	if (apply_resume(&w->o->apply, e) < 0)
		log_error("%s", e->text);
	return 0;
}

int watch_run(const struct watch_options *o, struct err *e) {
	struct watch w = {.o = o, .events = -1, .lock = -1, .started = now_us()};
	int rc = want_load(&w.want, o->file, e);

	if (rc == 0)
		rc = start_loop(&w, e);
	if (rc == 0)
		rc = resume(&w, e);
	if (rc == 0)
		rc = take_lock(&w, e);
	if (rc == 0) {
		log_info("watching %s", o->file);
		rc = sd_event_loop(w.loop);
		if (rc < 0)
			err_set(e, -rc, "event loop: %s", strerror(-rc));
	}
	sd_event_source_unref(w.soon);
	sd_event_source_unref(w.later);
	sd_event_unref(w.loop);
	if (w.events >= 0)
		close(w.events);
	if (w.lock >= 0)
		close(w.lock);
	backoff_free(&w.held);
	want_free(w.want);
	return rc;
}
