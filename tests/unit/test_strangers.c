/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * What a client without the secret, one with it, and a hostile agent can do to a `weir bench`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/agent.h"
#include "bench/agent_guard.h"
#include "bench/clock.h"
#include "bench/flows/flows.h"
#include "bench/places.h"

enum { PATIENCE_MS = 1500 }; // of an agent; more than a pause of this machine
#define ALIVE "{\"do\":\"alive\"}\n"

#define NONCE "00112233445566778899aabbccddeeff"
#define HELLO "{\"do\":\"hello\",\"protocol\":2,\"nonce\":\"" NONCE "\"}\n"

static const struct secret secret = {.text = "correct horse battery", .len = 21};

/* RFC 4231 has vectors for messages of its own only; these are of another implementation (Python's hmac). */
static void proofs_are_hmac_sha256(void **state) {
	char proof[SECRET_PROOF_TEXT], other[SECRET_PROOF_TEXT];
	struct secret lengthy = {.len = 131};

	memset(lengthy.text, 0xaa, lengthy.len);
	secret_proof(&secret, SECRET_CLIENT, NONCE, NONCE, proof);
	assert_string_equal(
		proof, "05634feb6cb525347004c0ea69cb003a20477392d3171f536b066fa21c672404");
	secret_proof(&lengthy, SECRET_SERVER, NONCE, NONCE, other);
	assert_string_equal(
		other, "961739190d9356a729be179a550fe74ac061931042e5349d4c33e8b657893e7f");
	assert_true(secret_shown(proof, proof));
	assert_false(secret_shown(proof, other));
	assert_false(secret_shown(proof, NULL));
	assert_false(secret_shown(proof, ""));
	proof[3] ^= 1;
	secret_proof(&secret, SECRET_CLIENT, NONCE, NONCE, other);
	assert_false(secret_shown(proof, other));
}

static void short_and_public_secrets_are_refused(void **state) {
	char path[] = "/tmp/weir-secret.XXXXXX";
	int fd = mkstemp(path);
	struct secret s;
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0123456789abcdef\n", 17), 17);
	assert_int_equal(secret_read(&s, path, &e), 0);
	assert_int_equal(s.len, 16);
	fchmod(fd, 0644);
	assert_int_equal(secret_read(&s, path, &e), -EPERM);
	fchmod(fd, 0600);
	assert_int_equal(ftruncate(fd, 15), 0);
	assert_int_equal(secret_read(&s, path, &e), -ERANGE);
	assert_int_equal(ftruncate(fd, 2000), 0);
	assert_int_equal(secret_read(&s, path, &e), -ERANGE);
	close(fd);
	unlink(path);
	assert_true(secret_read(&s, path, &e) < 0);
}

/* A client's connection to a guarded agent, which a thread is. */
struct visit {
	struct agent_guard guard;
	int pair[2];
	pthread_t thread;
	FILE *in;
	char line[4096];
};

static void *guarded(void *arg) {
	struct visit *v = arg;

	agent_run_guarded(v->pair[0], &v->guard);
	shutdown(v->pair[0], SHUT_RDWR);
	return NULL;
}

/* The agent waits so long for who is silent. */
static void visit_begin_hasty(struct visit *v, unsigned patience_ms) {
	struct sockaddr_in *peer = (struct sockaddr_in *)&v->guard.peer;

	memset(v, 0, sizeof(*v));
	v->guard.secret = &secret;
	v->guard.prove_ms = v->guard.silence_ms = patience_ms;
	v->guard.tied = true;
	peer->sin_family = AF_INET;
	inet_pton(AF_INET, "10.9.0.1", &peer->sin_addr);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, v->pair), 0);
	assert_int_equal(pthread_create(&v->thread, NULL, guarded, v), 0);
	v->in = fdopen(dup(v->pair[1]), "r");
}

static void visit_begin(struct visit *v) {
	visit_begin_hasty(v, 60000);
}

/* Says a line (NULL: nothing) and returns what comes back, "": the agent has gone. */
static const char *say(struct visit *v, const char *line) {
	if (line != NULL)
		send(v->pair[1], line, strlen(line), MSG_NOSIGNAL);
	if (fgets(v->line, sizeof(v->line), v->in) == NULL)
		v->line[0] = '\0';
	return v->line;
}

static void visit_end(struct visit *v) {
	shutdown(v->pair[1], SHUT_RDWR);
	pthread_join(v->thread, NULL);
	fclose(v->in);
	close(v->pair[0]);
	close(v->pair[1]);
}

/* The proof for the number in the last answer. */
static const char *proof_line(const struct visit *v, const struct secret *s) {
	static char line[200];
	char nonce[SECRET_NONCE_TEXT], proof[SECRET_PROOF_TEXT];
	const char *at = strstr(v->line, "\"nonce\":\"");

	assert_non_null(at);
	memcpy(nonce, at + 9, sizeof(nonce));
	nonce[sizeof(nonce) - 1] = '\0';
	secret_proof(s, SECRET_CLIENT, NONCE, nonce, proof);
	snprintf(line, sizeof(line), "{\"do\":\"prove\",\"proof\":\"%s\"}\n", proof);
	return line;
}

static void a_stranger_learns_nothing_and_starts_nothing(void **state) {
	static const char *const tries[] = {"{\"do\":\"addresses\"}\n",
		"{\"do\":\"prepare\",\"job\":\"stream\"}\n", "{\"do\":\"alive\"}\n",
		"{\"do\":\"prove\",\"proof\":\"\"}\n", "{\"do\":\"hello\",\"protocol\":2}\n"};
	static const struct secret other = {.text = "correct horse cattery", .len = 21};
	struct visit v;

	visit_begin(&v);
	assert_memory_equal(say(&v, HELLO), "{\"ok\":{\"protocol\":2,\"nonce\":\"", 29);
	assert_int_equal(strlen(v.line), strlen("{\"ok\":{\"protocol\":2,\"nonce\":\"\"}}\n") + 32);
	assert_non_null(strstr(say(&v, proof_line(&v, &other)), "another secret"));
	assert_string_equal(say(&v, HELLO), ""); // and no second try
	visit_end(&v);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		for (int greeting = 0; greeting < 2; greeting++) {
			visit_begin(&v);
			if (greeting)
				say(&v, HELLO);
			assert_non_null(strstr(say(&v, tries[i]), "\"error\""));
			assert_null(strstr(v.line, WEIR_VERSION));
			visit_end(&v);
		}
	}
}

static void what_was_overheard_opens_nothing(void **state) {
	char overheard[200];
	struct visit v;

	visit_begin(&v);
	say(&v, HELLO);
	snprintf(overheard, sizeof(overheard), "%s", proof_line(&v, &secret));
	assert_non_null(strstr(say(&v, overheard), "\"host\""));
	assert_non_null(strstr(v.line, "\"proof\"")); // the server's, in return
	visit_end(&v);
	visit_begin(&v);
	say(&v, HELLO);
	assert_non_null(strstr(say(&v, overheard), "another secret"));
	visit_end(&v);
}

static void flows_lead_to_the_client_alone(void **state) {
	static const char ask[] =
		"{\"do\":\"prepare\",\"job\":\"stream\",\"send\":true,\"receive\":false,\"rate\":0,"
		"\"udp\":true,\"flows\":1,\"length\":1000,\"cookie\":\"" NONCE "\",\"role\":\"%s\","
		"\"address\":\"%s\",\"ports\":[9]}\n";
	char line[512];
	struct visit v;

	visit_begin(&v);
	say(&v, HELLO);
	say(&v, proof_line(&v, &secret));
	snprintf(line, sizeof(line), ask, "connect", "127.0.0.1");
	assert_non_null(strstr(say(&v, line), "connects to 10.9.0.1, from where it is asked"));
	snprintf(line, sizeof(line), ask, "", "127.0.0.1");
	assert_non_null(strstr(say(&v, line), "connects to 10.9.0.1, from where it is asked"));
	snprintf(line, sizeof(line), ask, "listen", "127.0.0.1");
	assert_non_null(strstr(say(&v, line), "\"ports\""));
	visit_end(&v);
}

/* The cookie and the number alone do not make a peer. */
static void a_flow_of_another_address_is_not_taken(void **state) {
	struct flows_spec spec = {.n = 1, .address = "127.0.0.1", .cookie = NONCE};
	struct flows_listener *l;
	struct err e;
	json_t *ports;
	int flow = -1, mine = -1;

	for (int udp = 0; udp < 2; udp++) {
		spec.udp = udp;
		spec.peers.n = 0;
		assert_int_equal(reach_add(&spec.peers, "127.0.0.2", &e), 0);
		l = flows_listen(&spec, &ports, &e);
		assert_non_null(l);
		assert_true(flows_connect(&spec, ports, &mine, &e) < 0);
		assert_int_equal(flows_take(l, &flow, 10, &e), -ETIMEDOUT);
		flows_close(l);
		json_decref(ports);
	}
}

static void networks_are_what_they_are_written_as(void **state) {
	static const char *const bad[] = {
		"10.9.0.0/33", "10.9.0.0/", "10.9.0.0/x", "host", "", "::/129"};
	struct reach r = {0};
	struct err e;

	assert_int_equal(reach_add_list(&r, "10.9.0.0/20,2001:db8::/33,192.0.2.7", &e), 0);
	assert_true(reach_has_text(&r, "10.9.15.255") && !reach_has_text(&r, "10.9.16.0"));
	assert_true(reach_has_text(&r, "2001:db8:7fff::1"));
	assert_false(reach_has_text(&r, "2001:db8:8000::1"));
	assert_true(reach_has_text(&r, "192.0.2.7") && !reach_has_text(&r, "192.0.2.6"));
	assert_true(reach_has_text(&r, "::ffff:192.0.2.7"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(reach_add(&r, bad[i], &e), -EINVAL);
}

static void who_is_silent_loses_his_place(void **state) {
	uint64_t since = clock_ns();
	struct visit v;

	visit_begin_hasty(&v, PATIENCE_MS);
	say(&v, HELLO); // and never shows the secret
	assert_non_null(strstr(say(&v, NULL), "did not come in time"));
	assert_true(clock_ns() - since >= PATIENCE_MS * NS_PER_MS);
	assert_string_equal(say(&v, NULL), "");
	visit_end(&v);
}

/* The time runs from the last request on. Lines that get no answer are requests, too. */
static void who_has_shown_the_secret_loses_his_place_when_he_asks_for_nothing(void **state) {
	struct visit v;
	uint64_t since;

	visit_begin_hasty(&v, PATIENCE_MS);
	say(&v, HELLO);
	say(&v, proof_line(&v, &secret));
	for (int i = 0; i < 4; i++) {
		usleep(PATIENCE_MS * 1000 / 2);
		since = clock_ns();
		assert_true(send(v.pair[1], ALIVE, strlen(ALIVE), MSG_NOSIGNAL) > 0);
	}
	assert_non_null(strstr(say(&v, NULL), "nothing was asked for too long"));
	assert_true(clock_ns() - since >= PATIENCE_MS * NS_PER_MS);
	assert_string_equal(say(&v, NULL), "");
	visit_end(&v);
}

/* As the process of a client is to its server: there until it is ended. */
static pid_t come(struct places *p, const char *from, bool is_known) {
	struct sockaddr_storage sa = {.ss_family = AF_INET};
	int i = places_find(p);
	pid_t pid = i >= 0 ? fork() : i;

	inet_pton(AF_INET, from, &((struct sockaddr_in *)&sa)->sin_addr);
	if (pid == 0) {
		atomic_store(&p->known[i], is_known);
		pause();
		_exit(0);
	}
	while (i >= 0 && atomic_load(&p->known[i]) != is_known)
		usleep(100);
	if (pid > 0)
		places_take(p, i, pid, &sa);
	return pid;
}

static void end_all(struct places *p) {
	for (int i = 0; i < PLACES_MAX; i++)
		if (p->place[i].pid != 0) {
			kill(p->place[i].pid, SIGKILL);
			assert_int_equal(waitpid(p->place[i].pid, NULL, 0), p->place[i].pid);
		}
	places_fini(p);
}

static void a_stranger_gives_way_to_who_comes(void **state) {
	pid_t waits, first;
	struct places p;

	assert_int_equal(places_init(&p), 0);
	waits = come(&p, "10.9.0.7", false); // the oldest, but alone at its address
	come(&p, "10.9.0.1", true);
	first = come(&p, "10.9.0.1", false);
	for (int i = 3; i < PLACES_MAX; i++)
		assert_true(come(&p, "10.9.0.1", false) > 0);
	assert_true(come(&p, "10.9.0.8", false) > 0);
	assert_int_equal(kill(first, 0), -1);
	for (int i = 0; i < 2 * PLACES_MAX; i++)
		assert_true(come(&p, "10.9.0.1", false) > 0);
	assert_int_equal(kill(waits, 0), 0);
	assert_int_equal(kill(p.place[1].pid, 0), 0);
	assert_true(atomic_load(&p.known[1]));
	end_all(&p);
}

static void who_is_known_keeps_his_place(void **state) {
	struct places p;

	assert_int_equal(places_init(&p), 0);
	for (int i = 0; i < PLACES_MAX; i++)
		assert_true(come(&p, "10.9.0.1", true) > 0);
	assert_int_equal(places_find(&p), -EBUSY);
	assert_int_equal(kill(p.place[5].pid, SIGKILL), 0);
	assert_int_equal(waitpid(p.place[5].pid, NULL, 0), p.place[5].pid);
	places_leave(&p, p.place[5].pid);
	assert_int_equal(places_find(&p), 5);
	assert_false(atomic_load(&p.known[5]));
	end_all(&p);
}

/* An agent in a VM, of whom the coordinator asks one thing: answers hello, then says `what` without end.
 * Returns how many bytes it got rid of. */
static size_t flood(int listening, const char *what, const char *between) {
	static const char hello[] = "{\"ok\":{\"protocol\":2,\"host\":\"vm\"}}\n";
	int fd = accept(listening, NULL, NULL);
	size_t n = 0, chunk = strlen(what), sep = strlen(between);
	char line[256];

	if (read(fd, line, sizeof(line)) <= 0 || send(fd, hello, strlen(hello), MSG_NOSIGNAL) < 0 ||
		read(fd, line, sizeof(line)) <= 0)
		return SIZE_MAX;
	while (n < 64 << 20 && send(fd, what, chunk, MSG_NOSIGNAL) == (ssize_t)chunk &&
		send(fd, between, sep, MSG_NOSIGNAL) == (ssize_t)sep)
		n += chunk + sep;
	close(fd);
	return n;
}

static size_t asked_of(const char *what, const char *between, int *said) {
	char dir[] = "/tmp/weir-agent.XXXXXX";
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int listening = socket(AF_UNIX, SOCK_STREAM, 0), tell[2];
	struct endpoint ep;
	struct agent *a;
	struct err e;
	size_t n = 0;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	assert_int_equal(bind(listening, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(pipe(tell), 0);
	pid = fork();
	if (pid == 0) {
		n = flood(listening, what, between);
		_exit(write(tell[1], &n, sizeof(n)) != sizeof(n));
	}
	snprintf(ep.text, sizeof(ep.text), "vm:%s", sa.sun_path);
	assert_int_equal(endpoint_parse(&ep, strdupa(ep.text), &e), 0);
	a = agent_open(&ep, &e);
	assert_non_null(a);
	assert_null(agent_ask(a, "addresses", NULL, &e));
	*said = strstr(e.text, "does not speak as a weir agent does") != NULL;
	agent_close(a);
	assert_int_equal(read(tell[0], &n, sizeof(n)), sizeof(n));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(tell[0]);
	close(tell[1]);
	close(listening);
	unlink(sa.sun_path);
	rmdir(dir);
	return n;
}

/* What the agent could get rid of is what its coordinator took, and a socket's buffer. */
static void a_hostile_agent_fills_no_memory(void **state) {
	enum { PIECE = 10000 };
	char large[PIECE + 1];
	int said;

	memset(large, 'x', PIECE);
	large[PIECE] = '\0';
	assert_true(asked_of("{\"event\":\"interval\",\"from\":1}", "\n", &said) < 1 << 20);
	assert_true(said);
	memcpy(large, "{\"event\":\"", 10);
	assert_true(asked_of(large, "\"}\n", &said) < 6 << 20);
	assert_true(said);
	assert_true(asked_of(large, " ", &said) < 3 << 20); // a line without an end
	assert_true(said);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proofs_are_hmac_sha256),
		cmocka_unit_test(short_and_public_secrets_are_refused),
		cmocka_unit_test(a_stranger_learns_nothing_and_starts_nothing),
		cmocka_unit_test(what_was_overheard_opens_nothing),
		cmocka_unit_test(flows_lead_to_the_client_alone),
		cmocka_unit_test(a_flow_of_another_address_is_not_taken),
		cmocka_unit_test(networks_are_what_they_are_written_as),
		cmocka_unit_test(who_is_silent_loses_his_place),
		cmocka_unit_test(who_has_shown_the_secret_loses_his_place_when_he_asks_for_nothing),
		cmocka_unit_test(a_stranger_gives_way_to_who_comes),
		cmocka_unit_test(who_is_known_keeps_his_place),
		cmocka_unit_test(a_hostile_agent_fills_no_memory),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
