// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: what trampfd.h promises, of each backend.  (What happens to the
 * process around it is in process_test.c.)
 */
#include <malloc.h>
#include <signal.h>
#include <ucontext.h>

#include "backends.h"
#include "gcc.h"

#define MILLION		1000000

/* Fewer with --quick: an emulator translates each trampoline. */
static unsigned int nr_many = MILLION;

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
#elif defined(__powerpc64__)
	return "DATA r11 r3 r4 r5 r6 r7 r8 r9 r10 SLOT r11 ";
#elif defined(__s390x__)
	return "DATA r0 r2 r3 r4 r5 r6 SLOT r0 ";
#elif defined(__loongarch__)
	return "DATA t8 t0 a0 a1 a2 a3 a4 a5 a6 a7 SLOT t8 ";
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
	slot_of(t)->data = (void *)3;
	EXPECT_EQ(3, run(t));
	EXPECT_EQ(-1, trampfd_set(t, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(3, run(t));
	EXPECT_EQ(NULL, trampfd_alloc(NULL, NULL, NULL));
	errno = 0;
	EXPECT_EQ(-1, trampfd_set(foreign, abi_return_data, NULL));
	EXPECT_EQ(EINVAL, errno);
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
	static void *t[200000];
	int i;

	for (i = 0; i < ARRAY_SIZE(t); i++)
		t[i] = alloc(NULL, i);
	ASSERT_EQ(0, forbid(__NR_madvise, EPERM));
	errno = 0;
	for (i = 0; i < ARRAY_SIZE(t); i++)
		trampfd_free(t[i]);
	EXPECT_EQ(0, errno);
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
		EXPECT_EQ(mode->min_stride, nearest) TH_LOG("%s", mode->name);
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
	long slot = abi_modes[0].min_stride, page = page_size();
	/* The bits of its slots, and what page tables there are at least */
	long own = nr_many / 4 + 16 * page;
	bool kernel = variant->backend == TRAMPFD_BACKEND_KERNEL;
	static void *t[MILLION]; /* touched before it is measured */
	struct cost before, after, end;
	unsigned long i, j, wrong = 0;
	uint64_t random = 1;
	void *swap;
	long total;

	memset(t, 1, sizeof(t));
	trampfd_free(alloc(NULL, 1));
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
	EXPECT_LE(total * 1024, (slot + 1) * (long)nr_many + own);
	EXPECT_LE(after.anonymous * 1024, slot * (long)nr_many + own);
	/* Of a page, of 16 pages, and then of 512 KiB: two mappings each, or 9 */
	EXPECT_LE(after.mappings, (kernel ? 2 : 9) * (3 + nr_many * slot / 0x80000));

	/* Freed in random order, their memory does not stay. */
	for (i = nr_many - 1; i; i--) {
		j = random_below(&random, i + 1);
		swap = t[i];
		t[i] = t[j];
		t[j] = swap;
	}
	for (i = 0; i < nr_many; i++)
		trampfd_free(t[i]);
	end = cost_now();
	TH_LOG("all freed: %ld kB of memory and %ld VMAs are left",
	       end.anonymous - before.anonymous, end.mappings - before.mappings);
	EXPECT_EQ(after.mappings, end.mappings - before.mappings);
	/* One instance keeps its memory, and all keep their bits. */
	EXPECT_LE((end.anonymous - before.anonymous) * 1024, 0x80000 + 2 * own);
	EXPECT_EQ(5, run(alloc(NULL, 5)));
	/* And can be had again. */
	for (i = 0; i < nr_many / 10; i++) {
		t[i] = alloc(NULL, i);
		ASSERT_NE(NULL, t[i]);
		wrong += run(t[i]) != i;
	}
	EXPECT_EQ(0, wrong);
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

/* Two at a time: the structure of one pool is in the library's own memory. */
TEST_F(each, pool_leaves_nothing_behind)
{
	struct trampfd_pool *pool, *other;
	int i, j, n = 0, fd = next_fd();
	long size = 0;

	for (i = 0; i < 100; i++) {
		pool = create(TRAMPFD_MODE_SLOT, 0);
		other = create(TRAMPFD_MODE_SLOT, 0);
		ASSERT_NE(NULL, pool);
		ASSERT_NE(NULL, other);
		for (j = 0; j < 3000; j++)
			ASSERT_NE(NULL, alloc(pool, j));
		ASSERT_NE(NULL, alloc(other, 0));
		trampfd_pool_destroy(pool);
		trampfd_pool_destroy(other);
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

/* Each elsewhere would have page tables of its own to be freed. */
TEST_F(each, pools_use_the_addresses_of_earlier_ones)
{
	uintptr_t lowest = UINTPTR_MAX, t;
	struct trampfd_pool *pool;
	int i;

	for (i = 0; i < 100; i++) {
		pool = create(TRAMPFD_MODE_SLOT, 0);
		ASSERT_NE(NULL, pool);
		t = (uintptr_t)alloc(pool, i);
		if (i < 2 && t < lowest)
			lowest = t;
		EXPECT_GE(t, lowest);
		trampfd_pool_destroy(pool);
	}
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
	struct trampfd_pool_attr attr = { .reserved = { 0, 0, 0, 1 } };

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

/* Under strict seccomp, which kills the process at exit_group() too */
static void work_without_system_calls(struct __test_metadata *_metadata, void *t)
{
	int i;

	ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	for (i = 0; i < 1000; i++)
		trampfd_free(alloc(NULL, 1));
	trampfd_set(t, abi_return_data, (void *)2);
	EXPECT_EQ(2, run(t));
	syscall(__NR_exit, _metadata->exit_code);
}

TEST_F(each, no_system_call_once_there_are_some)
{
	void *t = alloc(NULL, 1);

	ASSERT_NE(NULL, t);
	in_child(_metadata, work_without_system_calls, t);
}

/* Most of what is freed is not returned, lest it be asked for again at once. */
static void work_in_bursts_without_system_calls(struct __test_metadata *_metadata, void *arg)
{
	void **t = arg;
	int i, j;

	ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	for (j = 0; j < 10; j++) {
		for (i = SOME * 6 / 10; i < SOME; i++)
			trampfd_free(t[i]);
		for (i = SOME * 6 / 10; i < SOME; i++)
			t[i] = alloc(NULL, i);
	}
	syscall(__NR_exit, _metadata->exit_code);
}

TEST_F(each, no_system_call_while_half_is_in_use)
{
	static void *t[SOME];
	int i;

	for (i = 0; i < SOME; i++)
		t[i] = alloc(NULL, i);
	in_child(_metadata, work_in_bursts_without_system_calls, t);
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
	/* Of a page, of 16, and of what threads that are apart take: up to 8 mappings */
	EXPECT_LE(mappings("x") - code, 1 + 1 + 8);
}

#define FREERS		4

/* All that one thread has: from its own line, and from others */
static void *free_all(void *arg)
{
	void **t = arg;
	int i;

	for (i = 0; i < SOME; i++)
		trampfd_free(t[i]);
	return NULL;
}

TEST_F(each, what_a_thread_freed_is_there_for_others)
{
	static void *t[SOME];
	pthread_t thread;
	int i, n;

	for (i = 0; i < SOME; i++)
		t[i] = alloc(NULL, i);
	n = mappings("x");
	ASSERT_EQ(0, pthread_create(&thread, NULL, free_all, t));
	pthread_join(thread, NULL);
	for (i = 0; i < SOME; i++)
		ASSERT_NE(NULL, alloc(NULL, i));
	EXPECT_EQ(n, mappings("x"));
}

static void *alloc_all(void *arg)
{
	void **t = arg;
	int i;

	for (i = 0; i < SOME; i++)
		t[i] = alloc(NULL, i);
	return NULL;
}

static void *alloc_and_free_all(void *t)
{
	alloc_all(t);
	return free_all(t);
}

static int add_size(void *table, size_t size, void *arg)
{
	*(size_t *)arg += size;
	return 0;
}

static size_t size_of_tables(void)
{
	size_t size = 0;

	trampfd_walk_tables(add_size, &size);
	return size;
}

/* Before it maps more, a thread takes what those that it was apart from have freed. */
TEST_F(each, every_free_slot_is_used)
{
	static void *t[FREERS][SOME];
	pthread_t threads[FREERS];
	size_t size, i;

	for (i = 0; i < FREERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, alloc_and_free_all, t[i]));
	for (i = 0; i < FREERS; i++)
		pthread_join(threads[i], NULL);
	size = size_of_tables();
	for (i = 0; size_of_tables() == size; i++)
		ASSERT_NE(NULL, alloc(NULL, i));
	EXPECT_GE(i * abi_modes[0].min_stride, size / 10 * 9);
}

/* Slots with contexts */
FIXTURE(context) {
	struct trampfd_pool *pool;
	size_t stride;
};

FIXTURE_VARIANT(context) {
	enum trampfd_backend backend;
	unsigned int mode;
	unsigned int size;
};

#define LARGEST		(TRAMPFD_STRIDE_MAX - sizeof(struct trampfd_slot))

FIXTURE_VARIANT_ADD(context, kernel_data_8) {
	TRAMPFD_BACKEND_KERNEL, TRAMPFD_MODE_DATA, 8
};

FIXTURE_VARIANT_ADD(context, kernel_slot_48) {
	TRAMPFD_BACKEND_KERNEL, TRAMPFD_MODE_SLOT, 48
};

FIXTURE_VARIANT_ADD(context, kernel_slot_1000) {
	TRAMPFD_BACKEND_KERNEL, TRAMPFD_MODE_SLOT, 1000
};

FIXTURE_VARIANT_ADD(context, kernel_slot_largest) {
	TRAMPFD_BACKEND_KERNEL, TRAMPFD_MODE_SLOT, LARGEST
};

FIXTURE_VARIANT_ADD(context, library_data_8) {
	TRAMPFD_BACKEND_LIBRARY, TRAMPFD_MODE_DATA, 8
};

FIXTURE_VARIANT_ADD(context, library_slot_48) {
	TRAMPFD_BACKEND_LIBRARY, TRAMPFD_MODE_SLOT, 48
};

FIXTURE_VARIANT_ADD(context, library_slot_1000) {
	TRAMPFD_BACKEND_LIBRARY, TRAMPFD_MODE_SLOT, 1000
};

FIXTURE_VARIANT_ADD(context, library_slot_largest) {
	TRAMPFD_BACKEND_LIBRARY, TRAMPFD_MODE_SLOT, LARGEST
};

FIXTURE_SETUP(context)
{
	struct trampfd_pool_attr attr = {
		.mode = variant->mode,
		.backend = variant->backend,
		.context_size = variant->size,
	};

	if (variant->backend == TRAMPFD_BACKEND_KERNEL && !kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	for (self->stride = 32; self->stride < sizeof(struct trampfd_slot) + variant->size;)
		self->stride *= 2;
	self->pool = trampfd_pool_create(&attr);
	ASSERT_NE(NULL, self->pool);
}

FIXTURE_TEARDOWN(context)
{
	trampfd_pool_destroy(self->pool);
}

#define CONTEXT_NR	1000

TEST_F(context, slot_has_room_for_it)
{
	void *t[CONTEXT_NR];
	unsigned long i, j, wrong = 0;
	unsigned char *context;

	for (i = 0; i < CONTEXT_NR; i++) {
		t[i] = alloc(self->pool, i);
		ASSERT_NE(NULL, t[i]);
		memset(slot_of(t[i]) + 1, i, variant->size);
	}
	for (i = 0; i < CONTEXT_NR; i++) {
		context = (unsigned char *)(slot_of(t[i]) + 1);
		for (j = 0; j < variant->size; j++)
			wrong += context[j] != (unsigned char)i;
		wrong += slot_of(t[i])->code != (void *)abi_return_data;
		if (variant->mode == TRAMPFD_MODE_DATA)
			wrong += run(t[i]) != i;
		else
			wrong += run(t[i]) != (unsigned long)slot_of(t[i]);
	}
	EXPECT_EQ(0, wrong);
}

TEST_F(context, slot_is_aligned_to_its_size)
{
	int i;

	for (i = 0; i < CONTEXT_NR; i++)
		EXPECT_EQ(0, (uintptr_t)slot_of(alloc(self->pool, i)) % self->stride);
}

TEST_F(context, slots_follow_each_other)
{
	char *first = trampfd_slot(alloc(self->pool, 1));
	char *second = trampfd_slot(alloc(self->pool, 2));

	EXPECT_EQ(self->stride, labs(second - first));
}

TEST_F(context, trampoline_and_slot_lead_to_each_other)
{
	void *t = alloc(self->pool, 1);

	EXPECT_NE(t, trampfd_slot(t));
	EXPECT_EQ(t, trampfd_trampoline(trampfd_slot(t)));
}

TEST(context_that_is_too_large_is_refused)
{
	struct trampfd_pool_attr attr = {
		.mode = TRAMPFD_MODE_SLOT,
		.context_size = LARGEST + 1,
	};

	EXPECT_EQ(NULL, trampfd_pool_create(&attr));
	EXPECT_EQ(EINVAL, errno);
}

/* For each of the slots, in how many tables it is */
struct covered {
	void **t;
	int nr;
	unsigned long in_tables;
};

static int count_covered(void *table, size_t size, void *arg)
{
	struct covered *c = arg;
	char *slot;
	int i;

	for (i = 0; i < c->nr; i++) {
		slot = trampfd_slot(c->t[i]);
		c->in_tables += slot >= (char *)table && slot < (char *)table + size;
	}
	return 0;
}

static int return_7(void *table, size_t size, void *arg)
{
	++*(int *)arg;
	return 7;
}

TEST_F(each, tables_have_all_slots)
{
	struct trampfd_pool *pool = create(TRAMPFD_MODE_SLOT, 0);
	static void *t[SOME];
	struct covered c = { t, SOME, 0 };
	int i, calls = 0;

	for (i = 0; i < SOME; i++)
		t[i] = alloc(i & 1 ? pool : NULL, i);
	EXPECT_EQ(0, trampfd_walk_tables(count_covered, &c));
	EXPECT_EQ(SOME, c.in_tables);
	EXPECT_EQ(7, trampfd_walk_tables(return_7, &calls));
	EXPECT_EQ(1, calls);
	for (i = 1; i < SOME; i += 2)
		trampfd_free(t[i]);
	trampfd_pool_destroy(pool);
	c.in_tables = 0;
	for (i = 1; i < SOME; i += 2)
		t[i] = t[0];
	EXPECT_EQ(0, trampfd_walk_tables(count_covered, &c));
	EXPECT_EQ(SOME, c.in_tables);
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

/* Deepest last, as in a stack */
#define NESTED		3000

TEST_F(each, nested_functions_of_gcc)
{
	bool is_default = TRAMPFD_REG(chain_reg()) == abi_modes[0].data_reg;
	void *frames[NESTED + 2], **inner = frames + 1, **outer = frames + NESTED + 1;
	unsigned long wrong = 0;
	int i;

	/* A function whose nested function calls another with a nested function */
	__gcc_nested_func_ptr_created((void *)1, abi_return_data, outer);
	for (i = NESTED; i--;)
		__gcc_nested_func_ptr_created((void *)(long)i, abi_return_data, &inner[i]);
	for (i = 0; i < NESTED; i++)
		wrong += slot_of(inner[i])->data != (void *)(long)i;
	for (i = 0; is_default && i < NESTED; i++)
		wrong += run(inner[i]) != i;
	EXPECT_EQ(0, wrong);
	for (i = 0; i < NESTED; i++) {
		__gcc_nested_func_ptr_deleted();
		wrong += !!slot_of(inner[i])->code;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ((void *)abi_return_data, slot_of(*outer)->code);
	__gcc_nested_func_ptr_created((void *)7, abi_probe_target, frames);
	memset(&abi_probe_out, 0, sizeof(abi_probe_out));
	abi_probe_entry = (unsigned long)*frames;
	abi_probe_drop = 0;
	abi_probe();
	EXPECT_EQ(7, abi_probe_out.regs[chain_reg()]);
	__gcc_nested_func_ptr_deleted();
	EXPECT_EQ(NULL, slot_of(*frames)->code);
	__gcc_nested_func_ptr_deleted();
	EXPECT_EQ(NULL, slot_of(*outer)->code);
	EXPECT_EQ(SIGABRT, signal_of((void (*)(void *))__gcc_nested_func_ptr_deleted, NULL));
}

/* Coroutines: each begins, lets the other begin, and ends in the order of @first. */
static ucontext_t threads_own, coroutines[2];
static void *coroutine_t[2];

static void coroutine(int i)
{
	void *dst;

	__gcc_nested_func_ptr_created((void *)(long)i, abi_return_data, &dst);
	coroutine_t[i] = dst;
	swapcontext(&coroutines[i], &threads_own);
	__gcc_nested_func_ptr_deleted();
}

FIXTURE(coroutines) {
	int unused;
};

/* Which is higher in memory, and which ends first */
FIXTURE_VARIANT(coroutines) {
	int high, first;
};

FIXTURE_VARIANT_ADD(coroutines, first_is_higher_and_ends_first) { 0, 0 };
FIXTURE_VARIANT_ADD(coroutines, first_is_higher_and_ends_last) { 0, 1 };
FIXTURE_VARIANT_ADD(coroutines, first_is_lower_and_ends_first) { 1, 0 };
FIXTURE_VARIANT_ADD(coroutines, first_is_lower_and_ends_last) { 1, 1 };

FIXTURE_SETUP(coroutines)
{
}

FIXTURE_TEARDOWN(coroutines)
{
}

TEST_F(coroutines, nested_functions_end_in_any_order)
{
	static char stacks[2][0x10000];
	int i, first = variant->first;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, getcontext(&coroutines[i]));
		coroutines[i].uc_stack.ss_sp = stacks[i != variant->high ? 0 : 1];
		coroutines[i].uc_stack.ss_size = sizeof(stacks[0]);
		coroutines[i].uc_link = &threads_own;
		makecontext(&coroutines[i], (void (*)(void))coroutine, 1, i);
		ASSERT_EQ(0, swapcontext(&threads_own, &coroutines[i]));
	}
	ASSERT_EQ(0, swapcontext(&threads_own, &coroutines[first]));
	EXPECT_EQ(NULL, slot_of(coroutine_t[first])->code);
	EXPECT_EQ((void *)abi_return_data, slot_of(coroutine_t[!first])->code);
	ASSERT_EQ(0, swapcontext(&threads_own, &coroutines[!first]));
	EXPECT_EQ(NULL, slot_of(coroutine_t[!first])->code);
}

static void *leave_nested(void *arg)
{
	int i;

	for (i = 0; i < NESTED; i++)
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
	if (is_quick(&argc, &argv))
		nr_many = MILLION / 10;
	if (argc == 4 && !strcmp(argv[1], PAIRS))
		return pairs_in_threads(atol(argv[2]), atoi(argv[3]));
	return test_harness_run(argc, argv);
}
