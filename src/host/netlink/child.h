/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_CHILD_H
#define WEIR_HOST_CHILD_H

/* Calls `act` in a child, because the kernel may keep who asks a driver for something for as long as the
 * driver likes, and nothing ends that. What `act` returns (0 or a negative errno); -ETIMEDOUT: it is not
 * done after `limit_ms`, and the child still hangs in it; -EIO: it died without a word. */
int child_do(int (*act)(const void *ctx), const void *ctx, unsigned limit_ms);

#endif
