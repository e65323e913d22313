/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/api_rpc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_memory.h"

/* A reply under construction; batches are put together from their parts, so that one array never
 * stands in memory as a tree and as text at once. */
struct reply {
	char *text;
	size_t len, room;
	bool failed;
};

static int put(const char *bytes, size_t n, void *arg) {
	struct reply *r = arg;

	if (r->failed)
		return -1;
	if (r->len + n + 2 > r->room) { // 2: newline and NUL
		size_t room = r->room * 2 > r->len + n + 2 ? r->room * 2 : r->len + n + 512;
		char *text = realloc(r->text, room);

		if (text == NULL) {
			r->failed = true;
			return -1;
		}
		r->text = text;
		r->room = room;
	}
	memcpy(r->text + r->len, bytes, n);
	r->len += n;
	return 0;
}

/* Ends the line: 0, with *text NULL when there is nothing to say, or -ENOMEM when it is not whole. */
static int finish(struct reply *r, char **text, size_t *len) {
	bool lost = r->failed || json_memory_lost();

	*text = NULL;
	*len = 0;
	if (lost || r->len == 0) {
		free(r->text);
		return lost ? -ENOMEM : 0;
	}
	r->text[r->len++] = '\n';
	r->text[r->len] = '\0';
	*text = r->text;
	*len = r->len;
	return 0;
}

/* Takes over `body`; `id` is borrowed and may be NULL, which is sent as null. */
static void put_reply(struct reply *r, json_t *id, const char *key, json_t *body) {
	json_t *o = json_object();

	json_object_set_new(o, "jsonrpc", json_string("2.0"));
	if (id != NULL)
		json_object_set(o, "id", id);
	else
		json_object_set_new(o, "id", json_null());
	if (body == NULL || json_object_set_new(o, key, body) < 0 ||
		json_dump_callback(o, put, r, JSON_COMPACT) < 0)
		r->failed = true;
	json_decref(o);
}

static void put_error(struct reply *r, json_t *id, int code, const char *text, int no) {
	json_t *o = json_object(), *t = json_string(text);

	json_object_set_new(o, "code", json_integer(code));
	// Text that came from outside may be no UTF-8.
	json_object_set_new(o, "message", t != NULL ? t : json_string("unreadable error text"));
	if (no != 0)
		json_object_set_new(o, "data",
			json_pack("{s:s}", "errno",
				strerrorname_np(no) ? strerrorname_np(no) : "EIO"));
	put_reply(r, id, "error", o);
}

static void call(
	struct reply *r, const struct rpc_method *m, void *ctx, json_t *id, const json_t *params) {
	struct err e = {.text = "failed without a reason"};
	json_t *none = params == NULL ? json_object() : NULL, *result;
	int code = RPC_INTERNAL;

	result = m->fn(ctx, params != NULL ? params : none, &code, &e);
	json_decref(none);
	if (result == NULL && id != NULL) {
		// -32768 to -32000 is JSON-RPC's own; errnos are far above it.
		if (code <= RPC_REFUSED)
			put_error(r, id, code, e.text, 0);
		else
			put_error(r, id, RPC_REFUSED, e.text, -code);
	} else if (result != NULL && id != NULL) {
		put_reply(r, id, "result", result);
	} else {
		json_decref(result);
	}
}

/* One request object. */
static void answer(
	struct reply *r, const struct rpc_method *methods, void *ctx, const json_t *req) {
	json_t *id = json_object_get(req, "id"), *params = json_object_get(req, "params");
	const char *version = json_string_value(json_object_get(req, "jsonrpc"));
	const char *method = json_string_value(json_object_get(req, "method"));
	struct err e;

	if (!json_is_object(req)) {
		put_error(r, NULL, RPC_INVALID, "a request is an object", 0);
		return;
	}
	if (id != NULL && !json_is_string(id) && !json_is_number(id) && !json_is_null(id)) {
		put_error(r, NULL, RPC_INVALID, "id is a string, a number or null", 0);
		return;
	}
	if (version == NULL || strcmp(version, "2.0") != 0) {
		put_error(r, id, RPC_INVALID, "jsonrpc is missing or not \"2.0\"", 0);
		return;
	}
	if (method == NULL) {
		put_error(r, id, RPC_INVALID, "method is missing or no string", 0);
		return;
	}
	for (; methods->name != NULL && strcmp(methods->name, method) != 0; methods++)
		continue;
	if (methods->name == NULL) {
		err_set(&e, ENOSYS, "no such method '%.64s'", method);
		if (id != NULL)
			put_error(r, id, RPC_NO_METHOD, e.text, 0);
	} else if (params != NULL && !json_is_object(params)) {
		if (id != NULL)
			put_error(
				r, id, RPC_BAD_PARAMS, "params is an object with named members", 0);
	} else {
		call(r, methods, ctx, id, params);
	}
}

static void answer_batch(
	struct reply *r, const struct rpc_method *methods, void *ctx, const json_t *batch) {
	size_t n = json_array_size(batch);
	char open = '[';

	if (n == 0 || n > RPC_BATCH_MAX) {
		put_error(r, NULL, RPC_INVALID,
			n == 0 ? "the array of requests is empty"
			       : "more than 256 requests in one array",
			0);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *req = json_array_get(batch, i);
		struct reply one = {0};

		if (r->len < RPC_REPLY_MAX)
			answer(&one, methods, ctx, req);
		else
			put_error(&one, json_object_get(req, "id"), RPC_INTERNAL,
				"not done: the replies before it take 16 MiB; send fewer requests "
				"at once",
				0);
		r->failed |= one.failed;
		if (one.len > 0) {
			put(&open, 1, r);
			put(one.text, one.len, r);
			open = ',';
		}
		free(one.text);
	}
	if (r->len > 0)
		put("]", 1, r);
}

/* In place of an answer that did not become whole. What was asked for is done or not done, but nobody can be
 * told which. */
static int answer_no_memory(json_t *id, char **out, size_t *out_len) {
	struct reply r = {0};

	json_memory_begin();
	put_error(&r, id, RPC_INTERNAL,
		"out of memory; a change that was asked for may have been made: see weir show "
		"config",
		ENOMEM);
	return finish(&r, out, out_len);
}

int rpc_answer(const struct rpc_method *methods, void *ctx, const char *line, size_t len,
	char **out, size_t *out_len) {
	struct reply r = {0};
	json_error_t je;
	json_t *req;
	int ret;

	json_memory_begin();
	req = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (req == NULL) {
		struct err e;

		err_set(&e, EINVAL, "no JSON: %s at byte %d", je.text, je.position);
		put_error(&r, NULL, RPC_PARSE, e.text, 0);
	} else if (json_is_array(req)) {
		answer_batch(&r, methods, ctx, req);
	} else {
		answer(&r, methods, ctx, req);
	}
	ret = finish(&r, out, out_len);
	if (ret != 0)
		ret = answer_no_memory(json_object_get(req, "id"), out, out_len);
	json_decref(req);
	return ret;
}

int rpc_error(enum rpc_code code, const char *text, char **out, size_t *out_len) {
	struct reply r = {0};

	json_memory_begin();
	put_error(&r, NULL, code, text, 0);
	return finish(&r, out, out_len);
}

const char *rpc_string(const json_t *params, const char *name, int *code, struct err *e) {
	const json_t *v = json_object_get(params, name);

	if (json_is_string(v))
		return json_string_value(v);
	*code = RPC_BAD_PARAMS;
	err_set(e, EINVAL, "params: '%s' is %s", name, v == NULL ? "missing" : "not a string");
	return NULL;
}

const json_t *rpc_object(const json_t *params, const char *name, int *code, struct err *e) {
	const json_t *v = json_object_get(params, name);

	if (json_is_object(v))
		return v;
	*code = RPC_BAD_PARAMS;
	err_set(e, EINVAL, "params: '%s' is %s", name, v == NULL ? "missing" : "not an object");
	return NULL;
}
