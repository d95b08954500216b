// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of trampfd_create(2), and of what can be done with its files and
 * mappings.
 *
 * The engine is LLVM's libFuzzer.  It makes the inputs and keeps those that
 * reach something new; new in the kernel, as KCOV tells what was reached
 * (Documentation/dev-tools/kcov.rst) and this program passes that on.  An input
 * is a program of operations, decoded such that each byte counts and zeroes ask
 * for what is usual.  After it the promises are checked, and what it left is
 * removed.  A promise that is not kept is an abort(), of which the engine keeps
 * the input; so is a complaint of the kernel's.
 *
 * Mappings are made in the arena alone, addresses that nothing else uses, as
 * the engine has to survive them.
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
#define ARENA		0x70000000UL	/* where 32 bits reach, and no heap */
#define PLACE		0x400000UL	/* more than the largest instance takes */
#define ARENA_SIZE	(4 * PLACE)
#define ARENA_END	(ARENA + ARENA_SIZE)
#define FRAME		0x60000000UL	/* arguments, and then nothing mapped */
#define FRAME_READONLY	0x61000000UL	/* the same pages */
#define FRAME_SIZE	(2 * PAGE)
#define TEXT		0xffffffff80000000UL
#define TEXT_SIZE	(64UL << 20)
#define COVER_SIZE	(256UL << 10)
#define MAX_OPS		16
#define MAX_INSTANCES	8
#define fallthrough	__attribute__((__fallthrough__))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define fail(format, ...) do {						\
	fprintf(stderr, "not kept: " format "\n", ##__VA_ARGS__);	\
	abort();							\
} while (0)

struct instance {
	struct trampfd_create_args args;
	int fd;
	ino_t ino;
	dev_t dev;
	const __u8 *code;	/* what each page of it has to be */
};

static __u8 seen[TEXT_SIZE];	/* each byte of kernel text that was ever reached */
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

/* Input */

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

/* Somewhere in an instance, most often where something ends */
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

/* Nothing beyond the arena, unless it is beyond all addresses. */
static __u64 within(const __u8 *address, __u64 length)
{
	__u64 most = ARENA_END - (__u64)address;

	return length > most && length <= -(__u64)address ? most : length;
}

/* Memory that may not be there */

static jmp_buf trap;
static bool trap_set;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (!trap_set)
		fail("signal %d outside of what may fault, at %p", signal, info->si_addr);
	trap_set = false;
	longjmp(trap, signal);
}

/* 0, or the signal that the access ended with; not to be nested */
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
 * What libFuzzer takes for coverage, for the name of the section, and clears;
 * what returns the registers, 8 bytes each, by DWARF number; and what calls its
 * argument, whatever that does to the registers.
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

/* Through each of the ways into the kernel */
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
		fail("fdinfo cannot be read: errno %d", errno);
	close(info);
	for (unsigned int n = 0; n < ARRAY_SIZE(lines); n++) {
		sprintf(path, "\ntrampfd-%s:\t%llu", lines[n].name, lines[n].value);
		if (!strstr(text, path))
			fail("fdinfo does not say%s", path);
	}
}

/*
 * The page of code of a geometry as the kernel returned it the first time: all
 * later instances have the same.
 */
static const __u8 *code_of(const struct trampfd_create_args *args, int fd)
{
	static const __u8 *codes[1 << 19];
	const __u64 most = 4096 * PAGE;	/* there are fewer geometries */
	static __u8 *room;
	struct trampfd_create_args again = *args;
	unsigned int key = args->abi | args->mode << 3 | args->data_reg << 5 |
			   args->scratch_reg << 10 | __builtin_ctz(args->stride) << 15;
	int other;

	if (codes[key])
		return codes[key];
	/* Shared, for fork() does not copy the page tables of such. */
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
		fail("another geometry than asked for");
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

/* What to ask for; at the end of the frame */
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
			fail("errno %d of trampfd_create()", errno);
		if (errno == EFAULT && !pointer)
			fail("EFAULT without reason");
		if (memcmp(frame, buffer, size))
			fail("a failed call changed its argument");
		return;
	}
	if (pointer == 1 || pointer == 2)
		fail("an argument that is not writable was filled");
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

/* As the documentation says; afterwards, at the beginning of a place */
static void map_as_usual(struct instance *i)
{
	__u8 *at = (__u8 *)((__u64)take_address(i) & -PLACE);
	__u64 size = i->args.table_size >> (take(1) & 7), length = i->args.table_offset + size;

	if (mmap(at, length, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, i->fd, 0) == at)
		mmap(at + i->args.table_offset, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_FIXED, i->fd, i->args.table_offset);
	else if (i->fd >= 0 && !child)
		fail("errno %d of mmap() of the code", errno);
}

static void map(struct instance *i)
{
	static const int types[] = { MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, 0 };
	unsigned int where = take(1), how = take(1), prot = take(1) & 15, flags;
	__u64 offset = take_offset(i), length = take_length(i);
	__u8 *at = (__u8 *)ARENA + (where >> 6) * PLACE + offset % PLACE, *got;
	bool allowed, plain;

	if (where & 32)	/* else where it is next to what is next to it in the file */
		at = take_address(i);
	flags = types[how & 3] | (how & 4 ? 0 : how & 8 ? MAP_FIXED_NOREPLACE : MAP_FIXED) |
		(how & 16 ? MAP_POPULATE : 0) | (how & 32 ? MAP_LOCKED : 0) |
		(how & 64 ? MAP_NORESERVE : 0) | (how & 128 ? take(3) & ~MAP_FIXED : 0);
	at -= how & 4 ? 0 : (__u64)at % PAGE;
	length = within(at, length);

	got = (__u8 *)syscall(__NR_mmap, at, length, prot, flags, i->fd, offset);
	/* What the documentation says, where the rest is in order */
	plain = i->fd >= 0 && !(how & ~(3 | 16 | 64)) && (how & 3) != 3 && !(prot & 8) &&
		length && length <= ARENA_SIZE && !(offset % PAGE) && offset < 1UL << 40 &&
		!child;
	allowed = offset + length <= i->args.table_offset + i->args.table_size &&
		  (offset < i->args.table_offset ? !(prot & PROT_WRITE) :
		   !(how & 3) && (!(prot & PROT_EXEC) || implied_exec));
	if (plain && allowed != !(got == MAP_FAILED))
		fail("mmap(%llx, %x, %x, %llx) is %s", length, prot, flags, offset,
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
 * A system call, and what its arguments are.  Constants: f the descriptor, m of
 * /proc/self/mem, s of a file, r and w of a pipe, u of a userfaultfd, g the
 * process; b a buffer, P the size of a page, E an empty string, N a name, k what
 * the table says.  From the input: a an
 * address, l a length from there, d an offset in the file, O a pointer to one, or
 * NULL, c a length that fits into b, v a byte, V one shifted, x a few bits,
 * n such and SPLICE_F_NONBLOCK, p a protection, i and t an I/O vector in b and at
 * an address, R and C what userfaultfd wants.
 */
struct call {
	int nr;
	const char *args;
	__u64 k;
	bool refused;	/* always */
};

static const struct call range_calls[] = {
	{ __NR_mprotect, "alp" }, { __NR_mprotect, "alp" }, { __NR_munmap, "al" },
	{ __NR_madvise, "alx" }, { __NR_madvise, "alx" }, { __NR_msync, "alx" },
	{ __NR_madvise, "alk", MADV_GUARD_INSTALL }, { __NR_madvise, "alk", MADV_GUARD_REMOVE },
	{ __NR_mlock2, "alx" }, { __NR_munlock, "al" }, { __NR_mincore, "alb" },
	{ __NR_remap_file_pages, "al0x0" }, { __NR_pkey_mprotect, "alpk", -1 },
	{ __NR_pkey_mprotect, "alp0" }, { __NR_mseal, "al0" },
	{ __NR_read, "fac" }, { __NR_write, "wac" }, { __NR_read, "rac" },
	{ __NR_getrandom, "ac0" }, { __NR_pwrite64, "mbca" }, { __NR_pread64, "mbca" },
	{ __NR_vmsplice, "wt1n" }, { __NR_vmsplice, "rt1n" },
	{ __NR_process_vm_readv, "gi1t10" }, { __NR_process_vm_writev, "gi1t10" },
	{ __NR_mmap, "alpk", MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS },
	{ __NR_mmap, "alpk", MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS },
	{ __NR_ioctl, "ukR", UFFDIO_REGISTER }, { __NR_ioctl, "ukR", UFFDIO_UNREGISTER },
	{ __NR_ioctl, "ukR", UFFDIO_ZEROPAGE }, { __NR_ioctl, "ukR", UFFDIO_POISON },
	{ __NR_ioctl, "ukR", UFFDIO_WRITEPROTECT }, { __NR_ioctl, "ukC", UFFDIO_COPY },
};

static const struct call file_calls[] = {
	{ __NR_lseek, "fdx" }, { __NR_read, "fbc" }, { __NR_preadv2, "fi1d0x" },
	{ __NR_fadvise64, "fdlx" }, { __NR_readahead, "fdl" }, { __NR_sync_file_range, "fdlx" },
	{ __NR_fsync, "f" }, { __NR_syncfs, "f" }, { __NR_flock, "fx" },
	{ __NR_fcntl, "fkV", F_SETFL }, { __NR_fcntl, "fkv", F_ADD_SEALS },
	{ __NR_fcntl, "fkx", F_SETLEASE }, { __NR_fcntl, "fkV", F_NOTIFY },
	{ __NR_fcntl, "fkv", F_SETPIPE_SZ }, { __NR_fcntl, "fkv", F_SETSIG },
	{ __NR_ioctl, "fkb", FIGETBSZ }, { __NR_ioctl, "fkb", FIBMAP },
	{ __NR_ioctl, "fkb", FIONREAD }, { __NR_ioctl, "fkb", FIOASYNC },
	{ __NR_ioctl, "fkb", FIOQSIZE }, { __NR_ioctl, "fkb", FIFREEZE },
	{ __NR_ioctl, "fks", FICLONE }, { __NR_ioctl, "fkb", FS_IOC_GETFLAGS },
	{ __NR_ioctl, "fkb", FS_IOC_FSGETXATTR }, { __NR_ioctl, "fkb", FS_IOC_SETFLAGS },
	{ __NR_fchmod, "fV", 0, true }, { __NR_fchown, "fvv", 0, true },
	{ __NR_utimensat, "f000", 0, true }, { __NR_fstat, "fb" }, { __NR_fstatfs, "fb" },
	{ __NR_statx, "fEkvb", AT_EMPTY_PATH }, { __NR_fgetxattr, "fNbv" },
	{ __NR_flistxattr, "fbv" }, { __NR_name_to_handle_at, "fEbbk", AT_EMPTY_PATH },
	{ __NR_cachestat, "fbb0" }, { __NR_splice, "r0s0Pn" },
	{ __NR_write, "fbv", 0, true }, { __NR_pwritev2, "fi1d0x", 0, true },
	{ __NR_ftruncate, "fd", 0, true }, { __NR_fallocate, "fxdl", 0, true },
	{ __NR_splice, "fOw0Pn", 0, true }, { __NR_splice, "r0fOPn", 0, true },
	{ __NR_sendfile, "wfOP", 0, true }, { __NR_sendfile, "sfOP", 0, true },
	{ __NR_sendfile, "fmOP", 0, true }, { __NR_copy_file_range, "fOs0P0", 0, true },
	{ __NR_copy_file_range, "sOf0P0", 0, true }, { __NR_copy_file_range, "fOf0P0", 0, true },
	{ __NR_fsetxattr, "fNbv0", 0, true }, { __NR_getdents64, "fbc", 0, true },
	{ __NR_fchdir, "f", 0, true }, { __NR_execveat, "fE00k", AT_EMPTY_PATH, true },
	{ __NR_linkat, "fEkN0", AT_FDCWD, true },
};

struct call_state {
	__u8 *at;
	loff_t offset;
	struct iovec here, there;
	__u64 uffdio[5];
};

static __u64 take_argument(const struct instance *i, const struct call *call, char kind,
			   struct call_state *state)
{
	const __u64 constants[128] = {
		['f'] = i->fd, ['m'] = mem, ['s'] = sink, ['r'] = pipes[0], ['w'] = pipes[1],
		['b'] = (__u64)buffer, ['P'] = PAGE, ['E'] = (__u64)"", ['N'] = (__u64)"user.a",
		['k'] = call->k, ['1'] = 1, ['i'] = (__u64)&state->here,
		['t'] = (__u64)&state->there, ['O'] = (__u64)&state->offset, ['g'] = self,
		['u'] = uffd, ['R'] = (__u64)state->uffdio, ['C'] = (__u64)state->uffdio,
	};
	unsigned int byte;
	__u64 length;

	switch (kind) {
	case 'a':
		state->at = take_address(i);
		return (__u64)state->at;
	case 'l':
		return within(state->at, take_length(i));
	case 'd':
		return take_offset(i);
	case 'O':
		state->offset = take(1) * 64;
		return state->offset & 64 ? 0 : constants['O'];
	case 'c':
		return take(1) * 64;
	case 'v':
		return take(1);
	case 'V':
		return take(1) << 8;
	case 'x':
		return take(1) & 31;
	case 'n':
		return (take(1) & 31) | SPLICE_F_NONBLOCK;
	case 'p':
		byte = take(1);	/* PROT_GROWSDOWN and PROT_GROWSUP too */
		return (byte & 15) | (byte & 48) << 20;
	case 'i':
		state->here = (struct iovec){ buffer, take(1) * 64 };
		break;
	case 't':
		state->there.iov_base = take_address(i);
		state->there.iov_len = take(1) * 64;
		break;
	case 'C':
		state->uffdio[1] = (__u64)buffer;
		fallthrough;
	case 'R':
		/* destination, if any source, length, mode */
		state->uffdio[0] = (__u64)take_address(i);
		length = within((__u8 *)state->uffdio[0], take_length(i));
		if (kind == 'C' && length > sizeof(buffer))
			length = PAGE;
		state->uffdio[kind == 'R' ? 1 : 2] = length;
		state->uffdio[kind == 'R' ? 2 : 3] = take(1) & 7;
		break;
	}
	return constants[(int)kind];
}

static void make_call(const struct instance *i, const struct call *call)
{
	struct call_state state = { .at = (__u8 *)ARENA };
	__u64 args[6] = {};

	for (unsigned int n = 0; call->args[n]; n++)
		args[n] = take_argument(i, call, call->args[n], &state);
	if (call->nr == __NR_mseal && !child)
		return;		/* for ever */
	if (syscall(call->nr, args[0], args[1], args[2], args[3], args[4], args[5]) >= 0 &&
	    call->refused)
		fail("system call %d (%s) is granted", call->nr, call->args);
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
		fail("the link of the descriptor is another");
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
		fail("pread(%llx, %llx) returned %zd, or other code", length, offset, n);
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
		fail("granted: " #call);				\
} while (0)

/* The promises */

static const struct instance *instance_of(const struct procmap_query *vma)
{
	for (unsigned int i = 0; i < nr_instances; i++)
		if (instances[i].ino == vma->inode &&
		    makedev(vma->dev_major, vma->dev_minor) == instances[i].dev)
			return &instances[i];
	return NULL;
}

/* Call the trampoline of x86_64 @code, if a slot can be filled where it wants one. */
static void check_call(const struct trampfd_create_args *args, __u8 *code)
{
	struct trampfd_slot64 *slot = (void *)(code + args->table_offset);
	struct trampfd_slot64 fill = {
		.data = ~(__u64)code,
		.code = (__u64)(return_reg + 8 * (args->data_reg - TRAMPFD_REG(0))),
	};
	__u64 (*call)(const __u8 *code) = (void *)call_saving_all;
	int signal, differs = 1;
	static __u64 got;	/* in no register, which longjmp() might restore */

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
		fail("a call ended with signal %d, or returned %llx", signal, got);
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
		fail("signal %d at offset %llx, or other code", signal, offset);
	if (signal || !(vma->vma_flags & PROCMAP_QUERY_VMA_EXECUTABLE))
		return;
	/* The first trampoline and the last */
	for (__u64 at = 0; at < PAGE; at += last ?: PAGE)
		check_call(&i->args, page + at);
}

/*
 * What begins in the table can be a mapping of code that has lost its beginning:
 * it may be executable, but nothing is there.  A table may be neither.
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
				fail("the kernel complains: %s", line);
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
		fail("/proc cannot be used: errno %d", errno);
}

static void run(void);

/* By far the slowest */
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
		/* None of these are its own. */
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
		fail("status %x of a child", status);
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
		fail("a descriptor is left");
	close(first_fd);
}

/* The coverage of this execution */
static void pass_on(void)
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

/* Should the kernel kill this program, the input stays there. */
static void keep(const __u8 *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/tmp/fuzz/running", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (ftruncate(fd, size) || pwrite(fd, data, size, 0) != (ssize_t)size)
		fail("an input cannot be kept: errno %d", errno);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	static long grown;
	long before, growth;
	unsigned int times = 0;

	keep(data, size);
	if (!first_fd) {
		first_fd = dup(maps);
		close(first_fd);
	}
	/*
	 * An inode may be there to stay because it is cached, but not one more
	 * each time.
	 */
	do {
		before = nr_inodes();
		__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
		in = data;
		in_end = data + size;
		run();
		pass_on();
		tidy();
		growth = nr_inodes() - before;
		grown += growth;
	} while (growth > 0 && ++times < 5);
	if (times == 5 || grown > 500)
		fail("inodes are left: %ld now, %ld in all", growth, grown);
	check_kernel_log();
	return 0;
}

/* Which places of the kernel were reached; harness/fuzz/fuzz.sh says what they are. */
static void list_seen(void)
{
	FILE *file = fopen("/tmp/fuzz/pcs", "w");

	for (__u64 pc = 0; file && pc < TEXT_SIZE; pc++)
		if (seen[pc])
			fprintf(file, "%llx\n", TEXT + pc);
	if (!file || fclose(file))
		fail("the coverage cannot be written");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_NODEFER | SA_SIGINFO };
	struct uffdio_api api = {
		.api = UFFD_API,
		/* A fault that nobody answers is not to be waited for. */
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
		fail("this kernel lacks something: errno %d", errno);
	mmap((void *)FRAME, FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, frame, 0);
	mmap((void *)FRAME_READONLY, FRAME_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, frame, 0);

	if (ioctl(kcov, KCOV_INIT_TRACE, COVER_SIZE))
		fail("no KCOV: errno %d", errno);
	cover = mmap(NULL, COVER_SIZE * sizeof(*cover), PROT_READ | PROT_WRITE, MAP_SHARED,
		     kcov, 0);
	if (cover == MAP_FAILED || ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		fail("KCOV cannot be used: errno %d", errno);
	atexit(list_seen);
	return 0;
}
