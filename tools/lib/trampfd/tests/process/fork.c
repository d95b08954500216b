// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * fork(): in a process with threads, in handlers, and what the child inherits.
 */

/* Use the library.  @arg is a struct work, whose pool is used. */
static void use_library(struct __test_metadata *_metadata, void *arg)
{
	struct work *w = arg;
	struct trampfd_pool *pool;
	unsigned long i, wrong = 0;
	void *t[200];

	alarm(120);	/* ends the process if the library waits for another thread */
	for (i = 0; i < 200; i++) {
		t[i] = alloc(w->pool, i);
		wrong += run(t[i]) != i;
	}
	for (i = 0; i < 200; i++)
		trampfd_free(t[i]);
	EXPECT_EQ(0, wrong);
	pool = create(TRAMPFD_MODE_SLOT, 0);
	ASSERT_NE(NULL, pool);
	EXPECT_NE(NULL, alloc(pool, 1));
}

/* Fill words and empty them. */
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

/* Map and unmap. */
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

TEST_F(backend, fork_while_threads_allocate)
{
	void *(*const kinds[])(void *) = { work, work_in_bursts, work_with_pools };
	struct work w = { .steps = -1 };
	pthread_t threads[ARRAY_SIZE(kinds)];
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, kinds[i], &w));
	for (i = 0; i < nr_forks && !_metadata->exit_code; i++)
		in_child(_metadata, use_library, &w);
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, w.wrong);
}

/* Handlers registered before and after the first use of the library */
static unsigned int handlers_run, handlers_wrong;

static void use_in_handler(void)
{
	void *t[100];
	int i;

	for (i = 0; i < 100; i++) {
		t[i] = alloc(NULL, i);
		handlers_wrong += !t[i] || run(t[i]) != (unsigned long)i;
	}
	for (i = 0; i < 100; i++)
		trampfd_free(t[i]);
	handlers_run++;
}

static void expect_handlers(struct __test_metadata *_metadata, void *arg)
{
	EXPECT_EQ(4, handlers_run);
	EXPECT_EQ(0, handlers_wrong);
}

TEST_F(backend, atfork_handlers)
{
	alarm(300);
	ASSERT_EQ(0, pthread_atfork(use_in_handler, use_in_handler, use_in_handler));
	ASSERT_NE(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, pthread_atfork(use_in_handler, use_in_handler, use_in_handler));
	in_child(_metadata, expect_handlers, NULL);
	expect_handlers(_metadata, NULL);
}

/* A handler that interrupts the library anywhere and calls fork() */
static struct __test_metadata *forking_test;
static unsigned int forks_in_handler;

static void fork_in_handler(int sig)
{
	struct work w = {};
	int saved = errno;

	in_child(forking_test, use_library, &w);
	__atomic_add_fetch(&forks_in_handler, 1, __ATOMIC_RELAXED);
	errno = saved;
}

TEST_F(backend, fork_in_signal_handler)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	void *t[500];
	int i;

	/* A real-time timer could be faster than fork(), and leave no time for the test. */
	forking_test = _metadata;
	signal(SIGVTALRM, fork_in_handler);
	ASSERT_EQ(0, setitimer(ITIMER_VIRTUAL, &often, NULL));
	while (__atomic_load_n(&forks_in_handler, __ATOMIC_RELAXED) < nr_forks / 4) {
		for (i = 0; i < 500; i++)
			t[i] = alloc(NULL, i);
		for (i = 0; i < 500; i++)
			trampfd_free(t[i]);
		trampfd_pool_destroy(create(TRAMPFD_MODE_SLOT, 0));
	}
	signal(SIGVTALRM, SIG_IGN);
}

static void change_slot(struct __test_metadata *_metadata, void *t)
{
	trampfd_set(t, abi_return_data, (void *)2);
	EXPECT_EQ(2, run(t));
}

TEST_F(backend, fork_copies_slots)
{
	void *t = alloc(NULL, 1);

	in_child(_metadata, change_slot, t);
	EXPECT_EQ(1, run(t));
}

static void expect_next(struct __test_metadata *_metadata, void *t)
{
	EXPECT_EQ(t, alloc(NULL, 1));
}

TEST_F(backend, fork_keeps_shards)
{
	void *t = alloc(NULL, 1);

	trampfd_free(t);
	in_child(_metadata, expect_next, t);
	expect_next(_metadata, t);
}
