/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/units.h"
#include "cli/cli.h"

/* The switch writes into a pipe made here. Ctrl-C ends our side of the API connection; the switch
 * then writes what it still has, and the pipe ends. */

enum { CHUNK = 1 << 16, COUNT_MAX = 1000000000 };

static volatile sig_atomic_t interrupted;

static void on_signal(int sig) {
	interrupted = 1;
}

static int write_all(int fd, const char *bytes, size_t n) {
	while (n > 0) {
		ssize_t m = write(fd, bytes, n);

		if (m < 0 && errno == EINTR)
			continue;
		if (m < 0)
			return -errno;
		bytes += m;
		n -= (size_t)m;
	}
	return 0;
}

/* Copies until the pipe ends. 0 or -errno of the output. */
static int copy(int conn, int from, int to) {
	static char buf[CHUNK];
	sigset_t none;

	sigemptyset(&none);
	for (int told = 0;;) {
		struct pollfd p = {.fd = from, .events = POLLIN};
		ssize_t n;
		int ret;

		if (interrupted && !told) {
			shutdown(conn, SHUT_WR);
			told = 1;
		}
		// Signals come only here, so none is lost between the test above and the wait.
		if (ppoll(&p, 1, NULL, &none) < 0)
			continue;
		n = read(from, buf, sizeof(buf));
		if (n <= 0)
			return 0;
		ret = write_all(to, buf, (size_t)n);
		if (ret < 0)
			return ret;
	}
}

static void catch_signals(void) {
	struct sigaction sa = {.sa_handler = on_signal};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN); // a reader that had enough ends it in good order
}

static int capture(const char *port, uint64_t count, uint64_t snaplen, const char *file) {
	int conn = client_open(), out = STDOUT_FILENO, p[2], ret;
	json_t *params, *result;
	struct err e;

	if (conn < 0)
		return STATUS_REFUSED;
	if (pipe2(p, O_CLOEXEC) < 0)
		return cli_fail("pipe: %s", strerror(errno));
	params = json_pack("{s:s, s:I, s:I}", "port", port, "count", (json_int_t)count, "snaplen",
		(json_int_t)snaplen);
	result = client_call(conn, "capture.start", params, p[1], &e);
	close(p[1]);
	if (result == NULL)
		return cli_fail("%s", e.text);
	json_decref(result);
	// Only now, so that a refusal leaves a file of that name alone.
	if (file != NULL)
		out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		return cli_fail("%s: %s", file, strerror(errno));
	ret = copy(conn, p[0], out);
	if (ret == -EPIPE) // the reader had enough
		return STATUS_DONE;
	return ret < 0 ? cli_fail("%s: %s", file != NULL ? file : "standard output", strerror(-ret))
		       : STATUS_DONE;
}

static int number(const char *text, uint64_t max, uint64_t *n) {
	char *end;

	errno = 0;
	*n = text != NULL ? strtoull(text, &end, 10) : 0;
	return text == NULL ||
	       (errno == 0 && end != text && *end == '\0' && text[0] != '-' && *n <= max);
}

static int run(const struct command *c, int argc, char **argv) {
	int bad = 0;
	const char *file = cli_option(&argc, argv, "w", &bad);
	const char *count = cli_option(&argc, argv, "c", &bad);
	const char *snaplen = cli_option(&argc, argv, "snaplen", &bad);
	uint64_t frames, bytes;

	if (bad)
		return cli_usage(c, "an option without its value");
	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc != 2)
		return cli_usage(c, argc < 2 ? "which port?" : "one port at a time");
	if (!number(count, COUNT_MAX, &frames))
		return cli_usage(
			c, "-c is '%s', it must be a number of frames up to %d", count, COUNT_MAX);
	if (!number(snaplen, 262144, &bytes))
		return cli_usage(
			c, "--snaplen is '%s', it must be a number of bytes up to 262144", snaplen);
	if (file != NULL && strcmp(file, "-") == 0)
		file = NULL;
	if (file == NULL && isatty(STDOUT_FILENO))
		return cli_usage(c,
			"a terminal does not show pcapng; give -w FILE or a pipe (| tshark -r -)");
	catch_signals();
	return capture(argv[1], frames, bytes, file);
}

const struct command cmd_capture = {
	"capture",
	"PORT [-w FILE] [-c COUNT] [--snaplen N]",
	"Copy the frames of a port, both directions, as pcapng",
	"\n"
	"  -w FILE      to a file; else to standard output: weir capture vm1 | tshark -r -\n"
	"  -c COUNT     end after so many frames\n"
	"  --snaplen N  at most N bytes of each\n"
	"\n"
	"Ctrl-C ends it. Inbound is what the switch received from the port. Frames that are still "
	"to be\n"
	"segmented or to get their checksum from the receiver are written as they are. The switch "
	"does\n"
	"not wait for a slow reader: frames lost to the capture are counted in the file's "
	"interface\n"
	"statistics.\n",
	run,
};
