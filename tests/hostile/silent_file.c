/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "silent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>

/* Two processes in the new namespaces: the server speaks the kernel's protocol at /dev/fuse (linux/fuse.h),
 * the other opens the file, passes it to the test and ends. */

enum { SIZE = 1 << 20, ROOT = 1, NODE = 2, BUFFER = (1 << 17) + 4096 };

static void attributes(struct fuse_attr *a, uint64_t node) {
	*a = (struct fuse_attr){.ino = node,
		.size = node == NODE ? SIZE : 0,
		.mode = node == NODE ? S_IFREG | 0666 : S_IFDIR | 0777,
		.nlink = 1,
		.blksize = 4096};
}

static void reply(
	int dev, const struct fuse_in_header *in, int error, const void *body, size_t len) {
	struct {
		struct fuse_out_header h;
		char body[256];
	} out = {.h = {.len = (uint32_t)(sizeof(out.h) + len),
			 .error = error,
			 .unique = in->unique}};

	memcpy(out.body, body, len);
	(void)!write(dev, &out, out.h.len);
}

/* Answers one request; false after the one that opens the file. */
static bool serve(int dev, const struct fuse_in_header *in) {
	struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 4096,
		.max_write = 4096};
	struct fuse_attr_out attr = {.attr_valid = 3600};
	struct fuse_entry_out entry = {.nodeid = NODE, .attr_valid = 3600, .entry_valid = 3600};
	struct fuse_open_out open_out = {.fh = 1};

	switch (in->opcode) {
	case FUSE_INIT:
		reply(dev, in, 0, &init, sizeof(init));
		return true;
	case FUSE_GETATTR:
		attributes(&attr.attr, in->nodeid);
		reply(dev, in, 0, &attr, sizeof(attr));
		return true;
	case FUSE_LOOKUP:
		attributes(&entry.attr, NODE);
		reply(dev, in, 0, &entry, sizeof(entry));
		return true;
	case FUSE_OPEN:
		reply(dev, in, 0, &open_out, sizeof(open_out));
		return false;
	default:
		reply(dev, in, -ENOSYS, NULL, 0);
		return true;
	}
}

static int mount_here(char *folder, size_t size) {
	char options[96];
	int dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (dev < 0)
		return -errno;
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	snprintf(folder, size, "/mnt");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	return mount("silent", folder, "fuse", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : dev;
}

static int pass(int to, int fd) {
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {.iov_base = "f", .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room)};

	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	return sendmsg(to, &m, 0) == 1 ? 0 : -errno;
}

static int take(int from) {
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room)};
	int fd = -1;

	if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* The server; the opener is its child, which cannot be waited for: its own close hangs, too. */
static void serve_silently(int to) {
	static char buffer[BUFFER];
	char folder[32], path[64];
	int dev = mount_here(folder, sizeof(folder));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dev < 0)
		_exit(-dev);
	if (fork() == 0) {
		int fd;

		close(dev);
		snprintf(path, sizeof(path), "%s/m", folder);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			pass(to, fd);
		_exit(0);
	}
	close(to);
	for (bool on = true; on;) {
		ssize_t n = read(dev, buffer, sizeof(buffer));

		if (n < (ssize_t)sizeof(struct fuse_in_header))
			_exit(EIO);
		on = serve(dev, (struct fuse_in_header *)buffer);
	}
	for (;;)
		pause();
}

int silent_file_open(struct silent_file *s) {
	int pair[2], status = 0;

	*s = (struct silent_file){.fd = -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	s->server = fork();
	if (s->server == 0) {
		close(pair[0]);
		serve_silently(pair[1]);
	}
	close(pair[1]);
	s->fd = take(pair[0]);
	close(pair[0]);
	if (s->fd >= 0)
		return 0;
	kill(s->server, SIGKILL);
	waitpid(s->server, &status, 0);
	snprintf(s->why, sizeof(s->why), "/dev/fuse: %s",
		strerror(WIFEXITED(status) ? WEXITSTATUS(status) : EIO));
	return -EIO;
}

void silent_file_close(struct silent_file *s) {
	kill(s->server, SIGKILL);
	waitpid(s->server, NULL, 0);
	close(s->fd);
}
