// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the library backend, trampolines of the library's own text (text.S)
 *
 * The code of an instance is a second mapping of that text.  Since Linux 5.13,
 * mremap(2) with MREMAP_DONTUNMAP makes one from the mapping that the process executes
 * already.  It needs no file, so it works if the file was deleted or replaced, without
 * /proc, and after chroot(2).
 *
 * If that fails (older kernels, and text that is sealed by mseal(2)), open the library's
 * file once and keep a shared mapping of it, which mremap(2) with an old size of 0
 * copies.  The file is found by name.  Anyone who can replace a directory entry, or
 * controls the name or the root directory, can select another file.  Comparing the
 * contents is not sufficient, because the file may be written later.  So check the open
 * file: its owner must be able to control this process in any case, and no other user
 * may write to it.
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

/* Find a text and set @offset to its offset in trampfd_text; NULL with errno. */
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

/* stat(2) reports this for every user that is not mapped in the user namespace. */
#define OVERFLOW_UID		65534

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(__NR_capget, &header, data) || data[0].permitted || data[1].permitted;
}

/*
 * Whether @uid may trace this process (ptrace(2)), and thus controls it already.  A
 * process with capabilities, or one that changed its user (PR_SET_DUMPABLE in
 * prctl(2)), may not be traced.
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
 * Do not trust the owner of a file on a nosuid mount: with FUSE, a user's server
 * chooses it.
 */
static bool may_map(int fd)
{
	struct statvfs fs;
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && !(st.st_mode & 0022) &&
	       controls_us(st.st_uid) && !fstatvfs(fd, &fs) && !(fs.f_flag & ST_NOSUID);
}

/* Open the file if it may be mapped.  Return -1 with errno if not. */
static int open_file(off_t *offset)
{
	struct origin origin = { "/proc/self/exe", 0 };
	int fd;

	dl_iterate_phdr(find_origin, &origin);
	*offset = origin.offset;
	/*
	 * A system call, because open() is a cancellation point.  The flags are for the
	 * case that the name refers to a FIFO or a terminal now.
	 */
	fd = syscall(__NR_openat, AT_FDCWD, origin.name,
		     O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE);
	if (fd >= 0 && !may_map(fd)) {
		syscall(__NR_close, fd);
		errno = EACCES;
		return -1;
	}
	return fd;
}

/* Map a part of the file's text.  MAP_FAILED with ESTALE if the contents differ. */
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

/* Get the shared mapping of the file, which is never unmapped; or NULL with errno. */
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
 * Map @size bytes of the text at @to, over an existing mapping.  valgrind supports
 * neither form of mremap(), so under valgrind this opens the file each time.
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

#define PIECES_MAX		16	/* each is a mapping */

char *trampfd_text_map(struct request *request)
{
	size_t page = page_size(), offset;
	const struct text *text = find_text(request->attr, &offset);

	if (!text)
		return NULL;
	/* If the page contains other texts too, the instance is this one page. */
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
	 * MREMAP_DONTUNMAP unlocks the whole mapping that it copies from (mlock(2)).
	 * Make the text a mapping of its own, so that this affects nothing else.
	 */
	if (!__atomic_exchange_n(&trampfd_globals.text_is_split, true, __ATOMIC_RELAXED))
		madvise(trampfd_text, text_size(), MADV_RANDOM);
	return trampfd_region_map(request, map_copies);
}
