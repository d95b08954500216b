// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Threads: shared pools, reuse of slots, and system calls of the fast path.
 */

TEST_F(backend, threads_share_a_pool)
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

/*
 * In strict mode, read(), write() and exit() are the only system calls: the kernel
 * kills the child for any other, including the exit_group() of _exit().
 */
static void enter_strict_mode(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
}

static void leave_strict_mode(struct __test_metadata *_metadata)
{
	syscall(__NR_exit, _metadata->exit_code);
}

static void work_without_system_calls(struct __test_metadata *_metadata, void *t)
{
	int i;

	enter_strict_mode(_metadata);
	for (i = 0; i < 1000; i++)
		trampfd_free(alloc(NULL, 1));
	trampfd_set(t, abi_return_data, (void *)2);
	EXPECT_EQ(2, run(t));
	leave_strict_mode(_metadata);
}

TEST_F(backend, no_system_call_after_first_use)
{
	void *t = alloc(NULL, 1);

	ASSERT_NE(NULL, t);
	in_child(_metadata, work_without_system_calls, t);
}

/* A pool that stays partly in use returns no memory. */
static void work_in_bursts_without_system_calls(struct __test_metadata *_metadata, void *arg)
{
	void **t = arg;
	int i, j;

	enter_strict_mode(_metadata);
	for (j = 0; j < 10; j++) {
		for (i = SOME * 6 / 10; i < SOME; i++)
			trampfd_free(t[i]);
		for (i = SOME * 6 / 10; i < SOME; i++)
			t[i] = alloc(NULL, i);
	}
	leave_strict_mode(_metadata);
}

TEST_F(backend, no_system_call_while_half_used)
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

TEST_F(backend, ended_thread_keeps_no_slots)
{
	int i, j, code = mappings("x");
	pthread_t threads[4];

	for (i = 0; i < 200; i++) {
		for (j = 0; j < 4; j++)
			ASSERT_EQ(0, pthread_create(&threads[j], NULL, use_and_end, NULL));
		for (j = 0; j < 4; j++)
			pthread_join(threads[j], NULL);
	}
	/*
	 * Instances of 1 page, of 16 pages, and one with up to 8 mappings, for threads
	 * that do not share cache lines
	 */
	EXPECT_LE(mappings("x") - code, 1 + 1 + 8);
}

#define FREERS		4

static void *free_all(void *arg)
{
	void **t = arg;
	int i;

	for (i = 0; i < SOME; i++)
		trampfd_free(t[i]);
	return NULL;
}

TEST_F(backend, slots_freed_by_thread_are_reused)
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

static pthread_barrier_t all_have_allocated;

static void *alloc_and_free_all(void *t)
{
	alloc_all(t);
	pthread_barrier_wait(&all_have_allocated);
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

/* Before it maps more, a thread uses slots in the cache lines of other threads. */
TEST_F(backend, free_slots_are_used_before_mapping)
{
	static void *t[FREERS][SOME];
	pthread_t threads[FREERS];
	size_t size, i;

	/* Threads share cache lines only if the pool has three instances. */
	pthread_barrier_init(&all_have_allocated, NULL, FREERS);
	for (i = 0; i < FREERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, alloc_and_free_all, t[i]));
	for (i = 0; i < FREERS; i++)
		pthread_join(threads[i], NULL);
	size = size_of_tables();
	for (i = 0; size_of_tables() == size; i++)
		ASSERT_NE(NULL, alloc(NULL, i));
	EXPECT_GE(i * abi_modes[0].min_stride, size / 10 * 9);
}
