// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes trampfd_create(2) and operations on its files and mappings.
 *
 * The engine is LLVM's libFuzzer.  It generates inputs and keeps those that increase
 * coverage.  KCOV reports the coverage of the kernel
 * (Documentation/dev-tools/kcov.rst), which this program passes to the engine.  An
 * input is a sequence of operations.  Every byte of it has a meaning, and zeroes
 * select the most common choice.  After each input, the program checks the properties
 * that trampfd guarantees, and releases all resources.  If a check fails or the kernel
 * logs a problem, it calls abort(), and the engine saves the input.
 *
 * Operations map memory only in the arena, a range of addresses that nothing else
 * uses, because the engine has to survive them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asm/unistd.h>
#include <linux/fs.h>
#include <linux/kcov.h>
#include <linux/trampfd.h>
#include <linux/userfaultfd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define PAGE		4096UL
#define ARENA		0x70000000UL	/* below 4 GiB, and away from the heap */
#define PLACE		0x400000UL	/* larger than any instance */
#define ARENA_SIZE	(4 * PLACE)
#define ARENA_END	(ARENA + ARENA_SIZE)
#define FRAME		0x60000000UL	/* arguments; nothing is mapped above */
#define FRAME_READONLY	0x61000000UL	/* a read-only view of it */
#define FRAME_SIZE	(2 * PAGE)
#define TEXT		0xffffffff80000000UL
#define TEXT_SIZE	(64UL << 20)
#define COVER_SIZE	(256UL << 10)
#define MAX_OPS		16
#define MAX_INSTANCES	8
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define fail(format, ...) do {						\
	fprintf(stderr, "check failed: " format "\n", ##__VA_ARGS__);	\
	abort();							\
} while (0)

struct instance {
	struct trampfd_create_args args;
	int fd;
	ino_t ino;
	dev_t dev;
	const __u8 *code;	/* expected contents of each page of code */
};

static __u8 seen[TEXT_SIZE];	/* 1 for each byte of kernel text that was reached */
static __u64 *cover;

static const __u8 *in, *in_end;
static struct instance instances[MAX_INSTANCES];
static const struct instance no_instance = {
	.args = { .stride = 32, .table_offset = 128 * PAGE, .table_size = 128 * PAGE },
	.fd = -1,
};

static unsigned int nr_instances;
static bool forked, child, implied_exec;
static int maps, mem, kmsg, inodes, sink, uffd, pipes[2];
static int first_fd, self;
static __u8 buffer[64 << 10];

/* Decoding of the input */

static __u64 take(unsigned int bytes)
{
	__u64 value = 0;

	for (unsigned int shift = 0; shift < 8 * bytes && in < in_end; shift += 8)
		value |= (__u64)*in++ << shift;
	return value;
}

static struct instance *take_instance(void)
{
	unsigned int i = take(1);

	return nr_instances ? &instances[i % nr_instances] : (struct instance *)&no_instance;
}

/* An offset in an instance, usually at or next to a boundary */
static __u64 distance(const struct trampfd_create_args *args, unsigned int choice)
{
	static const int beside[8] = { 0, 0, 0, 0, 4096, -4096, 8192, 1 };
	const __u64 part = 4 * PAGE, from[] = {
		0, args->table_offset, args->table_offset + args->table_size, part,
		args->table_offset + part, args->table_offset / 2, 2 << 20,
	};

	if ((choice & 7) == ARRAY_SIZE(from))
		return take(8);
	return from[choice & 7] + beside[choice >> 3 & 7];
}

static __u64 take_offset(const struct instance *i)
{
	return distance(&i->args, take(1));
}

static __u64 take_length(const struct instance *i)
{
	return distance(&i->args, take(1) ^ 2);
}

static __u8 *take_address(const struct instance *i)
{
	unsigned int choice = take(1);
	__u64 address = (choice >> 6) * PLACE + distance(&i->args, choice);

	return (__u8 *)ARENA + address % ARENA_SIZE;
}

/* Limit a length to the end of the arena, unless the range wraps around. */
static __u64 within(const __u8 *address, __u64 length)
{
	__u64 most = ARENA_END - (__u64)address;

	return length > most && length <= -(__u64)address ? most : length;
}

/* Accesses that may fault */

static jmp_buf trap;
static bool trap_set;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (!trap_set)
		fail("unexpected signal %d at %p", signal, info->si_addr);
	trap_set = false;
	longjmp(trap, signal);
}

/* The signal that the access caused, or 0; does not nest */
#define guarded(access) ({			\
	int _signal = _setjmp(trap);		\
						\
	if (!_signal) {				\
		trap_set = true;		\
		asm volatile("" ::: "memory");	\
		access;				\
		asm volatile("" ::: "memory");	\
		trap_set = false;		\
	}					\
	_signal;				\
})

/*
 * - counters: coverage for libFuzzer, which finds it by the section's name, and clears
 *   it.
 * - return_reg: a function for each register, by DWARF number and 8 bytes each, that
 *   returns that register.
 * - call_saving_all(): calls its argument and restores all registers.
 */
extern __u8 counters[1 << 16], return_reg[], call_saving_all[];

asm("	.pushsection __libfuzzer_extra_counters, \"aw\"\n"
"counters:\n"
"	.skip	1 << 16\n"
"	.popsection\n"
"	.pushsection .text\n"
"	.balign	8\n"
"return_reg:\n"
"	.irp	reg, rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15\n"
"	.balign	8\n"
"	mov	%\\reg, %rax\n"
"	ret\n"
"	.endr\n"
"call_saving_all:\n"
"	.irp	reg, rbx, rbp, r12, r13, r14, r15\n"
"	push	%\\reg\n"
"	.endr\n"
"	mov	%rdi, %rax\n"
"	call	*%rax\n"
"	.irp	reg, r15, r14, r13, r12, rbp, rbx\n"
"	pop	%\\reg\n"
"	.endr\n"
"	ret\n"
"	.popsection\n");

/* @entry selects the system call entry: x86_64, x32 (1) or i386 (2). */
static long trampfd_create(unsigned int entry, __u64 args, __u64 size)
{
	long ret;

	if (entry == 1)
		return syscall(__X32_SYSCALL_BIT | __NR_trampfd_create, args, size);
	if (entry != 2)
		return syscall(__NR_trampfd_create, args, size);
	asm volatile("int $0x80" : "=a"(ret) : "0"(__NR_trampfd_create), "b"(args), "c"(size) :
		     "memory", "r8", "r9", "r10", "r11");
	ret = (int)ret;
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

static void check_fdinfo(const struct trampfd_create_args *args, int fd)
{
	const struct { const char *name; __u64 value; } lines[] = {
		{ "abi", args->abi }, { "mode", args->mode }, { "data-reg", args->data_reg },
		{ "scratch-reg", args->scratch_reg }, { "stride", args->stride },
		{ "table-offset", args->table_offset }, { "table-size", args->table_size },
	};
	char path[64], text[2048] = "";
	int info;

	sprintf(path, "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY);
	if (info < 0 || read(info, text, sizeof(text) - 1) < 0)
		fail("cannot read fdinfo: errno %d", errno);
	close(info);
	for (unsigned int n = 0; n < ARRAY_SIZE(lines); n++) {
		sprintf(path, "\ntrampfd-%s:\t%llu", lines[n].name, lines[n].value);
		if (!strstr(text, path))
			fail("fdinfo does not contain%s", path);
	}
}

/* The page of code of a geometry, as the first instance returned it */
static const __u8 *code_of(const struct trampfd_create_args *args, int fd)
{
	static const __u8 *codes[1 << 19];
	const __u64 most = 4096 * PAGE;	/* more than there are geometries */
	static __u8 *room;
	struct trampfd_create_args again = *args;
	unsigned int key = args->abi | args->mode << 3 | args->data_reg << 5 |
			   args->scratch_reg << 10 | __builtin_ctz(args->stride) << 15;
	int other;

	if (codes[key])
		return codes[key];
	/* fork() does not copy page tables of shared mappings. */
	if (!room)
		room = mmap(NULL, most, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pread(fd, room, PAGE + 1, 0) != PAGE)
		fail("read() does not return the code");
	other = trampfd_create(0, (__u64)&again, sizeof(again));
	if (other < 0 || memcmp(&again, args, sizeof(again)))
		fail("a resolved structure does not resolve to itself");
	close(other);
	check_fdinfo(args, fd);
	codes[key] = room;
	room += PAGE;
	return codes[key];
}

/* Operations */

static void check_created(const struct instance *i, const struct trampfd_create_args *asked,
			  unsigned int entry)
{
	const struct trampfd_create_args *args = &i->args;
	__u32 abi = asked->abi ?: entry == 2 ? TRAMPFD_ABI_I386 : TRAMPFD_ABI_X86_64;

	if (asked->flags || args->flags || args->abi != abi || args->mode != asked->mode ||
	    (asked->data_reg && args->data_reg != asked->data_reg) || !args->data_reg ||
	    (asked->scratch_reg && args->scratch_reg != asked->scratch_reg) ||
	    args->data_reg == args->scratch_reg)
		fail("the geometry differs from the request");
	if ((asked->stride && args->stride != asked->stride) ||
	    args->stride & (args->stride - 1) || args->stride > TRAMPFD_STRIDE_MAX ||
	    args->stride < sizeof(struct trampfd_slot32))
		fail("wrong stride");
	if (!args->table_size || args->table_size > args->table_offset ||
	    (args->table_size | args->table_offset) % PAGE)
		fail("wrong sizes");
	if (fcntl(i->fd, F_GETFD) != FD_CLOEXEC ||
	    (fcntl(i->fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		fail("wrong flags of the descriptor");
}

/* Decode a request of @size bytes to the end of the frame. */
static __u8 *take_request(const struct instance *like, unsigned int how, __u64 size)
{
	__u8 *frame = (__u8 *)FRAME + FRAME_SIZE - size;
	struct trampfd_create_args asked = {};

	memset(frame, 0, size);
	if (how & 0x10) {
		for (__u64 n = 0; n < size && n < sizeof(asked) + 16; n++)
			frame[n] = take(1);
		return frame;
	}
	if (how & 0x40) {
		asked = like->args;
	} else {
		asked.abi = take(1) % 6;
		asked.mode = take(1) % 4;
		asked.stride = take(1);
		asked.stride = (1U << (asked.stride & 15) >> 1) + (asked.stride >> 4);
		asked.data_reg = take(1) % 18;
		asked.scratch_reg = how & 0x80 ? take(1) % 18 : 0;
	}
	memcpy(frame, &asked, size < sizeof(asked) ? size : sizeof(asked));
	return frame;
}

static void create(struct instance *like)
{
	static const __u64 bad[] = { ARENA, 0, -PAGE, 1UL << 47, ARENA + PAGE - 8 };
	struct instance *i = &instances[nr_instances];
	unsigned int how = take(1), entry = how & 3, pointer = how >> 2 & 3;
	struct trampfd_create_args asked = {};
	__u64 size = how & 0x20 ? take(2) % (FRAME_SIZE + 1) : sizeof(asked), at;
	__u8 *frame;
	struct stat st;

	if (nr_instances == MAX_INSTANCES)
		return;
	frame = take_request(like, how, size);
	memcpy(&asked, frame, size < sizeof(asked) ? size : sizeof(asked));
	memcpy(buffer, frame, size);

	at = (__u64)frame;
	if (pointer == 1)
		at += FRAME_READONLY - FRAME;
	else if (pointer == 2)
		at += 1 + take(1);
	else if (pointer == 3)
		at = bad[take(1) % ARRAY_SIZE(bad)];

	i->fd = trampfd_create(entry, at, size);
	if (i->fd < 0) {
		if (errno != EINVAL && errno != E2BIG && errno != EFAULT && errno != EOPNOTSUPP)
			fail("trampfd_create() returned errno %d", errno);
		if (errno == EFAULT && !pointer)
			fail("EFAULT for a valid pointer");
		if (memcmp(frame, buffer, size))
			fail("a failed call changed its argument");
		return;
	}
	if (pointer == 1 || pointer == 2)
		fail("success although the argument is not writable");
	memcpy(&i->args, (void *)at, sizeof(i->args));
	if (pointer == 3)
		asked = i->args;
	check_created(i, &asked, entry);
	if (fstat(i->fd, &st) || st.st_size != (off_t)(i->args.table_offset + i->args.table_size))
		fail("wrong size of the file");
	i->ino = st.st_ino;
	i->dev = st.st_dev;
	i->code = code_of(&i->args, i->fd);
	nr_instances++;
}

/* Map code and table as the documentation says, at the start of a place. */
static void map_as_usual(struct instance *i)
{
	__u8 *at = (__u8 *)((__u64)take_address(i) & -PLACE);
	__u64 size = i->args.table_size >> (take(1) & 7), length = i->args.table_offset + size;

	if (mmap(at, length, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, i->fd, 0) == at)
		mmap(at + i->args.table_offset, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_FIXED, i->fd, i->args.table_offset);
	else if (i->fd >= 0 && !child)
		fail("mmap() of code returned errno %d", errno);
}

static void map(struct instance *i)
{
	static const int types[] = { MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, 0 };
	unsigned int where = take(1), how = take(1), prot = take(1) & 15, flags;
	__u64 offset = take_offset(i), length = take_length(i);
	__u8 *at = (__u8 *)ARENA + (where >> 6) * PLACE + offset % PLACE, *got;
	bool allowed, plain;

	/* By default, map neighbours in the file next to each other. */
	if (where & 32)
		at = take_address(i);
	flags = types[how & 3] | (how & 4 ? 0 : how & 8 ? MAP_FIXED_NOREPLACE : MAP_FIXED) |
		(how & 16 ? MAP_POPULATE : 0) | (how & 32 ? MAP_LOCKED : 0) |
		(how & 64 ? MAP_NORESERVE : 0) | (how & 128 ? take(3) & ~MAP_FIXED : 0);
	at -= how & 4 ? 0 : (__u64)at % PAGE;
	length = within(at, length);

	got = (__u8 *)syscall(__NR_mmap, at, length, prot, flags, i->fd, offset);
	/* For calls without other errors, compare with the documentation. */
	plain = i->fd >= 0 && !(how & ~(3 | 16 | 64)) && (how & 3) != 3 && !(prot & 8) &&
		length && length <= ARENA_SIZE && !(offset % PAGE) && offset < 1UL << 40 &&
		!child;
	allowed = offset + length <= i->args.table_offset + i->args.table_size &&
		  (offset < i->args.table_offset ? !(prot & PROT_WRITE) :
		   !(how & 3) && (!(prot & PROT_EXEC) || implied_exec));
	if (plain && allowed != !(got == MAP_FAILED))
		fail("mmap(%llx, %x, %x, %llx) was %s", length, prot, flags, offset,
		     allowed ? "refused" : "granted");
	if (got != MAP_FAILED && (got < (__u8 *)ARENA || got >= (__u8 *)ARENA_END))
		munmap(got, length);
}

static void move(struct instance *i)
{
	__u8 *from = take_address(i), *to, *got;
	unsigned int flags = (take(1) & 7) ^ MREMAP_MAYMOVE ^ MREMAP_FIXED;
	__u64 old = take_length(i), new = take_length(i);

	to = take_address(i);
	new = within(to > from ? to : from, new);
	got = (__u8 *)syscall(__NR_mremap, from, within(from, old), new, flags, to);
	if (got != MAP_FAILED && (got < (__u8 *)ARENA || got >= (__u8 *)ARENA_END))
		munmap(got, new);
}

/*
 * The arguments of a system call: constants, then values that depend on the input
 */
enum argument {
	ZERO, ONE,
	VALUE,			/* from the table */
	FD,			/* the file of the instance */
	MEM_FD,			/* /proc/self/mem */
	SINK_FD,		/* a memfd */
	PIPE_READ, PIPE_WRITE,
	UFFD,			/* a userfaultfd */
	PID,			/* this process */
	BUFFER, ONE_PAGE, EMPTY_STRING, XATTR_NAME,
	NR_CONSTANTS,

	ADDRESS = NR_CONSTANTS,	/* in the arena */
	LENGTH,			/* from that address */
	OFFSET,			/* in the file */
	OFFSET_POINTER,		/* a pointer to an offset, or NULL */
	COUNT,			/* up to the size of the buffer */
	BYTE,
	HIGH_BYTE,		/* a byte shifted to the left by 8 */
	BITS,			/* 5 bits */
	SPLICE_FLAGS,		/* 5 bits and SPLICE_F_NONBLOCK */
	PROT,			/* a protection, with PROT_GROWSDOWN and PROT_GROWSUP */
	BUFFER_IOV,		/* an I/O vector of the buffer */
	ADDRESS_IOV,		/* an I/O vector in the arena */
	UFFD_RANGE,		/* struct uffdio_range and a mode */
	UFFD_COPY,		/* struct uffdio_copy */
};

struct call {
	const char *name;
	int nr;
	__u64 value;
	bool refused;	/* must fail */
	enum argument args[6];
};

#define CALL(name, ...)			ANY_CALL(name, 0, false, __VA_ARGS__)
#define CALL_VALUE(value, name, ...)	ANY_CALL(name, value, false, __VA_ARGS__)
#define REFUSED(name, ...)		ANY_CALL(name, 0, true, __VA_ARGS__)
#define REFUSED_VALUE(value, name, ...)	ANY_CALL(name, value, true, __VA_ARGS__)
#define ANY_CALL(_name, _value, _refused, ...) {			\
	.name = #_name, .nr = __NR_##_name, .value = _value,		\
	.refused = _refused, .args = { __VA_ARGS__ },			\
}

static const struct call range_calls[] = {
	CALL(mprotect, ADDRESS, LENGTH, PROT),
	CALL(mprotect, ADDRESS, LENGTH, PROT),
	CALL(munmap, ADDRESS, LENGTH),
	CALL(madvise, ADDRESS, LENGTH, BITS),
	CALL(madvise, ADDRESS, LENGTH, BITS),
	CALL(msync, ADDRESS, LENGTH, BITS),
	CALL_VALUE(MADV_GUARD_INSTALL, madvise, ADDRESS, LENGTH, VALUE),
	CALL_VALUE(MADV_GUARD_REMOVE, madvise, ADDRESS, LENGTH, VALUE),
	CALL(mlock2, ADDRESS, LENGTH, BITS),
	CALL(munlock, ADDRESS, LENGTH),
	CALL(mincore, ADDRESS, LENGTH, BUFFER),
	CALL(remap_file_pages, ADDRESS, LENGTH, ZERO, BITS, ZERO),
	CALL_VALUE(-1, pkey_mprotect, ADDRESS, LENGTH, PROT, VALUE),
	CALL(pkey_mprotect, ADDRESS, LENGTH, PROT, ZERO),
	CALL(mseal, ADDRESS, LENGTH, ZERO),
	CALL(read, FD, ADDRESS, COUNT),
	CALL(write, PIPE_WRITE, ADDRESS, COUNT),
	CALL(read, PIPE_READ, ADDRESS, COUNT),
	CALL(getrandom, ADDRESS, COUNT, ZERO),
	CALL(pwrite64, MEM_FD, BUFFER, COUNT, ADDRESS),
	CALL(pread64, MEM_FD, BUFFER, COUNT, ADDRESS),
	CALL(vmsplice, PIPE_WRITE, ADDRESS_IOV, ONE, SPLICE_FLAGS),
	CALL(vmsplice, PIPE_READ, ADDRESS_IOV, ONE, SPLICE_FLAGS),
	CALL(process_vm_readv, PID, BUFFER_IOV, ONE, ADDRESS_IOV, ONE, ZERO),
	CALL(process_vm_writev, PID, BUFFER_IOV, ONE, ADDRESS_IOV, ONE, ZERO),
	CALL_VALUE(MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, mmap, ADDRESS, LENGTH, PROT, VALUE),
	CALL_VALUE(MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS, mmap, ADDRESS, LENGTH, PROT, VALUE),
	CALL_VALUE(UFFDIO_REGISTER, ioctl, UFFD, VALUE, UFFD_RANGE),
	CALL_VALUE(UFFDIO_UNREGISTER, ioctl, UFFD, VALUE, UFFD_RANGE),
	CALL_VALUE(UFFDIO_ZEROPAGE, ioctl, UFFD, VALUE, UFFD_RANGE),
	CALL_VALUE(UFFDIO_POISON, ioctl, UFFD, VALUE, UFFD_RANGE),
	CALL_VALUE(UFFDIO_WRITEPROTECT, ioctl, UFFD, VALUE, UFFD_RANGE),
	CALL_VALUE(UFFDIO_COPY, ioctl, UFFD, VALUE, UFFD_COPY),
};

static const struct call file_calls[] = {
	CALL(lseek, FD, OFFSET, BITS),
	CALL(read, FD, BUFFER, COUNT),
	CALL(preadv2, FD, BUFFER_IOV, ONE, OFFSET, ZERO, BITS),
	CALL(fadvise64, FD, OFFSET, LENGTH, BITS),
	CALL(readahead, FD, OFFSET, LENGTH),
	CALL(sync_file_range, FD, OFFSET, LENGTH, BITS),
	CALL(fsync, FD),
	CALL(syncfs, FD),
	CALL(flock, FD, BITS),
	CALL_VALUE(F_SETFL, fcntl, FD, VALUE, HIGH_BYTE),
	CALL_VALUE(F_ADD_SEALS, fcntl, FD, VALUE, BYTE),
	CALL_VALUE(F_SETLEASE, fcntl, FD, VALUE, BITS),
	CALL_VALUE(F_NOTIFY, fcntl, FD, VALUE, HIGH_BYTE),
	CALL_VALUE(F_SETPIPE_SZ, fcntl, FD, VALUE, BYTE),
	CALL_VALUE(F_SETSIG, fcntl, FD, VALUE, BYTE),
	CALL_VALUE(FIGETBSZ, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FIBMAP, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FIONREAD, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FIOASYNC, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FIOQSIZE, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FIFREEZE, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FICLONE, ioctl, FD, VALUE, SINK_FD),
	CALL_VALUE(FS_IOC_GETFLAGS, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FS_IOC_FSGETXATTR, ioctl, FD, VALUE, BUFFER),
	CALL_VALUE(FS_IOC_SETFLAGS, ioctl, FD, VALUE, BUFFER),
	REFUSED(fchmod, FD, HIGH_BYTE),
	REFUSED(fchown, FD, BYTE, BYTE),
	REFUSED(utimensat, FD, ZERO, ZERO, ZERO),
	CALL(fstat, FD, BUFFER),
	CALL(fstatfs, FD, BUFFER),
	CALL_VALUE(AT_EMPTY_PATH, statx, FD, EMPTY_STRING, VALUE, BYTE, BUFFER),
	CALL(fgetxattr, FD, XATTR_NAME, BUFFER, BYTE),
	CALL(flistxattr, FD, BUFFER, BYTE),
	CALL_VALUE(AT_EMPTY_PATH, name_to_handle_at, FD, EMPTY_STRING, BUFFER, BUFFER, VALUE),
	CALL(cachestat, FD, BUFFER, BUFFER, ZERO),
	CALL(splice, PIPE_READ, ZERO, SINK_FD, ZERO, ONE_PAGE, SPLICE_FLAGS),
	REFUSED(write, FD, BUFFER, BYTE),
	REFUSED(pwritev2, FD, BUFFER_IOV, ONE, OFFSET, ZERO, BITS),
	REFUSED(ftruncate, FD, OFFSET),
	REFUSED(fallocate, FD, BITS, OFFSET, LENGTH),
	REFUSED(splice, FD, OFFSET_POINTER, PIPE_WRITE, ZERO, ONE_PAGE, SPLICE_FLAGS),
	REFUSED(splice, PIPE_READ, ZERO, FD, OFFSET_POINTER, ONE_PAGE, SPLICE_FLAGS),
	REFUSED(sendfile, PIPE_WRITE, FD, OFFSET_POINTER, ONE_PAGE),
	REFUSED(sendfile, SINK_FD, FD, OFFSET_POINTER, ONE_PAGE),
	REFUSED(sendfile, FD, MEM_FD, OFFSET_POINTER, ONE_PAGE),
	REFUSED(copy_file_range, FD, OFFSET_POINTER, SINK_FD, ZERO, ONE_PAGE, ZERO),
	REFUSED(copy_file_range, SINK_FD, OFFSET_POINTER, FD, ZERO, ONE_PAGE, ZERO),
	REFUSED(copy_file_range, FD, OFFSET_POINTER, FD, ZERO, ONE_PAGE, ZERO),
	REFUSED(fsetxattr, FD, XATTR_NAME, BUFFER, BYTE, ZERO),
	REFUSED(getdents64, FD, BUFFER, COUNT),
	REFUSED(fchdir, FD),
	REFUSED_VALUE(AT_EMPTY_PATH, execveat, FD, EMPTY_STRING, ZERO, ZERO, VALUE),
	REFUSED_VALUE(AT_FDCWD, linkat, FD, EMPTY_STRING, VALUE, XATTR_NAME, ZERO),
};

struct call_state {
	__u8 *at;
	loff_t offset;
	struct iovec buffer, there;
	__u64 uffdio[5];
};

/* Fill struct uffdio_copy, or with @copy false struct uffdio_range and a mode. */
static __u64 take_uffdio(const struct instance *i, struct call_state *state, bool copy)
{
	__u64 *field = state->uffdio, length;

	*field = (__u64)take_address(i);
	length = within((__u8 *)*field++, take_length(i));
	if (copy && length > sizeof(buffer))
		length = PAGE;
	if (copy)
		*field++ = (__u64)buffer;
	*field++ = length;
	*field = take(1) & 7;
	return (__u64)state->uffdio;
}

static __u64 take_argument(const struct instance *i, const struct call *call,
			   enum argument argument, struct call_state *state)
{
	const __u64 constants[NR_CONSTANTS] = {
		[ONE] = 1, [VALUE] = call->value, [FD] = i->fd, [MEM_FD] = mem,
		[SINK_FD] = sink, [PIPE_READ] = pipes[0], [PIPE_WRITE] = pipes[1],
		[UFFD] = uffd, [PID] = self, [BUFFER] = (__u64)buffer, [ONE_PAGE] = PAGE,
		[EMPTY_STRING] = (__u64)"", [XATTR_NAME] = (__u64)"user.a",
	};
	unsigned int byte;

	switch (argument) {
	case ADDRESS:
		state->at = take_address(i);
		return (__u64)state->at;
	case LENGTH:
		return within(state->at, take_length(i));
	case OFFSET:
		return take_offset(i);
	case OFFSET_POINTER:
		state->offset = take(1) * 64;
		return state->offset & 64 ? 0 : (__u64)&state->offset;
	case COUNT:
		return take(1) * 64;
	case BYTE:
		return take(1);
	case HIGH_BYTE:
		return take(1) << 8;
	case BITS:
		return take(1) & 31;
	case SPLICE_FLAGS:
		return (take(1) & 31) | SPLICE_F_NONBLOCK;
	case PROT:
		byte = take(1);
		return (byte & 15) | (byte & 48) << 20;
	case BUFFER_IOV:
		state->buffer = (struct iovec){ buffer, take(1) * 64 };
		return (__u64)&state->buffer;
	case ADDRESS_IOV:
		state->there.iov_base = take_address(i);
		state->there.iov_len = take(1) * 64;
		return (__u64)&state->there;
	case UFFD_RANGE:
	case UFFD_COPY:
		return take_uffdio(i, state, argument == UFFD_COPY);
	default:
		return constants[argument];
	}
}

static void make_call(const struct instance *i, const struct call *call)
{
	struct call_state state = { .at = (__u8 *)ARENA };
	__u64 args[6];

	for (unsigned int n = 0; n < ARRAY_SIZE(args); n++)
		args[n] = take_argument(i, call, call->args[n], &state);
	/* A sealed mapping would remain in the arena. */
	if (call->nr == __NR_mseal && !child)
		return;
	if (syscall(call->nr, args[0], args[1], args[2], args[3], args[4], args[5]) >= 0 &&
	    call->refused)
		fail("%s() succeeded (row %td of file_calls)", call->name, call - file_calls);
}

static void call_on_range(struct instance *i)
{
	make_call(i, &range_calls[take(1) % ARRAY_SIZE(range_calls)]);
}

static void call_on_file(struct instance *i)
{
	make_call(i, &file_calls[take(1) % ARRAY_SIZE(file_calls)]);
}

static void touch(struct instance *i)
{
	__u8 *at = take_address(i);

	if (take(1) & 1)
		guarded(__atomic_load_n(at, __ATOMIC_RELAXED));
	else
		guarded(__atomic_store_n(at, 1, __ATOMIC_RELAXED));
}

static void open_again(struct instance *i)
{
	static const char expected[] = "anon_inode:[trampfd]";
	char path[64];
	int fd;

	sprintf(path, "/proc/self/fd/%d", i->fd);
	if (i->fd >= 0 &&
	    (readlink(path, (char *)buffer, sizeof(buffer)) != sizeof(expected) - 1 ||
	     memcmp(buffer, expected, sizeof(expected) - 1)))
		fail("/proc/self/fd/N is not a link to %s", expected);
	fd = open(path, take(3) & ~O_CREAT);
	if (fd >= 0 && !(fcntl(fd, F_GETFL) & O_PATH))
		fail("the file was opened again");
	if (fd >= 0)
		close(fd);
}

static void read_back(struct instance *i)
{
	__u64 offset = take_offset(i), length = take(2), left = 0;
	ssize_t n = pread(i->fd, buffer, length, offset);

	if (i->fd < 0 || offset >= 1UL << 40)
		return;
	if (offset < PAGE)
		left = PAGE - offset;
	if (n != (ssize_t)(length < left ? length : left) || memcmp(buffer, i->code + offset, n))
		fail("pread(%llx, %llx) returned %zd bytes, or wrong ones", length, offset, n);
}

static void renew(struct instance *i)
{
	int copy = take(1) & 1 ? dup(i->fd) : -1;

	if (i->fd < 0)
		return;
	close(i->fd);
	i->fd = copy;
}

static void imply_exec(struct instance *i)
{
	(void)i;
	implied_exec = !implied_exec;
	personality(implied_exec ? READ_IMPLIES_EXEC : 0);
}

#define refused(call) do {						\
	if ((call) >= 0)						\
		fail(#call " succeeded");				\
} while (0)

/* Checks */

static const struct instance *instance_of(const struct procmap_query *vma)
{
	for (unsigned int i = 0; i < nr_instances; i++)
		if (instances[i].ino == vma->inode &&
		    makedev(vma->dev_major, vma->dev_minor) == instances[i].dev)
			return &instances[i];
	return NULL;
}

/* Call an x86_64 trampoline if its slot can be filled. */
static void check_call(const struct trampfd_create_args *args, __u8 *code)
{
	struct trampfd_slot64 *slot = (void *)(code + args->table_offset);
	struct trampfd_slot64 fill = {
		.data = ~(__u64)code,
		.code = (__u64)(return_reg + 8 * (args->data_reg - TRAMPFD_REG(0))),
	};
	__u64 (*call)(const __u8 *code) = (void *)call_saving_all;
	int signal, differs = 1;
	static __u64 got;	/* static: longjmp() could restore a register */

	if (args->abi != TRAMPFD_ABI_X86_64 ||
	    (__u64)slot < ARENA || (__u64)(slot + 1) > ARENA_END)
		return;
	signal = guarded(({
		*slot = fill;
		differs = memcmp(slot, &fill, sizeof(fill));
	}));
	if (signal || differs)
		return;
	signal = guarded(got = call(code));
	if (signal || got != (args->mode == TRAMPFD_MODE_DATA ? fill.data : (__u64)slot))
		fail("a call caused signal %d or returned %llx", signal, got);
}

static void check_page(const struct instance *i, const struct procmap_query *vma, __u8 *page)
{
	__u64 offset = vma->vma_offset + ((__u64)page - vma->vma_start);
	__u64 last = PAGE - i->args.stride;
	int differs = 0, signal;

	refused(pwrite(mem, buffer, 1, (off_t)page));
	if (!(vma->vma_flags & PROCMAP_QUERY_VMA_READABLE))
		return;
	signal = guarded(differs = offset < i->args.table_offset ?
				   memcmp(page, i->code, PAGE) : *page);
	if (offset >= i->args.table_offset ? signal != SIGBUS : signal || differs)
		fail("code at offset %llx: signal %d or wrong contents", offset, signal);
	if (signal || !(vma->vma_flags & PROCMAP_QUERY_VMA_EXECUTABLE))
		return;
	/* The first trampoline and the last */
	for (__u64 at = 0; at < PAGE; at += last ?: PAGE)
		check_call(&i->args, page + at);
}

/*
 * A mapping that starts in the range of the table is a table, or the rest of a mapping
 * of code.  The latter may be executable, but accesses are SIGBUS.
 */
static void check_mapping(const struct instance *i, struct procmap_query *vma)
{
	__u64 page = vma->vma_start;
	bool code = vma->vma_offset < i->args.table_offset ||
		    vma->vma_flags & PROCMAP_QUERY_VMA_EXECUTABLE;

	if (!code && !mprotect((void *)page, PAGE, PROT_READ | PROT_EXEC)) {
		vma->vma_flags = PROCMAP_QUERY_VMA_READABLE | PROCMAP_QUERY_VMA_EXECUTABLE;
		vma->vma_end = page + PAGE;
		code = true;
	}
	if (!code)
		return;
	if (vma->vma_flags & PROCMAP_QUERY_VMA_WRITABLE)
		fail("code is writable, or a table executable");
	madvise((void *)page, vma->vma_end - page, MADV_GUARD_REMOVE);
	refused(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE));
	for (unsigned int pages = 1; page < vma->vma_end; pages *= 4) {
		check_page(i, vma, (__u8 *)page);
		page += pages * PAGE;
	}
}

static void check_mappings(void)
{
	struct procmap_query vma;
	const struct instance *i;

	for (__u64 at = ARENA; at < ARENA_END; at = vma.vma_end) {
		vma = (struct procmap_query){
			.size = sizeof(vma),
			.query_flags = PROCMAP_QUERY_COVERING_OR_NEXT_VMA |
				       PROCMAP_QUERY_FILE_BACKED_VMA,
			.query_addr = at,
		};
		if (ioctl(maps, PROCMAP_QUERY, &vma))
			break;
		i = instance_of(&vma);
		if (i)
			check_mapping(i, &vma);
	}
}

static void check_kernel_log(void)
{
	static const char * const complaints[] = {
		"BUG", "WARNING: ", "UBSAN: ", "INFO: ", "cut here", "Oops", "fault:",
	};
	char line[2048];
	ssize_t n;

	while ((n = read(kmsg, line, sizeof(line) - 1)) != -1 || errno == EPIPE) {
		line[n < 0 ? 0 : n] = 0;
		for (unsigned int c = 0; c < ARRAY_SIZE(complaints); c++)
			if (strstr(line, complaints[c]))
				fail("the kernel logged: %s", line);
	}
}

static long nr_inodes(void)
{
	char text[64] = "";

	pread(inodes, text, sizeof(text) - 1, 0);
	return strtol(text, NULL, 10);
}

static void open_own(void)
{
	self = getpid();
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (mem < 0 || maps < 0)
		fail("cannot open files in /proc: errno %d", errno);
}

static void run(void);

/* Run the rest of the input in a child first.  This is by far the slowest operation. */
static void fork_off(struct instance *i)
{
	int status;
	pid_t pid;

	(void)i;
	if (take(1) & 3 || forked)
		return;
	forked = true;
	pid = fork();
	if (!pid) {
		child = true;
		/* Open these for the child itself. */
		close(uffd);
		close(mem);
		close(maps);
		open_own();
		if (take(1) & 1)
			prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
		run();
		check_mappings();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		fail("wait status %#x of a child", status);
}

static void run(void)
{
	static void (*const operations[32])(struct instance *i) = {
		[0] = create, [1 ... 3] = map_as_usual, [4 ... 8] = map,
		[9 ... 16] = call_on_range, [17 ... 20] = move, [21 ... 25] = call_on_file,
		[26] = touch, [27] = open_again, [28] = read_back, [29] = renew,
		[30] = imply_exec, [31] = fork_off,
	};

	for (unsigned int op = 0; op < MAX_OPS && in < in_end; op++) {
		unsigned int what = take(1) % ARRAY_SIZE(operations);

		operations[what](take_instance());
	}
}

static void tidy(void)
{
	forked = false;
	implied_exec = false;
	personality(0);
	check_mappings();
	munmap((void *)(ARENA - PLACE), ARENA_SIZE + 2 * PLACE);
	while (read(pipes[0], buffer, sizeof(buffer)) > 0)
		;
	ftruncate(sink, 0);
	lseek(sink, 0, SEEK_SET);
	while (nr_instances)
		close(instances[--nr_instances].fd);
	if (dup(maps) != first_fd)
		fail("a descriptor leaked");
	close(first_fd);
}

/* Pass the coverage of this execution to libFuzzer. */
static void report_coverage(void)
{
	__u64 n = __atomic_load_n(&cover[0], __ATOMIC_RELAXED), last = 0;

	for (__u64 *pc = cover + 1; n--; pc++) {
		unsigned int edge = (__u32)(*pc ^ last << 5) * 0x9e3779b1u >> 16;

		if (!counters[edge]) {
			counters[edge] = 1;
			if (*pc - TEXT < TEXT_SIZE)
				seen[*pc - TEXT] = 1;
		}
		last = *pc & 0xffff;
	}
}

/* Save the input, in case the kernel kills this program. */
static void save_input(const __u8 *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/tmp/fuzz/running", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (ftruncate(fd, size) || pwrite(fd, data, size, 0) != (ssize_t)size)
		fail("cannot save the input: errno %d", errno);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	static long grown;
	long before, growth;
	unsigned int times = 0;

	save_input(data, size);
	if (!first_fd) {
		first_fd = dup(maps);
		close(first_fd);
	}
	/* Inodes may be cached, but their number must not grow each time. */
	do {
		before = nr_inodes();
		__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
		in = data;
		in_end = data + size;
		run();
		report_coverage();
		tidy();
		growth = nr_inodes() - before;
		grown += growth;
	} while (growth > 0 && ++times < 5);
	if (times == 5 || grown > 500)
		fail("inodes leaked: %ld this time, %ld in total", growth, grown);
	check_kernel_log();
	return 0;
}

/* Write the kernel addresses that were reached, for harness/fuzz/coverage.py. */
static void list_seen(void)
{
	FILE *file = fopen("/tmp/fuzz/pcs", "w");

	for (__u64 pc = 0; file && pc < TEXT_SIZE; pc++)
		if (seen[pc])
			fprintf(file, "%llx\n", TEXT + pc);
	if (!file || fclose(file))
		fail("cannot write the coverage");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_NODEFER | SA_SIGINFO };
	struct uffdio_api api = {
		.api = UFFD_API,
		/* No thread handles faults, so do not wait for it. */
		.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_POISON,
	};
	int kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC), frame;

	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);

	open_own();
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	inodes = open("/proc/sys/fs/inode-nr", O_RDONLY | O_CLOEXEC);
	sink = memfd_create("sink", MFD_CLOEXEC);
	frame = memfd_create("frame", MFD_CLOEXEC);
	uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0 || inodes < 0 || sink < 0 || frame < 0 ||
	    pipe2(pipes, O_NONBLOCK | O_CLOEXEC) || ioctl(uffd, UFFDIO_API, &api) ||
	    ftruncate(frame, FRAME_SIZE))
		fail("the kernel lacks a feature: errno %d", errno);
	mmap((void *)FRAME, FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, frame, 0);
	mmap((void *)FRAME_READONLY, FRAME_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, frame, 0);

	if (ioctl(kcov, KCOV_INIT_TRACE, COVER_SIZE))
		fail("no KCOV: errno %d", errno);
	cover = mmap(NULL, COVER_SIZE * sizeof(*cover), PROT_READ | PROT_WRITE, MAP_SHARED,
		     kcov, 0);
	if (cover == MAP_FAILED || ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		fail("cannot use KCOV: errno %d", errno);
	atexit(list_seen);
	return 0;
}
