/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_SERVE_H
#define WEIR_BENCH_SERVE_H

#include <stdint.h>

/* Agents for coordinators elsewhere: whoever comes from this host, or shows the secret, may measure, and
 * may do nothing else. */

struct err;
struct reach;

/* Listens at `address` (a name or number; NULL: the loopback addresses only) and `port`, and forks an
 * agent for each client, which ends with its connection, and with this process. Says on stdout where it
 * listens. Clients of other hosts have to show the secret of the file (NULL: of WEIR_BENCH_SECRET, else one
 * that is made and said on stdout); their flows lead to themselves or into `reach`. Until SIGTERM or SIGINT: 0; or -errno with a sentence. */
int serve_run(const char *address, uint16_t port, const char *secret_file,
	const struct reach *reach, struct err *e);

/* Is an agent for whoever speaks at a character device, until SIGTERM or SIGINT; a coordinator that goes
 * makes room for the next. NULL: the virtio-serial port that QEMU named SERVE_PORT. */
#define SERVE_PORT "weir"
int serve_device(const char *path, struct err *e);

#endif
