/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_SECRET_H
#define WEIR_BENCH_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* What a server of another host and its clients both know. It never crosses the network: each side sends
 * a number of its own, and shows HMAC-SHA256 (RFC 2104) of both under the secret. Whoever listens on the
 * way could try secrets one by one, so short ones are refused. */

struct err;

enum { SECRET_MIN = 16, SECRET_MAX = 1024, SECRET_NONCE = 16, SECRET_PROOF = 32 };

/* As hex digits, NUL behind them. */
#define SECRET_NONCE_TEXT (2 * SECRET_NONCE + 1)
#define SECRET_PROOF_TEXT (2 * SECRET_PROOF + 1)

struct secret {
	unsigned char text[SECRET_MAX];
	size_t len;
};

/* Of a file that others cannot read or write; else of WEIR_BENCH_SECRET (path NULL). The newline at the end
 * does not count. 0, -ENOENT without a path and without the variable, or another negative errno; each
 * with a sentence. */
int secret_read(struct secret *s, const char *path, struct err *e);
/* Makes one that nobody guesses, of hex digits, printable. 0 or -EIO with a sentence. */
int secret_make(struct secret *s, struct err *e);

/* A number that was never used before. 0 or -EIO with a sentence. */
int secret_nonce(char text[SECRET_NONCE_TEXT], struct err *e);

enum secret_side { SECRET_CLIENT, SECRET_SERVER };

/* What this side shows: the two differ, so that neither can be sent what it has said itself. */
void secret_proof(const struct secret *s, enum secret_side side, const char *client_nonce,
	const char *server_nonce, char text[SECRET_PROOF_TEXT]);
/* Is it the proof? Takes as long whatever is wrong. NULL is none. */
bool secret_shown(const char *expected, const char *shown);

/* Is it an address of this host's loopback network, where only its own users are? */
bool secret_is_loopback(const struct sockaddr_storage *sa);

#endif
