/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Descriptors that take their time: a socket that lingers at close, and a file whose server answers
 * nobody. However they reach the switch, its API and the other ports go on, and the port they came by is
 * shut until they are closed. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "beside.h"
#include "say.h"
#include "silent_file.h"

enum {
	LINGER_S = 3, /* a close takes so long */
	WAITED_MS = LINGER_S * 1000 / 2, /* who took longer waited for it */
	HANGS_MS = 2000, /* until that is noticed */
	MANY = 40, /* sockets that linger, at a time */
	MOST = 253, /* descriptors of a message: SCM_MAX_FD */
};

/* A TCP socket whose other end is open and reads nothing, with more data than fits; the last close of it
 * takes LINGER_S. *other is to be closed after. */
static int lingering(int *other) {
	const struct linger l = {.l_onoff = 1, .l_linger = LINGER_S};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = s, .events = POLLOUT};
	const int little = 4096, much = 1 << 20;
	static char bytes[65536];

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	setsockopt(s, SOL_SOCKET, SO_SNDBUF, &much, sizeof(much));
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	(void)!connect(s, (struct sockaddr *)&a, sizeof(a));
	*other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*other >= 0);
	assert_int_equal(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	do // the kernel may still be moving what was taken
		while (send(s, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
			;
	while (poll(&p, 1, 20) > 0);
	fcntl(s, F_SETFL, 0);
	close(listener);
	return s;
}

static int api_connect(void) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 4 * LINGER_S};
	char path[96];
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", bed_path(path, sizeof(path), "api"));
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof(a)), 0);
	return s;
}

/* Asks and waits; the answer is in `text`. Returns how many ms it took. */
static unsigned api_ask(const char *method, char *text, size_t size) {
	const uint64_t begin = bed_now_ms();
	char line[128];
	int s = api_connect(), n;
	size_t len = 0;

	n = snprintf(
		line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}\n", method);
	assert_int_equal(send(s, line, (size_t)n, MSG_NOSIGNAL), n);
	while (len + 1 < size && memchr(text, '\n', len) == NULL) {
		ssize_t got = recv(s, text + len, size - 1 - len, 0);

		if (got <= 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	close(s);
	return (unsigned)(bed_now_ms() - begin);
}

static void api_answers(void) {
	char text[256];
	unsigned ms = api_ask("ping", text, sizeof(text));

	print_message("# the API answered after %u ms\n", ms);
	if (strstr(text, "pong") == NULL || ms >= WAITED_MS * bed_patience())
		fail_msg("the API took %u ms: %s", ms, text);
	beside_answered(ms);
}

/* The switch goes on, and sees that something of the liar's hangs: else the test would be of nothing. */
static void goes_on_and_notices(void) {
	const uint64_t end = bed_now_ms() + HANGS_MS * bed_patience();
	static char text[256 * 1024];

	for (unsigned i = 0; i < 5; i++)
		api_answers();
	bed_hold();
	do {
		api_ask("show.ports", text, sizeof(text));
		if (strstr(text, "hangs when it is closed") != NULL)
			return;
		bed_rest(20);
	} while (bed_now_ms() < end);
	fail_msg("nobody noticed that a descriptor hangs");
}

/* Sends a header alone, with n descriptors of which the last is s. False: the other end has hung up. */
static bool send_with(int sock, uint32_t request, unsigned n, int s) {
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(MOST * sizeof(int))];
	} control = {.align = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	uint32_t h[3] = {request, FRONT_VERSION, 0};
	struct iovec iov = {.iov_base = h, .iov_len = sizeof(h)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room};
	int fds[MOST], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t sent;

	for (unsigned i = 0; i + 1 < n; i++)
		fds[i] = null;
	fds[n - 1] = s;
	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
	sent = sendmsg(sock, &m, MSG_NOSIGNAL);
	close(null);
	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		return false;
	assert_int_equal(sent, sizeof(h));
	return true;
}

/* Gone from here; false: the switch was faster, and the last close was this one. */
static bool let_go(int s) {
	const uint64_t begin = bed_now_ms();

	close(s);
	return bed_now_ms() - begin < WAITED_MS;
}

/* One that lingers, sent by `tell`, until the switch has it alone. */
static void send_alone(struct front *f, bool (*tell)(struct front *f, int s)) {
	for (;;) {
		int other, s = lingering(&other);
		bool told = tell(f, s), alone = let_go(s);

		if (told && alone) {
			goes_on_and_notices();
			close(other);
			return;
		}
		close(other);
		front_disconnect(f);
		while (front_connect(f) != 0)
			bed_rest(20);
	}
}

static bool tell_one(struct front *f, int s) {
	return send_with(f->sock, FRONT_GET_FEATURES, 1, s);
}

static bool tell_eighth(struct front *f, int s) {
	return send_with(f->sock, FRONT_GET_FEATURES, 8, s);
}

static bool tell_253rd(struct front *f, int s) {
	return send_with(f->sock, FRONT_GET_FEATURES, MOST, s);
}

static bool tell_kick(struct front *f, int s) {
	struct front_message m = {.request = FRONT_SET_VRING_KICK,
		.flags = FRONT_VERSION,
		.size = 8,
		.u64 = front_tx(f, 0)->index};

	return front_raw(f, &m, FRONT_HEADER + m.size, &s, 1) > 0;
}

/* The port is shut at the first message; what follows stays in the socket, if it is there in time. */
static bool tell_unread(struct front *f, int s) {
	header(f, 200, FRONT_VERSION, 0);
	return send_with(f->sock, FRONT_GET_FEATURES, 1, s);
}

/* Another front end of the same port, whose message may be there before it is refused. */
static bool tell_second(struct front *f, int s) {
	struct front more;
	bool told = false;

	assert_int_equal(front_init(&more, &f->o), 0);
	while (!told) {
		assert_int_equal(front_connect(&more), 0);
		told = send_with(more.sock, FRONT_GET_FEATURES, 1, s);
		front_disconnect(&more);
	}
	front_close(&more);
	return true;
}

static void one(struct front *f) {
	send_alone(f, tell_one);
}

static void eighth(struct front *f) {
	send_alone(f, tell_eighth);
}

static void the_253rd(struct front *f) {
	send_alone(f, tell_253rd);
}

static void as_kick(struct front *f) {
	send_alone(f, tell_kick);
}

static void unread(struct front *f) {
	send_alone(f, tell_unread);
}

static void second(struct front *f) {
	send_alone(f, tell_second);
}

/* The API keeps one descriptor, for a capture. */
static bool tell_api(struct front *f, int s) {
	const int api = api_connect();

	(void)f;
	assert_true(send_with(api, '\n', MOST, s));
	close(api);
	return true;
}

/* Many of them: the first hangs, the others wait, and at some number no more are taken. */
static struct many {
	struct front *f;
	bool (*tell)(struct front *f, int s);
	unsigned n;
	int other[MANY];
} many;

static void one_more(void *arg) {
	struct many *m = arg;
	int *other = &m->other[m->n++ % MANY], s;

	if (m->n > MANY)
		close(*other);
	s = lingering(other);
	m->tell(m->f, s);
	let_go(s);
}

static void many_end(void) {
	for (unsigned i = 0; i < many.n && i < MANY; i++)
		close(many.other[i]); // which ends the lingering
	many.n = 0;
}

static void many_begin(const char *sentence, struct front *f, bool (*tell)(struct front *, int)) {
	many_end(); // those of a case that failed
	many.f = f;
	many.tell = tell;
	beside_hold(&(struct beside){
		.sentence = sentence, .attack = one_more, .arg = &many, .waits = true});
	print_message("# %u sockets that linger\n", many.n);
	assert_in_range(many.n, MANY / 8, UINT32_MAX);
}

static void many_second(struct front *f) {
	many_begin("sockets that linger, of second front ends", f, tell_second);
	goes_on_and_notices();
	many_end();
}

static void to_the_api(struct front *f) {
	many_begin("sockets that linger, of clients of the API", f, tell_api);
	for (unsigned i = 0; i < 10; i++) {
		api_answers();
		bed_rest(20);
	}
	many_end();
}

/* --- Files whose server is silent -------------------------------------------------------------- */

static void memory_in(struct front *f, int fd) {
	struct front_message m = {.request = FRONT_SET_MEM_TABLE,
		.flags = FRONT_VERSION,
		.size = 8 + sizeof(m.memory.region[0]),
		.memory.nregions = 1};

	m.memory.region[0].gpa = f->region[0].gpa;
	m.memory.region[0].size = 1 << 20;
	m.memory.region[0].uva = (uintptr_t)f->region[0].map;
	front_raw(f, &m, FRONT_HEADER + m.size, &fd, 1);
}

static void silent_memory(struct front *f) {
	struct silent_file s;

	if (silent_file_open(&s) != 0)
		fail_msg("no file on FUSE: %s", s.why);
	memory_in(f, s.fd);
	for (unsigned i = 0; i < 5; i++)
		api_answers();
	goes_on_and_notices();
	silent_file_close(&s);
}

static void memory_on_disk(struct front *f) {
	char path[64] = "/var/tmp/weirXXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	memory_in(f, fd);
	close(fd);
}

static struct lie lies[] = {
	{"a socket that lingers, with a message", one, SHUT, "", CONNECTED},
	{"a socket that lingers, behind as many descriptors as a message may have", eighth, SHUT,
		"", CONNECTED},
	{"a socket that lingers, behind as many as the kernel takes", the_253rd, SHUT, "",
		CONNECTED},
	{"a socket that lingers, to be kicked by", as_kick, SHUT, "", RUNNING},
	{"a socket that lingers, in a connection that nobody reads any more", unread, SHUT, "",
		CONNECTED},
	{"a socket that lingers, of a second front end that is refused", second, SHUT, "", RUNNING},
	{"sockets that linger, of many second front ends", many_second, SHUT, "", RUNNING},
	{"sockets that linger, of many clients of the API", to_the_api, ALIVE, NULL, RUNNING},
	{"memory in a file whose server is silent", silent_memory, SHUT, "", NEGOTIATED},
	{"memory in a file on disk is refused, and the key that allows it named", memory_on_disk,
		SHUT, "memory: any", NEGOTIATED},
};

int main(void) {
	beside_one_worker();
	return bed_run("strangers", lies, sizeof(lies) / sizeof(lies[0]));
}
