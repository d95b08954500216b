// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: names of trampolines for perf(1), in /tmp/perf-PID.map
 *
 * With TRAMPFD_PERF_MAP in the environment, each trampoline gets a line there, as
 * compilers that write code at run time have it: address, size, and its target's name.
 * It is written when the trampoline is allocated or set; if its slot was changed
 * otherwise, when it is freed or the program exits.  Instances are then slow
 * (is_slow()), so that nothing of this is on the way of others.
 *
 * The file is opened for each line and closed again: a program may close all
 * descriptors, or become another process.  It is in a directory that all may write to:
 * a file of another user's, or one that has another name too, is left alone.
 *
 * perf looks there only for code that it takes for anonymous memory.  So the code's
 * place is first mapped as that, executable and never written to, and the code moved
 * there by mremap(2), which perf is told nothing of (trampfd_perf_reserve()).
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
#define TARGETS		256	/* whose names are remembered */
#define TRAMPOLINES	8192	/* of which it is remembered what was written */

/**
 * struct target - a function that has a name, or would have one
 * @code: Its address; NULL: not used, 1: about to be used.
 * @name: Of its symbol, or its file and the offset there.
 */
struct target {
	uintptr_t code;
	char name[MAX_NAME];
};

/**
 * struct names - what was found and written, so that it is not done again
 * @targets: A hash table; a target that finds no place there is looked up each time.
 * @written: Another: for a trampoline, its address plus the target's.  What is
 *	overwritten may be written to the file twice.
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
 * struct place - where a function is
 * @code: Its address.
 * @file: Its file.
 * @address: Its address there.
 * @offset: From the file's beginning.
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
 * It may be another by now; and if the dynamic linker was run as a program,
 * /proc/self/exe is that.
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

/* @buffer is for one that is not remembered. */
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
