// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: trampolines of the library's own text (text.h)
 *
 * The first instance of each variant is the text where it is: memory takes the
 * place of the zeroes where the tables are, which needs neither a file nor
 * /proc.  For another, the file that the text is from is mapped again, and
 * memory is mapped over its tables.
 *
 * That file is found by name, and whoever can replace a directory entry, or
 * chose the name or the root directory, chooses what is opened.  Comparing the
 * contents is not enough: a private mapping shows what is written to the file
 * later.  Therefore only the open descriptor counts (may_map()): it is the very
 * file that this process already runs from, or one that nobody can write to who
 * could not control this process anyway.  The contents are compared as well, as
 * the file may be another version of the library.
 */
#include <asm/unistd.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "internal.h"
#include "text.h"

static_assert(TEXT_MODE_DATA == TRAMPFD_MODE_DATA && TEXT_MODE_SLOT == TRAMPFD_MODE_SLOT &&
	      TEXT_MODE_PUSH == TRAMPFD_MODE_PUSH, "text.h");

/* Which variants' text is in use in its place, and whether tables are there. */
static bool in_use[TEXT_VARIANTS_MAX];
static bool tables_mapped;

static int find_variant(const struct trampfd_pool_attr *attr)
{
	const struct text_variant *v;
	int i;

	for (i = 0; i < TEXT_VARIANTS_MAX; i++) {
		v = &trampfd_text_variants[i];
		if (!v->nr)
			break;
		if (v->mode == attr->mode &&
		    (!attr->data_reg || v->data_reg == attr->data_reg) &&
		    (!attr->scratch_reg || v->scratch_reg == attr->scratch_reg))
			return i;
	}
	errno = attr->mode > TRAMPFD_MODE_PUSH ? EINVAL : EOPNOTSUPP;
	return -1;
}

#ifdef __NR_mmap2	/* __NR_mmap is another call, then. */
#define NR_MMAP		__NR_mmap2
#else
#define NR_MMAP		__NR_mmap
#endif

/*
 * Memory for the tables of all variants, as pages may be larger than theirs.
 * Not with mmap(): a program under ThreadSanitizer gets one that cannot do this,
 * as no account is kept of text.
 */
static int map_tables(void)
{
	size_t size = trampfd_text_end - trampfd_text_tables;

#ifdef __SANITIZE_THREAD__	/* of the library: it would write to that account */
	return -1;
#endif
	if (!tables_mapped)
		tables_mapped = syscall(NR_MMAP, trampfd_text_tables, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != -1;
	return tables_mapped ? 0 : -1;
}

/* The text in its place; false if it is in use, or there is no memory */
static bool claim(struct instance *in, int variant)
{
	const struct text_variant *v = &trampfd_text_variants[variant];
	bool ours = false;

	memory_lock();
	if (!in_use[variant] && !map_tables()) {
		in_use[variant] = true;
		ours = true;
	}
	memory_unlock();
	if (!ours)
		return false;
	in->map = NULL;
	in->code = trampfd_text + v->code;
	in->table = trampfd_text + v->table;
	return true;
}

static void disclaim(const struct instance *in)
{
	int i = 0;

	memset(in->table, 0, TEXT_TABLE_SIZE);
	while (trampfd_text + trampfd_text_variants[i].code != in->code)
		i++;
	memory_lock();
	in_use[i] = false;
	memory_unlock();
}

void text_unmap(struct instance *in)
{
	if (in->map)
		unmap_keeping_errno(in->map, in->map_size);
	else
		disclaim(in);
}

/*
 * struct origin - where the text is from
 *
 * @name: A file's; empty for the program itself.
 * @offset: Of the text in it.
 */
struct origin {
	const char *name;
	off_t offset;
};

static int find_origin(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct origin *origin = arg;
	uintptr_t offset;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		typeof(info->dlpi_phdr) p = &info->dlpi_phdr[i];

		offset = (uintptr_t)trampfd_text - (info->dlpi_addr + p->p_vaddr);
		if (p->p_type == PT_LOAD && offset < p->p_filesz) {
			origin->name = info->dlpi_name;
			origin->offset = p->p_offset + offset;
			return 1;
		}
	}
	return 0;
}

/* A program that was given more privileges than its caller has */
static bool is_secure(void)
{
	return getauxval(AT_SECURE);
}

/*
 * A file of this process's directory in /proc, to be read; -1 with errno.  In
 * another root directory /proc may be anything.  What cannot be forged: the type
 * of a file system, and the inode number of its root (PROCFS_ROOT_INO in
 * linux/fs.h).
 */
static int open_proc_self(const char *name, int flags)
{
	int fd = -1, proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (proc < 0)
		return -1;
	errno = ENOENT;
	if (!fstatfs(proc, &fs) && fs.f_type == PROC_SUPER_MAGIC && !fstat(proc, &st) &&
	    st.st_ino == 1)
		fd = openat(proc, name, flags | O_CLOEXEC);
	close_keeping_errno(proc);
	return fd;
}

/**
 * struct mapped - what /proc/self/maps says of the file at the text
 *
 * @dev: Its device.
 * @ino: Its inode number.
 * @name: An absolute path, in @line; NULL if there is none.
 * @line: Longer than any.
 */
struct mapped {
	dev_t dev;
	ino_t ino;
	const char *name;
	char line[PATH_MAX + 256];
};

/* Whether @line is that of the text; its fields: proc_pid_maps(5) */
static bool parse_line(struct mapped *m)
{
	uintptr_t start, end;
	unsigned int major;
	char *p;

	start = strtoul(m->line, &p, 16);
	end = strtoul(p + 1, &p, 16);
	if ((uintptr_t)trampfd_text < start || (uintptr_t)trampfd_text >= end)
		return false;
	p += strlen(" r-xp ");
	strtoull(p, &p, 16);
	major = strtoul(p, &p, 16);
	m->dev = makedev(major, strtoul(p + 1, &p, 16));
	m->ino = strtoull(p, &p, 10);
	m->name = strchr(p, '/');
	return true;
}

static bool find_mapped(struct mapped *m)
{
	int fd = open_proc_self("self/maps", O_RDONLY);
	bool found = false;
	size_t used = 0, len;
	char *newline;
	ssize_t n;

	while (fd >= 0 && !found) {
		n = read(fd, m->line + used, sizeof(m->line) - used);
		if (n <= 0)
			break;
		used += n;
		while ((newline = memchr(m->line, '\n', used))) {
			*newline = '\0';
			found = parse_line(m);
			if (found)
				break;
			len = newline + 1 - m->line;
			used -= len;
			memmove(m->line, newline + 1, used);
		}
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/*
 * The file that this process was found to run from.  It stays mapped, so that no
 * other can come to have its numbers.
 */
static dev_t own_dev;
static ino_t own_ino;

static bool is_known(const struct stat *st)
{
	bool known;

	memory_lock();
	known = own_ino && st->st_ino == own_ino && st->st_dev == own_dev;
	memory_unlock();
	return known;
}

/* Whether the file is the one that the kernel executed */
static bool is_executed(const struct stat *st)
{
	int fd = open_proc_self("self/exe", O_PATH);
	struct stat exe;
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &exe) && st->st_ino == exe.st_ino && st->st_dev == exe.st_dev;
	close(fd);
	return same;
}

/*
 * Whether the file is the program's, or that at the text.  Where /proc/self/maps
 * has another device than fstat(2), as of btrfs, the latter is not found out.
 */
static bool is_own(const struct stat *st, struct mapped *m)
{
	if (!is_executed(st) &&
	    !(find_mapped(m) && st->st_ino == m->ino && st->st_dev == m->dev))
		return false;
	memory_lock();
	own_dev = st->st_dev;
	own_ino = st->st_ino;
	memory_unlock();
	return true;
}

/* What a user is shown as who has no number in a user namespace: any of them */
#define OVERFLOW_UID	65534

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(__NR_capget, &header, data) || data[0].permitted || data[1].permitted;
}

/*
 * Whether @uid may trace this process (ptrace(2)), and so do with it what he
 * likes.  Not if it has capabilities, nor after a change of user, even to an
 * ordinary one, as what the process had before is not for him: PR_SET_DUMPABLE
 * in prctl(2).
 */
static bool controls_us(uid_t uid)
{
	uid_t real, effective, saved;

	if (!uid)
		return true;
	return !is_secure() && uid != OVERFLOW_UID && !getresuid(&real, &effective, &saved) &&
	       uid == real && uid == effective && uid == saved && !has_capabilities() &&
	       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
}

/*
 * Whether only those may write to the file who control this process anyway.  The
 * word of a file system that is mounted nosuid does not count: it may be FUSE,
 * whose owners are what its server says.
 */
static bool is_safe(int fd, const struct stat *st)
{
	struct statvfs fs;

	return !(st->st_mode & 0022) && controls_us(st->st_uid) &&
	       !fstatvfs(fd, &fs) && !(fs.f_flag & ST_NOSUID);
}

/* The cheapest first: /proc/self/maps may be long. */
static bool may_map(int fd, const struct stat *st, struct mapped *m)
{
	return is_known(st) || is_safe(fd, st) || is_own(st, m);
}

/* Whether the file has, from @offset on, what is at @text. */
static bool has_text(int fd, off_t offset, const char *text, size_t size)
{
	char buffer[4096];
	size_t len;

	for (; size; size -= len, text += len, offset += len) {
		len = sizeof(buffer);
		if (len > size)
			len = size;
		if (pread(fd, buffer, len, offset) != (ssize_t)len ||
		    memcmp(buffer, text, len))
			return false;
	}
	return true;
}

static size_t code_size(const struct text_variant *v)
{
	return (size_t)v->nr * v->code_stride;
}

/*
 * The file, if it has the variant's code and may be mapped; -1 with errno.  @name
 * may be in @m, which is overwritten.
 */
static int open_origin(const char *name, off_t offset, const struct text_variant *v,
		       struct mapped *m)
{
	int fd, error = 0;
	struct stat st;

	/* Whoever calls a program with more privileges chooses its directory. */
	if (!name || !*name || (is_secure() && *name != '/')) {
		errno = ENOENT;
		return -1;
	}
	/* It may be a FIFO by now, or a terminal. */
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	errno = 0;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    !has_text(fd, offset + v->code, trampfd_text + v->code, code_size(v)))
		error = ESTALE;
	else if (!may_map(fd, &st, m))
		error = errno == EMFILE || errno == ENFILE ? errno : EACCES;
	if (error) {
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/*
 * By all the names there are: a library may have been given a relative one, and
 * the program may be run by the dynamic linker as its argument.
 */
static int find_file(const struct text_variant *v, off_t *offset)
{
	enum { LINKER, MAPS, KERNEL, NAMES };
	struct origin origin = { NULL, 0 };
	const char *names[NAMES] = {};
	int i, fd, error = ENOENT;
	struct mapped m;

	dl_iterate_phdr(find_origin, &origin);
	*offset = origin.offset;
	names[LINKER] = origin.name;
	if (!origin.name || !*origin.name) {
		names[LINKER] = "/proc/self/exe";
		/* As the caller said to execve(2) */
		if (!is_secure())
			names[KERNEL] = (const char *)getauxval(AT_EXECFN);
	}
	for (i = 0; i < NAMES; i++) {
		if (i == MAPS && find_mapped(&m))
			names[i] = m.name;
		fd = open_origin(names[i], *offset, v, &m);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			error = errno;
		if (error == EMFILE || error == ENFILE)
			break;
	}
	errno = error;
	return -1;
}

static int code_protection(void)
{
#ifdef __aarch64__
	if (getauxval(AT_HWCAP2) & HWCAP2_BTI)
		return PROT_READ | PROT_EXEC | PROT_BTI;
#endif
	return PROT_READ | PROT_EXEC;
}

static int map_file(struct instance *in, const struct text_variant *v)
{
	size_t page = sysconf(_SC_PAGESIZE), start, table, end;
	off_t offset;
	char *map;
	int fd;

	fd = find_file(v, &offset);
	if (fd < 0)
		return -1;

	start = v->code & ~(page - 1);
	table = v->table & ~(page - 1);
	end = (v->table + TEXT_TABLE_SIZE + page - 1) & ~(page - 1);
	in->map_size = end - start;
	map = mmap(NULL, in->map_size, code_protection(), MAP_PRIVATE, fd, offset + start);
	close_keeping_errno(fd);
	if (map == MAP_FAILED)
		return -1;
	if (mmap(map + table - start, end - table, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		unmap_keeping_errno(map, in->map_size);
		return -1;
	}
	in->map = map;
	in->code = map + v->code - start;
	in->table = map + v->table - start;
	return 0;
}

int text_map(struct instance *in, const struct trampfd_pool_attr *attr)
{
	int variant = find_variant(attr);
	const struct text_variant *v;

	if (variant < 0)
		return -1;
	v = &trampfd_text_variants[variant];
	if (!claim(in, variant) && map_file(in, v))
		return -1;

	in->backend = TRAMPFD_BACKEND_LIBRARY;
	in->nr = v->nr;
	in->code_size = code_size(v);
	in->code_mask = v->code_stride - 1;
	in->table_stride = v->table_stride;
	return 0;
}
