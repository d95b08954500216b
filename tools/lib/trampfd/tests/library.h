/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: what its tests share
 *
 * On a kernel without trampfd, the tests of the kernel's trampolines are
 * skipped.
 */
#ifndef LIBTRAMPFD_TESTS_LIBRARY_H
#define LIBTRAMPFD_TESTS_LIBRARY_H

#include <pthread.h>
#include <sys/prctl.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "common.h"
#include "trampfd.h"

/* A program whose own file has the library's text is static. */
#ifdef SHARED
#define IS_SHARED	1
#else
#define IS_SHARED	0
#endif

/* A sanitizer maps memory of its own at any time, none of it executable. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED	1
#else
#define IS_SANITIZED	0
#endif

#define SOME		10000	/* several instances, whatever the ABI and the backend */

/* Seconds, for each test: emulators are slow, on busy hosts slower. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	600

/* Call @fn in a child process.  Return its result, 0 to 254; 255 if a signal ended it. */
static inline int result_of(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn(arg));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

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

/* Whether a program is told to do less of what takes longest; it forgets the word. */
static inline bool is_quick(int *argc, char ***argv)
{
	if (*argc < 2 || strcmp((*argv)[1], "--quick"))
		return false;
	(*argv)[1] = (*argv)[0];
	++*argv;
	--*argc;
	return true;
}

/* Lines of /proc/self/maps, all or those with @prot at least */
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

/* Mappings that the library can have made */
static inline int library_mappings(void)
{
	return mappings(IS_SANITIZED ? "x" : "");
}

/* splitmix64: the same on every machine */
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z >> 33) % limit;
}

/* Where the lower half of an argument is, as a filter sees it */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOWER_HALF	sizeof(uint32_t)
#else
#define LOWER_HALF	0
#endif

/*
 * For the calling thread, from now on: do @action, with @flags of seccomp(2), at
 * the system call @nr, if of its argument @arg the bits of @mask are @bits.
 */
static inline int filter(int nr, int arg, unsigned int mask, unsigned int bits,
			 unsigned int action, unsigned int flags)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[arg]) + LOWER_HALF),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static inline int forbid(int nr, int error)
{
	return filter(nr, 0, 0, 0, SECCOMP_RET_ERRNO | error, 0);
}

#ifndef __NR_mmap2
#define __NR_mmap2	__NR_mmap
#endif

/* What the kernel's trampolines of the default pool are; whether it has any */
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
