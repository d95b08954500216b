// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Memory: mappings, reuse of slots and addresses, destruction of pools.
 */

/* Bytes that are mapped of files of trampfd_create() */
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

TEST(first_trampoline_maps_two_pages)
{
	if (!kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_KERNEL));
	ASSERT_NE(NULL, alloc(NULL, 1));
	EXPECT_EQ(2 * page_size(), trampfd_mapped());
}

/**
 * struct cost - memory of the process, in kB, and number of its mappings
 * @anonymous: Anonymous memory.
 * @tables: Page tables.
 * @slab: Slab memory of the whole system.
 * @mappings: Number of mappings.
 */
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

/* Red zones increase slab memory by several times (Documentation/mm/slub.rst). */
static bool slabs_are_debugged(void)
{
	FILE *f = fopen("/sys/kernel/slab/vm_area_struct/red_zone", "r");
	bool debugged = f && fgetc(f) == '1';

	if (f)
		fclose(f);
	return debugged;
}

TEST_F(backend, memory_of_many_trampolines)
{
	long slot = abi_modes[0].min_stride, page = page_size();
	/* Bits of the slots, and the minimum of page tables */
	long own = nr_many / 4 + 16 * page;
	bool kernel = variant->backend == TRAMPFD_BACKEND_KERNEL;
	static void *t[MILLION];
	struct cost before, after, end;
	unsigned long i, j, wrong = 0;
	uint64_t random = 1;
	void *swap;
	long total;

	memset(t, 1, sizeof(t));	/* allocates its pages before the measurement */
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
	TH_LOG("per trampoline: %.2f bytes of memory, %.2f of page tables, %.2f of slab; %ld VMAs",
	       after.anonymous * 1024.0 / nr_many, after.tables * 1024.0 / nr_many,
	       after.slab * 1024.0 / nr_many, after.mappings);
	EXPECT_LE(total * 1024, (slot + 1) * (long)nr_many + own);
	EXPECT_LE(after.anonymous * 1024, slot * (long)nr_many + own);
	/* Instances of 1 page, of 16 pages, then of 512 KiB, with 2 or up to 9 mappings */
	EXPECT_LE(after.mappings, (kernel ? 2 : 9) * (3 + nr_many * slot / 0x80000));

	/* Free in random order: the memory is returned. */
	for (i = nr_many - 1; i; i--) {
		j = random_below(&random, i + 1);
		swap = t[i];
		t[i] = t[j];
		t[j] = swap;
	}
	for (i = 0; i < nr_many; i++)
		trampfd_free(t[i]);
	end = cost_now();
	TH_LOG("after freeing all: %ld kB of memory, %ld VMAs",
	       end.anonymous - before.anonymous, end.mappings - before.mappings);
	EXPECT_EQ(after.mappings, end.mappings - before.mappings);
	/* One instance keeps its memory, and all others keep their bits. */
	EXPECT_LE((end.anonymous - before.anonymous) * 1024, 0x80000 + 2 * own);
	EXPECT_EQ(5, run(alloc(NULL, 5)));
	/* The mappings are used again. */
	for (i = 0; i < nr_many / 10; i++) {
		t[i] = alloc(NULL, i);
		ASSERT_NE(NULL, t[i]);
		wrong += run(t[i]) != i;
	}
	EXPECT_EQ(0, wrong);
}

TEST_F(backend, slots_are_reused)
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

/* Use two pools: the structure of the first is static. */
TEST_F(backend, destroyed_pool_leaks_nothing)
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
		/* The first round allocates memory that the library keeps. */
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

/* Otherwise each pool would have page tables of its own. */
TEST_F(backend, addresses_are_reused)
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

TEST_F(backend, destroyed_pool_has_no_trampolines)
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

TEST_F(backend, inval_pool)
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

TEST_F(backend, malloc_is_not_used)
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
