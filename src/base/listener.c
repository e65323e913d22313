/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/group.h"
#include "base/log.h"

/* Asking whether a socket is live means to connect to it, which its owner sees: not every second. */
enum { LOOKS_BETWEEN = 30 };

/* Who may connect besides root and ourselves. */
static int let_group_in(struct listener *l, struct err *e) {
	gid_t gid;
	int rc;

	if (l->group[0] == '\0')
		return 0;
	rc = group_find(l->group, &gid);
	l->group_due =
		rc ==
		-EINPROGRESS; // until then its owner may connect, and listener_look asks again
	if (l->group_due)
		return 0;
	if (rc < 0)
		return err_set(e, EINVAL, "group: there is no group '%s'", l->group);
	if (sock_set_group(l->path, gid, e) < 0) {
		err_prefix(e, "group: cannot give %s to group '%s': ", l->path, l->group);
		return -EPERM;
	}
	return 0;
}

/* Puts a new socket in the place of the old one, if there is one. */
static int listen_here(struct listener *l, struct err *e) {
	int fd = sock_listen(l->path, l->mode, e), rc;
	struct sock_file made;

	if (fd < 0)
		return fd;
	made = sock_file(l->path);
	rc = let_group_in(l, e);
	if (rc == 0 && l->fd >= 0)
		rc = acceptor_move(&l->acceptor, fd, e);
	if (rc < 0) {
		sock_remove(l->path, made);
		close(fd);
		return rc;
	}
	// Who waits in the queue may have sent something already.
	closer_close(l->owner, l->fd);
	l->fd = fd;
	l->made = made;
	return 0;
}

int listener_open(
	struct listener *l, const char *path, const char *group, mode_t mode, struct err *e) {
	int rc;

	*l = (struct listener){.fd = -1, .mode = mode};
	if (strlen(path) >= sizeof(l->path))
		return sock_claim(path, e); // which says how long it may be
	strcpy(l->path, path);
	snprintf(l->group, sizeof(l->group), "%s", group != NULL ? group : "");
	rc = listen_here(l, e);
	if (rc < 0)
		l->path[0] = '\0';
	return rc;
}

int listener_serve(struct listener *l, sd_event *loop, const char *what,
	void (*arrived)(int conn, void *arg), void *arg, struct err *e) {
	return acceptor_open(&l->acceptor, loop, l->fd, what, arrived, arg, e);
}

void listener_look(struct listener *l) {
	const char *what = l->acceptor.what;
	struct sock_file there = sock_file(l->path);
	bool missed = l->missed;

	if (l->path[0] == '\0')
		return;
	if (sock_file_same(there, l->made)) {
		if (missed)
			log_limited(LOG_L_INFO, what, "the socket file %s is back", l->path);
		l->missed = false;
		if (l->group_due && let_group_in(l, &l->why) < 0)
			log_limited(LOG_L_ERROR, what, "%s", l->why.text);
		return;
	}
	if (missed && sock_file_same(there, l->other) && l->rest > 0) {
		l->rest--;
		return;
	}
	l->missed = listen_here(l, &l->why) < 0;
	if (!l->missed && missed)
		log_limited(LOG_L_INFO, what, "the socket file %s is made again", l->path);
	else if (!l->missed)
		log_limited(LOG_L_WARN, what, "the socket file %s was removed; it is made again",
			l->path);
	if (!l->missed)
		return;
	if (!missed)
		log_limited(LOG_L_ERROR, what,
			"the socket file %s was removed and cannot be made again: %s; weir tries "
			"again by itself",
			l->path, l->why.text);
	l->other = sock_file(l->path);
	l->rest = l->other.ino != 0 ? LOOKS_BETWEEN : 0;
}

void listener_close(struct listener *l) {
	if (l->path[0] == '\0')
		return;
	acceptor_close(&l->acceptor);
	// An inode is not given to another file as long as a socket is bound to it.
	if (l->fd >= 0)
		sock_remove(l->path, l->made);
	closer_hang_up(l->owner, l->fd);
	l->fd = -1;
	l->path[0] = '\0';
	l->missed = false;
}
