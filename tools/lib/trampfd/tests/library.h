/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: helpers of its tests
 */
#ifndef LIBTRAMPFD_TESTS_LIBRARY_H
#define LIBTRAMPFD_TESTS_LIBRARY_H

#include <pthread.h>

#include "common.h"
#include "sandbox.h"
#include "trampfd.h"

/* Whether the program is linked with the shared library */
#ifdef SHARED
#define IS_SHARED	1
#else
#define IS_SHARED	0
#endif

/* Sanitizers map memory at any time, but no executable memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED	1
#else
#define IS_SANITIZED	0
#endif

#define SOME		10000	/* several instances, on every ABI and backend */

/* Seconds for each test: emulators on a busy host are slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	600

static inline unsigned long run(void *trampoline)
{
	return ((unsigned long (*)(void))trampoline)();
}

static inline struct trampfd_slot *slot_of(const void *trampoline)
{
	return trampfd_slot(trampoline);
}

static inline void *alloc(struct trampfd_pool *pool, unsigned long data)
{
	return trampfd_alloc(pool, abi_return_data, (void *)data);
}

static inline struct trampfd_pool *create(unsigned int mode, unsigned int data_reg)
{
	struct trampfd_pool_attr attr = { .mode = mode, .data_reg = data_reg };

	return trampfd_pool_create(&attr);
}

/* Remove --quick, which shortens the longest tests.  Return whether it was there. */
static inline bool is_quick(int *argc, char ***argv)
{
	if (*argc < 2 || strcmp((*argv)[1], "--quick"))
		return false;
	(*argv)[1] = (*argv)[0];
	++*argv;
	--*argc;
	return true;
}

/* The number of mappings in /proc/self/maps with every letter of @prot */
static inline int mappings(const char *prot)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512], has[5];
	int nr = 0, i;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %4s", has) != 1)
			continue;
		for (i = 0; prot[i] && strchr(has, prot[i]); i++)
			;
		nr += !prot[i];
	}
	if (f)
		fclose(f);
	return nr;
}

/* The number of mappings, without those that a sanitizer makes */
static inline int library_mappings(void)
{
	return mappings(IS_SANITIZED ? "x" : "");
}

/* splitmix64 */
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z >> 33) % limit;
}

#ifndef __NR_mmap2
#define __NR_mmap2	__NR_mmap
#endif

/* Get the geometry of the default pool.  Return whether the kernel has trampfd. */
static inline bool kernel_geometry(struct trampfd_create_args *args)
{
	int fd;

	memset(args, 0, sizeof(*args));
	fd = trampfd_create(args, sizeof(*args));
	close(fd);
	return fd >= 0;
}

static inline bool kernel_has_trampolines(void)
{
	struct trampfd_create_args args;

	return kernel_geometry(&args);
}

#endif /* LIBTRAMPFD_TESTS_LIBRARY_H */
