/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_BESIDE_H
#define WEIR_TESTS_BESIDE_H

/* A neighbour in another network on the same worker offers a fifth of what the worker can carry, and must
 * keep it beside an attack (neighbours_beside); no turn of port `of`, which the attack comes in by, takes
 * longer than a turn may, and the switch answers. Fails the test else. */
void beside_hold(const char *sentence, const char *of, void (*attack)(void *), void *arg);

/* Leaves one worker for all ports; before bed_start. */
void beside_one_worker(void);

#endif
