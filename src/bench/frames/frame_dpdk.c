/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Frames of DPDK devices; a vhost-user path is a name for one of them.
 *
 * Buffers to send come from a pool of the queue's own, which a driver gives them back to when they
 * went out. What an engine wrote stays in them, so that only what differs from frame to frame is
 * written anew. They leave with one reference and room in front: with a second reference the virtio
 * driver would spend a descriptor of its own on its header, and cost the switch as much. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_memzone.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/sock.h"
#include "bench/bench.h"
#include "bench/frames/frame_port.h"
#include "control/daemon.h"

enum {
	RING = 1024, /* descriptors, where the device allows */
	RING_ALIGN = 4096, /* of its used part, in virtio's first layout */
	POOL_CACHE = 256,
	RX_POOL = 4096,
	RX_ROOM = 2048,
	LINK_WAIT_MS = 10000,
	LINK_TURN_MS = 10,
	HUGEPAGE_MIB = 2,
	MIB_MAX = 2048,
};

struct device {
	uint16_t port, nrx, ntx, at; /* at: the receive queue asked next */
	bool started;
	bool promiscuous; /* by us, to be undone */
	char *server; /* path of the socket that DPDK leaves behind */
	struct rte_mempool *rx_pool, *tx_pool[FRAME_QUEUES_MAX];
	uint64_t missed_before;
};

static const char *memory;
static unsigned devices; /* ever opened: names must differ */

static unsigned tx_pool_size(void) {
	return 2 * RING + 2 * POOL_CACHE;
}

static unsigned free_hugepages(void) {
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%u", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* "dpdk:01:00.0,..." or "dpdk:0000:01:00.0,...", whose address is written with its domain. */
static bool pci_address(const char *args, char out[16]) {
	unsigned domain, bus, slot, function;
	int n = 0;

	if (sscanf(args, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &n) != 4) {
		domain = 0;
		if (sscanf(args, "%2x:%2x.%1x%n", &bus, &slot, &function, &n) != 3)
			return false;
	}
	if (args[n] != '\0' && args[n] != ',')
		return false;
	snprintf(out, 16, "%04x:%02x:%02x.%x", domain, bus, slot, function);
	return true;
}

int frame_dpdk_pci(const char *args, struct err *e) {
	// vfio-pci and its like hand the device over; mlx5_core shares it with DPDK.
	static const char *const good[] = {
		"vfio-pci", "igb_uio", "uio_pci_generic", "mlx5_core", NULL};
	char path[64], link[256], address[16];
	ssize_t n;

	if (!pci_address(args, address))
		return 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	if (access(path, F_OK) < 0)
		return err_set(e, ENODEV, "dpdk:%s: there is no PCI device %s", args, address);
	strcat(path, "/driver");
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	for (int i = 0; good[i] != NULL; i++)
		if (n > 0 && strcmp(basename(link), good[i]) == 0)
			return 1;
	return err_set(e, EBUSY,
		"dpdk:%s: %s %s, so DPDK cannot use it; `dpdk-devbind.py --bind=vfio-pci %s`", args,
		n > 0 ? "the kernel drives it with" : "it has no",
		n > 0 ? basename(link) : "driver", address);
}

int frame_eal_start(unsigned ports, unsigned frame_max, bool pci, struct err *e) {
	unsigned room = (frame_max > RX_ROOM ? frame_max : RX_ROOM) + 512;
	unsigned mib = 48 + ports * (RX_POOL * room >> 20) +
		       ports * FRAME_QUEUES_MAX * (tx_pool_size() * (frame_max + 512u) >> 20) / 4;
	const char *options[8];
	char mib_text[16];
	bool huge;
	int n = 0;

	if (memory != NULL)
		return 0;
	if (mib > MIB_MAX)
		mib = MIB_MAX;
	huge = free_hugepages() * HUGEPAGE_MIB >= mib;
	snprintf(mib_text, sizeof(mib_text), "%u", mib);
	if (huge) {
		options[n++] = "--in-memory";
		options[n++] = "--single-file-segments"; // a back end takes but a few regions
	} else {
		options[n++] = "--no-huge";
	}
	if (pci)
		options[n++] = "--allow=ffff:ff:1f.7"; // nobody: others' devices are not touched
	else
		options[n++] = "--no-pci";
	options[n++] = "-m";
	options[n++] = mib_text;
	options[n] = NULL;
	n = host_start_dpdk(cpus_given(), options, e);
	if (n == 0)
		memory = huge ? "hugepages" : "ordinary pages";
	return n;
}

const char *frame_eal_memory(void) {
	return memory;
}

void frame_eal_thread(void) {
	if (memory != NULL && rte_lcore_id() == LCORE_ID_ANY)
		rte_thread_register(); // without an id buffers come slower, no more
}

static void flush(struct rte_mempool *pool, void *arg) {
	rte_mempool_cache_flush(rte_mempool_default_cache(pool, rte_lcore_id()), pool);
}

void frame_eal_thread_end(void) {
	if (memory == NULL || rte_lcore_id() == LCORE_ID_ANY)
		return;
	rte_mempool_walk(flush, NULL); // what stays in a cache nobody else gets
	rte_thread_unregister();
}

static void zero_buffer(struct rte_mempool *pool, void *arg, void *object, unsigned i) {
	struct rte_mbuf *m = object;

	memset(m->buf_addr, 0, m->buf_len);
}

static struct rte_mempool *pool_new(
	struct device *d, const char *what, unsigned q, unsigned n, unsigned room) {
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s%u-%u", what, d->port, q);
	return rte_pktmbuf_pool_create(name, n, POOL_CACHE, 0,
		(uint16_t)(room + RTE_PKTMBUF_HEADROOM), (int)SOCKET_ID_ANY);
}

static int make_pools(struct device *d, const struct frame_port_want *w, struct err *e) {
	unsigned room = w->frame_max > RX_ROOM ? w->frame_max : RX_ROOM;

	d->rx_pool = pool_new(d, "rx", 0, RX_POOL * d->nrx, room);
	for (unsigned i = 0; i < d->ntx && d->rx_pool != NULL; i++) {
		d->tx_pool[i] = pool_new(d, "tx", i, tx_pool_size(), w->frame_max);
		if (d->tx_pool[i] == NULL)
			break;
		rte_mempool_obj_iter(d->tx_pool[i], zero_buffer, NULL);
	}
	if (d->rx_pool == NULL || d->tx_pool[d->ntx - 1] == NULL)
		return err_set(e, ENOMEM, "not enough memory for its buffers: %s",
			rte_strerror(rte_errno));
	return 0;
}

/* The device's queues, as many as wanted on each side; devices that pair them have both. */
static int configure(struct device *d, const struct frame_port_want *w, struct err *e) {
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(d->port, &info);

	if (rc < 0)
		return err_set(e, -rc, "the device does not say what it is: %s", strerror(-rc));
	d->ntx = (uint16_t)(w->queues > 0 ? w->queues : 1);
	d->nrx = RTE_MIN(d->ntx, info.max_rx_queues);
	if (d->ntx > info.max_tx_queues)
		return err_set(e, EINVAL, "the device has %u send queues; use at most so many CPUs",
			info.max_tx_queues);
	if (w->frame_max > RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN)
		conf.rxmode.mtu = w->frame_max - RTE_ETHER_HDR_LEN;
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	rc = rte_eth_dev_configure(d->port, d->nrx, d->ntx, &conf);
	if (rc < 0)
		return err_set(e, -rc,
			"the device takes neither %u queues nor frames of %u bytes%s%s", d->ntx,
			w->frame_max, host_dpdk_error()[0] != '\0' ? "; DPDK says: " : "",
			host_dpdk_error());
	return 0;
}

static int set_up(struct device *d, const struct frame_port_want *w, struct err *e) {
	uint16_t rxd = RING, txd = RING;
	int rc = configure(d, w, e);

	if (rc == 0)
		rc = make_pools(d, w, e);
	if (rc < 0)
		return rc;
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(d->port, &rxd, &txd);
	for (uint16_t i = 0; i < d->nrx && rc == 0; i++)
		rc = rte_eth_rx_queue_setup(
			d->port, i, rxd, (unsigned)SOCKET_ID_ANY, NULL, d->rx_pool);
	for (uint16_t i = 0; i < d->ntx && rc == 0; i++)
		rc = rte_eth_tx_queue_setup(d->port, i, txd, (unsigned)SOCKET_ID_ANY, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(d->port);
	if (rc < 0)
		return err_set(e, -rc, "the device does not start: %s%s%s", strerror(-rc),
			host_dpdk_error()[0] != '\0' ? "; DPDK says: " : "", host_dpdk_error());
	d->started = true;
	// Those that have no such thing take all anyway.
	d->promiscuous =
		rte_eth_promiscuous_get(d->port) == 0 && rte_eth_promiscuous_enable(d->port) == 0;
	return 0;
}

static bool link_up(const struct device *d) {
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(d->port, &link) < 0 || link.link_status == RTE_ETH_LINK_UP;
}

static uint64_t count_missed(const struct device *d) {
	struct rte_eth_stats st = {0};

	rte_eth_stats_get(d->port, &st);
	return st.imissed + st.rx_nombuf;
}

static void device_close(struct frame_port *p) {
	struct device *d = p->own;

	if (d->promiscuous)
		rte_eth_promiscuous_disable(d->port);
	if (d->started)
		rte_eth_dev_stop(d->port);
	if (d->port != RTE_MAX_ETHPORTS) {
		struct rte_eth_dev_info info;
		bool known = rte_eth_dev_info_get(d->port, &info) == 0;

		rte_eth_dev_close(d->port);
		if (known)
			rte_dev_remove(info.device);
	}
	rte_mempool_free(d->rx_pool);
	for (unsigned i = 0; i < FRAME_QUEUES_MAX; i++)
		rte_mempool_free(d->tx_pool[i]);
	if (d->server != NULL)
		sock_remove(d->server, sock_file(d->server));
	free(d->server);
	free(d);
}

static int wait_link(const struct device *d, struct err *e) {
	for (int ms = 0; ms < LINK_WAIT_MS; ms += LINK_TURN_MS) {
		if (link_up(d))
			return 0;
		usleep(LINK_TURN_MS * 1000);
	}
	return err_set(
		e, ENOLINK, "no link after %d s: nobody is at the other end", LINK_WAIT_MS / 1000);
}

/* `args` are as for EAL: "net_ring0", "0000:01:00.0", with what the driver wants to know. */
static int probe(struct device *d, const char *args, struct err *e) {
	char name[RTE_DEV_NAME_MAX_LEN], address[16];
	int rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(args, ","), args);
	if (pci_address(args, address))
		strcpy(name, address);
	host_dpdk_watch();
	rc = rte_dev_probe(args);
	if (rc < 0 && bench_stopped) {
		d->port = RTE_MAX_ETHPORTS;
		return err_set(e, ECANCELED, "interrupted while it waited");
	}
	if (rc < 0 || rte_eth_dev_get_port_by_name(name, &d->port) < 0) {
		d->port = RTE_MAX_ETHPORTS;
		return err_set(e, rc < 0 ? -rc : ENODEV, "DPDK makes no network device of '%s'%s%s",
			args, host_dpdk_error()[0] != '\0' ? ": " : "", host_dpdk_error());
	}
	return 0;
}

static int device_open(struct frame_port *p, const char *args, const char *server, struct err *e) {
	struct device *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL || (server != NULL && (d->server = strdup(server)) == NULL)) {
		free(d);
		return err_set(e, ENOMEM, "out of memory");
	}
	p->own = d;
	d->port = RTE_MAX_ETHPORTS;
	rc = probe(d, args, e);
	if (rc == 0)
		rc = set_up(d, &p->want, e);
	if (rc == 0)
		rc = wait_link(d, e);
	if (rc < 0)
		device_close(p);
	else
		d->missed_before = count_missed(d);
	return rc;
}

/* A virtual function gets what is for its own MAC, and may send from no other, whatever its driver says
 * of promiscuous mode. */
static bool one_mac(const char *args) {
	char address[16], path[64];

	if (!pci_address(args, address))
		return false;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn", address);
	return access(path, F_OK) == 0;
}

static int dpdk_open(struct frame_port *p, const char *rest, struct err *e) {
	int rc = device_open(p, rest, NULL, e);
	struct rte_eth_link link = {0};
	struct err ignored;

	if (rc == 0 && frame_dpdk_pci(rest, &ignored) > 0 &&
		rte_eth_link_get_nowait(((struct device *)p->own)->port, &link) == 0 &&
		link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		p->link = (uint64_t)link.link_speed * 1000000;
	if (rc == 0 && one_mac(rest)) {
		const struct device *d = p->own;
		struct rte_ether_addr mac = {0};

		rte_eth_macaddr_get(d->port, &mac);
		memcpy(p->mac, mac.addr_bytes, sizeof(p->mac));
	}
	return rc;
}

static int vhost_user_open(struct frame_port *p, const char *rest, struct err *e) {
	const char *comma = strchr(rest, ',');
	bool server = comma != NULL && strcmp(comma, ",server") == 0;
	char args[512], path[128];

	if (comma != NULL && !server)
		return err_set(e, EINVAL,
			"'%s' means nothing; behind a path there is only ',server'", comma);
	snprintf(path, sizeof(path), "%.*s",
		(int)(comma != NULL ? (size_t)(comma - rest) : strlen(rest)), rest);
	if (server) {
		int rc = sock_claim(path, e);

		if (rc < 0)
			return rc;
	}
	snprintf(args, sizeof(args), "net_virtio_user%u,path=%s,queues=%u,queue_size=%d%s",
		devices++, path, p->want.queues > 0 ? p->want.queues : 1, RING,
		server ? ",server=1" : "");
	return device_open(p, args, server ? path : NULL, e);
}

static unsigned device_lend(
	struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct device *d = p->own;

	if (rte_mempool_get_bulk(d->tx_pool[queue], b->token, n) < 0) {
		rte_eth_tx_done_cleanup(d->port, (uint16_t)queue, 0);
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		b->data[i] = (uint8_t *)((struct rte_mbuf *)b->token[i])->buf_addr +
			     RTE_PKTMBUF_HEADROOM;
	return n;
}

static int device_send(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct device *d = p->own;
	unsigned sent;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = b->token[i];

		m->data_off = RTE_PKTMBUF_HEADROOM;
		m->ol_flags = 0;
		m->data_len = b->len[i];
		m->pkt_len = b->len[i];
	}
	sent = rte_eth_tx_burst(
		d->port, (uint16_t)queue, (struct rte_mbuf **)b->token, (uint16_t)n);
	if (sent < n)
		rte_mempool_put_bulk(d->tx_pool[queue], b->token + sent, n - sent);
	return (int)sent;
}

static int device_receive(struct frame_port *p, struct frame_batch *b) {
	struct device *d = p->own;
	unsigned n = 0;

	for (unsigned i = 0; i < d->nrx && n == 0; i++) {
		n = rte_eth_rx_burst(d->port, d->at, (struct rte_mbuf **)b->token, FRAME_BATCH);
		d->at = (uint16_t)(d->at + 1 < d->nrx ? d->at + 1 : 0);
	}
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = b->token[i];

		b->data[i] = rte_pktmbuf_mtod(m, uint8_t *);
		// What is looked at lies in the first segment, or the frame is none of ours.
		b->len[i] = m->data_len < FRAME_MIN ? m->data_len : (uint16_t)m->pkt_len;
	}
	return (int)n;
}

static void device_release(struct frame_port *p, struct frame_batch *b, unsigned n) {
	rte_pktmbuf_free_bulk((struct rte_mbuf **)b->token, n);
}

static uint64_t device_missed(struct frame_port *p) {
	const struct device *d = p->own;

	return count_missed(d) - d->missed_before;
}

/* Of a guest's ring, which is ours and read by whoever is the switch. The driver tells nobody how far he
 * is, but its memory has a name. Send queues are the odd ones (virtio 1.1, section 5.1.2). */
static unsigned ring_waiting(struct frame_port *p) {
	const struct device *d = p->own;
	unsigned n = 0;

	for (unsigned i = 0; i < d->ntx; i++) {
		const struct rte_memzone *zone;
		char name[RTE_MEMZONE_NAMESIZE];
		struct vring r;

		snprintf(name, sizeof(name), "port%u_vq%u", d->port, 2 * i + 1);
		zone = rte_memzone_lookup(name);
		if (zone == NULL)
			continue;
		vring_init(&r, RING, zone->addr, RING_ALIGN);
		n += (uint16_t)(__atomic_load_n(&r.avail->idx, __ATOMIC_ACQUIRE) -
				__atomic_load_n(&r.used->idx, __ATOMIC_ACQUIRE));
	}
	return n;
}

static int device_check(struct frame_port *p) {
	return link_up(p->own) ? 0 : -ENOLINK;
}

#define DEVICE(prefix_, form_, open_, waiting_)                                                \
	{                                                                                      \
		.prefix = prefix_, .form = form_, .eal = true, .open = open_,                  \
		.close = device_close, .lend = device_lend, .send = device_send,               \
		.receive = device_receive, .release = device_release, .missed = device_missed, \
		.waiting = waiting_, .check = device_check,                                    \
	}

const struct frame_kind frame_vhost_user =
	DEVICE("vhost-user", "vhost-user:PATH[,server]", vhost_user_open, ring_waiting);
const struct frame_kind frame_dpdk = DEVICE("dpdk", "dpdk:DEVICE", dpdk_open, NULL);
