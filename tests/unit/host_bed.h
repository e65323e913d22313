/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TEST_HOST_BED_H
#define WEIR_TEST_HOST_BED_H

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* A host in a folder: a PF of igb without VFs, a disk beside it, and a thread that does to the folder what
 * the kernel does when somebody writes into sysfs: VFs come and go, drivers are bound and unbound. Include
 * it behind cmocka.h. */

#define BED_PF   "0000:01:00.0"
#define BED_DISK "0000:02:00.0"
#define DEVICES  "sys/bus/pci/devices/"
#define DRIVERS  "sys/bus/pci/drivers/"
enum { BED_VFS_MAX = 8 };

static struct {
	char dir[64];
	pthread_t kernel;
	int events, stop[2];
	unsigned vfs;
	int mute_vf; // this VF's driver brings no interface, -1: all do
	const char *refuses; // this driver binds nothing
	const char *const *drivers;
} bed;

static const char *const bed_drivers[] = {"igb", "igbvf", "vfio-pci", "nvme"};
enum { BED_NDRIVERS = 4 };

static void bed_path(char *path, size_t size, const char *fmt, va_list ap) {
	int n = snprintf(path, size, "%s/", bed.dir);

	vsnprintf(path + n, size - (size_t)n, fmt, ap);
}

__attribute__((format(printf, 1, 2))) static void bed_folder(const char *fmt, ...) {
	char path[512];
	va_list ap;

	va_start(ap, fmt);
	bed_path(path, sizeof(path), fmt, ap);
	va_end(ap);
	for (char *p = path + strlen(bed.dir) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	mkdir(path, 0755);
}

__attribute__((format(printf, 2, 3))) static void bed_file(const char *text, const char *fmt, ...) {
	char path[512];
	va_list ap;
	int fd;

	va_start(ap, fmt);
	bed_path(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

__attribute__((format(printf, 2, 3))) static void bed_link(const char *to, const char *fmt, ...) {
	char path[512];
	va_list ap;

	va_start(ap, fmt);
	bed_path(path, sizeof(path), fmt, ap);
	va_end(ap);
	unlink(path);
	if (symlink(to, path) < 0)
		abort();
}

__attribute__((format(printf, 3, 4))) static char *bed_text(
	char *buf, size_t size, const char *fmt, ...) {
	char path[512];
	va_list ap;
	ssize_t n;
	int fd;

	va_start(ap, fmt);
	bed_path(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_RDONLY | O_NONBLOCK); // a test may have put a FIFO there
	n = fd >= 0 ? read(fd, buf, size - 1) : 0;
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
	return buf;
}

static int bed_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
	return remove(path);
}

__attribute__((format(printf, 1, 2))) static void bed_remove(const char *fmt, ...) {
	char path[512];
	va_list ap;

	va_start(ap, fmt);
	bed_path(path, sizeof(path), fmt, ap);
	va_end(ap);
	nftw(path, bed_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* The driver that has a function, "": none. */
static char *bed_driver(const char *slot, char *buf, size_t size) {
	char path[512], to[512];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/" DEVICES "%s/driver", bed.dir, slot);
	n = readlink(path, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = '\0';
	snprintf(buf, size, "%s", n > 0 ? strrchr(to, '/') + 1 : "");
	return buf;
}

static void bed_bind(const char *slot, const char *driver, int vf) {
	char to[128];

	snprintf(to, sizeof(to), "../../../../bus/pci/drivers/%s", driver);
	if (strstr(driver, "vfio") == NULL && vf != bed.mute_vf)
		bed_folder(DEVICES "%s/net/eth%s", slot, slot + 8);
	bed_link(to, DEVICES "%s/driver", slot);
}

static void bed_unbind(const char *slot) {
	bed_remove(DEVICES "%s/net", slot);
	bed_remove(DEVICES "%s/driver", slot);
}

static void bed_function(const char *slot, const char *device, const char *class, int group) {
	char text[64];

	bed_folder(DEVICES "%s", slot);
	bed_file("0x8086\n", DEVICES "%s/vendor", slot);
	bed_file(device, DEVICES "%s/device", slot);
	bed_file(class, DEVICES "%s/class", slot);
	bed_file("(null)\n", DEVICES "%s/driver_override", slot);
	bed_file("0\n", DEVICES "%s/numa_node", slot);
	snprintf(text, sizeof(text), "../../../../kernel/iommu_groups/%d", group);
	bed_folder("sys/kernel/iommu_groups/%d/devices", group);
	bed_link(text, DEVICES "%s/iommu_group", slot);
	snprintf(text, sizeof(text), "../../../../bus/pci/devices/%s", slot);
	bed_link(text, "sys/kernel/iommu_groups/%d/devices/%s", group, slot);
}

/* Offset 128, stride 2, as igb's. */
static char *bed_vf(unsigned i, char *slot) {
	snprintf(slot, 16, "0000:01:%02x.%x", (0x10 + i / 4) & 0xff, i % 4 * 2);
	return slot;
}

/* What the kernel does with sriov_numvfs. */
static void bed_numvfs(void) {
	char text[16], slot[16], to[32];
	unsigned n = (unsigned)atoi(bed_text(text, sizeof(text), DEVICES BED_PF "/sriov_numvfs"));

	for (unsigned i = 0; n == 0 && i < bed.vfs; i++) {
		bed_remove(DEVICES BED_PF "/virtfn%u", i);
		bed_remove(DEVICES "%s", bed_vf(i, slot));
		bed_remove("sys/kernel/iommu_groups/%u/devices/%s", 20 + i, slot);
	}
	for (unsigned i = bed.vfs; i < n && i < BED_VFS_MAX; i++) {
		bed_function(bed_vf(i, slot), "0x10ca\n", "0x020000\n", (int)(20 + i));
		bed_link("../" BED_PF, DEVICES "%s/physfn", slot);
		if (bed_text(text, sizeof(text), DEVICES BED_PF "/sriov_drivers_autoprobe")[0] ==
			'1')
			bed_bind(slot, "igbvf", (int)i);
		snprintf(to, sizeof(to), "../%s", slot);
		bed_link(to, DEVICES BED_PF "/virtfn%u", i);
	}
	bed.vfs = n;
}

static void bed_written(const struct inotify_event *ev) {
	char slot[32];

	if (ev->wd > BED_NDRIVERS) {
		if (strcmp(ev->name, "sriov_numvfs") == 0)
			bed_numvfs();
		return;
	}
	const char *driver = bed_drivers[ev->wd - 1];

	bed_text(slot, sizeof(slot), DRIVERS "%s/%s", driver, ev->name);
	if (strcmp(ev->name, "unbind") == 0)
		bed_unbind(slot);
	else if (strcmp(ev->name, "bind") == 0 &&
		 (bed.refuses == NULL || strcmp(bed.refuses, driver) != 0))
		bed_bind(slot, driver, -2);
}

static void *bed_kernel(void *arg) {
	_Alignas(struct inotify_event) char buf[4096];
	fd_set set;

	for (;;) {
		FD_ZERO(&set);
		FD_SET(bed.events, &set);
		FD_SET(bed.stop[0], &set);
		if (select((bed.events > bed.stop[0] ? bed.events : bed.stop[0]) + 1, &set, NULL,
			    NULL, NULL) < 0 ||
			FD_ISSET(bed.stop[0], &set))
			return NULL;
		ssize_t n = read(bed.events, buf, sizeof(buf));

		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev = (const void *)(buf + at);

			bed_written(ev);
			at += (ssize_t)(sizeof(*ev) + ev->len);
		}
	}
}

static int bed_up(void **state) {
	char path[512];

	memset(&bed, 0, sizeof(bed));
	bed.mute_vf = -1;
	snprintf(bed.dir, sizeof(bed.dir), "/dev/shm/weir-host.XXXXXX");
	assert_non_null(mkdtemp(bed.dir));
	bed.events = inotify_init1(IN_CLOEXEC);
	for (unsigned i = 0; i < BED_NDRIVERS; i++) {
		bed_folder(DRIVERS "%s", bed_drivers[i]);
		bed_file("", DRIVERS "%s/bind", bed_drivers[i]);
		bed_file("", DRIVERS "%s/unbind", bed_drivers[i]);
		snprintf(path, sizeof(path), "%s/" DRIVERS "%s", bed.dir, bed_drivers[i]);
		assert_int_equal(inotify_add_watch(bed.events, path, IN_CLOSE_WRITE), (int)i + 1);
	}
	bed_function(BED_PF, "0x10c9\n", "0x020000\n", 10);
	bed_file("8\n", DEVICES BED_PF "/sriov_totalvfs");
	bed_file("0\n", DEVICES BED_PF "/sriov_numvfs");
	bed_file("1\n", DEVICES BED_PF "/sriov_drivers_autoprobe");
	bed_bind(BED_PF, "igb", -2);
	bed_function(BED_DISK, "0x0953\n", "0x010802\n", 11);
	bed_link("../../../../bus/pci/drivers/nvme", DEVICES BED_DISK "/driver");
	bed_folder("proc/sys/kernel/random");
	bed_file("this-start\n", "proc/sys/kernel/random/boot_id");
	snprintf(path, sizeof(path), "%s/" DEVICES BED_PF, bed.dir);
	inotify_add_watch(bed.events, path, IN_CLOSE_WRITE);
	assert_int_equal(pipe2(bed.stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&bed.kernel, NULL, bed_kernel, NULL), 0);
	return 0;
}

static int bed_down(void **state) {
	if (write(bed.stop[1], "", 1) != 1)
		return -1;
	pthread_join(bed.kernel, NULL);
	close(bed.events);
	close(bed.stop[0]);
	close(bed.stop[1]);
	bed_remove("%s", "");
	return 0;
}

#endif
