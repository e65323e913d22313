/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The neighbour that floods with frames: the frame generator over AF_PACKET, without its sink, which would
 * take another CPU. Where the frames go is shown to the switch first, so that it need not flood them. How
 * many went and arrived is taken from the kernel's counters, not asked of who made them. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/netns.h"
#include "bench/fair/fair.h"
#include "bench/flows/pair.h"
#include "bench/frames/frame_bed.h"
#include "bench/tick.h"

enum { FLOOD_FLOWS = 64, FLOOD_MAGIC = 0x77666c64, START_MS = 10000, COUNTERS_LEN = 16384 };

int flood_find(struct flood *f, struct pair *p, struct err *e) {
	for (int i = 0; i < 2; i++) {
		json_t *all = agent_ask(p->agent[i], "addresses", NULL, e);
		const char *device =
			json_string_value(json_object_get(json_array_get(all, 0), "device"));
		int ret = 0;

		if (all == NULL)
			return -EPIPE;
		if (device == NULL)
			ret = err_set(e, EADDRNOTAVAIL,
				"%s has no interface with an address to send noise with",
				p->name[i]);
		else
			snprintf(f->device[i], sizeof(f->device[i]), "%s", device);
		snprintf(f->ns[i], sizeof(f->ns[i]), "%s", agent_endpoint(p->agent[i])->name);
		json_decref(all);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Both ports, and where the second is shown to whatever lies between. */
static int open_ports(const struct flood *f, const struct frame_shape *s, struct frame_port **port,
	struct err *e) {
	struct frame_port_want want = {.queues = 1, .frame_max = frame_shape_longest(s)};
	int64_t shown;

	for (int i = 0; i < 2; i++) {
		char name[ENDPOINT_NAME_MAX + 32];

		snprintf(name, sizeof(name), "if:%s/%s", f->ns[i], f->device[i]);
		if (frame_port_open(&port[i], name, &want, e) < 0)
			return -EIO;
	}
	shown = frame_learn(port[1], s, 1, FLOOD_MAGIC);
	frame_port_close(port[1]);
	return shown == (int64_t)s->macs ? 0 : err_set(e, EIO, "%s takes no frames", f->ns[1]);
}

/* The child's life: says in one line what went wrong, or an empty one, and sends. */
static void flood(const struct flood *f, unsigned frame, int out) {
	struct frame_run run = {.streams = 1, .threads = 1, .magic = FLOOD_MAGIC};
	struct frame_sender sender = {.run = &run, .lanes = 1, .cpu = -1};
	struct frame_shape shape = {.flows = FLOOD_FLOWS, .macs = 1, .who = (uint16_t)getpid()};
	struct frame_trial trial = {.shape = &shape};
	struct frame_port *port[2];
	struct err e = {.text = ""};
	char size[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN); // whoever made it ends it
	signal(SIGTERM, SIG_DFL);
	snprintf(size, sizeof(size), "%u", frame);
	if (frame_shape_size(&shape, size, &e) == 0 && open_ports(f, &shape, port, &e) == 0) {
		sender.lane[0].port = port[0];
		sender.lane[0].magic = FLOOD_MAGIC;
		if (frame_lane_init(&sender.lane[0], &trial, 0, 0, 1) < 0)
			err_set(&e, ENOMEM, "no memory for frames");
	}
	dprintf(out, "%s\n", e.text);
	close(out);
	if (e.text[0] != '\0')
		_exit(1);
	run.begin = tick_now();
	run.end = UINT64_MAX;
	run.leave = true;
	frame_send_thread(&sender);
	_exit(1);
}

/* Its line. */
static int hear(int fd, struct err *e) {
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[sizeof(e->text)];
	size_t n = 0;
	ssize_t got = 1;

	while (n + 1 < sizeof(text) && got > 0 && poll(&p, 1, START_MS) > 0) {
		got = read(fd, text + n, sizeof(text) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
		if (n > 0 && text[n - 1] == '\n')
			break;
	}
	if (n == 0)
		return err_set(e, bench_stopped ? ECANCELED : EIO, "the noise does not begin");
	text[n - 1] = '\0';
	return n == 1 ? 0 : err_set(e, EIO, "no noise: %s", text);
}

int flood_start(struct flood *f, unsigned frame, struct err *e) {
	pid_t self = getpid();
	int out[2], ret;

	if (pipe(out) < 0)
		return err_set(e, errno, "no noise: %s", strerror(errno));
	fflush(NULL);
	f->pid = fork();
	if (f->pid == 0) {
		if (getppid() == self)
			flood(f, frame, out[1]);
		_exit(1);
	}
	close(out[1]);
	ret = f->pid > 0 ? hear(out[0], e) : err_set(e, EAGAIN, "cannot start a process");
	close(out[0]);
	if (ret < 0)
		flood_end(f);
	return ret;
}

void flood_end(struct flood *f) {
	if (f->pid <= 0)
		return;
	kill(f->pid, SIGKILL);
	while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
		;
	f->pid = 0;
}

int flood_check(struct flood *f, struct err *e) {
	if (f->pid <= 0 || waitpid(f->pid, NULL, WNOHANG) != f->pid)
		return 0;
	f->pid = 0;
	return err_set(e, EPIPE, "the noise ended: %s is gone", f->device[0]);
}

/* In the namespace: the packets of a device, of those received (0) or sent. */
static int read_counter(const char *device, int sent, double *count) {
	char text[COUNTERS_LEN], *line = text, *next;
	size_t len = strlen(device);
	double v[10];

	if (file_read(text, sizeof(text), "/proc/thread-self/net/dev") < 0)
		return -EIO;
	while ((next = strsep(&line, "\n")) != NULL) {
		next += strspn(next, " ");
		if (strncmp(next, device, len) != 0 || next[len] != ':')
			continue;
		if (sscanf(next + len + 1, "%lf %lf %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1],
			    &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9]) != 10)
			return -EIO;
		*count = v[sent ? 9 : 1];
		return 0;
	}
	return -ENODEV;
}

int flood_count(const struct flood *f, double count[2], struct err *e) {
	for (int i = 0; i < 2; i++) {
		int back, ret = netns_enter(f->ns[i], &back, e);

		if (ret < 0)
			return ret;
		ret = read_counter(f->device[i], i == 0, &count[i]);
		netns_leave(back);
		if (ret < 0)
			return err_set(e, -ret, "%s in %s: no counters", f->device[i], f->ns[i]);
	}
	return 0;
}
