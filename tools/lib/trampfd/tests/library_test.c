// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: what trampfd.h promises, of each backend.
 *
 * On a kernel without trampfd, the tests of the kernel's trampolines are
 * skipped.
 */
#include <ftw.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/vfs.h>

#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>

#include "common.h"
#include "gcc.h"
#include "trampfd.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE			65
#define PR_MDWE_REFUSE_EXEC_GAIN	1
#endif

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

#define MILLION		1000000
#define FORKS		200
#define SOME		10000	/* several instances, whatever the ABI and the backend */

/* Seconds, for each test: emulators are slow, on busy hosts slower. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	600

/* What takes longest, less of it with QUICK: an emulator translates each trampoline. */
#define QUICK		"--quick"

static unsigned int nr_many = MILLION, nr_forks = FORKS;

static unsigned long run(void *trampoline)
{
	return ((unsigned long (*)(void))trampoline)();
}

static void *alloc(struct trampfd_pool *pool, unsigned long data)
{
	return trampfd_alloc(pool, abi_return_data, (void *)data);
}

/* Lines of /proc/self/maps, all or those with @prot at least */
static int mappings(const char *prot)
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

/* Bytes that are mapped of files of the kernel's trampolines */
static size_t trampfd_mapped(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	size_t size = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "[trampfd]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			size += end - start;
	}
	if (f)
		fclose(f);
	return size;
}

/* Mappings that the library can have made */
static int library_mappings(void)
{
	return mappings(IS_SANITIZED ? "x" : "");
}

/* splitmix64: the same on every machine */
static uint32_t random_below(uint64_t *state, uint32_t limit)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z >> 33) % limit;
}

/*
 * For the calling thread, from now on: do @action, with @flags of seccomp(2), at
 * the system call @nr, if of its argument @arg the bits of @mask are @bits.
 */
static int filter(int nr, int arg, unsigned int mask, unsigned int bits, unsigned int action,
		  unsigned int flags)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[arg])),
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

static int forbid(int nr, int error)
{
	return filter(nr, 0, 0, 0, SECCOMP_RET_ERRNO | error, 0);
}

#ifndef __NR_mmap2
#define __NR_mmap2	__NR_mmap
#endif

/* At what the library maps for itself: tables go to addresses that it knows. */
static int filter_own_memory(unsigned int action, unsigned int flags)
{
	return filter(__NR_mmap2, 3, MAP_ANONYMOUS | MAP_FIXED, MAP_ANONYMOUS, action, flags);
}

/* What the kernel's trampolines of the default pool are; whether it has any */
static bool kernel_geometry(struct trampfd_create_args *args)
{
	int fd;

	memset(args, 0, sizeof(*args));
	fd = trampfd_create(args, sizeof(*args));
	close(fd);
	return fd >= 0;
}

static bool kernel_has_trampolines(void)
{
	struct trampfd_create_args args;

	return kernel_geometry(&args);
}

static struct trampfd_pool *create(unsigned int mode, unsigned int data_reg)
{
	struct trampfd_pool_attr attr = { .mode = mode, .data_reg = data_reg };

	return trampfd_pool_create(&attr);
}

FIXTURE(each) {
	int unused;
};

FIXTURE_VARIANT(each) {
	enum trampfd_backend backend;
};

FIXTURE_VARIANT_ADD(each, kernel) { TRAMPFD_BACKEND_KERNEL };
FIXTURE_VARIANT_ADD(each, library) { TRAMPFD_BACKEND_LIBRARY };

FIXTURE_SETUP(each)
{
	if (variant->backend == TRAMPFD_BACKEND_KERNEL && !kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	ASSERT_EQ(0, trampfd_set_backend(variant->backend));
}

FIXTURE_TEARDOWN(each)
{
	EXPECT_EQ(0, mappings("wx"));
}

TEST_F(each, backend_that_is_asked_for_is_used)
{
	struct trampfd_pool_attr attr = { .backend = variant->backend };
	struct trampfd_pool *pool;

	EXPECT_EQ(variant->backend, trampfd_pool_backend(NULL));
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_KERNEL + TRAMPFD_BACKEND_LIBRARY -
					 variant->backend));
	pool = trampfd_pool_create(&attr);
	ASSERT_NE(NULL, pool);
	EXPECT_EQ(variant->backend, trampfd_pool_backend(pool));
}

/* Of one register: how many are not as a trampoline of @mode is to leave them */
static int probe(struct __test_metadata *_metadata, struct trampfd_pool *pool,
		 const struct abi_mode *mode, int data, int scratch)
{
	unsigned long value = 0xdeadbeef, want;
	void *t = trampfd_alloc(pool, abi_probe_target, (void *)value);
	const struct abi_reg *r;
	int wrong = 0;

	memset(&abi_probe_in, 0x35, sizeof(abi_probe_in));
	memset(&abi_probe_out, 0, sizeof(abi_probe_out));
	abi_probe_in.flags = 0;
	abi_probe_entry = (unsigned long)t;
	abi_probe_drop = mode->mode == TRAMPFD_MODE_PUSH;
	abi_probe();
	for (r = abi_regs; r->name; r++) {
		if (r->dwarf == scratch)
			continue;
		want = abi_probe_in.regs[r->dwarf];
		if (r->dwarf == data)
			want = mode->mode == TRAMPFD_MODE_DATA ? value :
			       (unsigned long)trampfd_slot(t);
		if (abi_probe_out.regs[r->dwarf] != want) {
			TH_LOG("%s, data register %d: %s is %#lx, want %#lx", mode->name, data,
			       r->name, abi_probe_out.regs[r->dwarf], want);
			wrong++;
		}
	}
	trampfd_free(t);
	return wrong;
}

/* The library has those that trampfd.h says; the kernel has all. */
static const char *library_has(void)
{
#if defined(__x86_64__)
	return "DATA r10 rdi rsi rdx rcx r8 r9 SLOT r10 ";
#elif defined(__i386__)
	return "DATA ecx eax SLOT ecx eax PUSH eax ";
#elif defined(__aarch64__)
	return "DATA x17 x18 x0 x1 x2 x3 x4 x5 x6 x7 SLOT x17 x18 ";
#elif defined(__arm__)
	return "DATA r12 r0 r1 r2 r3 SLOT r12 ";
#elif defined(__riscv)
	return "DATA t3 t2 a0 a1 a2 a3 a4 a5 a6 a7 SLOT t3 ";
#endif
}

static bool is_listed(const char *list, const char *mode, const char *reg)
{
	const char *at = strstr(list, mode) + 5;
	size_t len = strlen(reg);

	/* Modes are in capitals. */
	for (; *at && !(*at >= 'A' && *at <= 'Z'); at += strcspn(at, " ") + 1)
		if (!strncmp(at, reg, len) && at[len] == ' ')
			return true;
	return false;
}

TEST_F(each, every_register_and_mode_works)
{
	bool library = variant->backend == TRAMPFD_BACKEND_LIBRARY;
	const struct abi_mode *mode;
	const struct abi_reg *r;
	struct trampfd_pool *pool;
	int scratch, tried = 0;

	for (mode = abi_modes; mode->name; mode++) {
		for (r = abi_regs; r->name; r++) {
			errno = 0;
			pool = create(mode->mode, TRAMPFD_REG(r->dwarf));
			if (library && !is_listed(library_has(), mode->name, r->name)) {
				EXPECT_EQ(NULL, pool);
				EXPECT_EQ(EOPNOTSUPP, errno);
				continue;
			}
			ASSERT_NE(NULL, pool) {
				TH_LOG("%s %s: %s", mode->name, r->name, strerror(errno));
			}
			scratch = mode->scratch_reg - TRAMPFD_REG(0);
			if (scratch == r->dwarf)
				scratch = mode->data_reg - TRAMPFD_REG(0);
			EXPECT_EQ(0, probe(_metadata, pool, mode, r->dwarf, scratch));
			trampfd_pool_destroy(pool);
			tried++;
		}
		pool = create(mode->mode, 0);
		ASSERT_NE(NULL, pool);
		EXPECT_EQ(0, probe(_metadata, pool, mode, mode->data_reg - TRAMPFD_REG(0),
				   mode->scratch_reg - TRAMPFD_REG(0)));
		trampfd_pool_destroy(pool);
	}
	EXPECT_GE(tried, 5);
}

TEST_F(each, each_trampoline_has_its_own_slot)
{
	void **t = calloc(SOME, sizeof(*t));
	unsigned long i, wrong = 0;

	for (i = 0; i < SOME; i++) {
		t[i] = alloc(NULL, i);
		ASSERT_NE(NULL, t[i]);
	}
	for (i = 0; i < SOME; i++)
		wrong += run(t[i]) != i || !trampfd_is_trampoline(t[i]);
	EXPECT_EQ(0, wrong);
}

TEST_F(each, allocated_and_freed_in_any_order)
{
	enum { NR = 5000, STEPS = 200000 };
	void **t = calloc(NR, sizeof(*t));
	unsigned long wrong = 0;
	uint64_t random = 1;
	unsigned int i, step;

	for (step = 0; step < STEPS; step++) {
		i = random_below(&random, NR);
		if (t[i]) {
			wrong += run(t[i]) != i;
			trampfd_free(t[i]);
			t[i] = NULL;
		} else {
			t[i] = alloc(NULL, i);
			ASSERT_NE(NULL, t[i]);
		}
	}
	for (i = 0; i < NR; i++)
		wrong += t[i] && run(t[i]) != i;
	EXPECT_EQ(0, wrong);
}

TEST_F(each, set_and_slot)
{
	void *t = alloc(NULL, 1);
	char *foreign = (char *)&foreign;

	ASSERT_NE(NULL, t);
	EXPECT_EQ(0, trampfd_set(t, abi_return_data, (void *)2));
	EXPECT_EQ(2, run(t));
	trampfd_slot(t)->data = (void *)3;
	EXPECT_EQ(3, run(t));
	EXPECT_EQ(-1, trampfd_set(t, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(3, run(t));
	EXPECT_EQ(NULL, trampfd_alloc(NULL, NULL, NULL));
	errno = 0;
	EXPECT_EQ(-1, trampfd_set(foreign, abi_return_data, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, trampfd_slot(foreign));
}

TEST_F(each, nothing_else_is_a_trampoline)
{
	char *t = alloc(NULL, 1);
	int i;

	ASSERT_NE(NULL, t);
	EXPECT_EQ(1, trampfd_is_trampoline(t));
	for (i = 1; i < 8; i++)
		EXPECT_EQ(0, trampfd_is_trampoline(t + i));
	EXPECT_EQ(0, trampfd_is_trampoline(trampfd_slot(t)));
	EXPECT_EQ(0, trampfd_is_trampoline(NULL));
	EXPECT_EQ(0, trampfd_is_trampoline(&t));
	EXPECT_EQ(0, trampfd_is_trampoline(abi_return_data));
	EXPECT_EQ(0, trampfd_is_trampoline((void *)-4096L));
	EXPECT_EQ(0, trampfd_is_trampoline((void *)((uintptr_t)t ^ 1UL << (8 * sizeof(long) - 2))));
}

TEST_F(each, freed_trampoline_crashes)
{
	void *t = alloc(NULL, 1);

	ASSERT_EQ(1, run(t));
	trampfd_free(t);
	EXPECT_EQ(SIGSEGV, signal_of(call, t));
}

static void free_it(void *t)
{
	/* No message in the midst of the test's output */
	close(STDERR_FILENO);
	trampfd_free(t);
}

TEST_F(each, wrong_free_aborts)
{
	char *t = alloc(NULL, 1);

	trampfd_free(NULL);
	EXPECT_EQ(SIGABRT, signal_of(free_it, &t));
	EXPECT_EQ(SIGABRT, signal_of(free_it, t + 4));
	EXPECT_EQ(0, signal_of(free_it, t));
	trampfd_free(t);
	EXPECT_EQ(SIGABRT, signal_of(free_it, t));
}

TEST_F(each, free_keeps_errno)
{
	static void *t[SOME];
	int i;

	for (i = 0; i < SOME; i++)
		t[i] = alloc(NULL, i);
	ASSERT_EQ(0, forbid(__NR_munmap, EPERM));
	errno = 0;
	for (i = 0; i < SOME; i++)
		trampfd_free(t[i]);
	EXPECT_EQ(0, errno);
}

/* As trampfd.h says */
static size_t slot_size(enum trampfd_backend backend, const struct abi_mode *mode)
{
	if (backend == TRAMPFD_BACKEND_KERNEL)
		return mode->min_stride;
	return abi_native == TRAMPFD_ABI_ARM && mode->mode == TRAMPFD_MODE_SLOT ?
	       4 * sizeof(long) : 2 * sizeof(long);
}

TEST_F(each, slots_are_as_near_as_can_be)
{
	enum { NR = 20 };
	const struct abi_mode *mode;
	struct trampfd_pool *pool;
	size_t distance, nearest;
	char *slots[NR];
	int i, j;

	for (mode = abi_modes; mode->name; mode++) {
		pool = create(mode->mode, 0);
		ASSERT_NE(NULL, pool);
		nearest = SIZE_MAX;
		for (i = 0; i < NR; i++) {
			slots[i] = (char *)trampfd_slot(alloc(pool, i));
			for (j = 0; j < i; j++) {
				distance = labs(slots[i] - slots[j]);
				if (distance < nearest)
					nearest = distance;
			}
		}
		EXPECT_EQ(slot_size(variant->backend, mode), nearest) TH_LOG("%s", mode->name);
	}
}

TEST(first_trampoline_maps_a_page_of_code_and_of_table)
{
	if (!kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_KERNEL));
	ASSERT_NE(NULL, alloc(NULL, 1));
	EXPECT_EQ(2 * page_size(), trampfd_mapped());
}

/* Kilobytes of this process's own memory and of the kernel's for it */
struct cost {
	long anonymous, tables, slab, mappings;
};

static struct cost cost_now(void)
{
	return (struct cost){
		.anonymous = read_field("/proc/self/status", "RssAnon"),
		.tables = read_field("/proc/self/status", "VmPTE"),
		.slab = read_field("/proc/meminfo", "Slab"),
		.mappings = mappings(""),
	};
}

/* Objects of the kernel are several times as large then (Documentation/mm/slub.rst). */
static bool slabs_are_debugged(void)
{
	FILE *f = fopen("/sys/kernel/slab/vm_area_struct/red_zone", "r");
	bool debugged = f && fgetc(f) == '1';

	if (f)
		fclose(f);
	return debugged;
}

TEST_F(each, million_trampolines_cost_their_slots_and_little_more)
{
	long slot = slot_size(variant->backend, &abi_modes[0]), page = page_size(), total;
	/* The library's own memory: its list of instances, and the tree to find one */
	long own = nr_many / 4 + 16 * page;
	bool kernel = variant->backend == TRAMPFD_BACKEND_KERNEL;
	struct trampfd_create_args geometry;
	unsigned long max, instances;
	static void *t[MILLION]; /* touched before it is measured */
	struct cost before, after, end;
	unsigned long i, j, wrong = 0;
	uint64_t random = 1;
	void *swap;
	int code;

	/* The library's tables are of 4096 bytes each. */
	if (!kernel)
		slot *= page / 4096;
	memset(t, 1, sizeof(t));
	trampfd_free(alloc(NULL, 1));
	code = mappings("x");
	before = cost_now();
	for (i = 0; i < nr_many; i++) {
		t[i] = alloc(NULL, i);
		ASSERT_NE(NULL, t[i]) {
			TH_LOG("trampoline %lu: %s", i, strerror(errno));
		}
	}
	after = cost_now();
	for (i = 0; i < nr_many; i++)
		wrong += run(t[i]) != i;
	EXPECT_EQ(0, wrong);

	after.anonymous -= before.anonymous;
	after.tables -= before.tables;
	after.slab -= before.slab;
	after.mappings -= before.mappings;
	total = after.anonymous + after.tables + (slabs_are_debugged() ? 0 : after.slab);
	TH_LOG("each: %.2f bytes of memory, %.2f of page tables, %.2f of slab; VMAs in all: %ld",
	       after.anonymous * 1024.0 / nr_many, after.tables * 1024.0 / nr_many,
	       after.slab * 1024.0 / nr_many, after.mappings);
	EXPECT_LE(total * 1024, (slot + (kernel ? 1 : 20)) * nr_many + own);
	EXPECT_LE(after.anonymous * 1024, (slot + (kernel ? 0 : 2)) * nr_many + own);
	if (kernel) {
		ASSERT_TRUE(kernel_geometry(&geometry));
		/* Of doubling size until there are as many as the largest has */
		max = geometry.table_size / geometry.stride;
		instances = __builtin_ctzl(geometry.table_size / page) + (nr_many - 1) / max + 1;
		EXPECT_LE(after.mappings, 2 * instances + 4);
	}

	/* Freed in random order, they do not stay. */
	for (i = nr_many - 1; i; i--) {
		j = random_below(&random, i + 1);
		swap = t[i];
		t[i] = t[j];
		t[j] = swap;
	}
	for (i = 0; i < nr_many; i++)
		trampfd_free(t[i]);
	end = cost_now();
	TH_LOG("all freed: %ld kB of memory and %ld VMAs are left, %d of them code",
	       end.anonymous - before.anonymous, end.mappings - before.mappings,
	       mappings("x") - code);
	EXPECT_LE(mappings("x") - code, 2);
	EXPECT_LE(end.mappings - before.mappings, 64);
	EXPECT_LE(end.anonymous - before.anonymous, 4096);
	EXPECT_LE((end.anonymous - before.anonymous) * 1024,
		  kernel ? (long)geometry.table_size + own : slot * nr_many / 2);
	EXPECT_EQ(5, run(alloc(NULL, 5)));
}

TEST_F(each, slots_are_used_again)
{
	void *first[100], *t;
	int i, j, n;

	for (i = 0; i < 100; i++)
		first[i] = alloc(NULL, i);
	n = library_mappings();
	for (j = 0; j < SOME; j++) {
		for (i = 0; i < 100; i++)
			trampfd_free(first[i]);
		for (i = 0; i < 100; i++)
			first[i] = alloc(NULL, i);
	}
	EXPECT_EQ(n, library_mappings());
	t = alloc(NULL, 1);
	trampfd_free(t);
	EXPECT_EQ(t, alloc(NULL, 1));
}

TEST_F(each, pool_leaves_nothing_behind)
{
	struct trampfd_pool *pool;
	int i, j, n = 0, fd = next_fd();
	long size = 0;

	for (i = 0; i < 100; i++) {
		pool = create(TRAMPFD_MODE_SLOT, 0);
		ASSERT_NE(NULL, pool);
		for (j = 0; j < 3000; j++)
			ASSERT_NE(NULL, alloc(pool, j));
		trampfd_pool_destroy(pool);
		/* What the first leaves is the library's own. */
		if (i == 1) {
			n = library_mappings();
			size = read_field("/proc/self/status", "VmSize");
		}
	}
	EXPECT_EQ(n, library_mappings());
	if (!IS_SANITIZED)
		EXPECT_EQ(size, read_field("/proc/self/status", "VmSize"));
	EXPECT_EQ(fd, next_fd());
}

TEST_F(each, destroyed_pool_has_no_trampolines)
{
	struct trampfd_pool *pool = create(TRAMPFD_MODE_DATA, 0);
	void *t = alloc(pool, 1);

	ASSERT_EQ(1, run(t));
	trampfd_pool_destroy(pool);
	EXPECT_EQ(0, trampfd_is_trampoline(t));
	EXPECT_EQ(-1, trampfd_set(t, abi_return_data, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(SIGSEGV, signal_of(call, t));
}

TEST_F(each, pool_of_nonsense_is_refused)
{
	struct trampfd_pool_attr attr = { .reserved = { 0, 0, 0, 0, 1 } };

	EXPECT_EQ(NULL, trampfd_pool_create(&attr));
	EXPECT_EQ(EINVAL, errno);
	attr = (struct trampfd_pool_attr){ .mode = 99 };
	EXPECT_EQ(NULL, trampfd_pool_create(&attr));
	EXPECT_EQ(EINVAL, errno);
	attr = (struct trampfd_pool_attr){ .backend = 3 };
	EXPECT_EQ(NULL, trampfd_pool_create(&attr));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(NULL, create(0, TRAMPFD_REG(abi_stack_pointer)));
	EXPECT_EQ(variant->backend == TRAMPFD_BACKEND_KERNEL ? EINVAL : EOPNOTSUPP, errno);
	EXPECT_EQ(-1, trampfd_set_backend(3));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(each, works_where_no_executable_memory_can_be_made)
{
	unsigned long i, wrong = 0;

	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		SKIP(return, "no PR_SET_MDWE: %s", strerror(errno));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (i = 0; i < SOME; i++)
		wrong += run(alloc(NULL, i)) != i;
	EXPECT_EQ(0, wrong);
}

TEST_F(each, malloc_is_not_used)
{
	struct trampfd_pool *pool;
	struct mallinfo2 before;
	int i;

	free(malloc(1));
	before = mallinfo2();
	pool = create(TRAMPFD_MODE_SLOT, 0);
	for (i = 0; i < SOME; i++)
		alloc(pool, i);
	trampfd_pool_destroy(pool);
	for (i = 0; i < SOME; i++)
		alloc(NULL, i);
	EXPECT_EQ(before.uordblks, mallinfo2().uordblks);
}

/* Threads that pass trampolines to each other */
#define PLACES		512

struct work {
	void *places[PLACES];
	struct trampfd_pool *pool;
	unsigned int steps;
	unsigned long wrong;
	bool stop;
};

static void *work(void *arg)
{
	static uint64_t seed;
	uint64_t random = __atomic_fetch_add(&seed, 1, __ATOMIC_RELAXED) << 32;
	struct work *w = arg;
	unsigned int step, i;
	void *t;

	for (step = 0; step < w->steps && !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); step++) {
		i = random_below(&random, PLACES);
		t = step & 1 ? NULL : alloc(w->pool, i);
		t = __atomic_exchange_n(&w->places[i], t, __ATOMIC_ACQ_REL);
		if (!t)
			continue;
		if (run(t) != i || !trampfd_is_trampoline(t))
			__atomic_add_fetch(&w->wrong, 1, __ATOMIC_RELAXED);
		trampfd_free(t);
	}
	return NULL;
}

#ifndef THREAD_STEPS	/* fewer where each takes longer */
#define THREAD_STEPS	30000
#endif

TEST_F(each, threads_use_the_same_pool)
{
	struct work w = { .steps = THREAD_STEPS };
	pthread_t threads[8];
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work, &w));
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, w.wrong);
}

static int use_after_fork(void *arg)
{
	struct work *w = arg;
	struct trampfd_pool *pool;
	unsigned long i, wrong = 0;
	void *t[200];

	alarm(120); /* if a lock was left held */
	for (i = 0; i < 200; i++) {
		t[i] = alloc(w->pool, i);
		wrong += run(t[i]) != i;
	}
	for (i = 0; i < 200; i++)
		trampfd_free(t[i]);
	pool = create(TRAMPFD_MODE_SLOT, 0);
	wrong += !pool || !alloc(pool, 1);
	return !!wrong;
}

/* So many at once that the pool's lock is taken again and again */
static void *work_in_bursts(void *arg)
{
	struct work *w = arg;
	void *t[500];
	int i;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < 500; i++)
			t[i] = alloc(w->pool, i);
		for (i = 0; i < 500; i++)
			trampfd_free(t[i]);
	}
	return NULL;
}

/* And those of all pools, and of the library's memory */
static void *work_with_pools(void *arg)
{
	struct work *w = arg;
	struct trampfd_pool *pool;
	int i;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		pool = create(TRAMPFD_MODE_SLOT, 0);
		for (i = 0; i < 1000; i++)
			trampfd_pool_backend(w->pool);
		trampfd_pool_destroy(pool);
	}
	return NULL;
}

TEST_F(each, fork_while_threads_allocate)
{
	void *(*const kinds[])(void *) = { work, work_in_bursts, work_with_pools };
	struct work w = { .steps = -1 };
	pthread_t threads[ARRAY_SIZE(kinds)];
	int i, bad = 0;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, kinds[i], &w));
	for (i = 0; i < nr_forks && !bad; i++)
		bad += in_child(use_after_fork, &w) != 0;
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, bad);
	EXPECT_EQ(0, w.wrong);
}

/*
 * A thread that is held in a system call, while it has the lock of the pool and
 * that of the library's memory, and no trampolines at hand
 */
static void *grow_and_be_held(void *arg)
{
	int *listener = arg;
	int fd = filter_own_memory(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	__atomic_store_n(listener, fd, __ATOMIC_RELEASE);
	if (fd >= 0)
		trampfd_pool_backend(NULL);
	return NULL;
}

/* It, and in its further calls, until it ends */
static void *let_go_later(void *arg)
{
	struct pollfd held = { .fd = *(int *)arg, .events = POLLIN };
	struct seccomp_notif_resp go_on;
	struct seccomp_notif call;

	usleep(300000);
	while (poll(&held, 1, -1) == 1 && held.revents & POLLIN) {
		memset(&call, 0, sizeof(call));
		if (ioctl(held.fd, SECCOMP_IOCTL_NOTIF_RECV, &call))
			break;
		go_on = (struct seccomp_notif_resp){
			.id = call.id,
			.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
		};
		ioctl(held.fd, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
	}
	return NULL;
}

TEST_F(each, fork_while_a_pool_grows)
{
	struct pollfd held = { .events = POLLIN };
	pthread_t grows, lets_go;
	struct work w = {};
	int listener = -2;

	ASSERT_EQ(0, pthread_create(&grows, NULL, grow_and_be_held, &listener));
	while ((held.fd = __atomic_load_n(&listener, __ATOMIC_ACQUIRE)) == -2)
		sched_yield();
	ASSERT_LE(0, held.fd);
	ASSERT_EQ(1, poll(&held, 1, -1));
	ASSERT_EQ(0, pthread_create(&lets_go, NULL, let_go_later, &held.fd));
	EXPECT_EQ(0, in_child(use_after_fork, &w));
	pthread_join(grows, NULL);
	pthread_join(lets_go, NULL);
	close(held.fd);
}

static int change_slot(void *t)
{
	trampfd_set(t, abi_return_data, (void *)2);
	return run(t);
}

TEST_F(each, fork_gives_the_child_slots_of_its_own)
{
	void *t = alloc(NULL, 1);

	EXPECT_EQ(2, in_child(change_slot, t));
	EXPECT_EQ(1, run(t));
}

static int is_another(void *t)
{
	return alloc(NULL, 1) != t;
}

TEST_F(each, fork_keeps_what_is_at_hand)
{
	void *t = alloc(NULL, 1);

	trampfd_free(t);
	EXPECT_EQ(0, in_child(is_another, t));
	EXPECT_EQ(t, alloc(NULL, 1));
}

/* A thread that allocates and frees, and is stopped again and again */
static unsigned long stopped, go_on;

static void stop(int sig)
{
	unsigned long n = __atomic_add_fetch(&stopped, 1, __ATOMIC_RELEASE);

	(void)sig;
	while (__atomic_load_n(&go_on, __ATOMIC_ACQUIRE) < n)
		sched_yield();
}

/* So many that a thread that has one more, or one less, does not need the pool */
static void have_some_at_hand(void)
{
	void *t[40];
	int i;

	for (i = 0; i < 40; i++)
		t[i] = alloc(NULL, 1);
	for (i = 0; i < 40; i++)
		trampfd_free(t[i]);
}

static void *pairs_until_stop(void *arg)
{
	struct work *w = arg;

	have_some_at_hand();
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		trampfd_free(alloc(NULL, 1));
		__atomic_store_n(&w->steps, w->steps + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int work_beside_a_stopped_thread(void *arg)
{
	struct work w = {};
	pthread_t thread;
	unsigned int steps;
	unsigned long i;
	int j;

	(void)arg;
	signal(SIGUSR1, stop);
	if (pthread_create(&thread, NULL, pairs_until_stop, &w))
		return 1;
	have_some_at_hand();
	/* Until those that meet have come apart */
	while (__atomic_load_n(&w.steps, __ATOMIC_ACQUIRE) < 1000)
		trampfd_free(alloc(NULL, 1));
	alarm(120); /* if the stopped thread holds us up */
	for (i = 1; i <= 50; i++) {
		pthread_kill(thread, SIGUSR1);
		while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		for (j = 0; j < 10; j++)
			trampfd_free(alloc(NULL, 1));
		steps = w.steps;
		__atomic_store_n(&go_on, i, __ATOMIC_RELEASE);
		/* Else it would be stopped where it is. */
		while (__atomic_load_n(&w.steps, __ATOMIC_ACQUIRE) == steps)
			sched_yield();
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return 0;
}

/* There is no lock for all in the way that is taken mostly. */
TEST_F(each, stopped_thread_holds_up_no_other)
{
	EXPECT_EQ(0, in_child(work_beside_a_stopped_thread, NULL));
}

static int work_without_system_calls(void *t)
{
	int i;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		return 1;
	for (i = 0; i < 1000; i++)
		trampfd_free(alloc(NULL, 1));
	trampfd_set(t, abi_return_data, (void *)2);
	syscall(__NR_exit, run(t) != 2);
	return 1;
}

TEST_F(each, no_system_call_once_there_are_some)
{
	void *t = alloc(NULL, 1);

	ASSERT_NE(NULL, t);
	EXPECT_EQ(0, in_child(work_without_system_calls, t));
}

/* Most of what is freed is not returned, lest it be asked for again at once. */
static int work_in_bursts_without_system_calls(void *arg)
{
	void **t = arg;
	int i, j;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		return 1;
	for (j = 0; j < 10; j++) {
		for (i = SOME * 6 / 10; i < SOME; i++)
			trampfd_free(t[i]);
		for (i = SOME * 6 / 10; i < SOME; i++)
			t[i] = alloc(NULL, i);
	}
	syscall(__NR_exit, 0);
	return 1;
}

TEST_F(each, no_system_call_while_half_is_in_use)
{
	static void *t[SOME];
	int i;

	for (i = 0; i < SOME; i++)
		t[i] = alloc(NULL, i);
	EXPECT_EQ(0, in_child(work_in_bursts_without_system_calls, t));
}

/* Allocate until it fails; how many, with what is to be freed in @t */
static int exhaust(void **t, int max)
{
	int n;

	for (n = 0; n < max; n++) {
		t[n] = alloc(NULL, n);
		if (!t[n])
			break;
	}
	return n;
}

/*
 * Threads that have come apart, each to trampolines at hand of its own, and
 * then put there what they are given to free
 */
#define FREERS		4
#define TO_FREE		20

struct freer {
	pthread_t thread;
	unsigned int steps;
	enum { WORKS, ENDS, WAITS, FREES } phase;
	void *t[TO_FREE];
};

static void *be_freer(void *arg)
{
	struct freer *f = arg;
	int i;

	have_some_at_hand();
	while (__atomic_load_n(&f->phase, __ATOMIC_ACQUIRE) == WORKS) {
		trampfd_free(alloc(NULL, 1));
		__atomic_store_n(&f->steps, f->steps + 1, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&f->phase, WAITS, __ATOMIC_RELEASE);
	while (__atomic_load_n(&f->phase, __ATOMIC_ACQUIRE) == WAITS)
		sched_yield();
	for (i = 0; i < TO_FREE; i++)
		trampfd_free(f->t[i]);
	return NULL;
}

static int start_freers(struct freer *freers)
{
	struct freer *f;

	for (f = freers; f < freers + FREERS; f++) {
		if (pthread_create(&f->thread, NULL, be_freer, f))
			return -1;
	}
	for (f = freers; f < freers + FREERS; f++) {
		while (__atomic_load_n(&f->steps, __ATOMIC_ACQUIRE) < 1000)
			trampfd_free(alloc(NULL, 1));
	}
	for (f = freers; f < freers + FREERS; f++) {
		__atomic_store_n(&f->phase, ENDS, __ATOMIC_RELEASE);
		while (__atomic_load_n(&f->phase, __ATOMIC_ACQUIRE) != WAITS)
			sched_yield();
	}
	return 0;
}

/* Some from everywhere in @t, where they are missing afterwards */
static void have_freed(struct freer *freers, void **t, int nr)
{
	struct freer *f;
	int i, at = 0;

	for (f = freers; f < freers + FREERS; f++) {
		for (i = 0; i < TO_FREE; i++, at += nr / (FREERS * TO_FREE)) {
			f->t[i] = t[at];
			t[at] = NULL;
		}
		__atomic_store_n(&f->phase, FREES, __ATOMIC_RELEASE);
	}
	for (f = freers; f < freers + FREERS; f++)
		pthread_join(f->thread, NULL);
}

TEST_F(each, what_threads_have_at_hand_does_not_keep_memory)
{
	struct freer freers[FREERS] = {};
	static void *t[SOME];
	int i, code;

	ASSERT_EQ(0, start_freers(freers));
	code = mappings("x");
	for (i = 0; i < SOME; i++)
		t[i] = alloc(NULL, i);
	have_freed(freers, t, SOME);
	for (i = 0; i < SOME; i++)
		trampfd_free(t[i]);
	EXPECT_LE(mappings("x") - code, 2);
}

TEST_F(each, what_a_thread_freed_is_there_for_others)
{
	bool kernel = variant->backend == TRAMPFD_BACKEND_KERNEL;
	struct freer freers[FREERS] = {};
	static void *t[SOME];
	int i, n;

	ASSERT_EQ(0, start_freers(freers));
	ASSERT_EQ(0, forbid(kernel ? __NR_trampfd_create : __NR_openat, EMFILE));
	n = exhaust(t, SOME);
	ASSERT_GE(n, FREERS * TO_FREE);
	ASSERT_LT(n, SOME);
	have_freed(freers, t, n);
	for (i = 0; i < FREERS * TO_FREE; i++)
		ASSERT_NE(NULL, alloc(NULL, i));
}

static void *use_and_end(void *arg)
{
	void *t[50];
	int i;

	(void)arg;
	for (i = 0; i < 50; i++)
		t[i] = alloc(NULL, i);
	for (i = 0; i < 50; i++)
		trampfd_free(t[i]);
	return NULL;
}

TEST_F(each, thread_that_ends_keeps_nothing)
{
	int i, j, code = mappings("x");
	pthread_t threads[4];

	for (i = 0; i < 200; i++) {
		for (j = 0; j < 4; j++)
			ASSERT_EQ(0, pthread_create(&threads[j], NULL, use_and_end, NULL));
		for (j = 0; j < 4; j++)
			pthread_join(threads[j], NULL);
	}
	/* Of 128, 128 and 256 at least, for 200 in use at once and those at hand */
	EXPECT_LE(mappings("x") - code, 3);
}

/* A handler that interrupts the library anywhere */
static void *signalled;
static unsigned long handled, handled_wrong;

static void handler(int sig)
{
	unsigned long data = __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);

	(void)sig;
	trampfd_set(signalled, abi_return_data, (void *)data);
	if (run(signalled) == data && trampfd_is_trampoline(signalled) &&
	    trampfd_slot(signalled)->data == (void *)data)
		return;
	__atomic_add_fetch(&handled_wrong, 1, __ATOMIC_RELAXED);
}

TEST_F(each, signal_handlers_call_trampolines)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	struct work w = { .steps = 1000 };

	signalled = alloc(NULL, 1);
	signal(SIGALRM, handler);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	while (__atomic_load_n(&handled, __ATOMIC_RELAXED) < 200)
		work(&w);
	EXPECT_EQ(0, __atomic_load_n(&handled_wrong, __ATOMIC_RELAXED));
	EXPECT_EQ(0, w.wrong);
}

TEST_F(each, without_descriptors_it_fails_and_recovers)
{
	struct rlimit none = { 0, 0 }, was;
	static void *t[SOME];
	unsigned long i, wrong = 0;
	int n, maps;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &was));
	none.rlim_max = was.rlim_max;
	ASSERT_NE(NULL, alloc(NULL, 1));
	maps = mappings("");
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	n = exhaust(t, SOME);
	EXPECT_EQ(EMFILE, errno);
	ASSERT_LT(n, SOME);
	EXPECT_EQ(NULL, alloc(NULL, 1));
	EXPECT_EQ(NULL, create(0, 0));
	EXPECT_EQ(EMFILE, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &was));
	EXPECT_EQ(maps, mappings(""));
	for (i = 0; i < (unsigned long)n; i++)
		wrong += run(t[i]) != i;
	EXPECT_EQ(0, wrong);
	ASSERT_NE(NULL, alloc(NULL, 1));
}

TEST_F(each, without_address_space_it_fails_and_recovers)
{
	struct rlimit limit, was;
	static void *t[MILLION];
	unsigned long i, wrong = 0;
	int n;

	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &was));
	ASSERT_NE(NULL, alloc(NULL, 1));
	limit = was;
	limit.rlim_cur = read_field("/proc/self/status", "VmSize") * 1024 + 0x100000;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	n = exhaust(t, MILLION);
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_LT(n, MILLION);
	EXPECT_EQ(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &was));
	for (i = 0; i < (unsigned long)n; i++)
		wrong += run(t[i]) != i;
	EXPECT_EQ(0, wrong);
	EXPECT_NE(NULL, alloc(NULL, 1));
	for (i = 0; i < (unsigned long)n; i++)
		trampfd_free(t[i]);
}

TEST_F(each, without_memory_of_its_own_it_keeps_nothing)
{
	static void *t[SOME];
	int i, n, maps;

	ASSERT_NE(NULL, alloc(NULL, 1));
	/*
	 * So that what comes next is far, and the tree needs another node for it;
	 * more at once would be aligned, and leave a gap
	 */
	for (i = 0; i < 64; i++)
		ASSERT_NE(MAP_FAILED, mmap(NULL, 1 << 20, PROT_NONE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ASSERT_EQ(0, filter_own_memory(SECCOMP_RET_ERRNO | ENOMEM, 0));
	n = exhaust(t, SOME);
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_LT(n, SOME);
	maps = mappings("");
	for (i = 0; i < 10; i++)
		EXPECT_EQ(NULL, alloc(NULL, i));
	EXPECT_EQ(maps, mappings(""));
}

/* The DWARF number of GCC's static chain */
static int chain_reg(void)
{
	switch (abi_native) {
	case TRAMPFD_ABI_ARM64:
		return 18;
	case TRAMPFD_ABI_RISCV64:
		return 7;
	default:
		return abi_modes[0].data_reg - TRAMPFD_REG(0);
	}
}

TEST_F(each, nested_functions_of_gcc)
{
	bool is_default = TRAMPFD_REG(chain_reg()) == abi_modes[0].data_reg;
	void *inner[3000], *outer, *other;
	unsigned long wrong = 0, i;

	/* A function whose nested function calls another with a nested function */
	__gcc_nested_func_ptr_created((void *)1, abi_return_data, &outer);
	for (i = 0; i < 3000; i++)
		__gcc_nested_func_ptr_created((void *)i, abi_return_data, &inner[i]);
	for (i = 0; i < 3000; i++)
		wrong += trampfd_slot(inner[i])->data != (void *)i;
	for (i = 0; is_default && i < 3000; i++)
		wrong += run(inner[i]) != i;
	EXPECT_EQ(0, wrong);
	for (i = 0; i < 3000; i++)
		__gcc_nested_func_ptr_deleted();
	EXPECT_EQ((void *)abi_return_data, trampfd_slot(outer)->code);
	EXPECT_EQ(NULL, trampfd_slot(inner[0])->code);
	__gcc_nested_func_ptr_created((void *)7, abi_probe_target, &other);
	memset(&abi_probe_out, 0, sizeof(abi_probe_out));
	abi_probe_entry = (unsigned long)other;
	abi_probe_drop = 0;
	abi_probe();
	EXPECT_EQ(7, abi_probe_out.regs[chain_reg()]);
	__gcc_nested_func_ptr_deleted();
	EXPECT_EQ(NULL, trampfd_slot(other)->code);
	__gcc_nested_func_ptr_deleted();
	EXPECT_EQ(NULL, trampfd_slot(outer)->code);
	EXPECT_EQ(SIGABRT, signal_of((void (*)(void *))__gcc_nested_func_ptr_deleted, NULL));
}

static void *leave_nested(void *arg)
{
	int i;

	for (i = 0; i < 3000; i++)
		__gcc_nested_func_ptr_created(NULL, abi_return_data, arg);
	return NULL;
}

TEST_F(each, nested_functions_end_with_their_thread)
{
	pthread_t thread;
	long memory = 0;
	int i, n = 0;
	void *last;

	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, leave_nested, &last));
		pthread_join(thread, NULL);
		if (i == 5) {
			n = mappings("x");
			memory = read_field("/proc/self/status", "VmData");
		}
	}
	EXPECT_EQ(n, mappings("x"));
	/* kB; the stacks of all that they leave would be twice as much at least */
	EXPECT_LE(read_field("/proc/self/status", "VmData") - memory, 256);
}

/* Which backend is taken when none is asked for */
FIXTURE(refusal) {
	int unused;
};

FIXTURE_VARIANT(refusal) {
	int error;
};

FIXTURE_VARIANT_ADD(refusal, EPERM) { EPERM };
FIXTURE_VARIANT_ADD(refusal, EACCES) { EACCES };
FIXTURE_VARIANT_ADD(refusal, EOPNOTSUPP) { EOPNOTSUPP };

FIXTURE_SETUP(refusal)
{
}

FIXTURE_TEARDOWN(refusal)
{
}

TEST_F(refusal, library_takes_the_place_of_the_kernel)
{
	struct trampfd_pool_attr attr = { .backend = TRAMPFD_BACKEND_KERNEL };
	unsigned long i, wrong = 0, before = 0;
	const struct abi_reg *other = abi_regs;
	static void *t[SOME];

	/* A sandbox that is entered later */
	if (kernel_has_trampolines()) {
		EXPECT_EQ(TRAMPFD_BACKEND_KERNEL, trampfd_pool_backend(NULL));
		for (; before < 100; before++)
			t[before] = alloc(NULL, before);
	}
	ASSERT_EQ(0, forbid(__NR_trampfd_create, variant->error));
	for (i = before; i < SOME; i++) {
		t[i] = alloc(NULL, i);
		ASSERT_NE(NULL, t[i]);
	}
	for (i = 0; i < SOME; i++)
		wrong += run(t[i]) != i;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(TRAMPFD_BACKEND_LIBRARY, trampfd_pool_backend(NULL));
	EXPECT_EQ(NULL, trampfd_pool_create(&attr));
	EXPECT_EQ(variant->error, errno);
	/* A register that the library does not have */
	while (is_listed(library_has(), "DATA", other->name))
		other++;
	EXPECT_EQ(NULL, create(TRAMPFD_MODE_DATA, TRAMPFD_REG(other->dwarf)));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(0, mappings("wx"));
	for (i = 0; i < SOME; i++)
		trampfd_free(t[i]);
}

TEST(exhaustion_is_no_reason_for_the_library)
{
	struct rlimit none = {}, was;

	if (!kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &was));
	none.rlim_max = was.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(NULL, alloc(NULL, 1));
	EXPECT_EQ(EMFILE, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &was));
	EXPECT_EQ(TRAMPFD_BACKEND_KERNEL, trampfd_pool_backend(NULL));
}

TEST(environment_chooses_the_backend)
{
	ASSERT_EQ(0, setenv("TRAMPFD_BACKEND", "library", 1));
	EXPECT_EQ(TRAMPFD_BACKEND_LIBRARY, trampfd_pool_backend(NULL));
}

TEST(environment_with_an_unknown_word_chooses_nothing)
{
	int automatic = kernel_has_trampolines() ? TRAMPFD_BACKEND_KERNEL : TRAMPFD_BACKEND_LIBRARY;

	ASSERT_EQ(0, setenv("TRAMPFD_BACKEND", "nonsense", 1));
	EXPECT_EQ(automatic, trampfd_pool_backend(NULL));
}

/* Says of a program that was executed whether it may choose by the environment. */
#define SAY_BACKEND	"--say-backend"

static int run_copy(void *path)
{
	if (setenv("TRAMPFD_BACKEND", "kernel", 1) || setgid(65534) || setuid(65534))
		return 100;
	execl(path, path, SAY_BACKEND, NULL);
	return 101;
}

/* "kernel" is an error that can be told on a kernel without and with trampfd. */
TEST(environment_is_ignored_with_more_privileges)
{
	char path[] = "/tmp/trampfd-XXXXXX";
	char buffer[65536];
	ssize_t n;
	int in, out;

	if (getuid() || IS_SHARED)
		SKIP(return, "needs root and a static program");
	in = open("/proc/self/exe", O_RDONLY);
	out = mkstemp(path);
	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		ASSERT_EQ(n, write(out, buffer, n));
	close(out);
	ASSERT_EQ(0, chmod(path, 0755));
	EXPECT_EQ(TRAMPFD_BACKEND_KERNEL, in_child(run_copy, path));
	ASSERT_EQ(0, chmod(path, 04755));
	EXPECT_EQ(TRAMPFD_BACKEND_AUTO, in_child(run_copy, path));
	unlink(path);
}

/* Where there is no file of the library's, nor /proc */
static int chroot_to_nothing(void)
{
	return chroot("/proc/self/fdinfo") || chdir("/") ? -1 : 0;
}

static unsigned int library_until(int error)
{
	unsigned long i;
	void *t;

	for (i = 0; i < SOME; i++) {
		t = alloc(NULL, i);
		if (!t)
			break;
		if (run(t) != i)
			return 0;
	}
	return errno == error ? i : 0;
}

TEST(first_trampolines_of_the_library_need_no_file)
{
	struct trampfd_pool *pool;
	unsigned int nr;

	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	ASSERT_EQ(0, chroot_to_nothing());
	nr = library_until(ENOENT);
	EXPECT_GE(nr, 256);
	EXPECT_LT(nr, SOME);
	/* And so do those of another kind, again when the first are no more. */
	pool = create(TRAMPFD_MODE_SLOT, 0);
	ASSERT_NE(NULL, pool);
	trampfd_pool_destroy(pool);
	EXPECT_NE(NULL, create(TRAMPFD_MODE_SLOT, 0));
	EXPECT_EQ(NULL, create(TRAMPFD_MODE_SLOT, 0));
	EXPECT_EQ(ENOENT, errno);
}

TEST(without_kernel_and_file_the_kernels_error_is_told)
{
	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, forbid(__NR_trampfd_create, EPERM));
	ASSERT_EQ(0, chroot_to_nothing());
	EXPECT_GE(library_until(EPERM), 256);
}

TEST(file_that_is_another_now_is_not_mapped)
{
	const char *name = (const char *)getauxval(AT_EXECFN);
	char directory[] = "/tmp/trampfd-XXXXXX";
	int fd, tmp = open("/tmp", O_PATH | O_DIRECTORY);

	if (getuid() || IS_SHARED || strrchr(name, '/') > name + 1)
		SKIP(return, "needs root and a static program, run as /PROGRAM or ./PROGRAM");
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	ASSERT_NE(NULL, mkdtemp(directory));
	ASSERT_EQ(0, chroot(directory));
	ASSERT_EQ(0, chdir("/"));
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 0x1000000));
	EXPECT_GE(library_until(ESTALE), 256);
	unlink(name);
	unlinkat(tmp, strrchr(directory, '/') + 1, AT_REMOVEDIR);
}

/* Allocate SOME: 0, the error, or 255 if anything else is wrong. */
static int error_of_growth(void)
{
	unsigned long i;
	void *t;

	for (i = 0; i < SOME; i++) {
		t = alloc(NULL, i);
		if (!t)
			return i < 256 ? 255 : errno;
		if (run(t) != i)
			return 255;
	}
	return 0;
}

static int find_library(struct dl_phdr_info *info, size_t size, void *name)
{
	if (!strstr(info->dlpi_name, "/libtrampfd.so"))
		return 0;
	*(const char **)name = info->dlpi_name;
	return 1;
}

/* The file with the library's text, as the library knows it without /proc */
static const char *library_name(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN);

	if (IS_SHARED)
		dl_iterate_phdr(find_library, &name);
	return name;
}

/* Copy what @from is open for to the file @name, with the directories that it needs. */
static int copy_to(int from, const char *name, uid_t owner, gid_t group, mode_t mode)
{
	char path[PATH_MAX], buffer[65536];
	off_t at = 0;
	ssize_t n;
	char *p;
	int to;

	snprintf(path, sizeof(path), "%s", name);
	for (p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
	while ((n = pread(from, buffer, sizeof(buffer), at)) > 0 && write(to, buffer, n) == n)
		at += n;
	/* The mode last: the others take away its bits. */
	if (n || fchown(to, owner, group) || fchmod(to, mode))
		return -1;
	return close(to);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

#define USER	12345	/* an ordinary one, and his group */

/*
 * A process that entered another root directory, where there is no procfs, and
 * may have become an ordinary user; a file with the library's text is there.
 */
FIXTURE(jail) {
	char directory[32];
	int from; /* what to copy */
};

FIXTURE_VARIANT(jail) {
	const char *name;	/* of the file; NULL: where the library was loaded from */
	uid_t owner;
	mode_t mode;
	bool false_maps;	/* a file /proc/self/maps that names it */
	uid_t user;		/* of the process */
	bool capable;		/* keeps its capabilities */
	bool dumpable;
	int error;		/* of growth; 0: it goes on */
};

FIXTURE_VARIANT_ADD(jail, file_of_root) { .mode = 0755 };

FIXTURE_VARIANT_ADD(jail, file_of_a_user) { .owner = USER, .mode = 0755, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, file_written_by_a_group) { .mode = 0775, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, file_written_by_all) { .mode = 0757, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, false_proc_exe) {
	.name = "/proc/self/exe", .owner = USER, .mode = 0755, .error = IS_SHARED ? ENOENT : EACCES
};

FIXTURE_VARIANT_ADD(jail, false_proc_maps) {
	.name = "/other", .owner = USER, .mode = 0755, .false_maps = true, .error = ENOENT
};

FIXTURE_VARIANT_ADD(jail, user_and_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .dumpable = true
};

FIXTURE_VARIANT_ADD(jail, user_who_may_not_trace_and_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_with_capabilities_and_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .capable = true, .dumpable = true,
	.error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_and_file_of_another) {
	.owner = USER + 1, .mode = 0755, .user = USER, .dumpable = true, .error = EACCES
};

FIXTURE_SETUP(jail)
{
	if (getuid())
		SKIP(return, "needs root");
	snprintf(self->directory, sizeof(self->directory), "/tmp/trampfd-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	ASSERT_EQ(0, chmod(self->directory, 0755));
	self->from = open(IS_SHARED ? library_name() : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->from);
}

FIXTURE_TEARDOWN(jail)
{
	nftw(self->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* At the library's text, where the first trampolines are */
static int write_false_maps(const char *name)
{
	void *t = alloc(NULL, 1);
	uintptr_t text = (uintptr_t)t;
	struct stat st;
	FILE *f;

	trampfd_free(t);
	if (stat(name, &st) || mkdir("/proc", 0755) || mkdir("/proc/self", 0755))
		return -1;
	f = fopen("/proc/self/maps", "w");
	if (!f)
		return -1;
	fprintf(f, "%lx-%lx r-xp 00000000 %02x:%02x %llu %s\n", (unsigned long)(text - 0x100000),
		(unsigned long)(text + 0x100000), major(st.st_dev), minor(st.st_dev),
		(unsigned long long)st.st_ino, name);
	return fclose(f);
}

struct jail_args {
	const FIXTURE_DATA(jail) * self;
	const FIXTURE_VARIANT(jail) * variant;
};

static int grow_in_jail(void *arg)
{
	const struct jail_args *a = arg;
	const char *name = a->variant->name ?: library_name();
	uid_t owner = a->variant->owner, user = a->variant->user;

	if (trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY) || chroot(a->self->directory) ||
	    chdir("/") || copy_to(a->self->from, name, owner, owner, a->variant->mode) ||
	    (a->variant->false_maps && write_false_maps(name)) ||
	    prctl(PR_SET_KEEPCAPS, a->variant->capable) ||
	    (user && (setgid(user) || setuid(user))) ||
	    prctl(PR_SET_DUMPABLE, a->variant->dumpable))
		return 254;
	return error_of_growth();
}

TEST_F(jail, only_a_file_that_no_other_may_write_is_mapped)
{
	struct jail_args args = { self, variant };
	struct statvfs fs;

	ASSERT_EQ(0, statvfs(self->directory, &fs));
	if (!variant->error && fs.f_flag & ST_NOSUID)
		SKIP(return, "/tmp is mounted nosuid");
	EXPECT_EQ(variant->error, in_child(grow_in_jail, &args));
}

/*
 * A set-group-ID program whose file, once it runs, its caller replaces by one of
 * his own.
 */
#define GROW_REPLACED	"--grow-replaced"

static int grow_replaced(void)
{
	if (!getauxval(AT_SECURE))
		return 253;
	if (rename("/other", "/program") || trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY))
		return 254;
	return error_of_growth();
}

static int run_and_replace(void *arg)
{
	const FIXTURE_DATA(jail) * self = arg;

	if (chroot(self->directory) || chdir("/") || chown("/", USER, USER) ||
	    copy_to(self->from, "/program", 0, USER + 1, 02755) ||
	    copy_to(self->from, "/other", USER, USER, 0755) || setgid(USER) || setuid(USER))
		return 254;
	execl("/program", "/program", GROW_REPLACED, NULL);
	return 252;
}

TEST(set_id_program_does_not_map_a_file_of_its_caller)
{
	FIXTURE_DATA(jail) jail = { "/tmp/trampfd-XXXXXX" };
	int ret;

	if (getuid() || IS_SHARED)
		SKIP(return, "needs root and a static program");
	ASSERT_NE(NULL, mkdtemp(jail.directory));
	ASSERT_EQ(0, chmod(jail.directory, 0755));
	jail.from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ret = in_child(run_and_replace, &jail);
	nftw(jail.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (ret == 253)
		SKIP(return, "/tmp is mounted nosuid");
	EXPECT_EQ(ENOENT, ret);
}

/* A program that makes trampolines of the library until it fails */
#define GROW		"--grow"

static int run_and_grow(void *directory)
{
	char program[64];

	snprintf(program, sizeof(program), "%s/program", (char *)directory);
	if (setenv("LD_LIBRARY_PATH", directory, 1) ||
	    setenv("TRAMPFD_BACKEND", "library", 1))
		return 254;
	execl(program, program, GROW, NULL);
	return 252;
}

/* Who may write to it has the process in his hands already. */
TEST(own_file_is_mapped_whoever_may_write_it)
{
	char directory[] = "/tmp/trampfd-XXXXXX", name[64], exe[PATH_MAX] = "";
	int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int library = open(library_name(), O_RDONLY | O_CLOEXEC);
	struct statfs fs;

	ASSERT_LT(0, readlink("/proc/self/exe", exe, sizeof(exe) - 1));
	if (!strncmp(strrchr(exe, '/'), "/ld", 3))
		SKIP(return, "run by the dynamic linker");
	ASSERT_NE(NULL, mkdtemp(directory));
	snprintf(name, sizeof(name), "%s/libtrampfd.so.0", directory);
	ASSERT_EQ(0, copy_to(library, name, getuid(), getgid(), 0777));
	snprintf(name, sizeof(name), "%s/program", directory);
	ASSERT_EQ(0, copy_to(program, name, getuid(), getgid(), 0777));
	ASSERT_EQ(0, statfs(name, &fs));
	/* Not of a library where /proc/self/maps has another device than stat(2) */
	if (!IS_SHARED || (fs.f_type != BTRFS_SUPER_MAGIC && fs.f_type != OVERLAYFS_SUPER_MAGIC))
		EXPECT_EQ(0, in_child(run_and_grow, directory));
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* For who counts instructions: as many pairs of alloc and free in each thread */
#define PAIRS		"--pairs"

static void *pairs(void *arg)
{
	long nr = (long)arg;

	while (nr--)
		trampfd_free(trampfd_alloc(NULL, abi_return_data, NULL));
	return NULL;
}

static int pairs_in_threads(long nr, int nr_threads)
{
	pthread_t threads[64];
	int i;

	for (i = 0; i < nr_threads && i < ARRAY_SIZE(threads); i++) {
		if (pthread_create(&threads[i], NULL, pairs, (void *)nr))
			return 1;
	}
	while (i--)
		pthread_join(threads[i], NULL);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc > 1 && !strcmp(argv[1], QUICK)) {
		nr_many = MILLION / 10;
		nr_forks = FORKS / 10;
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	if (argc == 4 && !strcmp(argv[1], PAIRS))
		return pairs_in_threads(atol(argv[2]), atoi(argv[3]));
	if (argc == 2 && !strcmp(argv[1], GROW))
		return error_of_growth();
	if (argc == 2 && !strcmp(argv[1], GROW_REPLACED))
		return grow_replaced();
	if (argc == 2 && !strcmp(argv[1], SAY_BACKEND)) {
		struct trampfd_pool *pool;

		/* As if there were no kernel: the kernel's word is an error, or not. */
		if (forbid(__NR_trampfd_create, EPERM))
			return 102;
		pool = trampfd_pool_create(NULL);
		return pool ? TRAMPFD_BACKEND_AUTO : TRAMPFD_BACKEND_KERNEL;
	}
	return test_harness_run(argc, argv);
}
