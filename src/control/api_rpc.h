/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_API_RPC_H
#define WEIR_CONTROL_API_RPC_H

#include <stddef.h>

#include <jansson.h>

#include "base/err.h"

/* JSON-RPC 2.0 (https://www.jsonrpc.org/specification): one line in, at most one line out. Knows
 * nothing of sockets and nothing of the switch. */

enum {
	RPC_LINE_MAX = 1 << 20, /* bytes of a request line without its newline */
	RPC_BATCH_MAX = 256, /* requests in one array */
	RPC_REPLY_MAX = 16 << 20 /* bytes after which the rest of a batch is refused */
};

enum rpc_code {
	RPC_PARSE = -32700,
	RPC_INVALID = -32600,
	RPC_NO_METHOD = -32601,
	RPC_BAD_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_REFUSED = -32000, /* the switch said no; error.data.errno has the name of the errno */
};

/* One method. `params` is an object (empty when the request had none). Returns the result (new
 * reference), or NULL with `e` set and *code: -errno, or an rpc_code of the list above. */
typedef json_t *rpc_fn(void *ctx, const json_t *params, int *code, struct err *e);

struct rpc_method {
	const char *name;
	rpc_fn *fn;
};

/* Answers one line. `methods` ends with a NULL name. *out gets the reply (malloc'd, NUL-terminated, newline
 * at its end, *out_len bytes without the NUL), or NULL when there is nothing to say (notifications).
 * Returns: 0, or -ENOMEM when not even an error could be put together: the connection is to end. */
int rpc_answer(const struct rpc_method *methods, void *ctx, const char *line, size_t len,
	char **out, size_t *out_len);

/* A reply that is an error with a null id, for lines that were never read to their end.
 * Returns: as rpc_answer. */
int rpc_error(enum rpc_code code, const char *text, char **out, size_t *out_len);

/* Params: a missing member or one of the wrong type is a sentence that names it. The returned
 * string or tree belongs to params. */
const char *rpc_string(const json_t *params, const char *name, int *code, struct err *e);
const json_t *rpc_object(const json_t *params, const char *name, int *code, struct err *e);

#endif
