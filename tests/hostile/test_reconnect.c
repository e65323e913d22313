/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Who dies comes back, and traffic with it: no frame twice, none out of order, no descriptor lost.
 *
 * Each network has two guests that send each other numbered frames as fast as they can, in one
 * thread. A guest does what QEMU and Linux do between them: it keeps its memory and rings when the
 * switch goes, connects again, tells a packed ring to go on where it was at the last orderly start
 * (QEMU knows no better), kicks nothing, and knows nothing of all this inside: a guest with nothing
 * to do asks for interrupts and sleeps until one comes, so that a lost one is found.
 *
 * A round ends somebody, and is over when every guest has received a frame that was sent after
 * that. Frames may get lost in a round: those under way, and what finds the receiver away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "front.h"

enum {
	NETS_MAX = 16,
	LONG_FRAME = 1514,
	NUMBER_AT = 42, /* behind Ethernet, IP and UDP */
	BURST = 32,
	KILLS = 20,
	FLAPS = 30,
	DEATHS = 6,
	RESUME_MS = 1000, /* from weir being back to the last guest's first frame */
	BACK_MS = 5000, /* from a start to that */
	INTERRUPT_MS = 500, /* asleep for so long beside something to do: nobody woke it */
	SOME = 500, /* frames, before a guest stops its rings once */
	PAUSE_US = 15000, /* between rounds, at most */
};

#define PACKED   FRONT_BIT(VIRTIO_F_RING_PACKED)
#define EVENT    FRONT_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define REGION   (FRONT_P_MQ | FRONT_P_REPLY_ACK | FRONT_P_INFLIGHT_SHMFD)
#define NOREGION (FRONT_P_MQ | FRONT_P_REPLY_ACK)

struct kind {
	const char *name;
	uint64_t features, protocol;
	bool client; /* weir connects */
	bool stopped; /* the guest's rings were stopped and started once, not at their beginning */
	bool chains; /* frames are sent in three descriptors */
	uint32_t buffer; /* bytes of a buffer; 0: frames fit */
	uint16_t frame;
};

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

struct guest {
	const struct kind *k;
	struct front f;
	char path[128], name[48];
	uint8_t frame[LONG_FRAME];
	uint16_t len;
	uint32_t number; /* of the next frame */
	unsigned round; /* its frames say */
	unsigned seen; /* the last round it has noticed */
	uint64_t last; /* round and number of the last frame received, + 1 */
	int64_t told
		[2]; /* packed: position at the last orderly start; -1: the front end can tell */
	bool made; /* has rings */
	bool stopped; /* as its kind says */
	bool attached, asleep;
	uint64_t since_ms; /* asleep or attached, whichever is later */
	atomic_bool flap;
	atomic_uint fresh; /* last round of which a frame has arrived */
	_Atomic uint64_t fresh_ms, got, lost;
};

static struct {
	char folder[96];
	pid_t pid;
	unsigned n;
	bool apart; /* the first guest of each network lives in another process */
	struct guest g[NETS_MAX][2];
	pthread_t thread[NETS_MAX];
	atomic_bool stop;
	atomic_uint round;
	_Atomic uint64_t back_ms; /* first attach of the round */
	atomic_bool failed;
	char why[256];
} * bed; /* shared with guests in processes of their own */

static uint64_t now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void rest_us(unsigned us) {
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000L}, NULL);
}

static unsigned patience(void) {
	return getenv("WEIR_SANITIZED") != NULL ? 4 : 1;
}

static unsigned rounds(unsigned n) {
	const char *more = getenv("WEIR_ROUNDS"); /* to look closer: so many times as many */

	return n * (more != NULL ? (unsigned)atoi(more) : 1);
}

/* The first complaint counts; it ends the test at the end of the round. */
static void complain(const struct guest *g, const char *what) {
	if (!atomic_exchange(&bed->failed, true))
		snprintf(bed->why, sizeof(bed->why), "%s: %s", g->name, what);
}

/* --- A guest --------------------------------------------------------------------------------- */

static int make(struct guest *g) {
	struct front_options o = {.path = g->path,
		.listen = g->k->client,
		.timeout_ms = g->k->client ? 1 : 0,
		.features = FRONT_F_PLAIN | g->k->features,
		.protocol = g->k->protocol,
		.buffer_size = 2048,
		.chain = g->k->chains ? 2 : 1,
		.header_alone = g->k->chains,
		.indirect = g->k->features & INDIRECT};

	return front_init(&g->f, &o);
}

static int set_rings(struct guest *g) {
	int err = 0;

	for (unsigned i = 0; i < 2 && err == 0; i++) {
		if (g->f.ring[i].packed)
			g->f.ring[i].base = g->told[i];
		err = front_set_ring(&g->f, &g->f.ring[i]);
	}
	for (unsigned i = 0; i < 2 && err == 0; i++)
		err = front_enable(&g->f, &g->f.ring[i], true);
	return err;
}

/* Receive buffers may be smaller than what is sent. */
static void lay_out(struct guest *g) {
	front_layout(&g->f);
	if (g->k->buffer != 0)
		front_rx(&g->f, 0)->buffer_size = g->k->buffer;
	g->told[0] = g->told[1] = 0x80008000;
}

/* One try; a front end does not wait with its guest standing still. */
static void attach(struct guest *g) {
	struct front *f = &g->f;
	uint64_t none = 0;
	int err = front_connect(f);

	if (err != 0)
		return;
	atomic_compare_exchange_strong(&bed->back_ms, &none, now_ms());
	err = front_negotiate(f);
	if (err == 0)
		err = front_set_features(f);
	if (err == 0 && !g->made)
		lay_out(g);
	if (err == 0)
		err = front_set_memory(f);
	if (err == 0)
		err = front_set_inflight(f);
	if (err == 0)
		err = set_rings(g);
	if (err == 0 && !g->made) {
		front_post(f);
		g->made = true;
	}
	g->attached = err == 0;
	g->since_ms = now_ms();
	if (err != 0)
		front_disconnect(f);
	if (err == -EREMOTEIO || err == -EPROTO)
		complain(g, f->why);
}

static bool hung_up(const struct guest *g) {
	char c;
	ssize_t n = recv(g->f.sock, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void detach(struct guest *g) {
	front_disconnect(&g->f);
	g->attached = false;
}

/* The driver stops the device and starts it again where it stands, as it does to change a setting. */
static void stop_once(struct guest *g) {
	g->stopped = true;
	if (front_stop(&g->f) == 0) {
		g->told[0] = g->f.ring[0].base;
		g->told[1] = g->f.ring[1].base;
		set_rings(g);
	}
}

/* A new round: some drop their connection, in the middle of a message even. */
static void notice(struct guest *g) {
	g->seen = g->round = atomic_load(&bed->round);
	if (!g->attached || !atomic_exchange(&g->flap, false))
		return;
	if (g->seen % 4 == 0)
		front_raw(&g->f, "\1\0\0\0\1", 5, NULL, 0);
	detach(g);
	attach(g);
	if (!g->attached && !g->k->client)
		complain(g, "refused because of a connection that is gone");
}

static unsigned receive(struct guest *g) {
	uint8_t in[LONG_FRAME];
	uint32_t number[2], end;
	unsigned n = 0;
	uint64_t at;
	int len;

	while ((len = front_recv(&g->f, 0, in, sizeof(in), NULL)) != -EAGAIN) {
		n++;
		memcpy(number, in + NUMBER_AT, sizeof(number));
		memcpy(&end, in + g->len - sizeof(end), sizeof(end));
		if (len < 0) {
			complain(g, g->f.why);
			return 0;
		}
		if (len != g->len || end != number[1] || memcmp(in, g->frame + 6, 6) != 0) {
			complain(g, "a frame that nobody sent");
			continue;
		}
		at = (uint64_t)number[0] << 32 | number[1];
		if (at < g->last)
			complain(g, at + 1 == g->last ? "a frame came twice"
						      : "a frame came twice or late");
		else
			atomic_fetch_add(&g->lost,
				number[1] > (uint32_t)g->last ? number[1] - (uint32_t)g->last : 0);
		g->last = at + 1;
		atomic_fetch_add(&g->got, 1);
		if (number[0] > atomic_load(&g->fresh) && g->attached) {
			atomic_store(&g->fresh_ms, now_ms());
			atomic_store(&g->fresh, number[0]);
		}
	}
	return n;
}

static unsigned reap(struct guest *g) {
	unsigned n = 0;
	int id;

	while ((id = front_ring_take(front_tx(&g->f, 0), NULL)) >= 0)
		n++;
	if (id == -EPROTO)
		complain(g, "a sent buffer came back twice");
	return n;
}

static unsigned transmit(struct guest *g, unsigned burst) {
	unsigned n;

	for (n = 0; n < burst; n++) {
		uint32_t number[2] = {g->round, g->number};

		memcpy(g->frame + NUMBER_AT, number, sizeof(number));
		memcpy(g->frame + g->len - sizeof(number[1]), &number[1], sizeof(number[1]));
		if (front_put(&g->f, 0, g->frame, g->len, NULL) < 0)
			break;
		g->number++;
	}
	front_flush(&g->f, 0);
	return n;
}

static bool called(struct front_ring *r) {
	uint64_t calls;

	return read(r->call, &calls, sizeof(calls)) == sizeof(calls);
}

static void interrupts(struct guest *g, bool on) {
	front_ring_interrupts(&g->f.ring[0], on);
	front_ring_interrupts(&g->f.ring[1], on);
}

static bool ready(const struct guest *g) {
	return front_ring_ready(&g->f.ring[0]) || front_ring_ready(&g->f.ring[1]);
}

static bool wakes(struct guest *g) {
	bool rx = called(&g->f.ring[0]), tx = called(&g->f.ring[1]);

	if (!rx && !tx) {
		if (g->attached && ready(g) &&
			now_ms() - g->since_ms > (uint64_t)INTERRUPT_MS * patience())
			complain(g, front_ring_ready(&g->f.ring[0])
					    ? "no interrupt for a frame that came"
					    : "no interrupt for a frame that was sent");
		return false;
	}
	g->asleep = false;
	interrupts(g, false);
	return true;
}

/* What the guest's driver does; false: it sleeps. */
static bool work(struct guest *g, unsigned burst) {
	unsigned n;

	if (g->asleep && !wakes(g))
		return false;
	n = receive(g);
	n += reap(g);
	n += transmit(g, burst);
	if (n > 0)
		return true;
	interrupts(g, true);
	g->asleep = !ready(g);
	if (!g->asleep)
		interrupts(g, false);
	g->since_ms = now_ms();
	return !g->asleep;
}

static bool step(struct guest *g) {
	if (g->k->stopped && !g->stopped && g->attached && atomic_load(&g->got) > SOME)
		stop_once(g);
	if (g->seen != atomic_load(&bed->round))
		notice(g);
	if (g->attached && hung_up(g))
		detach(g);
	if (!g->attached)
		attach(g);
	return g->made && work(g, BURST);
}

static void *run(void *arg) {
	struct guest *g = arg;

	while (!atomic_load(&bed->stop)) {
		struct pollfd p[6];
		bool busy = false;
		unsigned n = 0;

		for (unsigned i = bed->apart; i < 2; i++) {
			busy |= step(&g[i]);
			p[n++] = (struct pollfd){g[i].f.sock, POLLIN, 0};
			p[n++] = (struct pollfd){g[i].f.ring[0].call, POLLIN, 0};
			p[n++] = (struct pollfd){g[i].f.ring[1].call, POLLIN, 0};
		}
		if (busy)
			rest_us(100);
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
	const char *program = getenv("WEIR") != NULL ? getenv("WEIR") : WEIR_PROGRAM;
	char config[128], log[128];
	pid_t pid;

	path_of(config, sizeof(config), "weir.yaml");
	path_of(log, sizeof(log), "log");
	pid = fork();
	if (pid == 0) {
		int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		close_range(3, ~0u, 0);
		execl(program, program, "switch", "-c", config, (char *)NULL);
		_exit(127);
	}
	bed->pid = pid;
	return pid < 0 ? -1 : 0;
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
	complain(&bed->g[0][0], what);
}

static unsigned open_files(void) {
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", bed->pid);
	d = opendir(path);
	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static void show_log(void) {
	char path[128], line[512];
	FILE *f;

	path_of(path, sizeof(path), "log");
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		print_message("# weir: %s", line);
	if (f != NULL)
		fclose(f);
}

static int clean(void) {
	char command[160];

	snprintf(command, sizeof(command), "rm -rf '%s'", bed->folder);
	return system(command);
}

static void guest_init(struct guest *g, const struct kind *k, unsigned net, unsigned side) {
	const uint8_t mine[6] = {2, 0, 0, 0, (uint8_t)net, (uint8_t)side};
	const uint8_t its[6] = {2, 0, 0, 0, (uint8_t)net, (uint8_t)!side};

	*g = (struct guest){.k = k, .len = k->frame != 0 ? k->frame : 64};
	snprintf(g->name, sizeof(g->name), "%s (%u)", k->name, side);
	snprintf(g->path, sizeof(g->path), "%s/%u-%u", bed->folder, net, side);
	front_udp_frame(g->frame, g->len, its, mine);
}

/* Networks of these kinds, guests attached to all of them, and the switch. */
static void bed_start(const struct kind *k, unsigned n, bool apart) {
	const char *tmp = getenv("TMPDIR");

	memset(bed, 0, sizeof(*bed));
	atomic_store(&bed->round, 1);
	bed->n = n;
	bed->apart = apart;
	snprintf(bed->folder, sizeof(bed->folder), "%s/rXXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(bed->folder));
	for (unsigned i = 0; i < n; i++)
		for (unsigned s = 0; s < 2; s++)
			guest_init(&bed->g[i][s], &k[i], i, s);
	assert_int_equal(configure(), 0);
	assert_int_equal(switch_start(), 0);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned s = apart; s < 2; s++)
			assert_int_equal(make(&bed->g[i][s]), 0);
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
	(void)state;
	bed_hold();
	if (atomic_load(&bed->failed))
		show_log();
	end(&bed->pid);
	for (unsigned i = 0; i < bed->n; i++)
		for (unsigned s = bed->apart; s < 2; s++)
			front_close(&bed->g[i][s].f);
	return clean();
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static void must_hold(void) {
	if (!atomic_load(&bed->failed))
		return;
	bed_hold();
	fail_msg("round %u: %s", atomic_load(&bed->round), bed->why);
}

/* Is every guest there reached by frames of this round? Its name when not. */
static struct guest *not_fresh(void) {
	for (unsigned i = 0; i < bed->n; i++)
		for (unsigned s = 0; s < 2; s++)
			if (atomic_load(&bed->g[i][s].fresh) != atomic_load(&bed->round))
				return &bed->g[i][s];
	return NULL;
}

/* Waits for that; ms from the first attach of the round to the last guest's first frame. */
static unsigned round_over(void) {
	uint64_t limit = now_ms() + (uint64_t)BACK_MS * patience(), last = 0;
	struct guest *g;

	while ((g = not_fresh()) != NULL && !atomic_load(&bed->failed)) {
		if (now_ms() > limit)
			complain(g, g->attached ? "no frame comes any more" : g->f.why);
		rest_us(500);
	}
	must_hold();
	for (unsigned i = 0; i < bed->n; i++)
		for (unsigned s = 0; s < 2; s++)
			if (atomic_load(&bed->g[i][s].fresh_ms) > last)
				last = atomic_load(&bed->g[i][s].fresh_ms);
	return (unsigned)(last - atomic_load(&bed->back_ms));
}

static void next_round(void) {
	atomic_store(&bed->back_ms, 0);
	atomic_fetch_add(&bed->round, 1);
}

static void wait_a_moment(void) {
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

	receive(to);
	got = atomic_load(&to->got);
	while ((sent < frames || tx->places < tx->size) && now_ms() < limit) {
		unsigned room = frames - sent < BURST ? frames - sent : BURST;

		sent += transmit(from, room);
		reap(from);
		rest_us(100);
	}
	if (tx->places != tx->size)
		complain(from, "sent buffers did not come back");
	rest_us(1000);
	receive(to);
	if (atomic_load(&to->got) - got != frames)
		complain(to, "receive buffers are missing");
	must_hold();
}

/* Waits until all that was sent has come back. */
static void settle(struct guest *g, struct guest *other) {
	const struct front_ring *tx = front_tx(&g->f, 0);
	uint64_t limit = now_ms() + (uint64_t)RESUME_MS * patience();

	while (tx->places != tx->size && now_ms() < limit) {
		reap(g);
		receive(other);
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

	while (open_files() > before && now_ms() < limit)
		rest_us(10000);
	assert_in_range(open_files(), 1, before);
}

/* A process with the first guest of every network. */
static pid_t guests_start(void) {
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(3, ~0u, 0);
	for (unsigned i = 0; i < bed->n; i++) {
		guest_init(&bed->g[i][0], bed->g[i][1].k, i, 0);
		if (make(&bed->g[i][0]) < 0)
			_exit(1);
	}
	for (;;) {
		bool busy = false;

		for (unsigned i = 0; i < bed->n; i++)
			busy |= step(&bed->g[i][0]);
		rest_us(busy ? 100 : 500);
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
		note(&up, (unsigned)(atomic_load(&bed->back_ms) - start));
	}
	print_message("# weir is reached %u ms after its start; all %u guests receive %u ms later, "
		      "at worst %u ms\n",
		up.sum / up.n, 2 * bed->n, resumed.sum / resumed.n, resumed.worst);
	account();
	assert_in_range(resumed.worst, 0, RESUME_MS * patience());
}

static void connections_end(void **state) {
	struct times resumed = {0};
	unsigned files;

	(void)state;
	bed_start(kinds, NKINDS, false);
	round_over();
	files = open_files();
	for (unsigned k = 0; k < rounds(FLAPS); k++) {
		wait_a_moment();
		for (unsigned i = 0; i < bed->n; i++)
			atomic_store(
				&bed->g[i][rand() % 2].flap, rand() % 2 == 0 || i == k % bed->n);
		next_round();
		note(&resumed, round_over());
	}
	print_message("# all guests receive %u ms after the first is back, at worst %u ms\n",
		resumed.sum / resumed.n, resumed.worst);
	account();
	files_hold(files);
	assert_in_range(resumed.worst, 0, RESUME_MS * patience());
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
			files = open_files();
		else if (files > 0)
			files_hold(files);
	}
	end(&guests);
	bed_hold();
	must_hold();
	print_message("# all guests receive %u ms after the first is back, at worst %u ms\n",
		resumed.sum / resumed.n, resumed.worst);
	assert_in_range(resumed.worst, 0, RESUME_MS * patience());
}

int main(void) {
	const struct CMUnitTest tests[] = {
		{"weir is killed: traffic resumes, nothing comes twice, no descriptor is lost",
			weir_is_killed, NULL, bed_end, NULL},
		{"front ends drop their connections, in the middle of a message too, and are back "
		 "at "
		 "once",
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
