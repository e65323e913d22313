/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Privileges. Capabilities belong to threads, and threads inherit them, so they are given up before
 * DPDK and the workers start theirs; ports are opened with what is left. NET_ADMIN stays, because TAP
 * ports come and go; all else only when the configuration or an option asks for it. The bounding set
 * is emptied, so no way leads back. User id 0 stays: files of root are reached as their owner.
 *
 * Memory. DPDK gets address space, not memory: pages are touched as librte_vhost allocates its
 * device and ring structures. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cap-ng.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/log.h"
#include "control/config.h"
#include "control/daemon.h"

/* Enough for 64 vhost-user ports of 16 queue pairs with rings of 4096: librte_vhost takes 40 bytes a
 * descriptor, 320 MiB in all. Each 512 MiB cost 6 MiB of real memory for DPDK's page tables. */
#define DPDK_MIB "512"

const char *const host_switch_memory[] = {"--no-huge", "--no-pci", "-m", DPDK_MIB, NULL};

enum { FILES_MAX = 1 << 20, DPDK_ARGS = 16 };

void host_control_cpus(const int *workers, unsigned n, cpu_set_t *out) {
	*out = *cpus_given();
	for (unsigned i = 0; i < n; i++)
		CPU_CLR(workers[i], out);
	if (CPU_COUNT(out) == 0)
		*out = *cpus_given();
}

void host_cpus(const cpu_set_t *cpus) {
	sched_setaffinity(0, sizeof(*cpus), cpus);
}

/* Workers are known by the name they gave themselves. */
static bool is_worker(const char *tid) {
	char path[64], comm[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true; // just ending
	(void)!read(fd, comm, sizeof(comm) - 1);
	close(fd);
	return strncmp(comm, "worker-", 7) == 0;
}

void host_all_cpus(const cpu_set_t *cpus) {
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.' && !is_worker(d->d_name))
			sched_setaffinity(atoi(d->d_name), sizeof(*cpus), cpus);
	if (dir != NULL)
		closedir(dir);
}

void host_limits(void) {
	// Private anonymous memory and ELF headers only: no shared mappings, which guests' memory is.
	static const char filter[] = "0x11";
	struct rlimit r = {0};
	int fd;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	if (r.rlim_max < FILES_MAX) {
		struct rlimit more = {FILES_MAX, FILES_MAX};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			r = more;
	}
	setrlimit(RLIMIT_NOFILE, &r);
	fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, filter, sizeof(filter) - 1);
		close(fd);
	}
}

/* Would root have to override permissions to make a socket there? */
static bool dir_is_foreign(const char *path) {
	char *copy = strdup(path);
	struct stat st;
	bool foreign;

	if (copy == NULL || stat(dirname(copy), &st) < 0) {
		free(copy);
		return false;
	}
	free(copy);
	foreign =
		st.st_uid == geteuid() ? (st.st_mode & 0300) != 0300 : (st.st_mode & 0003) != 0003;
	return foreign;
}

int host_drop_privileges(const struct config *c, const struct daemon_options *o, char *kept,
	size_t size, struct err *e) {
	struct {
		int cap;
		const char *name;
		bool wanted;
	} caps[] = {
		{CAP_NET_ADMIN, "net_admin", true},
		{CAP_SYS_ADMIN, "sys_admin", o->netns},
		{CAP_CHOWN, "chown", o->group},
		{CAP_DAC_OVERRIDE, "dac_override", o->group},
	};
	enum { NCAPS = sizeof(caps) / sizeof(caps[0]) };
	bool had[NCAPS], bounding;
	size_t n = 0;

	for (unsigned i = 0; i < c->nports; i++) {
		const struct config_port *p = &c->ports[i];

		caps[1].wanted |= p->netns != NULL;
		caps[2].wanted |= p->group != NULL;
		if (p->spec.kind == PORT_VHOST_USER)
			caps[3].wanted |= p->spec.client || dir_is_foreign(p->path);
	}
	capng_get_caps_process();
	bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	for (unsigned i = 0; i < NCAPS; i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, (unsigned)caps[i].cap);
	capng_clear(CAPNG_SELECT_BOTH);
	kept[0] = '\0';
	for (unsigned i = 0; i < NCAPS; i++) {
		if (!caps[i].wanted || !had[i])
			continue;
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)caps[i].cap);
		if (n < size)
			n += (size_t)snprintf(
				kept + n, size - n, "%s%s", n > 0 ? ", " : "", caps[i].name);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (capng_apply(bounding ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) != 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, EPERM, "could not give up privileges: %s", strerror(errno));
	return 0;
}

/* DPDK's log stream. Levels: RTE_LOG_EMERG 1 .. ERR 4, WARNING 5, NOTICE 6, INFO 7, DEBUG 8. */
static char first_error[160], last_error[160];
static bool to_log;

static void log_line(const char *line, int n) {
	unsigned level = (unsigned)rte_log_cur_msg_loglevel();

	if (n == 0)
		return;
	if (!to_log) {
		if (level > RTE_LOG_ERR)
			return;
		snprintf(last_error, sizeof(last_error), "%.*s", n, line);
		if (first_error[0] == '\0')
			memcpy(first_error, last_error, sizeof(first_error));
		return;
	}
	// Most of what librte_vhost says is what a front end made it say.
	if (level <= RTE_LOG_WARNING)
		log_limited(
			level <= RTE_LOG_ERR ? LOG_L_ERROR : LOG_L_WARN, "DPDK", "%.*s", n, line);
	else
		log_msg(level <= RTE_LOG_NOTICE ? LOG_L_INFO : LOG_L_DEBUG, "%.*s", n, line);
}

static ssize_t on_dpdk_text(void *cookie, const char *text, size_t n) {
	for (size_t at = 0; at < n;) {
		const char *nl = memchr(text + at, '\n', n - at);
		size_t len = nl != NULL ? (size_t)(nl - text) - at : n - at;

		log_line(text + at, (int)len);
		at += len + 1;
	}
	return (ssize_t)n;
}

void host_dpdk_watch(void) {
	first_error[0] = '\0';
}

const char *host_dpdk_error(void) {
	return first_error;
}

void host_log_dpdk(bool verbose) {
	to_log = true;
	rte_log_set_global_level(verbose ? RTE_LOG_DEBUG : RTE_LOG_WARNING);
}

static void lcore_text(const cpu_set_t *cpus, char *buf, size_t size) {
	size_t n = (size_t)snprintf(buf, size, "0@(");

	for (int i = 0; i < CPU_SETSIZE && n < size; i++)
		if (CPU_ISSET(i, cpus))
			n += (size_t)snprintf(buf + n, size - n, "%d,", i);
	if (n < size)
		snprintf(buf + n - 1, size - n + 1, ")");
}

/* DPDK makes folders for its files also when it is told to make no files: let it make them where they
 * can be removed again. */
static int init_in(const char *dir, int argc, char **argv) {
	static const char *const made[] = {"%s/dpdk/rte", "%s/dpdk", "%s"};
	const char *was = getenv("RUNTIME_DIRECTORY");
	char path[128], *old = was != NULL ? strdup(was) : NULL;
	int ret;

	setenv("RUNTIME_DIRECTORY", dir, 1);
	ret = rte_eal_init(argc, argv);
	if (old != NULL)
		setenv("RUNTIME_DIRECTORY", old, 1);
	else
		unsetenv("RUNTIME_DIRECTORY");
	free(old);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), made[i], dir);
		rmdir(path);
	}
	return ret;
}

int host_start_dpdk(const cpu_set_t *cpus, const char *const *options, struct err *e) {
	static const cookie_io_functions_t io = {.write = on_dpdk_text};
	static char lcores[CPU_SETSIZE * 5];
	char dir[64] = "/tmp/weir-XXXXXX";
	char *argv[DPDK_ARGS] = {"weir", "--no-shconf", "--no-telemetry", "--lcores", lcores};
	FILE *f = fopencookie(NULL, "w", io), *was = stderr;
	int ret, argc = 5;

	if (f == NULL)
		return err_set(e, ENOMEM, "out of memory");
	while (*options != NULL && argc < DPDK_ARGS - 1)
		argv[argc++] = (char *)*options++;
	rte_openlog_stream(f);
	lcore_text(cpus, lcores, sizeof(lcores));
	host_cpus(cpus); // DPDK's own threads get what this one has now
	if (mkdtemp(dir) == NULL)
		return err_set(e, errno, "no temporary folder %s: %s", dir, strerror(errno));
	// What is fatal DPDK also prints itself; a failed start is one sentence, and that is ours.
	stderr = f;
	ret = init_in(dir, argc, argv);
	stderr = was;
	if (ret < 0)
		return err_set(e, rte_errno != 0 ? rte_errno : EIO,
			"DPDK's runtime did not start: %s%s%s%s",
			rte_errno != 0 ? strerror(rte_errno) : "reason unknown",
			last_error[0] != '\0' ? "; it says: " : "", last_error,
			rte_errno == ENOMEM || rte_errno == EAGAIN
				? "; let weir have more memory and address space (ulimit -v) and "
				  "its threads (ulimit -u)"
				: "");
	return 0;
}
