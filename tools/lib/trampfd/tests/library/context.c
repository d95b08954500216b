// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Contexts in slots, and the walk over tables.
 */

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

TEST_F(context, slot_holds_context)
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

TEST_F(context, slots_are_adjacent)
{
	char *first = trampfd_slot(alloc(self->pool, 1));
	char *second = trampfd_slot(alloc(self->pool, 2));

	EXPECT_EQ(self->stride, labs(second - first));
}

TEST_F(context, trampoline_and_slot_are_inverse)
{
	void *t = alloc(self->pool, 1);

	EXPECT_NE(t, trampfd_slot(t));
	EXPECT_EQ(t, trampfd_trampoline(trampfd_slot(t)));
}

TEST(inval_context_size)
{
	struct trampfd_pool_attr attr = {
		.mode = TRAMPFD_MODE_SLOT,
		.context_size = LARGEST + 1,
	};

	EXPECT_EQ(NULL, trampfd_pool_create(&attr));
	EXPECT_EQ(EINVAL, errno);
}

/**
 * struct covered - how many slots are in tables
 * @t: Trampolines.
 * @nr: Their number.
 * @in_tables: For each table, the number of their slots in it is added.
 */
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

TEST_F(backend, walk_covers_all_slots)
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
