/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/closer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/passed.h"

/* One queue, a few threads (hands) that empty it, and a timer of the control thread that looks at what they
 * do while there is something to do. A hand that is asleep in the same close(2) at some looks one after
 * another hangs: it is given up, and ends by itself should the call return. One that waits for its CPU, or
 * frees gigabytes, is not asleep.
 *
 * A stranger has one hand at a time, and there is one for each stranger there can be: however many of them
 * hang, what others left is closed. Memory files cannot hang, but their pages are many: they have a hand of
 * their own, which nothing of a stranger's can stop. */

enum {
	ROOM = 65536, /* descriptors in the queue; what is more stays open */
	AT_WORK = 8, /* hands that do not hang */
	HANDS = CLOSER_OWNERS + AT_WORK,
	SEEN_ONCE = 8, /* hands for all who have no owner */
	LOOK_US = 100 * 1000,
	LOOKS = 3, /* asleep at so many in the same call: it hangs */
	IDLE_S = 2, /* a thread without work ends */
	STACK = 128 * 1024,
	END_US = 200 * 1000, /* the last end waits so long at most */
	STEP_US = 2000,
};

struct closer_owner {
	char what[48];
	void (*hung)(void *arg);
	void *arg;
	unsigned waiting, stuck, hangs;
	unsigned hands, hands_max;
	bool gone;
};

struct item {
	struct closer_owner *owner;
	int fd;
};

struct hand {
	bool used, busy, given_up;
	pid_t tid;
	unsigned looks;
	struct item item;
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; // of all below
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct closer_owner nobody = {.what = "a stranger", .hands_max = SEEN_ONCE};
static struct closer_owner memory = {.what = "guest memory", .hands_max = 1};
static struct item queue[ROOM];
static unsigned queued;
static struct hand hands[HANDS];
static unsigned at_work, idle; // of them: not given up; waiting for work
static bool ending;

static sd_event_source *timer; // these are the control thread's own
static unsigned opens;

struct closer_owner *closer_owner_new(const char *what, void (*hung)(void *arg), void *arg) {
	struct closer_owner *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	snprintf(o->what, sizeof(o->what), "%s", what);
	o->hung = hung;
	o->arg = arg;
	o->hands_max = 1;
	return o;
}

void closer_owner_free(struct closer_owner *o) {
	bool now;

	if (o == NULL)
		return;
	pthread_mutex_lock(&mu);
	o->gone = true;
	now = o->waiting == 0;
	pthread_mutex_unlock(&mu);
	if (now)
		free(o);
}

/* Behind `from`, the first of the queue whose owner may have a hand; queued: none. */
static unsigned find(unsigned from) {
	while (from < queued && queue[from].owner->hands >= queue[from].owner->hands_max)
		from++;
	return from;
}

static bool take(struct hand *h) {
	const unsigned i = find(0);

	if (i == queued)
		return false;
	h->item = queue[i];
	h->item.owner->hands++;
	h->busy = true;
	h->looks = 0;
	memmove(&queue[i], &queue[i + 1], (--queued - i) * sizeof(queue[0]));
	return true;
}

static void closed(struct hand *h) {
	struct closer_owner *o = h->item.owner;

	h->busy = false;
	o->hands--;
	if (h->given_up && --o->stuck == 0 && !o->gone)
		log_limited(LOG_L_INFO, o->what, "what hung at close is closed");
	if (--o->waiting == 0 && o->gone)
		free(o);
}

/* Until there is more to do; false: for too long. */
static bool rest(void) {
	struct timespec until;
	bool late;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_S;
	idle++;
	late = ending || pthread_cond_timedwait(&more, &mu, &until) == ETIMEDOUT;
	idle--;
	return !late;
}

static void put_to_work(void);

static void *hand_main(void *arg) {
	struct hand *h = arg;
	bool stays = true;

	pthread_setname_np(pthread_self(), "closer");
	pthread_mutex_lock(&mu);
	h->tid = gettid();
	while (!h->given_up && stays) {
		if (!take(h)) {
			stays = rest();
			continue;
		}
		pthread_mutex_unlock(&mu);
		close(h->item.fd);
		pthread_mutex_lock(&mu);
		closed(h);
	}
	if (h->given_up)
		put_to_work(); // on what waited behind it
	else
		at_work--;
	h->used = false;
	pthread_mutex_unlock(&mu);
	return NULL;
}

static bool new_hand(void) {
	struct hand *h = hands;
	pthread_attr_t attr;
	pthread_t thread;

	while (h < hands + HANDS && h->used)
		h++;
	if (h == hands + HANDS)
		return false;
	*h = (struct hand){.used = true};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	h->used = pthread_create(&thread, &attr, hand_main, h) == 0;
	at_work += h->used;
	pthread_attr_destroy(&attr);
	return h->used;
}

/* With mu held: somebody is there for what can be closed now, unless no thread can be had: then the next
 * look tries again. */
static void put_to_work(void) {
	unsigned n = 0;

	for (unsigned i = find(0); i < queued && n < AT_WORK; i = find(i + 1))
		n++;
	if (n > 0)
		pthread_cond_broadcast(&more);
	for (n -= n < idle ? n : idle; n > 0 && at_work < AT_WORK && new_hand(); n--)
		continue;
}

static void look_soon(void) {
	int on = SD_EVENT_ON;

	if (timer == NULL || (sd_event_source_get_enabled(timer, &on), on != SD_EVENT_OFF))
		return;
	sd_event_source_set_time_relative(timer, LOOK_US);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static bool enqueue(struct closer_owner *o, int fd) {
	bool fits;

	pthread_mutex_lock(&mu);
	fits = queued < ROOM;
	if (fits) {
		queue[queued++] = (struct item){o, fd};
		o->waiting++;
	}
	put_to_work();
	pthread_mutex_unlock(&mu);
	return fits;
}

void closer_close(struct closer_owner *o, int fd) {
	if (fd < 0)
		return;
	if (passed_is_eventfd(fd)) {
		close(fd); // nobody is asked, and nothing is to be freed
		return;
	}
	if (passed_is_memory(fd))
		o = &memory;
	else if (o == NULL)
		o = &nobody;
	if (!enqueue(o, fd))
		log_limited(LOG_L_ERROR, o->what,
			"%d descriptors wait to be closed; another stays open", ROOM);
	look_soon();
}

void closer_hang_up(struct closer_owner *o, int fd) {
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
	closer_close(o, fd);
}

bool closer_stuck(const struct closer_owner *o) {
	bool stuck;

	pthread_mutex_lock(&mu);
	stuck = o != NULL && o->stuck > 0;
	pthread_mutex_unlock(&mu);
	return stuck;
}

unsigned closer_waiting(const struct closer_owner *o) {
	unsigned n;

	pthread_mutex_lock(&mu);
	n = o->waiting;
	pthread_mutex_unlock(&mu);
	return n;
}

/* Neither running nor waiting for a CPU. A thread that cannot be asked is taken for one that sleeps. */
static bool asleep(pid_t tid) {
	char stat[256];
	const char *end;

	if (file_read(stat, sizeof(stat), "/proc/self/task/%d/stat", (int)tid) < 0)
		return true;
	end = strrchr(stat, ')');
	return end == NULL || end[1] == '\0' || end[2] != 'R';
}

/* With mu held: does it hang since now? */
static bool hangs(struct hand *h) {
	if (!h->used || !h->busy || h->given_up)
		return false;
	h->looks = asleep(h->tid) ? h->looks + 1 : 0;
	if (h->looks < LOOKS)
		return false;
	h->given_up = true;
	at_work--;
	h->item.owner->stuck++;
	h->item.owner->hangs++;
	return true;
}

static void look_at(struct hand *h) {
	struct closer_owner *o = NULL;
	char what[sizeof(o->what)];
	unsigned so_far = 0;

	pthread_mutex_lock(&mu);
	if (hangs(h)) {
		o = h->item.owner;
		memcpy(what, o->what, sizeof(what));
		so_far = o->hangs;
		o = o->gone ? NULL : o; // who is not gone is freed by this thread only
	}
	pthread_mutex_unlock(&mu);
	if (so_far == 0)
		return;
	log_limited(LOG_L_WARN, what,
		"a descriptor from there hangs at close, %u so far; a thread of its own waits for "
		"it",
		so_far);
	if (o != NULL && o->hung != NULL)
		o->hung(o->arg);
}

static bool anybody_busy(void) {
	for (struct hand *h = hands; h < hands + HANDS; h++)
		if (h->used && h->busy && !h->given_up)
			return true;
	return false;
}

static int on_look(sd_event_source *s, uint64_t usec, void *arg) {
	bool again;

	for (struct hand *h = hands; h < hands + HANDS; h++)
		look_at(h);
	pthread_mutex_lock(&mu);
	put_to_work();
	again = queued > 0 || anybody_busy();
	pthread_mutex_unlock(&mu);
	if (again)
		look_soon();
	return 0;
}

int closer_open(sd_event *loop, struct err *e) {
	int rc = 0;

	if (opens == 0) {
		ending = false;
		rc = sd_event_add_time(
			loop, &timer, CLOCK_MONOTONIC, UINT64_MAX, LOOK_US / 10, on_look, NULL);
		if (rc >= 0)
			rc = sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	}
	if (rc < 0)
		return err_set(e, -rc, "the event loop takes no more timers: %s", strerror(-rc));
	opens++;
	return 0;
}

void closer_end(void) {
	if (opens == 0 || --opens > 0)
		return;
	timer = sd_event_source_disable_unref(timer);
	pthread_mutex_lock(&mu);
	ending = true;
	pthread_cond_broadcast(&more);
	for (unsigned us = 0; at_work > 0 && us < END_US; us += STEP_US) {
		pthread_mutex_unlock(&mu);
		usleep(STEP_US);
		pthread_mutex_lock(&mu);
	}
	pthread_mutex_unlock(&mu);
}
