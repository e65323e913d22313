/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Recorded netlink messages that somebody made up, for rtnetlink's and devlink's decoder. What must hold
 * besides what the sanitizers see: texts end, a number of VFs has its VFs, and nothing but a wrong length
 * is an error. */
#include <errno.h>
#include <string.h>

#include "host/netlink/devlink.h"
#include "host/netlink/link.h"
#include "must.h"

static void check_links(const struct links *l) {
	for (unsigned i = 0; i < l->nlinks; i++) {
		const struct link *k = &l->link[i];

		MUST(k->index > 0 && (k->nvfs == 0 || k->vf != NULL));
		MUST(memchr(k->name, 0, sizeof(k->name)) != NULL);
		MUST(memchr(k->switch_id, 0, sizeof(k->switch_id)) != NULL);
		for (unsigned v = 0; v < k->nvfs; v++)
			MUST(k->vf[v].vlan < 4096 && k->vf[v].qos < 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct devlinks d = {0};
	struct links l = {0};
	int rc = links_decode(&l, data, size);

	MUST(rc == 0 || rc == -EBADMSG);
	check_links(&l);
	links_free(&l);
	rc = devlinks_decode(&d, data, size);
	MUST(rc == 0 || rc == -EBADMSG);
	for (unsigned i = 0; i < d.n; i++)
		MUST(devlinks_at(&d, d.dev[i].slot) != NULL);
	devlinks_free(&d);
	return 0;
}
