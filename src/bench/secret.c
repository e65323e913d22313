/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

static void to_hex(const unsigned char *raw, size_t n, char *text) {
	for (size_t i = 0; i < n; i++)
		sprintf(text + 2 * i, "%02x", raw[i]);
}

static int check(struct secret *s, const char *where, struct err *e) {
	while (s->len > 0 && (s->text[s->len - 1] == '\n' || s->text[s->len - 1] == '\r'))
		s->len--;
	if (s->len < SECRET_MIN || s->len == SECRET_MAX)
		return err_set(e, ERANGE,
			"%s: a secret of %zu bytes is not possible; write %d to %d, for example by "
			"`openssl rand -hex 32`",
			where, s->len, SECRET_MIN, SECRET_MAX - 1);
	return 0;
}

static int read_file(struct secret *s, const char *path, struct err *e) {
	int fd = file_open(path, O_RDONLY, e);
	struct stat st;
	ssize_t n = 1;

	if (fd < 0) {
		err_prefix(e, "--secret-file: ");
		return -EACCES;
	}
	if (fstat(fd, &st) < 0 || (st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
		close(fd);
		return err_set(e, EPERM,
			"--secret-file %s: others may read or write it; take that away by `chmod "
			"600 %s`",
			path, path);
	}
	while (n > 0 && s->len < SECRET_MAX) {
		n = read(fd, s->text + s->len, SECRET_MAX - s->len);
		s->len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return n < 0 ? err_set(e, EIO, "--secret-file %s cannot be read", path) : check(s, path, e);
}

int secret_read(struct secret *s, const char *path, struct err *e) {
	const char *text = getenv("WEIR_BENCH_SECRET");

	s->len = 0;
	if (path != NULL)
		return read_file(s, path, e);
	if (text == NULL || text[0] == '\0')
		return err_set(e, ENOENT, "neither --secret-file nor WEIR_BENCH_SECRET is given");
	s->len = strnlen(text, SECRET_MAX);
	memcpy(s->text, text, s->len);
	return check(s, "WEIR_BENCH_SECRET", e);
}

static int make_random(unsigned char *raw, size_t n, struct err *e) {
	return getrandom(raw, n, 0) == (ssize_t)n
		       ? 0
		       : err_set(e, EIO, "no random numbers: %s", strerror(errno));
}

int secret_make(struct secret *s, struct err *e) {
	char text[SECRET_PROOF_TEXT];
	unsigned char raw[SECRET_PROOF];
	int ret = make_random(raw, sizeof(raw), e);

	to_hex(raw, sizeof(raw), text);
	s->len = 2 * sizeof(raw);
	memcpy(s->text, text, s->len);
	return ret;
}

int secret_nonce(char text[SECRET_NONCE_TEXT], struct err *e) {
	unsigned char raw[SECRET_NONCE] = {0};
	int ret = make_random(raw, sizeof(raw), e);

	to_hex(raw, sizeof(raw), text);
	return ret;
}

/* RFC 2104: a key that is longer than a block is hashed first. */
static void pad_key(const struct secret *s, unsigned char with, unsigned char *block) {
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX hash;

	memset(block, 0, SHA256_BLOCK_LENGTH);
	if (s->len > SHA256_BLOCK_LENGTH) {
		SHA256Init(&hash);
		SHA256Update(&hash, s->text, s->len);
		SHA256Final(digest, &hash);
		memcpy(block, digest, sizeof(digest));
	} else {
		memcpy(block, s->text, s->len);
	}
	for (int i = 0; i < SHA256_BLOCK_LENGTH; i++)
		block[i] ^= with;
}

void secret_proof(const struct secret *s, enum secret_side side, const char *client_nonce,
	const char *server_nonce, char text[SECRET_PROOF_TEXT]) {
	unsigned char block[SHA256_BLOCK_LENGTH], digest[SHA256_DIGEST_LENGTH];
	char message[32 + 2 * SECRET_NONCE_TEXT];
	SHA2_CTX hash;
	int n = snprintf(message, sizeof(message), "weir-bench %s %.32s %.32s",
		side == SECRET_CLIENT ? "client" : "server", client_nonce, server_nonce);

	pad_key(s, 0x36, block);
	SHA256Init(&hash);
	SHA256Update(&hash, block, sizeof(block));
	SHA256Update(&hash, (const unsigned char *)message, (size_t)n);
	SHA256Final(digest, &hash);
	pad_key(s, 0x5c, block);
	SHA256Init(&hash);
	SHA256Update(&hash, block, sizeof(block));
	SHA256Update(&hash, digest, sizeof(digest));
	SHA256Final(digest, &hash);
	to_hex(digest, sizeof(digest), text);
}

bool secret_shown(const char *expected, const char *shown) {
	unsigned char differs = 0;

	if (shown == NULL || strlen(shown) != SECRET_PROOF_TEXT - 1)
		return false;
	for (size_t i = 0; i < SECRET_PROOF_TEXT - 1; i++)
		differs |= (unsigned char)(expected[i] ^ shown[i]);
	return differs == 0;
}

bool secret_is_loopback(const struct sockaddr_storage *sa) {
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *four = (const struct sockaddr_in *)sa;

	if (sa->ss_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (sa->ss_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) &&
		       six->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
}
