/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "port/vhost.h"

/* Guest memory is a file that the front end can make shorter after we mapped it; touching what is
 * no longer there raises SIGBUS in whoever touches it, a worker or the library. The handler puts
 * private zero pages in the place of the whole region, so that the access goes on and finds
 * nothing, and marks the device: the port is then shut like after any other fault.
 *
 * Nothing but guest memory is replaced. A SIGBUS elsewhere is a fault of our own, or of the machine's
 * memory, and going on with zeros in the place of what was there would be worse than the end. */

struct watch {
	atomic_uint changes; /* odd: being changed */
	_Atomic uintptr_t start, end;
	struct vhost_dev *_Atomic dev;
};

static struct watch watches[PORTS_MAX][GMEM_REGIONS]; // by slot; touched only where ports are

/* Whose memory table this thread, the library's, is just taking: it touches rings in the new regions
 * before it says where they are. */
static _Thread_local struct vhost_dev *taking;

/* Replaces [start, end); hugetlbfs wants its own alignment. */
static int cover(uintptr_t start, uintptr_t end) {
	static const uintptr_t pages[] = {4096, 2 << 20, 1 << 30};

	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		uintptr_t from = start & ~(pages[i] - 1),
			  to = (end + pages[i] - 1) & ~(pages[i] - 1);

		if (mmap((void *)from, to - from, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			    0) != MAP_FAILED)
			return 0;
		if (errno != EINVAL) // larger pages would not help, and take in what is beside it
			return -1;
	}
	return -1;
}

/* The region, as it was at one moment: a region of one port and another's must not be mixed up. False:
 * it is none, or just changing. */
static bool watch_read(
	struct watch *w, uintptr_t at, uintptr_t *start, uintptr_t *end, struct vhost_dev **d) {
	unsigned changes = atomic_load(&w->changes);

	*start = atomic_load(&w->start);
	*end = atomic_load(&w->end);
	*d = atomic_load(&w->dev);
	return changes % 2 == 0 && *d != NULL && at >= *start && at < *end &&
	       atomic_load(&w->changes) == changes;
}

static void watch_write(struct watch *w, uintptr_t start, uintptr_t end, struct vhost_dev *d) {
	atomic_fetch_add(&w->changes, 1);
	atomic_store(&w->start, start);
	atomic_store(&w->end, end);
	atomic_store(&w->dev, d);
	atomic_fetch_add(&w->changes, 1);
}

static void replaced(struct vhost_dev *d) {
	atomic_store(&d->shrunk, true);
	device_still(d);
}

/* Is it in a region of the table that this thread is taking? The library is asked, which takes memory for
 * its answer; that is safe here, for it was reading a guest's memory and nothing else. */
static bool replace_taking(uintptr_t at) {
	struct rte_vhost_memory *m = NULL;
	bool done = false;

	if (taking == NULL || rte_vhost_get_mem_table(taking->vid, &m) != 0 || m == NULL)
		return false;
	for (unsigned i = 0; i < m->nregions && !done; i++) {
		const uintptr_t start = m->regions[i].host_user_addr;

		if (start != 0 && at - start < m->regions[i].size)
			done = cover(start, start + m->regions[i].size) == 0;
	}
	free(m);
	if (done)
		replaced(taking);
	return done;
}

static void on_sigbus(int sig, siginfo_t *info, void *context) {
	uintptr_t at = (uintptr_t)info->si_addr;
	const int was = errno;

	for (unsigned slot = 0; slot < PORTS_MAX && info->si_code > 0; slot++) {
		for (unsigned i = 0; i < GMEM_REGIONS; i++) {
			uintptr_t start, end;
			struct vhost_dev *d;

			if (!watch_read(&watches[slot][i], at, &start, &end, &d))
				continue;
			if (cover(start, end) < 0)
				break;
			replaced(d);
			errno = was;
			return;
		}
	}
	if (info->si_code > 0 && replace_taking(at)) {
		errno = was;
		return;
	}
	signal(sig, SIG_DFL); // let it happen again
}

void sigbus_install(void) {
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGBUS, &sa, NULL);
}

void sigbus_taking(struct vhost_dev *d) {
	taking = d;
}

void sigbus_watch(struct vhost_dev *d) {
	sigbus_forget(d);
	for (unsigned i = 0; i < d->mem.n; i++) {
		uintptr_t start = (uintptr_t)d->mem.r[i].hva;

		watch_write(&watches[d->slot][i], start, start + d->mem.r[i].size, d);
	}
}

void sigbus_forget(struct vhost_dev *d) {
	for (unsigned i = 0; i < GMEM_REGIONS; i++)
		if (atomic_load(&watches[d->slot][i].dev) != NULL)
			watch_write(&watches[d->slot][i], 0, 0, NULL);
}
