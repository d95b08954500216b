// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Single trampolines: registers, slots, allocation and release.
 */

TEST_F(backend, requested_backend_is_used)
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

/* Call a trampoline.  Return how many registers have a wrong value at the target. */
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

/* The registers of the library backend, as documented in trampfd.h */
static const char *library_registers(void)
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
	return "DATA t8 t0 a0 a1 a2 a3 a4 a5 a6 a7 SLOT t8 t0 ";
#endif
}

static bool is_listed(const char *list, const char *mode, const char *reg)
{
	const char *at = strstr(list, mode) + 5;
	size_t len = strlen(reg);

	/* The name of the next mode is in capitals. */
	for (; *at && !(*at >= 'A' && *at <= 'Z'); at += strcspn(at, " ") + 1)
		if (!strncmp(at, reg, len) && at[len] == ' ')
			return true;
	return false;
}

/*
 * Keep the pools: with large pages, an emulator may execute unmapped code at the
 * addresses that the next pool reuses (stress_stale.c).
 */
TEST_F(backend, registers_and_modes)
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
			if (library && !is_listed(library_registers(), mode->name, r->name)) {
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
			tried++;
		}
		pool = create(mode->mode, 0);
		ASSERT_NE(NULL, pool);
		EXPECT_EQ(0, probe(_metadata, pool, mode, mode->data_reg - TRAMPFD_REG(0),
				   mode->scratch_reg - TRAMPFD_REG(0)));
	}
	EXPECT_GE(tried, 5);
}

TEST_F(backend, trampolines_load_their_own_slot)
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

TEST_F(backend, alloc_and_free_in_random_order)
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

TEST_F(backend, set_and_slot)
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

TEST_F(backend, is_trampoline)
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

TEST_F(backend, freed_trampoline_jumps_to_0)
{
	void *t = alloc(NULL, 1);

	ASSERT_EQ(1, run(t));
	trampfd_free(t);
	EXPECT_EQ(SIGSEGV, signal_of(call, t));
}

static void free_it(void *t)
{
	close(STDERR_FILENO);	/* hides the message of the library */
	trampfd_free(t);
}

TEST_F(backend, invalid_free_aborts)
{
	char *t = alloc(NULL, 1);

	trampfd_free(NULL);
	EXPECT_EQ(SIGABRT, signal_of(free_it, &t));
	EXPECT_EQ(SIGABRT, signal_of(free_it, t + 4));
	EXPECT_EQ(0, signal_of(free_it, t));
	trampfd_free(t);
	EXPECT_EQ(SIGABRT, signal_of(free_it, t));
}

TEST_F(backend, free_keeps_errno)
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

TEST_F(backend, slots_have_minimum_stride)
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
