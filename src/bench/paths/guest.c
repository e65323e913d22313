/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/paths/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/bench.h"
#include "bench/clock.h"

/* QEMU gets everything it needs as descriptors: the initramfs (a memfd), the control stream (one end of
 * a socketpair), its log (a memfd, with the guest's console in it), TAPs. So nothing lies about in the
 * file system, and when QEMU ends, for whatever reason, the control stream closes at once. It asks to be
 * killed when the thread that started it ends, so it does not outlive a killed `weir bench`. */

struct guest {
	char name[32];
	pid_t pid;
	int control, log;
	struct guest *next;
};

static struct guest *running;

#define ACCEL_EMULATED "tcg,thread=multi"

enum { ARGS_OWN = 48, LOG_TAIL = 300, LOOK_MS = 50 };
enum { PROBE_MS = 15000 }; // a KVM guest boots in two seconds; on some hosts it hangs

void guest_arg(struct guest_spec *s, const char *fmt, ...) {
	va_list ap;

	if (s->nargs == GUEST_ARGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(s->args[s->nargs++], GUEST_ARG_LEN, fmt, ap);
	va_end(ap);
}

const char *guest_program(void) {
	const char *qemu = getenv("WEIR_VM_QEMU");

	return qemu != NULL && qemu[0] != '\0' ? qemu : "qemu-system-x86_64";
}

bool guest_needs_intx(const char *accel) {
	char cmd[300], line[100] = "";
	unsigned major = 0;
	FILE *f;

	if (strncmp(accel, "kvm", 3) == 0)
		return false;
	snprintf(cmd, sizeof(cmd), "exec %s --version 2>/dev/null", guest_program());
	f = popen(cmd, "re");
	if (f != NULL && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "QEMU emulator version %u", &major);
	if (f != NULL)
		pclose(f);
	return major < 8;
}

/* The kernel's command line; what follows "--" are the words of process 1. */
static void command_line(const struct guest_spec *s, char *buf, size_t size) {
	size_t n = (size_t)snprintf(buf, size,
		"console=ttyS0 panic=-1 tsc=reliable mitigations=off random.trust_cpu=on quiet "
		"LD_LIBRARY_PATH=/lib weir.name=%s",
		s->name);

	for (unsigned i = 0; i < s->nnics && n < size; i++)
		n += (size_t)snprintf(
			buf + n, size - n, " weir.nic=%s,%s", s->nics[i].mac, s->nics[i].address);
	if (n < size)
		snprintf(buf + n, size - n, " -- bench agent --init");
}

/* In the child. Descriptors are the parent's, but for those QEMU gets. */
static void become_qemu(const struct guest_image *image, const struct guest_spec *s,
	const char *accel, int control, int log) {
	char kernel[40], initrd[40], serial[60], chardev[60], append[1024], memory[80];
	int keep[] = {guest_image_kernel(image), guest_image_initrd(image), control, log}, null;
	const char *argv[ARGS_OWN + GUEST_ARGS_MAX];
	unsigned n = 0;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); // Ctrl-C is weir's to handle
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++)
		fcntl(keep[i], F_SETFD, 0);
	for (unsigned i = 0; i < s->nfds; i++)
		fcntl(s->fds[i], F_SETFD, 0);
	null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", keep[0]);
	snprintf(initrd, sizeof(initrd), "/proc/self/fd/%d", keep[1]);
	snprintf(serial, sizeof(serial), "file,id=console,path=/proc/self/fd/%d,append=on", log);
	snprintf(chardev, sizeof(chardev), "socket,id=control,fd=%d", control);
	snprintf(memory, sizeof(memory), "memory-backend-memfd,id=m,size=%dM,share=on", GUEST_MB);
	command_line(s, append, sizeof(append));
	const char *const own[] = {guest_program(), "-nodefaults", "-no-user-config", "-display",
		"none", "-no-reboot", "-machine", "q35,usb=off", "-accel", accel, "-cpu",
		strncmp(accel, "kvm", 3) == 0 ? "host" : "max", "-smp", "1", "-m", "256", "-object",
		memory, "-numa", "node,memdev=m", "-kernel", kernel, "-initrd", initrd, "-append",
		append, "-chardev", serial, "-serial", "chardev:console", "-chardev", chardev,
		"-device", "virtio-serial", "-device", "virtserialport,chardev=control,name=weir"};
	_Static_assert(sizeof(own) / sizeof(own[0]) < ARGS_OWN, "room for the arguments");
	_Static_assert(GUEST_MB == 256, "-m says the same");
	for (; n < sizeof(own) / sizeof(own[0]); n++)
		argv[n] = own[n];
	for (unsigned i = 0; i < s->nargs; i++)
		argv[n++] = s->args[i];
	argv[n] = NULL;
	execvp(argv[0], (char *const *)argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

struct guest *guest_start(const struct guest_image *image, const struct guest_spec *spec,
	const char *accel, struct err *e) {
	struct guest *g = calloc(1, sizeof(*g));
	int pair[2] = {-1, -1};
	pid_t parent = getpid();

	if (g == NULL) {
		err_set(e, ENOMEM, "no memory for guest %s", spec->name);
		return NULL;
	}
	g->log = memfd_create("weir-guest-log", MFD_CLOEXEC);
	if (g->log < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		goto fail;
	fcntl(g->log, F_SETFL, O_APPEND); // QEMU and the console write to it
	g->pid = fork();
	if (g->pid < 0)
		goto fail;
	if (g->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127); // it ended before the request was in place
		become_qemu(image, spec, accel, pair[1], g->log);
	}
	close(pair[1]);
	g->control = pair[0];
	snprintf(g->name, sizeof(g->name), "%s", spec->name);
	g->next = running;
	running = g;
	return g;
fail:
	err_set(e, errno, "guest %s: %s", spec->name, strerror(errno));
	if (g->log >= 0)
		close(g->log);
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	free(g);
	return NULL;
}

/* The last line or two that QEMU or the guest's console had to say. */
static void last_words(const struct guest *g, char *buf, size_t size) {
	off_t end = lseek(g->log, 0, SEEK_END), from = end - (off_t)size + 1;
	ssize_t n = pread(g->log, buf, size - 1, from > 0 ? from : 0);

	buf[n > 0 ? n : 0] = '\0';
	for (char *c = buf; *c != '\0'; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
}

/* What is left to read of the greeting, without waiting; 0: it is whole. */
static int read_greeting(struct guest *g, size_t *have) {
	static const char greeting[] = GUEST_GREETING;
	char buf[sizeof(greeting)];
	ssize_t n = recv(g->control, buf, sizeof(greeting) - 1 - *have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	if (memcmp(buf, greeting + *have, (size_t)n) != 0)
		return -EPROTO;
	*have += (size_t)n;
	return *have < sizeof(greeting) - 1 ? -EAGAIN : 0;
}

int guest_wait(struct guest *g, int timeout_ms, struct err *e) {
	uint64_t end = clock_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	char words[LOG_TAIL];
	size_t have = 0;
	int ret = -EAGAIN;

	while (ret == -EAGAIN && clock_ns() < end) {
		struct pollfd p = {.fd = g->control, .events = POLLIN};

		if (bench_stopped)
			return err_set(e, ECANCELED, "interrupted");
		poll(&p, 1, LOOK_MS);
		ret = read_greeting(g, &have);
	}
	if (ret == 0)
		return 0;
	last_words(g, words, sizeof(words));
	if (ret == -EAGAIN)
		return err_set(e, ETIMEDOUT, "guest %s did not boot in %d s; the last it said: %s",
			g->name, timeout_ms / 1000, words);
	return err_set(
		e, -ret, "guest %s did not boot: QEMU ended; the last it said: %s", g->name, words);
}

void guest_end(struct guest *g) {
	struct guest **at = &running;

	if (g == NULL)
		return;
	while (*at != NULL && *at != g)
		at = &(*at)->next;
	if (*at != NULL)
		*at = g->next;
	kill(g->pid, SIGKILL);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(g->control);
	close(g->log);
	free(g);
}

pid_t guest_pid(const struct guest *g) {
	return g->pid;
}

const char *guest_name(const struct guest *g) {
	return g->name;
}

int guest_stream(const char *name) {
	for (const struct guest *g = running; g != NULL; g = g->next)
		if (strcmp(g->name, name) == 0)
			return g->control;
	return -1;
}

const char *guest_accel(const struct guest_image *image, struct err *why) {
	const char *given = getenv("WEIR_VM_ACCEL");
	struct guest_spec spec = {.name = "probe"};
	struct guest *g;
	int ret = -EIO;

	why->text[0] = '\0';
	if (given != NULL && given[0] != '\0')
		return given;
	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		err_set(why, errno, "/dev/kvm: %s", strerror(errno));
		return ACCEL_EMULATED;
	}
	g = guest_start(image, &spec, "kvm", why);
	if (g != NULL)
		ret = guest_wait(g, PROBE_MS, why);
	guest_end(g);
	if (ret == -ECANCELED)
		return NULL;
	return ret == 0 ? "kvm" : ACCEL_EMULATED;
}
