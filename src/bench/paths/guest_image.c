/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "bench/paths/cpio.h"
#include "bench/paths/guest.h"

/* The initramfs holds what this process itself runs from: its executable as /init, the libraries that
 * the loader has mapped into it, side by side in /lib, and the loader where the executable expects it.
 * So the guest speaks the same version of everything, and nothing needs to be installed. Modules lie in
 * /modules, numbered in the order to load them. */

struct guest_image {
	int kernel, initrd;
};

/* Drivers a guest may need; what is not among its kernel's modules is part of the kernel. */
static const char *const wanted[] = {"virtio_pci", "virtio_console", "virtio_net", "e1000"};
enum { NWANTED = sizeof(wanted) / sizeof(wanted[0]), MODULES_MAX = 64, RELEASE_MAX = 128 };

struct modules {
	char dir[PATH_MAX];
	char *dep; /* modules.dep, whole */
	unsigned n;
	char path[MODULES_MAX][PATH_MAX]; /* below dir, in the order to load them */
};

/* What the kernel calls itself: a bzImage has it in its header (Documentation/arch/x86/boot.rst,
 * kernel_version), a vmlinux only in its banner. */
static int find_release(const char *kernel, char *release, struct err *e) {
	enum { MAGIC = 0x202, VERSION = 0x20e, BASE = 0x200 };
	int fd = file_open(kernel, O_RDONLY, e);
	const char *p = MAP_FAILED, *at = NULL;
	struct stat st = {0};
	size_t n = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_size < 4096)
		goto out;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		goto out;
	if (memcmp(p + MAGIC, "HdrS", 4) == 0) {
		size_t off = BASE + (uint8_t)p[VERSION] + 256u * (uint8_t)p[VERSION + 1];

		at = off + RELEASE_MAX < (size_t)st.st_size ? p + off : NULL;
	} else {
		static const char banner[] = "Linux version ";

		at = memmem(p, (size_t)st.st_size - RELEASE_MAX, banner, sizeof(banner) - 1);
		at = at != NULL ? at + sizeof(banner) - 1 : NULL;
	}
	while (at != NULL && n < RELEASE_MAX - 1 && (isalnum(at[n]) || strchr(".-_+~", at[n])) &&
		at[n] != '\0') {
		release[n] = at[n];
		n++;
	}
	release[n] = '\0';
out:
	if (p != MAP_FAILED)
		munmap((void *)p, (size_t)st.st_size);
	close(fd);
	if (n == 0)
		return err_set(e, ENOEXEC,
			"%s is no Linux kernel; give a bzImage (vmlinuz) or vmlinux with --kernel",
			kernel);
	return 0;
}

static bool holds(const char *dir, char *found) {
	char dep[PATH_MAX];

	if (snprintf(dep, sizeof(dep), "%s/modules.dep", dir) >= (int)sizeof(dep) ||
		access(dep, R_OK) < 0)
		return false;
	return snprintf(found, PATH_MAX, "%s", dir) < PATH_MAX;
}

/* The directory that modules.dep is in. */
static int find_modules(const char *kernel, const char *release, char *dir, struct err *e) {
	char beside[PATH_MAX], path[PATH_MAX + RELEASE_MAX + 32], *slash;

	snprintf(beside, sizeof(beside), "%s", kernel);
	slash = strrchr(beside, '/');
	if (slash == NULL)
		strcpy(beside, ".");
	else
		*slash = '\0';
	snprintf(path, sizeof(path), "%s/modules", beside);
	if (holds(path, dir))
		return 0;
	snprintf(path, sizeof(path), "%s/../lib/modules/%s", beside, release);
	if (holds(path, dir))
		return 0;
	snprintf(path, sizeof(path), "/lib/modules/%s", release);
	if (holds(path, dir))
		return 0;
	return err_set(e, ENOENT,
		"no modules.dep of kernel %s, in %.200s/modules, in %.200s/../lib/modules/%s or in "
		"%s; "
		"for a package that was only unpacked, depmod -b makes it",
		release, beside, beside, release, path);
}

static char *read_text(const char *path) {
	FILE *f = file_stream(path, NULL);
	char *text = NULL;
	size_t room = 0;

	if (f == NULL)
		return NULL;
	if (getdelim(&text, &room, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

/* Is this the file of module `name`? kernel/net/virtio-net.ko.xz is that of virtio_net. */
static bool is_module(const char *path, size_t len, const char *name) {
	const char *base = memrchr(path, '/', len), *end = path + len;

	for (base = base != NULL ? base + 1 : path; base < end && *name != '\0'; base++, name++)
		if (*base != *name && !(*base == '-' && *name == '_'))
			return false;
	return *name == '\0' && end - base >= 3 && memcmp(base, ".ko", 3) == 0;
}

static int add_module(struct modules *m, const char *path, size_t len, struct err *e) {
	for (unsigned i = 0; i < m->n; i++)
		if (strlen(m->path[i]) == len && memcmp(m->path[i], path, len) == 0)
			return 0;
	if (m->n == MODULES_MAX || len >= sizeof(m->path[0]))
		return err_set(e, E2BIG, "%s/modules.dep: more than %d modules are needed", m->dir,
			MODULES_MAX);
	memcpy(m->path[m->n], path, len);
	m->path[m->n++][len] = '\0';
	return 0;
}

/* Takes a module and what it needs: in a line of modules.dep the last is to be loaded first. */
static int take_module(struct modules *m, const char *name, struct err *e) {
	for (char *line = m->dep; *line != '\0';) {
		size_t len = strcspn(line, "\n"), own = strcspn(line, ":\n");

		if (is_module(line, own, name)) {
			size_t end = len;

			while (end > own + 1) {
				size_t from = end;

				while (from > own + 1 && line[from - 1] != ' ')
					from--;
				if (from < end && add_module(m, line + from, end - from, e) < 0)
					return -E2BIG;
				end = from > own + 1 ? from - 1 : from;
			}
			return add_module(m, line, own, e);
		}
		line += len + (line[len] == '\n');
	}
	return 0; // part of the kernel
}

/* The drivers of a function of this host, by the lines "alias PATTERN MODULE" of modules.alias. */
static int take_drivers(
	struct modules *m, const char *aliases, const char *function, struct err *e) {
	char is[256], pattern[256], module[128];

	if (file_line(is, sizeof(is), "/sys/bus/pci/devices/%s/modalias", function) < 0)
		return 0;
	for (const char *line = aliases; *line != '\0';) {
		size_t len = strcspn(line, "\n");

		if (sscanf(line, "alias %255s %127s", pattern, module) == 2 &&
			fnmatch(pattern, is, 0) == 0 && take_module(m, module, e) < 0)
			return -E2BIG;
		line += len + (line[len] == '\n');
	}
	return 0;
}

/* Where there is no list of them the drivers are part of the kernel. */
static int take_all_drivers(
	struct modules *m, const char (*functions)[PCI_SLOT_MAX], unsigned n, struct err *e) {
	char path[PATH_MAX + 16], *aliases;
	int ret = 0;

	snprintf(path, sizeof(path), "%s/modules.alias", m->dir);
	aliases = n > 0 ? read_text(path) : NULL;
	for (unsigned i = 0; i < n && aliases != NULL && ret == 0; i++)
		ret = take_drivers(m, aliases, functions[i], e);
	free(aliases);
	return ret;
}

static int find_all(struct modules *m, const char *kernel, struct err *e) {
	char release[RELEASE_MAX], path[PATH_MAX + 16];

	if (find_release(kernel, release, e) < 0 || find_modules(kernel, release, m->dir, e) < 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/modules.dep", m->dir);
	m->dep = read_text(path);
	if (m->dep == NULL)
		return err_set(e, EIO, "%s cannot be read, or is empty", path);
	for (int i = 0; i < NWANTED; i++)
		if (take_module(m, wanted[i], e) < 0)
			return -E2BIG;
	return 0;
}

struct copy {
	struct cpio *c;
	struct err *e;
};

static void make_dirs(struct cpio *c, const char *path) {
	char dir[PATH_MAX];

	for (const char *s = strchr(path, '/'); s != NULL; s = strchr(s + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(s - path), path);
		if (strcmp(dir, "lib") != 0)
			cpio_dir(c, dir);
	}
}

/* One object that is mapped: the executable (no name) tells where its loader has to be; libraries go
 * to /lib. */
static int copy_object(struct dl_phdr_info *info, size_t size, void *arg) {
	struct copy *copy = arg;
	char path[PATH_MAX];

	if (info->dlpi_name[0] == '/') {
		snprintf(path, sizeof(path), "lib/%s", strrchr(info->dlpi_name, '/') + 1);
		cpio_file(copy->c, path, info->dlpi_name, copy->e);
		return 0;
	}
	for (int i = 0; info->dlpi_name[0] == '\0' && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_INTERP) {
			const char *loader = (const char *)(info->dlpi_addr + p->p_vaddr);

			make_dirs(copy->c, loader + 1);
			cpio_file(copy->c, loader + 1, loader, copy->e);
		}
	}
	return 0;
}

static int write_initrd(int fd, const struct modules *m, struct err *e) {
	static const char *const dirs[] = {"dev", "proc", "sys", "run", "tmp", "lib", "modules"};
	struct copy copy;
	struct cpio c;
	char from[2 * PATH_MAX], to[PATH_MAX];

	cpio_begin(&c, fd);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		cpio_dir(&c, dirs[i]);
	cpio_node(&c, "dev/console", S_IFCHR | 0600, 5, 1);
	cpio_file(&c, "init", "/proc/self/exe", e);
	copy = (struct copy){&c, e};
	dl_iterate_phdr(copy_object, &copy);
	for (unsigned i = 0; i < m->n; i++) {
		const char *slash = strrchr(m->path[i], '/');

		if (m->path[i][0] == '/')
			snprintf(from, sizeof(from), "%s", m->path[i]);
		else
			snprintf(from, sizeof(from), "%s/%s", m->dir, m->path[i]);
		snprintf(to, sizeof(to), "modules/%02u-%.200s", i,
			slash != NULL ? slash + 1 : m->path[i]);
		cpio_file(&c, to, from, e);
	}
	return cpio_end(&c, e);
}

struct guest_image *guest_image_new(
	const char *kernel, const char (*functions)[PCI_SLOT_MAX], unsigned n, struct err *e) {
	struct guest_image *image = calloc(1, sizeof(*image));
	struct modules *m = calloc(1, sizeof(*m));
	struct utsname here;
	struct err why;
	char path[PATH_MAX];

	e->text[0] = '\0';
	if (image == NULL || m == NULL) {
		err_set(e, ENOMEM, "no memory for a guest's image");
		goto fail;
	}
	image->kernel = image->initrd = -1;
	uname(&here);
	if (kernel == NULL)
		snprintf(path, sizeof(path), "/boot/vmlinuz-%s", here.release);
	else
		snprintf(path, sizeof(path), "%s", kernel);
	image->kernel = file_open(path, O_RDONLY, &why);
	if (image->kernel < 0) {
		err_set(e, EINVAL, "the kernel for the guests: %s%s", why.text,
			kernel != NULL ? ""
				       : "; give one with --kernel FILE, unpacked from a Debian "
					 "package linux-image-* for one");
		goto fail;
	}
	if (find_all(m, path, e) < 0 || take_all_drivers(m, functions, n, e) < 0)
		goto fail;
	image->initrd = memfd_create("weir-initrd", MFD_CLOEXEC);
	if (image->initrd < 0) {
		err_set(e, errno, "memory for the initramfs: %s", strerror(errno));
		goto fail;
	}
	if (write_initrd(image->initrd, m, e) < 0)
		goto fail;
	free(m->dep);
	free(m);
	return image;
fail:
	if (m != NULL)
		free(m->dep);
	free(m);
	guest_image_free(image);
	return NULL;
}

void guest_image_free(struct guest_image *image) {
	if (image == NULL)
		return;
	if (image->kernel >= 0)
		close(image->kernel);
	if (image->initrd >= 0)
		close(image->initrd);
	free(image);
}

int guest_image_kernel(const struct guest_image *image) {
	return image->kernel;
}

int guest_image_initrd(const struct guest_image *image) {
	return image->initrd;
}
