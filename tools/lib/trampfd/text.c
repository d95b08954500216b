// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: trampolines of the library's own text (text.S)
 *
 * An instance's code is copies of the mapping that the process runs the text
 * from: mremap(2) with MREMAP_DONTUNMAP leaves that in place, and has needed
 * nothing else since Linux 5.13, no file, no name and no descriptor.  So what is
 * mapped is what is run already, whatever became of the file, of /proc and of the
 * root directory.
 *
 * On an older kernel, and where the text is sealed (mseal(2)), the library's file
 * is opened once and stays mapped shared, which mremap(2) copies if it is told an
 * old size of 0.  The file is found by name, and whoever can replace a directory
 * entry, or chose the name or the root directory, chooses what is opened.  Equal
 * contents are not enough: they may be written later.  So only the open descriptor
 * counts: the file must belong to someone who controls this process anyway, and
 * be written by nobody else.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "internal.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

static size_t text_size(void)
{
	return trampfd_text_end - trampfd_text;
}

/* The offset is set to where it begins; NULL with errno. */
static const struct text *find_text(const struct trampfd_pool_attr *attr, size_t *offset)
{
	const struct text *text;

	*offset = 0;
	for (text = trampfd_texts; text->size; text++) {
		if (text->mode == attr->mode &&
		    (!attr->data_reg || text->data_reg == attr->data_reg) &&
		    (!attr->scratch_reg || text->scratch_reg == attr->scratch_reg))
			return text;
		*offset += text->size;
	}
	errno = attr->mode > TRAMPFD_MODE_PUSH ? EINVAL : EOPNOTSUPP;
	return NULL;
}

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
			origin->offset = p->p_offset + offset;
			if (info->dlpi_name && *info->dlpi_name)
				origin->name = info->dlpi_name;
			return 1;
		}
	}
	return 0;
}

/* What a user is shown as who has no number in a user namespace: any of them */
#define OVERFLOW_UID		65534

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
	return !getauxval(AT_SECURE) && uid != OVERFLOW_UID &&
	       !getresuid(&real, &effective, &saved) && uid == real && uid == effective &&
	       uid == saved && !has_capabilities() && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
}

/*
 * The word of a file system that is mounted nosuid does not count: it may be
 * FUSE, whose owners are what its server says.
 */
static bool may_map(int fd)
{
	struct statvfs fs;
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && !(st.st_mode & 0022) &&
	       controls_us(st.st_uid) && !fstatvfs(fd, &fs) && !(fs.f_flag & ST_NOSUID);
}

/* The file, if it may be mapped; -1 with errno.  open() is a cancellation point. */
static int open_file(off_t *offset)
{
	struct origin origin = { "/proc/self/exe", 0 };
	int fd;

	dl_iterate_phdr(find_origin, &origin);
	*offset = origin.offset;
	/* It may be a FIFO by now, or a terminal. */
	fd = syscall(__NR_openat, AT_FDCWD, origin.name,
		     O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE);
	if (fd >= 0 && !may_map(fd)) {
		syscall(__NR_close, fd);
		errno = EACCES;
		return -1;
	}
	return fd;
}

/* Map a part of the file's text; MAP_FAILED with errno, ESTALE if it is another. */
static char *map_file(char *to, size_t offset, size_t size, int flags)
{
	off_t begin;
	int fd = open_file(&begin), error;
	char *map;

	if (fd < 0)
		return MAP_FAILED;
	map = mmap(to, size, PROT_READ | PROT_EXEC, flags, fd, begin + offset);
	error = errno;
	syscall(__NR_close, fd);
	if (map != MAP_FAILED && memcmp(map, trampfd_text + offset, size)) {
		munmap(map, size);
		map = MAP_FAILED;
		error = ESTALE;
	}
	errno = error;
	return map;
}

/* Kept for good; NULL with errno */
static char *shared_text(void)
{
	char *map = load(&trampfd_globals.shared_text), *none = NULL;

	if (map)
		return map;
	map = map_file(NULL, 0, text_size(), MAP_SHARED);
	if (map == MAP_FAILED)
		return NULL;
	if (replace(&trampfd_globals.shared_text, none, map))
		return map;
	trampfd_unmap(map, text_size());
	return none;
}

/*
 * Copy @size bytes of the text's mapping to @to, where something is mapped.
 * valgrind knows neither way, and has the file opened each time.
 */
static int copy_mapping(size_t offset, size_t size, char *to)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	char *shared;

	if (mremap(trampfd_text + offset, size, size, flags | MREMAP_DONTUNMAP, to) == to)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return -1;
	shared = shared_text();
	if (!shared)
		return -1;
	if (mremap(shared + offset, 0, size, flags, to) == to)
		return 0;
	return map_file(to, offset, size, MAP_PRIVATE | MAP_FIXED) == to ? 0 : -1;
}

static int map_copies(struct request *request)
{
	char *table = request->region + TABLE_OFFSET;
	size_t done, size, left;

	if (trampfd_map_at(table, request->size, PROT_READ | PROT_WRITE, -1, 0))
		return -1;
	if (trampfd_perf_reserve(request->region, request->size))
		goto unmap_table;
	for (done = 0; done < request->size; done += size) {
		left = request->size - done;
		size = left < request->piece ? left : request->piece;
		if (copy_mapping(request->offset, size, request->region + done))
			goto unmap_code;
	}
	return 0;
unmap_code:
	trampfd_unmap(request->region, request->size);
unmap_table:
	trampfd_unmap(table, request->size);
	return -1;
}

#define PIECES_MAX		16	/* a mapping each */

char *trampfd_text_map(struct request *request)
{
	size_t page = sysconf(_SC_PAGESIZE), offset;
	const struct text *text = find_text(request->attr, &offset);

	if (!text)
		return NULL;
	/* If others are in the same page, that is the piece, and all. */
	request->piece = text->size < page ? page : text->size;
	request->offset = offset & -page;
	request->begin = offset - request->offset;
	if (text->size < page)
		request->size = page;
	else if (request->size > PIECES_MAX * text->size)
		request->size = PIECES_MAX * text->size;
	request->end = text->size < page ? request->begin + text->size : request->size;
	if (request->stride < text->stride)
		request->stride = text->stride;
	/*
	 * MREMAP_DONTUNMAP unlocks what it copies from (mlock(2)), as far as the
	 * mapping goes: make the text one of its own.
	 */
	if (!__atomic_exchange_n(&trampfd_globals.text_is_apart, true, __ATOMIC_RELAXED))
		madvise(trampfd_text, text_size(), MADV_RANDOM);
	return trampfd_region_map(request, map_copies);
}
