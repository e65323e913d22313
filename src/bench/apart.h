/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_APART_H
#define WEIR_BENCH_APART_H

#include <jansson.h>

#include "bench/bench.h"

/* What an instrument makes for a measurement (namespaces, interfaces, switches, VMs) is made and measured
 * in a child process, apart from the host: with the child all of it goes, however the child ends. One
 * thread. */

/* Runs run(own, arg) in a child that dies with this process; `own` is *b with a document of its own. That
 * document is returned (the caller's), with "status" and "text": what run returned and its sentence. When
 * interrupted, the child gets SIGINT and ten seconds to hand over what it has. NULL with a sentence: it
 * could not start, or it died. `name` is for sentences. */
json_t *apart_run(struct bench *b, const char *name,
	int (*run)(struct bench *own, void *arg, struct err *e), void *arg, struct err *e);

/* In the child: a network and a mount namespace of its own, an empty /run with a netns folder, its own
 * /sys. 0 or -errno with a sentence. */
int apart_enter(struct err *e);

/* What is compared is measured in turn, round by round, so that a machine that changes its pace meanwhile
 * changes all alike: *b for one repeat, the one with this number from 0. */
struct bench apart_round(const struct bench *b, unsigned round);
/* A document with nothing but empty lists, for such a repeat. */
json_t *apart_doc(void);

/* Takes a warning over, `name` in front of it (NULL: as it is). It is not said again for other numbers in it:
 * the greatest that it tells as "up to" stays. */
void apart_warn(json_t *doc, const char *name, const char *said);
/* Takes the lists of such a document over into b->doc. The values of a figure that is there already go
 * behind its values, latencies with those that are there; other entries go behind the last that differs in
 * nothing but the labels named in `across` (ends with NULL), so that what is compared stands together.
 * Warnings (apart_warn) and a failure begin with `name` (NULL: they stay as they are). Gives its status;
 * -ECANCELED is no failure. */
int apart_take(struct bench *b, const char *name, const json_t *from, const char *const *across);

#endif
