/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/listener.h"

static unsigned calls;

static json_t *echo(void *ctx, const json_t *params, int *code, struct err *e) {
	calls++;
	return json_deep_copy(params);
}

static json_t *refuse(void *ctx, const json_t *params, int *code, struct err *e) {
	*code = err_set(e, ENOENT, "no such thing");
	return NULL;
}

static json_t *want_text(void *ctx, const json_t *params, int *code, struct err *e) {
	const char *text = rpc_string(params, "text", code, e);

	return text != NULL ? json_string(text) : NULL;
}

static json_t *big(void *ctx, const json_t *params, int *code, struct err *e) {
	static char text[4 << 20];

	memset(text, 'x', sizeof(text) - 1);
	return json_string(text);
}

static json_t *write_to_passed(void *ctx, const json_t *params, int *code, struct err *e) {
	struct api_call *call = ctx;
	int fd = api_take_fd(call->client);

	if (fd < 0) {
		*code = err_set(e, EBADF, "nothing was passed");
		return NULL;
	}
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	return json_true();
}

static const struct rpc_method methods[] = {
	{"echo", echo},
	{"refuse", refuse},
	{"text", want_text},
	{"big", big},
	{"pass", write_to_passed},
	{NULL, NULL},
};

/* Answers a line and parses what comes back; NULL: nothing came. */
static json_t *ask(const char *line) {
	json_t *reply;
	size_t len;
	char *text;

	assert_int_equal(rpc_answer(methods, NULL, line, strlen(line), &text, &len), 0);
	if (text == NULL)
		return NULL;
	assert_int_equal(strlen(text), len);
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	reply = json_loads(text, 0, NULL);
	assert_non_null(reply);
	free(text);
	return reply;
}

static void expect_error(const char *line, int code) {
	json_t *reply = ask(line);

	assert_non_null(reply);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(reply, "error"), "code")), code);
	assert_true(json_is_string(json_object_get(json_object_get(reply, "error"), "message")));
	assert_null(json_object_get(reply, "result"));
	json_decref(reply);
}

static void a_request_gets_its_result_under_its_id(void **state) {
	json_t *reply = ask(
		"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"echo\",\"params\":{\"x\":[1,2]}}");

	assert_string_equal(json_string_value(json_object_get(reply, "id")), "a");
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(reply, "result"), "x")), 2);
	json_decref(reply);
	reply = ask("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"echo\"}");
	assert_true(json_is_null(json_object_get(reply, "id")));
	assert_true(json_is_object(json_object_get(reply, "result")));
	json_decref(reply);
}

static void a_notification_is_carried_out_and_not_answered(void **state) {
	unsigned before = calls;

	assert_null(ask("{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}"));
	assert_int_equal(calls, before + 1);
	assert_null(ask("{\"jsonrpc\":\"2.0\",\"method\":\"refuse\"}"));
	assert_null(ask("{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}"));
}

static void a_refusal_carries_the_sentence_and_the_errno(void **state) {
	json_t *reply = ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"refuse\"}");
	json_t *e = json_object_get(reply, "error");

	assert_int_equal(json_integer_value(json_object_get(e, "code")), RPC_REFUSED);
	assert_string_equal(json_string_value(json_object_get(e, "message")), "no such thing");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(e, "data"), "errno")), "ENOENT");
	json_decref(reply);
}

static void what_is_no_request_gets_the_code_of_the_standard(void **state) {
	expect_error("{", RPC_PARSE);
	expect_error("garbage", RPC_PARSE);
	expect_error("\x01\xff\xfe", RPC_PARSE);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"echo\"}", RPC_PARSE);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc3\x28\"}", RPC_PARSE);
	expect_error("5", RPC_INVALID);
	expect_error("null", RPC_INVALID);
	expect_error("{}", RPC_INVALID);
	expect_error("[]", RPC_INVALID);
	expect_error("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"echo\"}", RPC_INVALID);
	expect_error("{\"jsonrpc\":2.0,\"id\":1,\"method\":\"echo\"}", RPC_INVALID);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"echo\"}", RPC_INVALID);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", RPC_INVALID);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}", RPC_NO_METHOD);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[1]}",
		RPC_BAD_PARAMS);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"text\"}", RPC_BAD_PARAMS);
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"text\",\"params\":{\"text\":1}}",
		RPC_BAD_PARAMS);
}

static void nesting_a_million_deep_is_a_parse_error(void **state) {
	char *line = malloc(RPC_LINE_MAX + 1), *text;
	size_t len;

	memset(line, '[', RPC_LINE_MAX);
	assert_int_equal(rpc_answer(methods, NULL, line, RPC_LINE_MAX, &text, &len), 0);
	assert_non_null(strstr(text, "-32700"));
	free(text);
	for (size_t i = 0; i + 5 <= RPC_LINE_MAX; i += 5)
		memcpy(line + i, "{\"a\":", 5);
	assert_int_equal(rpc_answer(methods, NULL, line, RPC_LINE_MAX, &text, &len), 0);
	assert_non_null(strstr(text, "-32700"));
	free(text);
	free(line);
}

static void a_batch_is_answered_as_an_array_without_its_notifications(void **state) {
	json_t *reply = ask("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"},7,"
			    "{\"jsonrpc\":\"2.0\",\"method\":\"echo\"},"
			    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"refuse\"}]");

	assert_int_equal(json_array_size(reply), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(reply, 2), "id")), 2);
	json_decref(reply);
	assert_null(ask("[{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}]"));
}

static void a_batch_beyond_its_bounds_is_refused(void **state) {
	char line[8192] = "[0";
	json_t *reply;

	for (int i = 0; i < RPC_BATCH_MAX; i++)
		strcat(line, ",0");
	strcat(line, "]");
	expect_error(line, RPC_INVALID);

	strcpy(line, "[");
	for (int i = 0; i < 10; i++)
		strcat(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\"},");
	strcpy(line + strlen(line) - 1, "]");
	reply = ask(line);
	assert_int_equal(json_array_size(reply), 10);
	assert_non_null(json_object_get(json_array_get(reply, 0), "result"));
	assert_non_null(json_object_get(json_array_get(reply, 9), "error"));
	json_decref(reply);
}

/* The server over a real socket. */
static char dir[64], path[96];
static sd_event *loop;
static struct listener listener;
static struct api *api;

static int set_up(void **state) {
	struct err e;

	strcpy(dir, "/tmp/weir-api-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(listener_open(&listener, path, NULL, 0600, &e), 0);
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(api_start(&api, loop, &listener, methods, NULL, NULL, &e), 0);
	return 0;
}

static int tear_down(void **state) {
	api_stop(api);
	sd_event_unref(loop);
	return rmdir(dir);
}

static int client(void) {
	struct err e;
	int fd = sock_connect(path, &e);

	assert_true(fd >= 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void serve(void) {
	while (sd_event_run(loop, 1000) > 0)
		continue;
}

/* Sends all of it, serving meanwhile; false when the server closed. */
static bool say(int fd, const char *bytes, size_t n) {
	while (n > 0) {
		ssize_t m = send(fd, bytes, n, MSG_NOSIGNAL);

		if (m < 0 && errno != EAGAIN)
			return false;
		if (m > 0) {
			bytes += m;
			n -= (size_t)m;
		}
		serve();
	}
	return true;
}

/* Reads until a newline or the end; the text without it, NULL when there was nothing. */
static char *hear(int fd) {
	size_t room = 8 << 20, len = 0;
	char *text = malloc(room);

	for (int idle = 0; idle < 50 && len < room - 1;) {
		ssize_t n = read(fd, text + len, 1);

		if (n == 1 && text[len++] == '\n')
			break;
		if (n == 0)
			break;
		if (n < 0) {
			serve();
			idle++;
		}
	}
	text[len] = '\0';
	if (len == 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void lines_in_pieces_and_lines_together_are_all_answered(void **state) {
	static const char two[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\r\n\n"
				  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"}\n";
	int fd = client();
	char *text;

	for (const char *p = two; *p != '\0'; p++)
		assert_true(say(fd, p, 1));
	for (int i = 1; i <= 2; i++) {
		text = hear(fd);
		assert_non_null(strstr(text, i == 1 ? "\"id\":1" : "\"id\":2"));
		free(text);
	}
	assert_true(say(fd, two, sizeof(two) - 1));
	for (int i = 1; i <= 2; i++) {
		text = hear(fd);
		assert_non_null(strstr(text, i == 1 ? "\"id\":1" : "\"id\":2"));
		free(text);
	}
	close(fd);
	serve();
}

static void a_line_without_an_end_is_refused_and_the_client_closed(void **state) {
	char *line = malloc(RPC_LINE_MAX * 2), *text;
	int fd = client();

	memset(line, ' ', RPC_LINE_MAX * 2);
	assert_false(say(fd, line, RPC_LINE_MAX * 2));
	text = hear(fd);
	assert_non_null(strstr(text, "longer than 1 MiB"));
	free(text);
	assert_null(hear(fd));
	close(fd);
	free(line);
}

static void half_a_line_before_the_end_does_nothing(void **state) {
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}";
	unsigned before = calls;
	int fd = client();

	assert_true(say(fd, line, sizeof(line) - 1));
	shutdown(fd, SHUT_WR);
	assert_null(hear(fd));
	assert_int_equal(calls, before);
	close(fd);
}

static void a_client_that_ends_its_side_still_gets_its_reply(void **state) {
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\"}\n";
	int fd = client();
	char *text;

	assert_true(say(fd, line, sizeof(line) - 1));
	shutdown(fd, SHUT_WR);
	text = hear(fd);
	assert_true(strlen(text) > 4 << 20);
	free(text);
	close(fd);
	serve();
}

static void a_client_that_takes_nothing_is_not_read_from(void **state) {
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\"}\n"
				   "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"}\n";
	unsigned before = calls;
	int fd = client(), other = client();
	char *text;

	assert_true(say(fd, line, sizeof(line) - 1));
	serve();
	assert_int_equal(calls, before); // the second line waits
	assert_true(say(other, strchr(line, '\n') + 1, strlen(strchr(line, '\n') + 1)));
	assert_int_equal(calls, before + 1); // and nobody else does
	text = hear(fd);
	free(text);
	text = hear(fd);
	assert_non_null(strstr(text, "\"id\":2"));
	free(text);
	close(fd);
	close(other);
	serve();
}

static void the_65th_client_is_refused_and_the_others_stay(void **state) {
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n";
	int fd[API_CLIENTS_MAX + 1];
	char *text;

	for (int i = 0; i <= API_CLIENTS_MAX; i++) {
		fd[i] = client();
		serve();
	}
	text = hear(fd[API_CLIENTS_MAX]);
	assert_non_null(strstr(text, "64 places"));
	free(text);
	assert_true(say(fd[0], line, sizeof(line) - 1));
	text = hear(fd[0]);
	assert_non_null(strstr(text, "result"));
	free(text);
	for (int i = 0; i <= API_CLIENTS_MAX; i++)
		close(fd[i]);
	serve();
	fd[0] = client();
	assert_true(say(fd[0], line, sizeof(line) - 1));
	text = hear(fd[0]);
	assert_non_null(strstr(text, "result"));
	free(text);
	close(fd[0]);
}

static void send_with_fds(int fd, const char *line, const int *fds, unsigned n) {
	char control[CMSG_SPACE(4 * sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)line, strlen(line)};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cm), fds, n * sizeof(int));
	assert_int_equal(sendmsg(fd, &mh, 0), strlen(line));
}

static void a_passed_descriptor_reaches_the_method_and_others_are_closed(void **state) {
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pass\"}\n";
	int fd = client(), p[2], spare[2];
	char *text, got[8] = "";

	assert_int_equal(pipe(p), 0);
	assert_int_equal(pipe(spare), 0);
	send_with_fds(fd, line, (int[]){spare[1], p[1]}, 2);
	close(p[1]);
	close(spare[1]);
	text = hear(fd);
	assert_non_null(strstr(text, "\"result\":true"));
	free(text);
	assert_int_equal(read(p[0], got, sizeof(got)), 5);
	assert_string_equal(got, "hello");
	assert_int_equal(read(p[0], got, sizeof(got)), 0);
	assert_int_equal(read(spare[0], got, sizeof(got)), 0); // nobody holds the other end
	assert_true(say(fd, line, sizeof(line) - 1));
	text = hear(fd);
	assert_non_null(strstr(text, "EBADF"));
	free(text);
	close(fd);
	close(p[0]);
	close(spare[0]);
	serve();
}

int main(void) {
#define S(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_gets_its_result_under_its_id),
		cmocka_unit_test(a_notification_is_carried_out_and_not_answered),
		cmocka_unit_test(a_refusal_carries_the_sentence_and_the_errno),
		cmocka_unit_test(what_is_no_request_gets_the_code_of_the_standard),
		cmocka_unit_test(nesting_a_million_deep_is_a_parse_error),
		cmocka_unit_test(a_batch_is_answered_as_an_array_without_its_notifications),
		cmocka_unit_test(a_batch_beyond_its_bounds_is_refused),
		S(lines_in_pieces_and_lines_together_are_all_answered),
		S(a_line_without_an_end_is_refused_and_the_client_closed),
		S(half_a_line_before_the_end_does_nothing),
		S(a_client_that_ends_its_side_still_gets_its_reply),
		S(a_client_that_takes_nothing_is_not_read_from),
		S(the_65th_client_is_refused_and_the_others_stay),
		S(a_passed_descriptor_reaches_the_method_and_others_are_closed),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
