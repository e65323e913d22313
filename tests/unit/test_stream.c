/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/agent.h"
#include "bench/endpoint.h"
#include "bench/flows/flows.h"
#include "bench/flows/stream_flow.h"
#include "bench/frames/seqs.h"
#include "bench/lines.h"
#include "bench/options.h"

static void endpoints_are_what_they_are_written_as(void **state) {
	static const struct {
		const char *text, *name;
		enum endpoint_kind kind;
		unsigned port;
	} good[] = {
		{"ns:red", "red", ENDPOINT_NS, 0},
		{"if:eth0", "eth0", ENDPOINT_IF, 0},
		{"vm:one", "one", ENDPOINT_VM, 0},
		{"vhost-user:/run/a:b", "/run/a:b", ENDPOINT_VHOST_USER, 0},
		{"host.example", "host.example", ENDPOINT_HOST, ENDPOINT_PORT},
		{"10.0.0.1:5000", "10.0.0.1", ENDPOINT_HOST, 5000},
		{"[2001:db8::1]", "2001:db8::1", ENDPOINT_HOST, ENDPOINT_PORT},
		{"[2001:db8::1]:80", "2001:db8::1", ENDPOINT_HOST, 80},
	};
	struct endpoint ep;
	struct err e;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(endpoint_parse(&ep, good[i].text, &e), 0);
		assert_int_equal(ep.kind, good[i].kind);
		assert_string_equal(ep.name, good[i].name);
		assert_string_equal(ep.text, good[i].text);
		assert_int_equal(ep.port, good[i].port);
	}
}

#define TEN "characters"

static void a_bad_endpoint_is_refused_in_a_sentence(void **state) {
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "names no host"},
		{"ns:", "has no name"},
		{"ns:../../etc", "not by a path"},
		{"ns:..", "not by a path"},
		{"if:" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "12345678",
			"at most 127 characters"},
		{"host:", "is no port"},
		{"host:0", "is no port"},
		{"host:65536", "is no port"},
		{"host:80x", "is no port"},
		{"2001:db8::1", "in brackets"},
		{"[2001:db8::1", "no end"},
		{"[::1]80", "no end"},
		{"a/b", "no name of a host"},
	};
	char large[2000];
	struct endpoint ep;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(endpoint_parse(&ep, bad[i].text, &e), -EINVAL);
		assert_non_null(strstr(e.text, bad[i].says));
	}
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(endpoint_parse(&ep, large, &e), -EINVAL);
}

static void an_endpoint_that_is_no_place_for_an_agent_is_refused(void **state) {
	static const char *const texts[] = {
		"vm:one", "vhost-user:/tmp/x", "ns:no-such-namespace", "if:nosuch0"};
	struct endpoint ep;
	struct err e;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(endpoint_parse(&ep, texts[i], &e), 0);
		assert_null(agent_open(&ep, &e));
		assert_non_null(strstr(e.text, texts[i]));
	}
}

/* Numbers as a path might deliver them, judged by the plain method: all that came, remembered. */
static void numbers_are_judged_as_by_remembering_them_all(void **state) {
	enum { N = 300000 };
	struct seqs *s = calloc(1, sizeof(*s));
	uint8_t *came = calloc(1, N);
	uint64_t unique = 0, duplicates = 0, reordered = 0, late = 0, next = 0;

	srand(7);
	for (int i = 0; i < 2 * N; i++) {
		uint64_t number = next;
		int how = rand() % 100;

		if (how < 10 && next > 0)
			number = next - 1 - (uint64_t)rand() % (next < 2000 ? next : 2000);
		else if (how < 12)
			number = next + (uint64_t)rand() % 50;
		else if (i % 50000 == 0)
			number = next + SEQS_WINDOW - 2 + (uint64_t)rand() % 4;
		else if (how == 12 && next > 0)
			number = (uint64_t)rand() % next;
		if (number >= N)
			break;
		if (number < next && next - number > SEQS_WINDOW)
			late++;
		else if (came[number])
			duplicates++;
		else
			unique++, reordered += number < next;
		came[number] = 1;
		next = number >= next ? number + 1 : next;
		seqs_take(s, number);
	}
	assert_true(next > 2 * SEQS_WINDOW && late > 100 && duplicates > 1000 && reordered > 1000);
	assert_int_equal(s->unique, unique);
	assert_int_equal(s->duplicates, duplicates);
	assert_int_equal(s->reordered, reordered);
	assert_int_equal(s->late, late);
	free(s);
	free(came);
}

static void options_are_taken_and_the_rest_stays(void **state) {
	bool udp = false;
	uint64_t flows = 1, rate = 0;
	const char *to = NULL;
	const struct option_spec table[] = {{"udp", OPTION_FLAG, &udp},
		{"flows", OPTION_COUNT, &flows, 1, 512},
		{"rate", OPTION_RATE, &rate, 8000, 1 << 30}, {"to", OPTION_TEXT, &to}, {NULL}};
	char *good[] = {"stream", "a", "--udp", "--flows=4", "--rate", "1Mbit", "--to", "x", "--",
		"-b", NULL};
	char *bad[][4] = {{"s", "--flows", "0"}, {"s", "--flows", "4x"}, {"s", "--flows"},
		{"s", "--udp=1"}, {"s", "--rate", "1"}, {"s", "--rates", "1"}, {"s", "-u"}};
	int argc = 10;
	struct err e;

	assert_int_equal(options_take(table, &argc, good, &e), 0);
	assert_int_equal(argc, 3);
	assert_string_equal(good[1], "a");
	assert_string_equal(good[2], "-b");
	assert_true(udp && flows == 4 && rate == 1000000 && strcmp(to, "x") == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		argc = bad[i][2] != NULL ? 3 : 2;
		assert_true(options_take(table, &argc, bad[i], &e) < 0);
		assert_non_null(strstr(e.text, "-"));
	}
}

static void a_line_is_one_object_and_no_longer_than_agreed(void **state) {
	struct lines l;
	int pair[2];
	json_t *v = NULL;
	char large[9000];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(lines_init(&l, pair[0], 8192), 0);
	assert_int_equal(lines_read(&l, &v, 0), -EAGAIN);
	assert_int_equal(write(pair[1], "{\"a\":1}\n{\"b\"", 12), 12);
	assert_int_equal(lines_read(&l, &v, 0), 0);
	assert_int_equal(json_integer_value(json_object_get(v, "a")), 1);
	json_decref(v);
	assert_int_equal(lines_read(&l, &v, 0), -EAGAIN);
	assert_int_equal(write(pair[1], ":2}\n[1]\n", 8), 8);
	assert_int_equal(lines_read(&l, &v, 0), 0);
	json_decref(v);
	assert_int_equal(lines_read(&l, &v, 0), -EPROTO);
	memset(large, ' ', sizeof(large));
	assert_int_equal(write(pair[1], large, sizeof(large)), sizeof(large));
	assert_int_equal(lines_read(&l, &v, 0), -EMSGSIZE);
	close(pair[1]);
	lines_fini(&l);
	close(pair[0]);
}

/* What an agent answers to a line, by itself. */
static char *answer(const char *line, char *buf, size_t size) {
	int pair[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[1], line, strlen(line)), strlen(line));
	shutdown(pair[1], SHUT_WR);
	agent_run(pair[0], NULL);
	close(pair[0]);
	n = read(pair[1], buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	close(pair[1]);
	return buf;
}

#define HELLO "{\"do\":\"hello\",\"protocol\":2}\n"
#define STREAM                                                                         \
	"\"job\":\"stream\",\"send\":true,\"receive\":false,\"rate\":0,\"udp\":false," \
	"\"cookie\":\"00112233445566778899aabbccddeeff\",\"role\":\"listen\","

static void an_agent_answers_nonsense_with_a_sentence(void **state) {
	static const struct {
		const char *line, *says;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", "wants a JSON object a line"},
		{"{\"do\":\"addresses\"}\n", "say hello first"},
		{"{\"do\":\"hello\",\"protocol\":77}\n", "use the same version"},
		{HELLO "{\"do\":\"run\",\"what\":\"sh\"}\n", "no such request"},
		{HELLO "{\"do\":7}\n", "no such request"},
		{HELLO "{\"do\":\"prepare\",\"job\":\"sh\"}\n", "no such job"},
		{HELLO "{\"do\":\"start\",\"omit\":0,\"time\":1000000000,\"interval\":1000000000}"
		       "\n",
			"no job"},
		{HELLO "{\"do\":\"start\",\"omit\":0,\"time\":1,\"interval\":1}\n",
			"from 10 ms on"},
		{HELLO "{\"do\":\"prepare\"," STREAM
		       "\"flows\":1000000,\"length\":1,\"address\":\"127.0.0.1\"}\n",
			"flows are not possible"},
		{HELLO "{\"do\":\"prepare\"," STREAM
		       "\"flows\":1,\"length\":999999999999,\"address\":\"127.0.0.1\"}\n",
			"length of 999999999999"},
		{HELLO "{\"do\":\"prepare\"," STREAM
		       "\"flows\":1,\"length\":1,\"address\":\"localhost; sh\"}\n",
			"no IP address"},
	};
	char buf[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_non_null(strstr(answer(cases[i].line, buf, sizeof(buf)), cases[i].says));
}

/* A socket at 127.0.0.1 and one connected to it. */
static void two_sockets(int *in, int *out) {
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);

	*in = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	*out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*in, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(*in, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(connect(*out, (struct sockaddr *)&sa, len), 0);
}

static struct stream_flow *flow_of(struct stream_plan *plan, int fd, bool sends) {
	struct stream_flow *f = aligned_alloc(_Alignof(struct stream_flow), sizeof(*f));

	memset(f, 0, sizeof(*f));
	f->plan = plan;
	f->fd = fd;
	f->sends = sends;
	assert_int_equal(stream_flow_start(f), 0);
	return f;
}

/* Datagrams of a batch leave tens of microseconds apart: one time for all would be jitter that no path
 * made. */
static void no_two_datagrams_carry_the_time_of_one(void **state) {
	struct stream_plan plan = {.udp = true, .length = 100, .phase = STREAM_COUNTED};
	uint64_t head[3], last = 0;
	unsigned stamped = 0, n = 0;
	struct stream_flow *f;
	int in, out;

	two_sockets(&in, &out);
	f = flow_of(&plan, out, true);
	for (; n < 2000; n++) {
		assert_true(recv(in, head, sizeof(head), 0) == sizeof(head));
		if (head[2] == 0)
			continue;
		assert_true(head[2] > last);
		last = head[2];
		stamped++;
	}
	assert_true(stamped >= n / 32);
	atomic_store(&plan.stop, true);
	stream_flow_close(f);
	close(in);
	free(f);
}

/* Numbered and counted as a sender does it; stamped in multiples of a millisecond that have passed. */
static void send_stamped(int out, uint64_t number, uint64_t sent_ns) {
	uint64_t head[3] = {UINT64_C(0x7765697273747231), number | UINT64_C(1) << 63, sent_ns};

	assert_int_equal(send(out, head, sizeof(head), 0), sizeof(head));
}

static void jitter_of(unsigned n, uint64_t every, uint64_t *transits, double *jitter) {
	struct stream_plan plan = {.udp = true, .length = 100, .phase = STREAM_COUNTED};
	struct stream_flow *f;
	int in, out;

	two_sockets(&in, &out);
	f = flow_of(&plan, in, false);
	for (unsigned i = 0; i < n; i++)
		send_stamped(out, i, i % every == 0 ? 1000 + i : 0);
	while (atomic_load(&f->moved.datagrams) < n)
		usleep(1000);
	atomic_store(&plan.stop, true);
	pthread_join(f->thread, NULL);
	f->threaded = false;
	*transits = f->transits;
	*jitter = f->jitter_ns;
	stream_flow_close(f);
	close(out);
	free(f);
}

static void jitter_is_of_datagrams_that_have_a_time_and_of_two_at_least(void **state) {
	uint64_t transits;
	double jitter;

	jitter_of(1, 1, &transits, &jitter);
	assert_int_equal(transits, 1); // which is said to be none
	jitter_of(64, 32, &transits, &jitter);
	assert_int_equal(transits, 2);
	assert_true(jitter > 0);
}

/* A datagram with a forged source looks like this one: its answers go to who never asks again. */
static void a_source_that_shows_no_proof_gets_no_more_than_it_claims_to_have_sent(void **state) {
	struct flows_spec spec = {.udp = true,
		.n = 1,
		.address = "127.0.0.1",
		.cookie = "0123456789abcdef0123456789abcdef"};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int victim = socket(AF_INET, SOCK_DGRAM, 0), flow = -1, mine = -1;
	char question[60] = "weir-ask0123456789abcdef0123456789abcdef", got[2048];
	size_t sent = 0, back = 0;
	struct flows_listener *l;
	struct err e;
	json_t *ports;
	ssize_t n;

	l = flows_listen(&spec, &ports, &e);
	assert_non_null(l);
	to.sin_port = htons((uint16_t)json_integer_value(json_array_get(ports, 0)));
	for (int i = 0; i < 20; i++) // never with the number that it is sent
		sent += (size_t)sendto(
			victim, question, sizeof(question), 0, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(flows_take(l, &flow, 300, &e), -ETIMEDOUT);
	while ((n = recv(victim, got, sizeof(got), MSG_DONTWAIT)) > 0)
		back += (size_t)n;
	assert_int_equal(sent, 20 * sizeof(question));
	assert_true(back > 0 && back <= sent);
	assert_int_equal(flows_connect(&spec, ports, &mine, &e), 0); // who shows it is taken
	assert_int_equal(flows_take(l, &flow, 5000, &e), 0);
	close(flow);
	close(mine);
	close(victim);
	flows_close(l);
	json_decref(ports);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_are_what_they_are_written_as),
		cmocka_unit_test(a_bad_endpoint_is_refused_in_a_sentence),
		cmocka_unit_test(an_endpoint_that_is_no_place_for_an_agent_is_refused),
		cmocka_unit_test(numbers_are_judged_as_by_remembering_them_all),
		cmocka_unit_test(options_are_taken_and_the_rest_stays),
		cmocka_unit_test(a_line_is_one_object_and_no_longer_than_agreed),
		cmocka_unit_test(an_agent_answers_nonsense_with_a_sentence),
		cmocka_unit_test(no_two_datagrams_carry_the_time_of_one),
		cmocka_unit_test(jitter_is_of_datagrams_that_have_a_time_and_of_two_at_least),
		cmocka_unit_test(
			a_source_that_shows_no_proof_gets_no_more_than_it_claims_to_have_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
