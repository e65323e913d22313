/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Whoever may connect to a socket of the switch does so as fast as it can, to lie, to ask much or to ask
 * nothing. A neighbour keeps its share, the API and the metrics answer, and the log does not fill. */
#include "bed.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "beside.h"

enum {
	KEPT = 40, /* connections at a time */
	ASKED = 50, /* requests of who reads no answer */
	LEAST = 20, /* connections, or it is no attack */
	LINES = 100, /* of the log, whatever number comes */
	ANSWERS = 5,
	GIVE_UP_S = 5,
};

struct attack {
	const char *sentence;
	void (*once)(void *arg);
};

static struct {
	int fd[KEPT];
	unsigned n; /* so far */
} held;

static char metrics_line[64];
static in_port_t metrics_port;

static int connect_unix(const char *name) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char path[96];
	const int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", bed_path(path, sizeof(path), name));
	(void)!connect(s, (struct sockaddr *)&a, sizeof(a));
	return s;
}

static int connect_metrics(void) {
	const struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = metrics_port};
	const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)!connect(s, (const struct sockaddr *)&a, sizeof(a));
	return s;
}

/* Stays open until many more have come. */
static void hold(int s) {
	int *place = &held.fd[held.n++ % KEPT];

	if (*place > 0)
		close(*place);
	*place = s;
}

static void let_go(void) {
	for (unsigned i = 0; i < KEPT; i++)
		if (held.fd[i] > 0)
			close(held.fd[i]);
	memset(&held, 0, sizeof(held));
}

/* --- Attacks --------------------------------------------------------------------------------- */

static void lie(void *arg) {
	const uint32_t h[3] = {200, FRONT_VERSION, 0};
	const int s = connect_unix("bad");

	(void)arg;
	(void)!send(s, h, sizeof(h), MSG_NOSIGNAL);
	close(s);
	held.n++;
}

static void ask_nothing(void *arg) {
	(void)arg;
	hold(connect_unix("api"));
}

static void read_nothing(void *arg) {
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"show.ports\"}\n";
	const int s = connect_unix("api");

	(void)arg;
	for (unsigned i = 0; i < ASKED; i++)
		(void)!send(s, line, sizeof(line) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	hold(s);
}

static void ask_no_metrics(void *arg) {
	(void)arg;
	hold(connect_metrics());
}

static const struct attack attacks[] = {
	{"front ends that lie as fast as they can connect", lie},
	{"clients of the API that ask nothing", ask_nothing},
	{"clients of the API that ask much and read nothing", read_nothing},
	{"clients of the metrics that ask nothing", ask_no_metrics},
};

/* --- The test -------------------------------------------------------------------------------- */

static void metrics_answer(void) {
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	const struct timeval patience = {.tv_sec = GIVE_UP_S};
	char text[4096] = "";

	for (unsigned i = 0; i < ANSWERS; i++) {
		const uint64_t begin = bed_now_ms();
		const int s = connect_metrics();

		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		assert_int_equal(
			send(s, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
		assert_true(recv(s, text, sizeof(text) - 1, 0) > 0);
		beside_answered(bed_now_ms() - begin);
		close(s);
		assert_non_null(strstr(text, "200 OK"));
	}
}

static unsigned log_lines(void) {
	char path[96];
	FILE *f = fopen(bed_path(path, sizeof(path), "log"), "r");
	unsigned n = 0;
	int c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void a_neighbour_keeps_its_share(void **state) {
	const struct attack *a = *state;
	const unsigned before = log_lines();
	unsigned lines;

	beside_hold(&(struct beside){.sentence = a->sentence, .attack = a->once, .waits = true});
	metrics_answer();
	lines = log_lines() - before;
	print_message("# %u connections, %u lines in the log\n", held.n, lines);
	assert_in_range(held.n, LEAST, UINT32_MAX);
	assert_in_range(lines, 0, LINES);
}

static int detach(void **state) {
	(void)state;
	beside_end();
	let_go();
	return 0;
}

/* A port of TCP that nobody has at this moment. */
static int start(void **state) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (bind(s, (struct sockaddr *)&a, len) != 0 ||
		getsockname(s, (struct sockaddr *)&a, &len) != 0)
		return -1;
	close(s);
	metrics_port = a.sin_port;
	snprintf(metrics_line, sizeof(metrics_line), "metrics: 127.0.0.1:%u\n", ntohs(a.sin_port));
	return bed_start(NULL, metrics_line);
}

int main(void) {
	beside_one_worker();
	return beside_run(&(struct beside_cases){.name = "clients",
		.first = attacks,
		.size = sizeof(attacks[0]),
		.n = sizeof(attacks) / sizeof(attacks[0]),
		.test = a_neighbour_keeps_its_share,
		.start = start,
		.detach = detach});
}
