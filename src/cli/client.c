/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sock.h"
#include "cli/cli.h"
#include "control/config.h"

enum { ANSWER_WITHIN_S = 30 };

static const char *api_path(void) {
	return cli_api != NULL ? cli_api : CONFIG_API_DEFAULT;
}

int client_open(void) {
	const struct timeval patience = {.tv_sec = ANSWER_WITHIN_S};
	struct err e;
	int fd = sock_connect(api_path(), &e);

	if (fd < 0) {
		cli_fail("%s", e.text);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

/* Sends the line; the descriptor goes with its first bytes. */
static int send_line(int conn, const char *text, size_t len, int pass_fd) {
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};

	while (len > 0) {
		struct iovec iov = {(void *)(uintptr_t)text, len};
		struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		if (pass_fd >= 0) {
			struct cmsghdr *cm;

			mh.msg_control = control;
			mh.msg_controllen = sizeof(control);
			cm = CMSG_FIRSTHDR(&mh);
			cm->cmsg_level = SOL_SOCKET;
			cm->cmsg_type = SCM_RIGHTS;
			cm->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(cm), &pass_fd, sizeof(int));
		}
		n = sendmsg(conn, &mh, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		pass_fd = -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads one line; malloc'd, NULL with errno set. */
static char *read_line(int conn, size_t *out_len) {
	size_t room = 0, len = 0;
	char *text = NULL, *nl = NULL;

	while (nl == NULL) {
		ssize_t n;

		if (room - len < 65536) {
			char *more = realloc(text, room = room * 2 + 131072);

			if (more == NULL)
				break;
			text = more;
		}
		n = read(conn, text + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ECONNRESET : errno;
			break;
		}
		nl = memchr(text + len, '\n', (size_t)n);
		len += (size_t)n;
	}
	if (nl == NULL) {
		free(text);
		return NULL;
	}
	*out_len = (size_t)(nl - text);
	return text;
}

static int unanswered(struct err *e, int no) {
	if (no == EAGAIN)
		return err_set(e, ETIMEDOUT, "the switch at %s did not answer within %d s",
			api_path(), ANSWER_WITHIN_S);
	return err_set(e, no, "the switch at %s went away: %s", api_path(), strerror(no));
}

json_t *client_call(int conn, const char *method, json_t *params, int pass_fd, struct err *e) {
	json_t *req = json_pack("{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", 1, "method",
		method, "params", params);
	json_t *reply = NULL, *result, *error;
	char *text = json_dumps(req, JSON_COMPACT);
	size_t len = 0;
	int ret;

	json_decref(req);
	if (text == NULL) {
		err_set(e, EINVAL, "the request is no valid UTF-8");
		return NULL;
	}
	len = strlen(text);
	text[len] = '\n'; // in place of the NUL, which is not needed any more
	ret = send_line(conn, text, len + 1, pass_fd);
	free(text);
	text = ret == 0 || ret == -EPIPE ? read_line(conn, &len) : NULL;
	if (text == NULL) {
		unanswered(e, ret < 0 ? -ret : errno);
		return NULL;
	}
	reply = json_loadb(text, len, 0, NULL);
	free(text);
	result = json_incref(json_object_get(reply, "result"));
	error = json_object_get(json_object_get(reply, "error"), "message");
	if (result == NULL)
		err_set(e, EPROTO, "%s",
			json_is_string(error)
				? json_string_value(error)
				: "what answered is no weir: its reply is not JSON-RPC");
	json_decref(reply);
	return result;
}

json_t *cli_call(const char *method, json_t *params) {
	int conn = client_open();
	struct err e;
	json_t *result;

	if (conn < 0) {
		json_decref(params);
		return NULL;
	}
	result = client_call(conn, method, params, -1, &e);
	if (result == NULL)
		cli_fail("%s", e.text);
	close(conn);
	return result;
}
