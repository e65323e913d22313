/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Who dies comes back, and traffic with it: no frame twice, none out of order, no descriptor lost.
 *
 * Each network has two guests (survivor.c) that send each other numbered frames as fast as they can,
 * in one thread.
 *
 * A round ends somebody, and is over when every guest has received a frame that was sent after
 * that: within a second from when the other side is back, by a clock that stands still while the
 * machine keeps weir or the guests from running (fair_clock.c), each time. While that is measured the
 * guests send with pauses, for 28 that never rest would be what keeps weir from its CPU. Frames may
 * get lost in a round: those under way, and what finds the receiver away. At the end each guest's
 * rings are counted through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "survivor.h"

enum {
	NETS_MAX = 16,
	BURST = 32,
	KILLS = 20,
	FLAPS = 30,
	DEATHS = 6,
	RESUME_MS = 1000, /* from weir being back to the last guest's first frame */
	BACK_MS = 5000, /* from a start to that */
	PAUSE_US = 15000, /* between rounds, at most */
};

#define PACKED   FRONT_BIT(VIRTIO_F_RING_PACKED)
#define EVENT    FRONT_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define REGION   (FRONT_P_MQ | FRONT_P_REPLY_ACK | FRONT_P_INFLIGHT_SHMFD)
#define NOREGION (FRONT_P_MQ | FRONT_P_REPLY_ACK)

static const struct kind kinds[] = {
	{"split", 0, NOREGION},
	{"split, weir connects", EVENT, NOREGION, .client = true},
	{"split, region", EVENT, REGION},
	{"split, region, weir connects", 0, REGION, .client = true},
	{"packed", PACKED, NOREGION},
	{"packed, weir connects", PACKED | EVENT, NOREGION, .client = true},
	{"packed, region", PACKED | EVENT, REGION},
	{"packed, region, weir connects", PACKED, REGION, .client = true},
	{"packed, stopped once", PACKED, NOREGION, .stopped = true},
	{"packed, chains", PACKED, NOREGION, .chains = true},
	{"packed, chains, region", PACKED, REGION, .chains = true},
	{"packed, merged buffers", PACKED | EVENT, NOREGION, .buffer = 256, .frame = LONG_FRAME},
	{"packed, merged buffers, region", PACKED, REGION, .buffer = 256, .frame = LONG_FRAME},
	{"split, chains, merged", EVENT | INDIRECT, NOREGION, .chains = true, .buffer = 256,
		.frame = LONG_FRAME},
};
enum { NKINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct {
	char folder[96];
	pid_t pid;
	unsigned n;
	atomic_bool apart; /* the first guest of each network lives in another process */
	struct guest g[NETS_MAX][2];
	pthread_t thread[NETS_MAX];
	atomic_bool stop, haste;
	struct shared s;
} * bed; /* shared with guests in processes of their own */

static uint64_t now_ms(void) {
	return fair_ms(&bed->s.clock);
}

static void rest_us(unsigned us) {
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000L}, NULL);
}

/* Between two turns that moved frames. */
static void breathe(void) {
	rest_us(atomic_load(&bed->haste) ? 100 : 1000);
}

static unsigned rounds(unsigned n) {
	const char *more = getenv("WEIR_ROUNDS"); /* to look closer: so many times as many */

	return n * (more != NULL ? (unsigned)atoi(more) : 1);
}

/* --- The guests ----------------------------------------------------------------------------- */

static void *run(void *arg) {
	struct guest *g = arg;

	while (!atomic_load(&bed->stop)) {
		struct pollfd p[6];
		bool busy = false;
		unsigned n = 0;

		for (unsigned i = bed->apart; i < 2; i++) {
			busy |= guest_step(&g[i]);
			p[n++] = (struct pollfd){g[i].f.sock, POLLIN, 0};
			p[n++] = (struct pollfd){g[i].f.ring[0].call, POLLIN, 0};
			p[n++] = (struct pollfd){g[i].f.ring[1].call, POLLIN, 0};
		}
		if (busy)
			breathe();
		else
			poll(p, n, 2);
	}
	return NULL;
}

/* --- The switch ------------------------------------------------------------------------------ */

static void path_of(char *out, size_t size, const char *name) {
	snprintf(out, size, "%s/%s", bed->folder, name);
}

static int configure(void) {
	const char *cpus = getenv("WEIR_CPUS");
	char path[128];
	FILE *f;

	path_of(path, sizeof(path), "weir.yaml");
	f = fopen(path, "w");
	if (f == NULL)
		return -1;
	if (cpus != NULL)
		fprintf(f, "workers: [%s]\n", cpus);
	fprintf(f, "api: %s/api\nnetworks:\n", bed->folder);
	for (unsigned i = 0; i < bed->n; i++)
		fprintf(f, "  n%u: {}\n", i);
	fprintf(f, "ports:\n");
	for (unsigned i = 0; i < bed->n; i++)
		for (unsigned k = 0; k < 2; k++)
			fprintf(f, "  p%u-%u: {vhost-user: %s, network: n%u%s}\n", i, k,
				bed->g[i][k].path, i,
				bed->g[i][k].k->client ? ", mode: client" : "");
	return fclose(f);
}

static int switch_start(void) {
	char config[128], log[128], crashes[128];

	// How long ports are held after several crashes is tests/system/crashes.sh's.
	path_of(crashes, sizeof(crashes), "api.crashes");
	unlink(crashes);
	path_of(config, sizeof(config), "weir.yaml");
	path_of(log, sizeof(log), "log");
	bed->pid = process_start(config, log);
	atomic_store(&bed->s.clock.process[0], bed->pid);
	return bed->pid < 0 ? -1 : 0;
}

static void end(pid_t *pid) {
	char what[64];
	int status = 0;

	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, &status, 0);
	*pid = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	snprintf(what, sizeof(what), "before it was killed it had ended, status 0x%x", status);
	guest_complain(&bed->g[0][0], what);
}

/* Networks of these kinds, guests attached to all of them, and the switch. */
static void bed_start(const struct kind *k, unsigned n, bool apart) {
	const char *tmp = getenv("TMPDIR");

	memset(bed, 0, sizeof(*bed));
	atomic_store(&bed->s.round, 1);
	bed->n = n;
	bed->apart = apart;
	atomic_store(&bed->s.clock.process[1], getpid());
	assert_int_equal(fair_start(&bed->s.clock), 0);
	snprintf(bed->folder, sizeof(bed->folder), "%s/rXXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(bed->folder));
	for (unsigned i = 0; i < n; i++)
		for (unsigned s = 0; s < 2; s++)
			guest_init(&bed->g[i][s], &k[i], &bed->s, bed->folder, i, s);
	assert_int_equal(configure(), 0);
	assert_int_equal(switch_start(), 0);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned s = apart; s < 2; s++)
			assert_int_equal(guest_make(&bed->g[i][s]), 0);
		assert_int_equal(pthread_create(&bed->thread[i], NULL, run, bed->g[i]), 0);
	}
}

static void bed_hold(void) {
	atomic_store(&bed->stop, true);
	for (unsigned i = 0; i < bed->n; i++)
		if (bed->thread[i] != 0)
			pthread_join(bed->thread[i], NULL);
	memset(bed->thread, 0, sizeof(bed->thread));
}

static int bed_end(void **state) {
	char log[128];

	(void)state;
	bed_hold();
	fair_stop(&bed->s.clock);
	path_of(log, sizeof(log), "log");
	if (atomic_load(&bed->s.failed))
		process_show_log(log);
	end(&bed->pid);
	for (unsigned i = 0; i < bed->n; i++)
		for (unsigned s = bed->apart; s < 2; s++)
			front_close(&bed->g[i][s].f);
	return process_clean(bed->folder);
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static void must_hold(void) {
	if (!atomic_load(&bed->s.failed))
		return;
	bed_hold();
	fail_msg("round %u: %s", atomic_load(&bed->s.round), bed->s.why);
}

/* Is every guest there reached by frames of this round? Its name when not. */
static struct guest *not_fresh(void) {
	for (unsigned i = 0; i < bed->n; i++)
		for (unsigned s = 0; s < 2; s++)
			if (atomic_load(&bed->g[i][s].fresh) != atomic_load(&bed->s.round))
				return &bed->g[i][s];
	return NULL;
}

/* Waits for that; ms from the first attach of the round to the last guest's first frame. */
static unsigned round_over(void) {
	uint64_t limit = now_ms() + (uint64_t)BACK_MS * patience(), last = 0;
	struct guest *g;

	while ((g = not_fresh()) != NULL && !atomic_load(&bed->s.failed)) {
		if (now_ms() > limit)
			guest_complain(g, g->attached ? "no frame comes any more" : g->f.why);
		rest_us(500);
	}
	must_hold();
	for (unsigned i = 0; i < bed->n; i++)
		for (unsigned s = 0; s < 2; s++)
			if (atomic_load(&bed->g[i][s].fresh_ms) > last)
				last = atomic_load(&bed->g[i][s].fresh_ms);
	return (unsigned)(last - atomic_load(&bed->s.back_ms));
}

static void next_round(void) {
	atomic_store(&bed->haste, false);
	atomic_store(&bed->s.back_ms, 0);
	atomic_fetch_add(&bed->s.round, 1);
}

/* All send as fast as they can; it ends amid that. */
static void wait_a_moment(void) {
	atomic_store(&bed->haste, true);
	rest_us((unsigned)rand() % PAUSE_US);
}

/* Every buffer both ways is where it belongs: a ring's worth of frames is taken without the receiver
 * touching its ring, and every sent buffer comes back. */
static void fill(struct guest *from, struct guest *to) {
	const unsigned whole = from->len + to->f.header, buffer = front_rx(&to->f, 0)->buffer_size;
	const unsigned frames = front_rx(&to->f, 0)->size / ((whole + buffer - 1) / buffer);
	uint64_t limit = now_ms() + (uint64_t)RESUME_MS * patience(), got;
	const struct front_ring *tx = front_tx(&from->f, 0);
	unsigned sent = 0;

	guest_receive(to);
	got = atomic_load(&to->got);
	while ((sent < frames || tx->places < tx->size) && now_ms() < limit) {
		unsigned room = frames - sent < BURST ? frames - sent : BURST;

		sent += guest_transmit(from, room);
		guest_reap(from);
		rest_us(100);
	}
	if (tx->places != tx->size)
		guest_complain(from, "sent buffers did not come back");
	rest_us(1000);
	guest_receive(to);
	if (atomic_load(&to->got) - got != frames)
		guest_complain(to, "receive buffers are missing");
	must_hold();
}

/* Waits until all that was sent has come back. */
static void settle(struct guest *g, struct guest *other) {
	const struct front_ring *tx = front_tx(&g->f, 0);
	uint64_t limit = now_ms() + (uint64_t)RESUME_MS * patience();

	while (tx->places != tx->size && now_ms() < limit) {
		guest_reap(g);
		guest_receive(other);
		rest_us(100);
	}
}

static void account(void) {
	bed_hold();
	must_hold();
	for (unsigned i = 0; i < bed->n; i++) {
		struct guest *a = &bed->g[i][0], *b = &bed->g[i][1];

		settle(a, b);
		settle(b, a);
		for (unsigned k = 0; k < 2; k++) {
			fill(a, b);
			fill(b, a);
		}
		print_message("# %s: %llu and %llu frames received, %llu and %llu lost\n",
			a->k->name, (unsigned long long)atomic_load(&a->got),
			(unsigned long long)atomic_load(&b->got),
			(unsigned long long)atomic_load(&a->lost),
			(unsigned long long)atomic_load(&b->lost));
	}
}

/* Descriptors of a weir to which all guests are attached come and go, but do not grow in number. */
static void files_hold(unsigned before) {
	uint64_t limit = now_ms() + (uint64_t)RESUME_MS * patience();

	while (process_files(bed->pid) > before && now_ms() < limit)
		rest_us(10000);
	assert_in_range(process_files(bed->pid), 1, before);
}

/* A process with the first guest of every network. */
static pid_t guests_start(void) {
	pid_t pid = fork();

	if (pid != 0) {
		atomic_store(&bed->s.clock.process[2], pid);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(3, ~0u, 0);
	for (unsigned i = 0; i < bed->n; i++) {
		guest_init(&bed->g[i][0], bed->g[i][1].k, &bed->s, bed->folder, i, 0);
		if (guest_make(&bed->g[i][0]) < 0)
			_exit(1);
	}
	for (;;) {
		bool busy = false;

		for (unsigned i = 0; i < bed->n; i++)
			busy |= guest_step(&bed->g[i][0]);
		if (busy)
			breathe();
		else
			rest_us(500);
	}
}

/* --- The tests ------------------------------------------------------------------------------- */

struct times {
	unsigned n, sum, worst;
};

static void note(struct times *t, unsigned ms) {
	t->n++;
	t->sum += ms;
	t->worst = ms > t->worst ? ms : t->worst;
	if (ms > RESUME_MS * patience()) {
		bed_hold();
		atomic_store(&bed->s.failed, true);
		fail_msg("round %u: the last guest received %u ms after the first was back",
			atomic_load(&bed->s.round), ms);
	}
}

static void tell(const struct times *t) {
	print_message("# all guests receive %u ms after the first is back, at worst %u ms; the "
		      "machine took %llu ms\n",
		t->sum / t->n, t->worst, (unsigned long long)fair_taken_ms(&bed->s.clock));
}

static void weir_is_killed(void **state) {
	struct times up = {0}, resumed = {0};

	(void)state;
	bed_start(kinds, NKINDS, false);
	round_over();
	for (unsigned k = 0; k < rounds(KILLS); k++) {
		uint64_t start;

		wait_a_moment();
		end(&bed->pid);
		next_round();
		start = now_ms();
		assert_int_equal(switch_start(), 0);
		note(&resumed, round_over());
		note(&up, (unsigned)(atomic_load(&bed->s.back_ms) - start));
	}
	print_message("# weir is reached %u ms after its start\n", up.sum / up.n);
	account();
	tell(&resumed);
}

static void connections_end(void **state) {
	struct times resumed = {0};
	unsigned files = 0;

	(void)state;
	bed_start(kinds, NKINDS, false);
	round_over();
	for (unsigned k = 0; k < rounds(FLAPS); k++) {
		wait_a_moment();
		for (unsigned i = 0; i < bed->n; i++)
			atomic_store(
				&bed->g[i][rand() % 2].flap, rand() % 2 == 0 || i == k % bed->n);
		next_round();
		note(&resumed, round_over());
		if (k < FLAPS / 2 && process_files(bed->pid) > files)
			files = process_files(bed->pid);
	}
	account();
	files_hold(files);
	tell(&resumed);
}

static void guests_are_killed(void **state) {
	struct times resumed = {0};
	unsigned files = 0;
	pid_t guests;

	(void)state;
	bed_start(kinds, 8, true);
	guests = guests_start();
	round_over();
	for (unsigned k = 0; k < rounds(DEATHS); k++) {
		wait_a_moment();
		end(&guests);
		if (k % 3 > 0)
			end(&bed->pid);
		next_round();
		if (k % 3 == 1)
			switch_start();
		guests = guests_start();
		if (k % 3 == 2)
			switch_start();
		note(&resumed, round_over());
		if (k % 3 > 0)
			files = process_files(bed->pid);
		else if (files > 0)
			files_hold(files);
	}
	end(&guests);
	for (unsigned i = 0; i < bed->n; i++) { /* others that can be counted through */
		guest_init(&bed->g[i][0], &kinds[i], &bed->s, bed->folder, i, 0);
		assert_int_equal(guest_make(&bed->g[i][0]), 0);
	}
	next_round();
	atomic_store(&bed->apart, false);
	note(&resumed, round_over());
	account();
	tell(&resumed);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		{"weir is killed: traffic resumes, nothing comes twice, no descriptor is lost",
			weir_is_killed, NULL, bed_end, NULL},
		{"front ends that drop their connections, also amid a message, are back at once",
			connections_end, NULL, bed_end, NULL},
		{"guests are killed, alone and with weir; others take their place",
			guests_are_killed, NULL, bed_end, NULL},
	};

	bed = mmap(NULL, sizeof(*bed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bed == MAP_FAILED)
		return 1;
	cmocka_set_test_filter(getenv("WEIR_CASE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
