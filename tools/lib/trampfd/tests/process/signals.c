// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Signal handlers that interrupt the library.
 */

/* A handler that interrupts the library anywhere and calls a trampoline */
static void *signalled;
static unsigned long handled, handled_wrong;

static void handler(int sig)
{
	unsigned long data = __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);

	(void)sig;
	trampfd_set(signalled, abi_return_data, (void *)data);
	if (run(signalled) == data && trampfd_is_trampoline(signalled) &&
	    slot_of(signalled)->data == (void *)data)
		return;
	__atomic_add_fetch(&handled_wrong, 1, __ATOMIC_RELAXED);
}

TEST_F(backend, signal_handlers_call_trampolines)
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

/* A handler that allocates and frees */
static void *held_by_handler[10];

static void allocate_in_handler(int sig)
{
	static unsigned long n;
	int i = n++ % 10;

	trampfd_free(held_by_handler[i]);
	held_by_handler[i] = alloc(NULL, n);
	if (!held_by_handler[i] || run(held_by_handler[i]) != n)
		__atomic_add_fetch(&handled_wrong, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

TEST_F(backend, signal_handlers_allocate)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	struct work w = { .steps = 1000 };

	signal(SIGALRM, allocate_in_handler);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	while (__atomic_load_n(&handled, __ATOMIC_RELAXED) < 200) {
		work(&w);
		use_in_handler();
	}
	EXPECT_EQ(0, __atomic_load_n(&handled_wrong, __ATOMIC_RELAXED));
	EXPECT_EQ(0, handlers_wrong);
	EXPECT_EQ(0, w.wrong);
}
