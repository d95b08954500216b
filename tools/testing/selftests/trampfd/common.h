/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers that the tests of trampfd share: instances and their slots, child
 * processes, and what /proc shows of the process.
 */
#ifndef TRAMPFD_COMMON_H
#define TRAMPFD_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asm/unistd.h>
#include <linux/trampfd.h>

/* stress_test parses its own options, so it does without the harness's main(). */
#ifdef TRAMPFD_NO_HARNESS
#include "../kselftest.h"
#else
#include "../kselftest_harness.h"
#endif
#include "abi.h"

/* Not in the headers of older C libraries */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define NOBODY	65534	/* a user without capabilities */

/**
 * struct instance - a file of trampolines and its mappings
 * @args: The request; after instance_open(), the kernel's answer.
 * @nr: The number of trampolines to map, or %ALL for as many as the file has;
 *	after instance_open(), the number that is mapped.
 * @size: Bytes of code, and of table, that are mapped: whole pages.
 * @fd: The file.
 * @code: The first trampoline.
 * @table: The slot of the first trampoline.
 */
struct instance {
	struct trampfd_create_args args;
	uint32_t nr;
	size_t size;
	int fd;
	char *code;
	char *table;
};

#define ALL	UINT32_MAX

static inline int trampfd_create(struct trampfd_create_args *args, size_t size)
{
	return syscall(__NR_trampfd_create, args, size);
}

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* From the start of the code to the end of the table */
static inline size_t instance_span(const struct instance *in)
{
	return in->args.table_offset + in->size;
}

/* The most that can be mapped of a file */
static inline size_t file_size(const struct instance *in)
{
	return in->args.table_offset + in->args.table_size;
}

/*
 * Map code and table as the documentation says, with @prot added to the code's
 * protection.  Return 0, or -1 with errno.
 */
static inline int instance_map_code(struct instance *in, int prot, int flags)
{
	in->code = mmap(NULL, instance_span(in), PROT_READ | PROT_EXEC | prot,
			flags, in->fd, 0);
	if (in->code == MAP_FAILED)
		return -1;
	in->table = mmap(in->code + in->args.table_offset, in->size,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
			 in->fd, in->args.table_offset);
	return in->table == MAP_FAILED ? -1 : 0;
}

static inline int instance_map(struct instance *in, int flags)
{
	return instance_map_code(in, 0, MAP_PRIVATE | flags);
}

/*
 * If a limit does not allow a mapping as long as table_offset, map the table
 * first, then the code below it, at the next address where both are free.
 * Return 0, or -1 with errno.
 */
static inline int instance_map_apart(struct instance *in)
{
	char *hint = NULL, *below;
	int tries, err;

	for (tries = 0; tries < 64; tries++) {
		in->table = mmap(hint, in->size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				 in->fd, in->args.table_offset);
		if (in->table == MAP_FAILED)
			return -1;
		below = in->table - in->args.table_offset;
		in->code = mmap(below, in->size, PROT_READ | PROT_EXEC,
				MAP_PRIVATE | MAP_FIXED_NOREPLACE, in->fd, 0);
		if (in->code == below)
			return 0;
		err = errno;
		munmap(in->table, in->size);
		errno = err;
		if (err != EEXIST)
			return -1;
		hint = (hint ?: in->table) - in->args.table_offset;
	}
	return -1;
}

static inline void instance_unmap_apart(const struct instance *in)
{
	munmap(in->code, in->size);
	munmap(in->table, in->size);
}

/* Move code and table to a free range.  Return 0, or -1 with errno. */
static inline int instance_move(struct instance *in)
{
	char *to = mmap(NULL, instance_span(in), PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (to == MAP_FAILED)
		return -1;
	if (mremap(in->code, in->args.table_offset, in->args.table_offset,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) {
		munmap(to, instance_span(in));
		return -1;
	}
	in->code = to;
	to += in->args.table_offset;
	if (mremap(in->table, in->size, in->size,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		return -1;
	in->table = to;
	return 0;
}

/* Create the file for @in->args and map @in->nr.  Return 0, or -1 with errno. */
static inline int instance_open(struct instance *in)
{
	size_t size;

	in->fd = trampfd_create(&in->args, sizeof(in->args));
	if (in->fd < 0)
		return -1;
	size = in->nr == ALL ? in->args.table_size : (size_t)in->nr * in->args.stride;
	in->size = (size + page_size() - 1) & -page_size();
	in->nr = in->size / in->args.stride;
	return instance_map(in, 0);
}

static inline void instance_close(struct instance *in)
{
	munmap(in->code, instance_span(in));
	close(in->fd);
}

/* A number of trampolines whose code and table take several pages each */
static inline uint32_t several_pages(void)
{
	return page_size() / 4;
}

/* A slot of the ABI that the test is compiled for */
struct slot {
	unsigned long data;
	unsigned long code;
};

static inline struct slot *instance_slot(const struct instance *in, uint32_t i)
{
	return (void *)(in->table + (size_t)i * in->args.stride);
}

static inline void *instance_trampoline(const struct instance *in, uint32_t i)
{
	return in->code + (size_t)i * in->args.stride;
}

/* Call trampoline @i with the slot that it has. */
static inline unsigned long instance_run(const struct instance *in, uint32_t i)
{
	return ((unsigned long (*)(void))instance_trampoline(in, i))();
}

/* Fill slot @i with @data and a target that returns the data register; call it. */
static inline unsigned long instance_call(const struct instance *in, uint32_t i,
					  unsigned long data)
{
	struct slot *slot = instance_slot(in, i);

	slot->data = data;
	slot->code = (unsigned long)abi_return_data;
	return instance_run(in, i);
}

/* Call every trampoline with different data.  Return how many loaded other data. */
static inline uint32_t instance_call_all(const struct instance *in)
{
	uint32_t i, wrong = 0;

	for (i = 0; i < in->nr; i++)
		wrong += instance_call(in, i, ~0UL - i) != ~0UL - i;
	return wrong;
}

/* Read a byte; the compiler does not drop the access. */
static inline void touch(void *addr)
{
	__atomic_load_n((char *)addr, __ATOMIC_RELAXED);
}

/* Write a byte; likewise. */
static inline void scribble(void *addr)
{
	__atomic_store_n((char *)addr, 0, __ATOMIC_RELAXED);
}

static inline void call(void *addr)
{
	((void (*)(void))addr)();
}

/* Private anonymous memory, or MAP_FAILED with errno */
static inline char *anonymous(size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Zeroed memory that children share with their parent */
static inline void *shared_memory(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* The errno of a call that returns -1 if it fails; 0 if it succeeded */
static inline int error_of(long result)
{
	return result == -1 ? errno : 0;
}

/* Map a range of @fd and unmap it.  Return 0, or the errno of mmap(). */
static inline int map_error(int fd, off_t offset, size_t len, int prot, int flags)
{
	void *p = mmap(NULL, len, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, len);
	return 0;
}

/*
 * Read the byte at @addr, and return the number of its page frame, or 0 without
 * CAP_SYS_ADMIN (Documentation/admin-guide/mm/pagemap.rst).  selftests/mm has
 * pagemap_get_pfn(), but that ends the program if pagemap cannot be read.
 */
static inline uint64_t page_frame(void *addr)
{
	uint64_t entry = 0;
	int fd;

	touch(addr);
	fd = open("/proc/self/pagemap", O_RDONLY);
	if (pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)addr / page_size() * sizeof(entry))) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

static inline long nr_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Write to an existing file.  Return 0, or -1 with errno. */
static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* The lowest free descriptor, to check that a failed call did not keep one */
static inline int next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* The protection of the mapping at @addr in /proc/self/maps, such as "r-xp" */
static inline const char *protection_of(const void *addr)
{
	FILE *f = fopen("/proc/self/maps", "r");
	static char found[5], prot[5];
	unsigned long start, end;
	char line[512];

	found[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, prot) == 3 &&
		    start <= (unsigned long)addr && (unsigned long)addr < end)
			memcpy(found, prot, sizeof(found));
	}
	if (f)
		fclose(f);
	return found;
}

/* The number at the start of a file, or -1 */
static inline long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long number;

	if (!f || fscanf(f, "%ld", &number) != 1)
		number = -1;
	if (f)
		fclose(f);
	return number;
}

/* The number after @name in a file of lines such as those of /proc/meminfo, or -1 */
static inline long read_field(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	size_t len = strlen(name);
	long number = -1;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, len) && strchr(" :\t", line[len]))
			number = atol(line + len + 1);
	}
	if (f)
		fclose(f);
	return number;
}

/* The number of inodes in the system; an instance has one. */
static inline long inodes(void)
{
	return read_number("/proc/sys/fs/inode-nr");
}

/* Send a file over a UNIX socket, see unix(7).  Return 0, or -1 with errno. */
static inline int send_file(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -1;
}

/* Receive a file that send_file() sent.  Return it, or -1. */
static inline int receive_file(int socket)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

/* Call @fn in a child process.  Return the child's wait status. */
static inline int status_of(void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		fn(arg);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* Call @fn in a child process.  Return the signal that ended it, or 0. */
static inline int signal_of(void (*fn)(void *arg), void *arg)
{
	int status = status_of(fn, arg);

	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#ifndef TRAMPFD_NO_HARNESS

typedef void child_fn(struct __test_metadata *_metadata, void *arg);

/*
 * Start @child in a child process.  It can use the harness's EXPECT_*(),
 * ASSERT_*() and SKIP(); end_child() takes over the result.
 */
static inline pid_t begin_child(struct __test_metadata *_metadata, child_fn *child,
				void *arg)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		child(_metadata, arg);
		_exit(_metadata->exit_code);
	}
	return pid;
}

static inline void end_child(struct __test_metadata *_metadata, pid_t pid)
{
	int status = -1;

	/* No ASSERT_*(): it does not return from a teardown. */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		_metadata->exit_code = KSFT_SKIP;
	else
		EXPECT_EQ(0, status) TH_LOG("wait status of a child");
}

static inline void in_child(struct __test_metadata *_metadata, child_fn *child, void *arg)
{
	end_child(_metadata, begin_child(_metadata, child, arg));
}

#endif /* TRAMPFD_NO_HARNESS */

#endif /* TRAMPFD_COMMON_H */
