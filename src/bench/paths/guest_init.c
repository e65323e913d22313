/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/agent.h"
#include "bench/paths/guest.h"

/* weir as process 1 of a guest. What it says goes to the console, which the host shows when the guest
 * does not come up. The kernel's command line has weir.name=NAME and, for each NIC,
 * weir.nic=MAC,ADDRESS/PREFIX. */

#define PORTS "/sys/class/virtio-ports"

enum { INIT_PATIENCE_MS = 10000, INIT_STEP_MS = 20, SOCKET_MEMORY = 4194304 };
#define COMPRESSED 4 /* MODULE_INIT_COMPRESSED_FILE of linux/module.h, since 5.17 */

static void complain(const char *what) {
	printf("weir: %s: %s\n", what, strerror(errno));
	fflush(stdout);
}

static void write_file(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; // a kernel without that setting
	if (write(fd, text, strlen(text)) < 0)
		complain(path);
	close(fd);
}

static void mount_all(void) {
	static const struct {
		const char *type, *at;
	} mounts[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"},
		{"tmpfs", "/run"}};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
		if (mount(mounts[i].type, mounts[i].at, mounts[i].type, 0, NULL) < 0 &&
			errno != EBUSY)
			complain(mounts[i].at);
	mkdir("/dev/shm", 0755);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
}

static int by_number(const struct dirent **a, const struct dirent **b) {
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_modules(void) {
	struct dirent **list;
	int n = scandir("/modules", &list, NULL, by_number);

	for (int i = 0; i < n; i++) {
		size_t len = strlen(list[i]->d_name);
		char path[300];
		int fd;

		if (list[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/modules/%s", list[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (syscall(SYS_finit_module, fd, "",
			    strcmp(list[i]->d_name + len - 3, ".ko") != 0 ? COMPRESSED : 0) < 0 &&
			errno != EEXIST)
			complain(path);
		close(fd);
	}
}

/* The name of the interface with that MAC; GUEST_ANY_MAC: of the first Ethernet one. */
static bool find_nic(const char *mac, char *name) {
	struct if_nameindex *all = if_nameindex();
	bool found = false;

	for (struct if_nameindex *i = all; i != NULL && i->if_index != 0 && !found; i++) {
		char path[300], text[20] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/net/%s/address", i->if_name);
		f = fopen(path, "re");
		if (f == NULL)
			continue;
		found = fgets(text, sizeof(text), f) != NULL &&
			(strncmp(text, mac, 17) == 0 ||
				(strcmp(mac, GUEST_ANY_MAC) == 0 && strlen(text) >= 17 &&
					strcmp(i->if_name, "lo") != 0));
		if (found)
			snprintf(name, IFNAMSIZ, "%s", i->if_name);
		fclose(f);
	}
	if (all != NULL)
		if_freenameindex(all);
	return found;
}

/* Up, with the address when there is one. */
static void bring_up(const char *name, const char *address, unsigned prefix) {
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&r.ifr_addr;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (address != NULL) {
		in->sin_family = AF_INET;
		if (inet_pton(AF_INET, address, &in->sin_addr) != 1 ||
			ioctl(fd, SIOCSIFADDR, &r) < 0)
			complain(address);
		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(prefix > 0 ? UINT32_MAX << (32 - prefix) : 0);
		if (ioctl(fd, SIOCSIFNETMASK, &r) < 0)
			complain(address);
	}
	if (ioctl(fd, SIOCGIFFLAGS, &r) == 0) {
		r.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
			complain(name);
	}
	close(fd);
}

/* MAC,ADDRESS/PREFIX */
static void set_nic(const char *text) {
	char mac[18] = "", address[16] = "", name[IFNAMSIZ];
	unsigned prefix = 0;

	if (sscanf(text, "%17[0-9a-f:*],%15[0-9.]/%u", mac, address, &prefix) != 3 || prefix > 32) {
		printf("weir: weir.nic=%s is not understood\n", text);
		return;
	}
	for (int ms = 0; ms < INIT_PATIENCE_MS; ms += INIT_STEP_MS) {
		if (find_nic(mac, name)) {
			bring_up(name, address, prefix);
			return;
		}
		usleep(INIT_STEP_MS * 1000);
	}
	printf("weir: there is no NIC %s\n", mac);
}

static void obey_command_line(void) {
	static const char name[] = "weir.name=", nic[] = "weir.nic=";
	char line[4096], *word, *rest = line;
	FILE *f = fopen("/proc/cmdline", "re");

	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		complain("/proc/cmdline");
	else
		while ((word = strsep(&rest, " \n")) != NULL) {
			if (strncmp(word, name, sizeof(name) - 1) == 0)
				sethostname(
					word + sizeof(name) - 1, strlen(word + sizeof(name) - 1));
			else if (strncmp(word, nic, sizeof(nic) - 1) == 0)
				set_nic(word + sizeof(nic) - 1);
		}
	if (f != NULL)
		fclose(f);
}

/* The first socket that wants time stamps makes the kernel rewrite its own receive path, and emulated
 * CPUs that are receiving just then may run the old code for ever. One is open before any traffic. */
static void stamp_early(void) {
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)) < 0)
		complain("time stamps");
}

/* The first port of the machine's virtio-serial that has a name. */
static int open_port(void) {
	for (int ms = 0; ms < INIT_PATIENCE_MS; ms += INIT_STEP_MS) {
		DIR *d = opendir(PORTS);
		struct dirent *at;
		char path[300];
		int fd = -1;

		while (d != NULL && fd < 0 && (at = readdir(d)) != NULL) {
			snprintf(path, sizeof(path), "/dev/%s", at->d_name);
			if (at->d_name[0] != '.')
				fd = open(path, O_RDWR | O_CLOEXEC);
		}
		if (d != NULL)
			closedir(d);
		if (fd >= 0)
			return fd;
		usleep(INIT_STEP_MS * 1000);
	}
	return -1;
}

void guest_init(void) {
	char memory[16];
	int fd;

	mount_all();
	load_modules();
	snprintf(memory, sizeof(memory), "%d", SOCKET_MEMORY);
	write_file("/proc/sys/net/core/rmem_max", memory);
	write_file("/proc/sys/net/core/wmem_max", memory);
	// Its own chatter would be measured too.
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	bring_up("lo", NULL, 0);
	stamp_early();
	obey_command_line();
	fd = open_port();
	if (fd < 0) {
		complain(PORTS);
	} else {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		// The host has the port open from the start, but that is told a moment later.
		while (poll(&p, 1, 0) >= 0 && (p.revents & POLLHUP) != 0)
			usleep(INIT_STEP_MS * 1000);
		if (write(fd, GUEST_GREETING, sizeof(GUEST_GREETING) - 1) < 0)
			complain(PORTS);
		agent_run(fd, NULL);
	}
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT); // QEMU runs with -no-reboot and ends
	_exit(1);
}
