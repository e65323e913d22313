/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/prove/prove_air.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mac.h"

/* One thread sends and listens by turns. A socket takes only frames of the experiment's EtherType, with
 * and without a tag (a filter sees to it in the kernel), and not what its own side sends. The send buffer
 * is kept small: under a limit the frames then wait with us and not in a queue, and none is on its way
 * for long when the measuring ends. */

enum {
	ETHERTYPE_EXPERIMENT = 0x88b5,
	FRAME_SHORTEST = 60,
	FRAME_LONGEST = 1514,
	BURST = 10, /* frames between two looks at what arrived */
	SEND_BUFFER = 64 << 10,
	RECEIVE_BUFFER = 4 << 20,
	LINK_MS = 15000,
	LINK_POLL_MS = 20,
	OPEN_MS = 10000, /* until a way is open after a change; a VF's reset takes up to 3 s */
	KNOCK_MS = 20,
	ARRIVE_MS = 1000, /* behind the last frame that is wanted, at most */
	LATE_MS = 300, /* behind frames that are not */
	LOAD_SKIP_MS = 150, /* until a limit's burst is used up */
	LOAD_MS = 1000,
};

/* Behind the EtherType. */
struct mark {
	uint64_t run;
	uint16_t trial;
	uint32_t seq;
} __attribute__((packed));

static uint64_t now_ms(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool stopped(const struct air *a) {
	return a->stop != NULL && *a->stop != 0;
}

void air_init(struct air *a, const volatile sig_atomic_t *stop) {
	memset(a, 0, sizeof(*a));
	for (int i = 0; i < STATIONS; i++)
		a->st[i].fd = -1;
	a->load_frame = FRAME_LONGEST;
	a->load_ms = LOAD_MS;
	a->stop = stop;
	if (getrandom(&a->run, sizeof(a->run), 0) != (ssize_t)sizeof(a->run))
		a->run = now_ms() << 20 ^ (uint64_t)getpid();
}

static int filter(int fd) {
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_EXPERIMENT, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021Q, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021AD, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_EXPERIMENT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* MAC and frame size of the interface. */
static int ask_interface(struct air *a, int fd, enum prove_station s, const char *name) {
	struct ifreq r = {0};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFHWADDR, &r) < 0)
		return -errno;
	a->st[s].mac = mac_load((uint8_t *)r.ifr_hwaddr.sa_data);
	if (ioctl(fd, SIOCGIFMTU, &r) == 0 && r.ifr_mtu + ETH_HLEN < (int)a->load_frame)
		a->load_frame = (unsigned)r.ifr_mtu + ETH_HLEN;
	return 0;
}

static int set_up(int fd, int index) {
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = index, .sll_protocol = htons(ETH_P_ALL)};
	int one = 1, send = SEND_BUFFER, receive = RECEIVE_BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof(receive));
	if (filter(fd) < 0 || setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) < 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
		bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

int air_open(struct air *a, enum prove_station s, const char *name, struct err *e) {
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	if (fd < 0)
		return err_set(e, errno, "cannot make a packet socket: %s%s", strerror(errno),
			errno == EPERM ? "; it takes CAP_NET_RAW" : "");
	rc = ask_interface(a, fd, s, name);
	if (rc == 0)
		rc = set_up(fd, (int)if_nametoindex(name));
	if (rc < 0) {
		close(fd);
		return err_set(e, -rc, "cannot send by the interface %s: %s", name, strerror(-rc));
	}
	a->st[s].fd = fd;
	return 0;
}

void air_close(struct air *a) {
	for (int i = 0; i < STATIONS; i++) {
		if (a->st[i].fd >= 0)
			close(a->st[i].fd);
		a->st[i].fd = -1;
	}
}

void air_promiscuous(struct air *a, enum prove_station s, bool on) {
	struct sockaddr_ll at = {0};
	socklen_t size = sizeof(at);
	struct packet_mreq r = {.mr_type = PACKET_MR_PROMISC};

	if (getsockname(a->st[s].fd, (struct sockaddr *)&at, &size) < 0)
		return;
	r.mr_ifindex = at.sll_ifindex;
	setsockopt(a->st[s].fd, SOL_PACKET, on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP, &r,
		sizeof(r));
}

/* Did the frame come with a tag, which the kernel has put beside it? */
static bool tagged(struct msghdr *m) {
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		return (aux.tp_status & TP_STATUS_VLAN_VALID) != 0 &&
		       (aux.tp_vlan_tci & 0xfff) != 0;
	}
	return false;
}

static void count(struct air *a, enum prove_station s, const uint8_t *frame, size_t len, bool tag) {
	size_t at = ETH_HLEN;
	struct mark k;

	if (len >= 18 && (frame[12] << 8 | frame[13]) != ETHERTYPE_EXPERIMENT) {
		at = 18;
		tag = true;
	}
	if (len < at + sizeof(k))
		return;
	memcpy(&k, frame + at, sizeof(k));
	// The PF is in every VLAN: what it gets with a tag has not left its VLAN.
	if (k.run != a->run || k.trial >= TRIALS || (s == STATION_PF && tag))
		return;
	a->seen[k.trial][s] |= 1ULL << k.seq % 64;
	if (k.trial == TRIAL_LOAD && s == STATION_B)
		a->load += a->load_frame; // of which the socket's copy has the beginning
}

static void receive(struct air *a, enum prove_station s) {
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	uint8_t frame[FRAME_SHORTEST];
	struct iovec iov = {frame, sizeof(frame)};

	for (;;) {
		struct msghdr m = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(a->st[s].fd, &m, MSG_DONTWAIT);

		if (n < 0)
			return;
		count(a, s, frame, (size_t)n, tagged(&m));
	}
}

static void listen_once(struct air *a, int ms) {
	struct pollfd p[STATIONS];

	for (int i = 0; i < STATIONS; i++)
		p[i] = (struct pollfd){.fd = a->st[i].fd, .events = POLLIN};
	if (poll(p, STATIONS, ms) <= 0)
		return;
	for (int i = 0; i < STATIONS; i++) {
		if (p[i].revents != 0)
			receive(a, i);
		if (p[i].revents & POLLERR)
			usleep(1000); // an interface that went down may say so again and again
	}
}

static unsigned seen(const struct air *a, enum prove_trial t, enum prove_station s) {
	return (unsigned)__builtin_popcountll(a->seen[t][s]);
}

/* Until `n` frames of the trial are there, or for as long. */
static void listen_for(
	struct air *a, unsigned ms, enum prove_trial t, enum prove_station s, unsigned n) {
	uint64_t end = now_ms() + ms, now;

	while (!stopped(a) && seen(a, t, s) < n && (now = now_ms()) < end)
		listen_once(a, (int)(end - now));
}

/* SIOCGIFFLAGS answers for the namespace that the socket is of. */
static bool has_link(int fd) {
	struct sockaddr_ll at = {0};
	socklen_t size = sizeof(at);
	struct ifreq r = {0};

	if (getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return false;
	r.ifr_ifindex = at.sll_ifindex;
	return ioctl(fd, SIOCGIFNAME, &r) == 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0 &&
	       (r.ifr_flags & IFF_RUNNING) != 0;
}

void air_wait_links(struct air *a) {
	uint64_t end = now_ms() + LINK_MS;

	for (int i = 0; i < STATIONS; i++)
		while (!stopped(a) && !has_link(a->st[i].fd) && now_ms() < end)
			listen_for(a, LINK_POLL_MS, TRIAL_KNOCK, i, 1);
}

static size_t make(const struct air *a, const struct shot *s, uint32_t seq, uint8_t *frame) {
	struct mark k = {.run = a->run, .trial = (uint16_t)s->trial, .seq = seq};
	uint16_t type = htons(ETHERTYPE_EXPERIMENT), tag[2] = {htons(ETH_P_8021Q), htons(s->tag)};
	size_t n = 12;

	memset(frame, 0, FRAME_SHORTEST + sizeof(tag));
	mac_store(frame, s->to);
	mac_store(frame + 6, s->source != 0 ? s->source : a->st[s->from].mac);
	if (s->tag != 0) {
		memcpy(frame + n, tag, sizeof(tag));
		n += sizeof(tag);
	}
	memcpy(frame + n, &type, sizeof(type));
	memcpy(frame + n + sizeof(type), &k, sizeof(k));
	return s->tag != 0 ? FRAME_SHORTEST + sizeof(tag) : FRAME_SHORTEST;
}

/* One frame; a full queue is waited for. */
static bool send_one(struct air *a, enum prove_station from, const uint8_t *frame, size_t len) {
	for (int i = 0; i < 100 && !stopped(a); i++) {
		if (send(a->st[from].fd, frame, len, MSG_DONTWAIT) == (ssize_t)len)
			return true;
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return false;
		listen_once(a, 1);
	}
	return false;
}

static void knock(struct air *a, const struct shot *s) {
	uint8_t frame[FRAME_SHORTEST + 4];
	struct shot one = *s;
	uint64_t end = now_ms() + OPEN_MS;

	one.trial = TRIAL_KNOCK;
	a->seen[TRIAL_KNOCK][s->at] = 0;
	while (!stopped(a) && seen(a, TRIAL_KNOCK, s->at) == 0 && now_ms() < end) {
		send_one(a, s->from, frame, make(a, &one, 0, frame));
		listen_for(a, KNOCK_MS, TRIAL_KNOCK, s->at, 1);
	}
}

void air_settle(struct air *a, unsigned ms) {
	a->seen[TRIAL_KNOCK][STATION_A] = 0;
	listen_for(a, ms, TRIAL_KNOCK, STATION_A, 1);
}

void air_shoot(struct air *a, const struct shot *s, struct prove_result *r) {
	uint8_t frame[FRAME_SHORTEST + 4];
	unsigned sent = 0;

	if (s->wanted)
		knock(a, s);
	for (uint32_t i = 0; i < PROVE_FRAMES && !stopped(a); i++) {
		sent += send_one(a, s->from, frame, make(a, s, i, frame));
		if (i % BURST == BURST - 1)
			listen_once(a, 1);
	}
	listen_for(a, s->wanted ? ARRIVE_MS : LATE_MS, s->trial, s->at, PROVE_FRAMES);
	r->trial[s->trial].sent = sent;
	r->trial[s->trial].arrived = seen(a, s->trial, s->at);
}

/* Sends as much as goes for `ms`, listening between. */
static void load(struct air *a, const struct shot *s, unsigned ms) {
	uint8_t frame[FRAME_LONGEST] = {0};
	uint64_t end = now_ms() + ms;
	uint32_t seq = 0;

	while (!stopped(a) && now_ms() < end) {
		for (int i = 0; i < BURST; i++) {
			make(a, s, seq++, frame);
			if (send(a->st[s->from].fd, frame, a->load_frame, MSG_DONTWAIT) < 0) {
				listen_once(a, 1);
				break;
			}
		}
		listen_once(a, 0);
	}
}

double air_rate(struct air *a) {
	struct shot s = {.trial = TRIAL_LOAD, .from = STATION_A, .to = a->st[STATION_B].mac};
	uint64_t begin, had;

	load(a, &s, LOAD_SKIP_MS);
	had = a->load;
	begin = now_ms();
	load(a, &s, a->load_ms);
	if (stopped(a))
		return -1;
	return (double)(a->load - had) * 8e3 / (double)(now_ms() - begin);
}
