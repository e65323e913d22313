/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_PLACES_H
#define WEIR_BENCH_PLACES_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Who is served by a process of his own, by places that are few. One who has not said yet who he is gives way
 * to one who comes, so strangers cannot keep out those who know the secret. For the thread that forks. */

enum { PLACES_MAX = 64 };

struct place {
	pid_t pid; /* 0: nobody's */
	uint64_t turn; /* counts up: the least came first */
	struct sockaddr_storage from;
};

struct places {
	struct place place[PLACES_MAX];
	uint64_t turns;
	atomic_bool *known; /* of each place; in memory that its process shares and sets it in */
};

/* 0 or a negative errno. */
int places_init(struct places *p);
void places_fini(struct places *p);
/* The number of a free place, its mark taken away. When all are taken, the process of a stranger is ended: of
 * the address that has most of them, the one that came first. -EBUSY: all are known. */
int places_find(struct places *p);
/* For this process, before it can have ended. */
void places_take(struct places *p, int i, pid_t pid, const struct sockaddr_storage *from);
/* The process has ended. */
void places_leave(struct places *p, pid_t pid);

#endif
