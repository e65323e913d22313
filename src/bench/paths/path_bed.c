/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sock.h"
#include "base/text.h"
#include "bench/bench.h"
#include "bench/clock.h"
#include "bench/paths/path.h"

enum { AWAIT_MS = 15000, AWAIT_STEP_MS = 20, SAID_LEN = 300, SEARCH_LEN = 600 };

/* Where Debian keeps what only root calls is not in every PATH. */
static void search_path(char path[SEARCH_LEN]) {
	const char *dirs = getenv("PATH");

	snprintf(path, SEARCH_LEN, "%s:/usr/sbin:/sbin", dirs != NULL ? dirs : "/usr/bin:/bin");
}

int path_has(const char *program, const char *package, struct err *e) {
	char path[SEARCH_LEN];

	search_path(path);
	if (strchr(program, '/') != NULL && access(program, X_OK) == 0)
		return 0;
	for (char *rest = path, *dir; (dir = strsep(&rest, ":")) != NULL;) {
		char file[900];

		snprintf(file, sizeof(file), "%s/%s", dir, program);
		if (access(file, X_OK) == 0)
			return 0;
	}
	return err_set(e, ENOENT, "%s is not installed (package %s)", program, package);
}

/* In a child: argv with stdin, stdout and stderr; dies with its parent. */
static void become(char *const *argv, int in, int out) {
	char path[SEARCH_LEN];

	search_path(path);
	setenv("PATH", path, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); // Ctrl-C is weir's to handle
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* The last line that is not empty, with nothing in it that a terminal would obey. */
static const char *last_line(int fd, char *buf, size_t size) {
	off_t end = lseek(fd, 0, SEEK_END), from = end - (off_t)size + 1;
	ssize_t n = pread(fd, buf, size - 1, from > 0 ? from : 0);
	char *line;

	buf[n > 0 ? n : 0] = '\0';
	while (n > 0 && buf[n - 1] == '\n')
		buf[--n] = '\0';
	line = strrchr(buf, '\n');
	if (line != NULL)
		memmove(buf, line + 1, strlen(line));
	text_clean(buf);
	return buf;
}

static char *all_of(int fd) {
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = malloc((size_t)size + 1);
	ssize_t n = text != NULL ? pread(fd, text, (size_t)size, 0) : 0;

	if (text != NULL)
		text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Runs to the end with `text` as its input; *all (NULL: nobody asks) is what it said. */
static int run(char *const *argv, const char *text, char **all, struct err *e) {
	int in = memfd_create("weir-in", MFD_CLOEXEC), out = memfd_create("weir-out", MFD_CLOEXEC);
	int status = -1, ret = 0;
	char said[SAID_LEN];
	pid_t pid = -1;

	if (in >= 0 && out >= 0 && pwrite(in, text, strlen(text), 0) == (ssize_t)strlen(text))
		pid = fork();
	if (pid == 0)
		become(argv, in, out);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		ret = err_set(e, errno, "%s: %s", argv[0], strerror(errno));
	else if (status != 0)
		ret = err_set(e, EIO, "%s failed: %s", argv[0], last_line(out, said, sizeof(said)));
	else if (all != NULL && (*all = all_of(out)) == NULL)
		ret = err_set(e, ENOMEM, "no memory");
	close(in);
	close(out);
	return ret;
}

int path_run(char *const *argv, struct err *e) {
	return run(argv, "", NULL, e);
}

int path_ask(char *const *argv, char **said, struct err *e) {
	return run(argv, "", said, e);
}

static int batch(char *program, struct err *e, const char *fmt, va_list ap) {
	char *argv[] = {program, "-batch", "-", NULL}, *text;
	int ret;

	if (vasprintf(&text, fmt, ap) < 0)
		return err_set(e, ENOMEM, "no memory");
	ret = run(argv, text, NULL, e);
	free(text);
	return ret;
}

int path_ip(struct err *e, const char *fmt, ...) {
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = batch("ip", e, fmt, ap);
	va_end(ap);
	return ret;
}

int path_tc(struct err *e, const char *fmt, ...) {
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = batch("tc", e, fmt, ap);
	va_end(ap);
	return ret;
}

static void log_path(const char *role, char *buf, size_t size) {
	snprintf(buf, size, "/run/%s.log", role);
}

const char *path_last_words(const char *role, char *buf, size_t size) {
	char path[100];
	int fd;

	log_path(role, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(buf, size, "nothing");
	if (fd >= 0) {
		last_line(fd, buf, size);
		close(fd);
	}
	return buf;
}

int path_spawn(struct path_bed *b, const char *role, char *const *argv, struct err *e) {
	char path[100];
	int log, in;
	pid_t pid;

	if (b->nprocesses == PATH_PROCESSES_MAX)
		return err_set(
			e, E2BIG, "%s: a path has at most %d processes", role, PATH_PROCESSES_MAX);
	log_path(role, path, sizeof(path));
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid = log >= 0 && in >= 0 ? fork() : -1;
	if (pid == 0)
		become(argv, in, log);
	if (pid < 0)
		err_set(e, errno, "%s: %s", role, strerror(errno));
	close(log);
	close(in);
	if (pid < 0)
		return -EAGAIN;
	b->process[b->nprocesses].pid = pid;
	b->process[b->nprocesses++].role = role;
	return 0;
}

void path_end(struct path_bed *b) {
	for (unsigned i = 0; i < b->nprocesses; i++)
		kill(b->process[i].pid, SIGKILL);
	while (b->nprocesses > 0) {
		pid_t pid = b->process[--b->nprocesses].pid;

		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

int path_await(struct path_bed *b, const char *socket, struct err *e) {
	const char *role = b->process[b->nprocesses - 1].role;
	pid_t pid = b->process[b->nprocesses - 1].pid;
	char said[SAID_LEN];

	for (int ms = 0; ms < AWAIT_MS && !bench_stopped; ms += AWAIT_STEP_MS) {
		int fd = sock_connect(socket, NULL);

		if (fd >= 0) {
			close(fd);
			return 0;
		}
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			b->nprocesses--;
			break;
		}
		usleep(AWAIT_STEP_MS * 1000);
	}
	if (bench_stopped)
		return err_set(e, ECANCELED, "interrupted");
	return err_set(e, ETIMEDOUT, "the %s does not come up; the last it said: %s", role,
		path_last_words(role, said, sizeof(said)));
}

int path_ns_up(unsigned first, unsigned last, struct err *e) {
	char address[24];

	for (unsigned i = first; i <= last; i++)
		if (path_ip(e,
			    "netns exec vm%u ip addr add %s dev eth0\n"
			    "netns exec vm%u ip link set eth0 up\n",
			    i, path_address(i - 1, address, sizeof(address)), i) < 0)
			return -EIO;
	return 0;
}

int path_ns_bridge(struct path_bed *b, unsigned first, unsigned last, struct err *e) {
	char queues[64] = "";

	if (b->queues > 0)
		snprintf(queues, sizeof(queues), "numrxqueues %u numtxqueues %u", b->queues,
			b->queues);
	for (unsigned i = first; i <= last; i++)
		if (path_ip(e,
			    "netns add vm%u\n"
			    "link add eth%u %s type veth peer name eth0 %s netns vm%u\n"
			    "link set eth%u master br0 up\n",
			    i, i, queues, queues, i, i) < 0)
			return -EIO;
	return path_ns_up(first, last, e);
}

const char *path_address(unsigned i, char *buf, size_t size) {
	snprintf(buf, size, "10.99.%u.%u/16", (i + 1) / 256, (i + 1) % 256);
	return buf;
}

const char *path_mac(unsigned i, char *buf, size_t size) {
	snprintf(buf, size, "52:54:00:99:%02x:%02x", (i + 1) / 256, (i + 1) % 256);
	return buf;
}

void path_tap_nic(struct guest_spec *s, const char *tap, const char *model, const char *more) {
	guest_arg(s, "-netdev");
	guest_arg(s, "tap,id=n0,ifname=%s,script=no,downscript=no%s", tap, more);
	guest_arg(s, "-device");
	guest_arg(s, "%s,netdev=n0,mac=%s,romfile=", model, s->nics[0].mac);
}

void path_vhost_nic(const struct path_bed *b, struct guest_spec *s) {
	guest_arg(s, "-netdev");
	guest_arg(s, "vhost-user,id=n0,chardev=c0");
	guest_arg(s, "-device");
	guest_arg(s, "virtio-net-pci,netdev=n0,mac=%s,romfile=%s", s->nics[0].mac,
		b->intx ? ",vectors=0" : "");
}
