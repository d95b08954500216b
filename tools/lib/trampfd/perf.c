// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: names of trampolines for perf(1), in /tmp/perf-PID.map
 *
 * If TRAMPFD_PERF_MAP is in the environment, this writes a line for each trampoline, as
 * JIT compilers do: address, size, and the name of its target.  It writes the line when
 * the trampoline is allocated or set, or, if the program changed the slot itself, when
 * it is freed or the program exits.  Other programs do not pay for it: only instances
 * for which is_slow() is true come here.
 *
 * The file is opened and closed for each line, because a program may close all
 * descriptors, and has another PID after fork().  All users can write to /tmp, so a
 * file of another user, or one with several links, is not written to.
 *
 * perf uses the file only for code in anonymous memory.  So map anonymous executable
 * memory, which is never written to, at the address first, then move the code there by
 * mremap(2), which makes no record for perf (trampfd_perf_reserve()).
 */
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define MAX_NAME	128
#define TARGETS		256	/* entries of the cache of names */
#define TRAMPOLINES	8192	/* entries of the cache of lines */

/**
 * struct target - the name of a function
 * @code: Its address; 0 if the entry is free, 1 while it is filled in.
 * @name: Its symbol, or its file and the address in it.
 */
struct target {
	uintptr_t code;
	char name[MAX_NAME];
};

/**
 * struct names - caches of names, and of lines that were written
 * @targets: By hash of the address.  A target whose entry is in use is looked up each
 *	time.
 * @written: By hash of a trampoline: its address plus that of its target.  If another
 *	trampoline overwrites the entry, a line may be written twice.
 */
struct names {
	struct target targets[TARGETS];
	uintptr_t written[TRAMPOLINES];
};

static struct names *names;

enum { UNREAD, OFF, ON };

bool trampfd_perf_is_on(void)
{
	static int state;
	struct names *map, *none = NULL;
	int is = load(&state);

	if (is != UNREAD)
		return is == ON;
	is = secure_getenv("TRAMPFD_PERF_MAP") ? ON : OFF;
	if (is == ON) {
		map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (map == MAP_FAILED)
			is = OFF;
		else if (!replace(&names, none, map))
			trampfd_unmap(map, sizeof(*map));
	}
	store(&state, is);
	return is == ON;
}

int trampfd_perf_reserve(char *address, size_t size)
{
	if (trampfd_perf_is_on() &&
	    !trampfd_map_at(address, size, PROT_READ | PROT_EXEC, -1, 0))
		return 0;
	return trampfd_map_at(address, size, PROT_NONE, -1, 0);
}

/**
 * struct place - a function in memory and in its file
 * @code: Its address in memory.
 * @file: Its file.
 * @address: Its address in the file's symbol table.
 * @offset: Its offset in the file.
 */
struct place {
	uintptr_t code;
	const char *file;
	uintptr_t address;
	size_t offset;
};

static int find_place(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *place = arg;
	uintptr_t address = place->code - info->dlpi_addr;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		typeof(info->dlpi_phdr) p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || address - p->p_vaddr >= p->p_filesz)
			continue;
		place->address = address;
		place->offset = p->p_offset + address - p->p_vaddr;
		if (info->dlpi_name && *info->dlpi_name)
			place->file = info->dlpi_name;
		return 1;
	}
	return 0;
}

static const char *basename_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? slash + 1 : file;
}

/*
 * Compare the function in the file with the one in memory: the file may have been
 * replaced, and if the dynamic linker was executed as a program, /proc/self/exe is the
 * linker.
 */
static bool is_file_of(const char *map, size_t size, const struct place *place)
{
	size_t part = 16;

	return place->offset < size && size - place->offset >= part &&
	       !memcmp(map + place->offset, (void *)place->code, part);
}

static void look_up(uintptr_t code, char *name)
{
	struct place place = { .code = code, .file = "/proc/self/exe" };
	struct stat st;
	char *map;
	int fd;

#if defined(__arm__)
	place.code &= ~1ul;	/* Thumb */
#endif
	snprintf(name, MAX_NAME, "%#lx", (unsigned long)code);
	if (!dl_iterate_phdr(find_place, &place))
		return;
	snprintf(name, MAX_NAME, "%s+%#lx", basename_of(place.file), (unsigned long)place.address);
	fd = syscall(__NR_openat, AT_FDCWD, place.file,
		     O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE);
	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map != MAP_FAILED) {
			if (is_file_of(map, st.st_size, &place))
				trampfd_find_symbol(map, st.st_size, place.address, name, MAX_NAME);
			munmap(map, st.st_size);
		}
	}
	syscall(__NR_close, fd);
}

static size_t hash(uintptr_t value, size_t nr)
{
	return (uint32_t)(value >> 3) * 0x9e3779b1u >> 8 & (nr - 1);
}

/* Return the name of a target, in the cache or in @buffer. */
static const char *name_of(uintptr_t code, char *buffer)
{
	struct target *target = &names->targets[hash(code, TARGETS)];
	uintptr_t is = load(&target->code);

	if (is == code)
		return target->name;
	if (is || !replace(&target->code, is, 1)) {
		look_up(code, buffer);
		return buffer;
	}
	look_up(code, target->name);
	store(&target->code, code);
	return target->name;
}

static void append(const char *line, size_t length)
{
	char file[40];
	struct stat st;
	int fd;

	snprintf(file, sizeof(file), "/tmp/perf-%ld.map", (long)syscall(__NR_getpid));
	fd = syscall(__NR_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW |
		     O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE, 0600);
	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1)
		syscall(__NR_write, fd, line, length);
	syscall(__NR_close, fd);
}

void trampfd_perf_name(const struct trampfd_slot *slot)
{
	char line[MAX_NAME + 64], buffer[MAX_NAME];
	uintptr_t trampoline = (uintptr_t)trampoline_of(slot), *written;
	uintptr_t code = (uintptr_t)load(&slot->code);
	int saved = errno, length;

	if (!code || !trampfd_perf_is_on())
		return;
	written = &names->written[hash(trampoline, TRAMPOLINES)];
	if (load(written) == trampoline + code)
		return;
	store(written, trampoline + code);
	length = snprintf(line, sizeof(line), "%lx %lx trampoline of %s\n",
			  (unsigned long)trampoline, 1ul << instance_at(region_of(slot))->shift,
			  name_of(code, buffer));
	append(line, length);
	errno = saved;
}

static int name_all(char *region, void *arg)
{
	struct instance *in = instance_at(region);
	char *slot = (char *)in + (in->first & (REGION_SIZE - 1));
	uint32_t i;

	(void)arg;
	for (i = 0; i < in->nr; i++) {
		if (load(&used_of(in)[i / WORD_BITS]) & 1ul << i % WORD_BITS)
			trampfd_perf_name((void *)(slot + ((size_t)i << in->shift)));
	}
	return 0;
}

void trampfd_perf_name_all(struct instance *in)
{
	if (load(&names))
		name_all(region_of(in), NULL);
}

__attribute__((destructor)) static void name_the_rest(void)
{
	if (load(&names))
		trampfd_region_each(name_all, NULL);
}
