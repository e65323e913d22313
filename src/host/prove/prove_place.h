/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PROVE_PLACE_H
#define WEIR_HOST_PROVE_PLACE_H

#include <net/if.h>
#include <stdbool.h>

/* A quiet place for an interface: a network namespace without a name, in which nobody else is and IPv6 is
 * off, so that no frame comes of it but those that are sent on purpose. It goes with this process, however
 * that ends, and the kernel then gives the interface of a device back to the first namespace. */

struct err;

struct place {
	int home, away; /* namespaces, -1: the interface is not away */
	char name[IFNAMSIZ];
	bool was_up;
};

enum { PLACE_MS = 5000 }; /* for the driver, a step */

/* Moves the interface there and sets it up. 0 or a negative errno with its sentence. */
int place_take(struct place *p, const char *name, struct err *e);
/* Back, as it was; nothing when it is not away. Where the interface went meanwhile, that is no error. */
void place_give_back(struct place *p);

#endif
