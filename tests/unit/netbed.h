/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_NETBED_H
#define WEIR_TESTS_NETBED_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A private network for tests with the real kernel: namespaces without a name, which go with their
 * last descriptor, and the few ioctls that set up an interface. All fail the test on error; the
 * including file brings cmocka. */

/* Why these tests cannot run here; NULL when they can. */
static inline const char *netbed_missing(void) {
	if (geteuid() != 0)
		return "needs root (a network namespace and TAP devices)";
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		return "no /dev/net/tun here";
	return NULL;
}

/* The bed of a test that can run here; else the test is skipped. */
static inline void *netbed_need(void **state) {
	if (netbed_missing() != NULL) {
		print_message("SKIP: %s\n", netbed_missing());
		skip();
	}
	return *state;
}

static inline int netbed_here(void) {
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Steps into the namespace; give what it returns to netbed_back. */
static inline int netbed_enter(int ns) {
	int back = netbed_here();

	assert_return_code(setns(ns, CLONE_NEWNET), errno);
	return back;
}

static inline void netbed_back(int back) {
	assert_return_code(setns(back, CLONE_NEWNET), errno);
	close(back);
}

/* A socket of the namespace, -1: of the one we are in. */
static inline int netbed_socket(int ns, int domain, int type, int protocol) {
	int back = ns >= 0 ? netbed_enter(ns) : -1;
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	assert_return_code(fd, errno);
	if (back >= 0)
		netbed_back(back);
	return fd;
}

static inline struct ifreq netbed_ifreq(const char *name) {
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ifr;
}

static inline unsigned netbed_flags(int ns, const char *name) {
	struct ifreq ifr = netbed_ifreq(name);
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);
	int rc = ioctl(s, SIOCGIFFLAGS, &ifr);

	close(s);
	return rc < 0 ? 0 : (unsigned short)ifr.ifr_flags | 1u << 31;
}

static inline bool netbed_exists(int ns, const char *name) {
	return netbed_flags(ns, name) != 0;
}

static inline void netbed_up(int ns, const char *name, bool up) {
	struct ifreq ifr = netbed_ifreq(name);
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);

	assert_return_code(ioctl(s, SIOCGIFFLAGS, &ifr), errno);
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	assert_return_code(ioctl(s, SIOCSIFFLAGS, &ifr), errno);
	close(s);
}

static inline int netbed_mtu(int ns, const char *name, int set) {
	struct ifreq ifr = netbed_ifreq(name);
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);

	ifr.ifr_mtu = set;
	assert_return_code(ioctl(s, set > 0 ? SIOCSIFMTU : SIOCGIFMTU, &ifr), errno);
	close(s);
	return ifr.ifr_mtu;
}

static inline void netbed_mac(int ns, const char *name, uint8_t mac[6]) {
	struct ifreq ifr = netbed_ifreq(name);
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);

	assert_return_code(ioctl(s, SIOCGIFHWADDR, &ifr), errno);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(s);
}

static inline int netbed_index(int ns, const char *name) {
	struct ifreq ifr = netbed_ifreq(name);
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);

	assert_return_code(ioctl(s, SIOCGIFINDEX, &ifr), errno);
	close(s);
	return ifr.ifr_ifindex;
}

static inline struct sockaddr_in netbed_in(const char *addr, int port) {
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	assert_int_equal(inet_pton(AF_INET, addr, &in.sin_addr), 1);
	return in;
}

/* addr/24 */
static inline void netbed_addr(int ns, const char *name, const char *addr) {
	struct ifreq ifr = netbed_ifreq(name);
	struct sockaddr_in in = netbed_in(addr, 0);
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);

	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	assert_return_code(ioctl(s, SIOCSIFADDR, &ifr), errno);
	in = netbed_in("255.255.255.0", 0);
	memcpy(&ifr.ifr_netmask, &in, sizeof(in));
	assert_return_code(ioctl(s, SIOCSIFNETMASK, &ifr), errno);
	close(s);
}

/* addr/64, without the second of duplicate detection. */
static inline void netbed_addr6(int ns, const char *name, const char *addr) {
	struct {
		struct in6_addr addr;
		uint32_t prefix;
		int index;
	} req = {.prefix = 64, .index = netbed_index(ns, name)};
	char path[128];
	int back = netbed_enter(ns);
	int s, fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_dad", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_return_code(fd, errno);
	assert_int_equal(write(fd, "0", 1), 1);
	close(fd);
	s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(inet_pton(AF_INET6, addr, &req.addr), 1);
	assert_return_code(ioctl(s, SIOCSIFADDR, &req), errno);
	close(s);
	netbed_back(back);
}

/* A fixed neighbour, so that no ARP is needed. */
static inline void netbed_neighbour(
	int ns, const char *name, const char *addr, const uint8_t mac[6]) {
	struct sockaddr_in in = netbed_in(addr, 0);
	struct arpreq req = {.arp_flags = ATF_COM | ATF_PERM};
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);

	memcpy(&req.arp_pa, &in, sizeof(in));
	req.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(req.arp_ha.sa_data, mac, 6);
	snprintf(req.arp_dev, sizeof(req.arp_dev), "%s", name);
	assert_return_code(ioctl(s, SIOCSARP, &req), errno);
	close(s);
}

/* What `ip tuntap add` does: a device that stays when nobody has it open. A descriptor of it. */
static inline int netbed_tap(int ns, const char *name, short flags) {
	struct ifreq ifr = netbed_ifreq(name);
	int back = netbed_enter(ns), fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	netbed_back(back);
	ifr.ifr_flags = flags;
	assert_return_code(ioctl(fd, TUNSETIFF, &ifr), errno);
	assert_return_code(ioctl(fd, TUNSETPERSIST, 1), errno);
	return fd;
}

/* A bridge with two members, all up. */
static inline void netbed_bridge(int ns, const char *bridge, const char *one, const char *two) {
	const char *member[2] = {one, two};
	int s = netbed_socket(ns, AF_INET, SOCK_DGRAM, 0);

	assert_return_code(ioctl(s, SIOCBRADDBR, bridge), errno);
	for (int i = 0; i < 2; i++) {
		struct ifreq ifr = netbed_ifreq(bridge);

		ifr.ifr_ifindex = netbed_index(ns, member[i]);
		assert_return_code(ioctl(s, SIOCBRADDIF, &ifr), errno);
		netbed_up(ns, member[i], true);
	}
	netbed_up(ns, bridge, true);
	close(s);
}

/* A namespace of its own, with lo up. */
static inline int netbed_new(void) {
	int back = netbed_here(), ns;

	assert_return_code(unshare(CLONE_NEWNET), errno);
	ns = netbed_here();
	netbed_up(-1, "lo", true);
	netbed_back(back);
	return ns;
}

/* A raw socket on the interface: whole frames behind a virtio header, as the kernel sees them. */
static inline int netbed_raw(int ns, const char *name) {
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int one = 1;
	int s = netbed_socket(ns, AF_PACKET, SOCK_RAW, 0);
	struct timeval tv = {.tv_sec = 2};

	ll.sll_ifindex = netbed_index(ns, name);
	assert_return_code(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), errno);
	assert_return_code(setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), errno);
	assert_return_code(
		setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), errno);
	assert_return_code(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), errno);
	assert_return_code(bind(s, (struct sockaddr *)&ll, sizeof(ll)), errno);
	return s;
}

/* What such a socket got. */
struct netbed_frame {
	struct virtio_net_hdr hdr;
	uint32_t len;
	int vlan; /* TCI, -1: untagged */
	uint8_t bytes[70000];
};

/* false: nothing came within two seconds. */
static inline bool netbed_recv(int s, struct netbed_frame *f) {
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec iov[2] = {{&f->hdr, sizeof(f->hdr)}, {f->bytes, sizeof(f->bytes)}};
	struct msghdr m = {.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(s, &m, 0);

	if (n < (ssize_t)sizeof(f->hdr))
		return false;
	f->len = (uint32_t)n - (uint32_t)sizeof(f->hdr);
	f->vlan = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID)
			f->vlan = aux.tp_vlan_tci;
	}
	return true;
}

/* Sends a whole frame without any request. */
static inline void netbed_send(int s, const void *bytes, uint32_t len) {
	struct virtio_net_hdr hdr = {0};
	struct iovec iov[2] = {{&hdr, sizeof(hdr)}, {(void *)bytes, len}};

	assert_int_equal(writev(s, iov, 2), sizeof(hdr) + len);
}

#endif
