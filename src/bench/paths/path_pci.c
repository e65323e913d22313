/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/paths/path.h"
#include "bench/pci.h"
#include "host/root.h"

/* What path_vf.c and path_passthrough.c share: functions that are bound to vfio-pci and go to guests as they
 * are. A guest has one NIC, whatever its MAC. */

int path_pci_possible(struct path_bed *b, bool vf, struct err *e) {
	struct pci_wish w = {.vf = vf, .n = b->n, .given = b->pci};
	struct root host;
	int ret = root_open(&host, NULL, e);

	if (ret == 0)
		ret = pci_find(&host, &w, b->function, e);
	if (ret == 0 && access("/dev/vfio/vfio", R_OK | W_OK) < 0)
		return err_set(e, errno, "/dev/vfio/vfio: %s", strerror(errno));
	return ret;
}

int path_pci_nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	snprintf(s->nics[0].mac, sizeof(s->nics[0].mac), GUEST_ANY_MAC);
	guest_arg(s, "-device");
	guest_arg(s, "vfio-pci,host=%s", b->function[i]);
	return 0;
}
