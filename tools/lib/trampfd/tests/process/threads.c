// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Threads that are blocked, stopped or cancelled, or have another priority.
 */

/*
 * A thread that blocks in mmap() of the library, until let_go() answers.  Only a fatal
 * signal interrupts it after the listener received the notification.  Without this, an
 * mmap() on 32-bit arm kernels sometimes returned its address without a mapping.
 */
static void *grow_and_block(void *arg)
{
	int *listener = arg;
	int fd = filter_own_memory(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER |
				   SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);

	__atomic_store_n(listener, fd, __ATOMIC_RELEASE);
	if (fd >= 0)
		alloc(NULL, 1);
	return NULL;
}

struct blocked {
	struct seccomp_notif call;
	int listener;
};

/* Let the system call continue, and all others until the thread ends. */
static void *let_go(void *arg)
{
	struct blocked *blocked = arg;
	struct pollfd held = { .fd = blocked->listener, .events = POLLIN };
	struct seccomp_notif_resp go_on;

	do {
		go_on = (struct seccomp_notif_resp){
			.id = blocked->call.id,
			.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
		};
		ioctl(held.fd, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
		memset(&blocked->call, 0, sizeof(blocked->call));
	} while (poll(&held, 1, -1) == 1 && held.revents & POLLIN &&
		 !ioctl(held.fd, SECCOMP_IOCTL_NOTIF_RECV, &blocked->call));
	return NULL;
}

static int count_tables(void *table, size_t size, void *arg)
{
	++*(int *)arg;
	return 0;
}

TEST_F(backend, blocked_thread_blocks_no_other)
{
	int listener = -2, before = 0, after = 0;
	struct blocked blocked = {};
	static void *t[SOME];
	pthread_t grows, lets_go;
	struct work w = {};

	ASSERT_EQ(0, pthread_create(&grows, NULL, grow_and_block, &listener));
	while ((blocked.listener = __atomic_load_n(&listener, __ATOMIC_ACQUIRE)) == -2)
		sched_yield();
	ASSERT_LE(0, blocked.listener);
	ASSERT_EQ(0, ioctl(blocked.listener, SECCOMP_IOCTL_NOTIF_RECV, &blocked.call));
	in_child(_metadata, use_library, &w);
	use_library(_metadata, &w);
	EXPECT_EQ(SOME, exhaust(t, SOME));
	EXPECT_EQ(0, trampfd_walk_tables(count_tables, &before));
	ASSERT_EQ(0, pthread_create(&lets_go, NULL, let_go, &blocked));
	pthread_join(grows, NULL);
	pthread_join(lets_go, NULL);
	close(blocked.listener);
	/* Both threads mapped a first instance; the slower one has unmapped its own. */
	EXPECT_EQ(1, run(alloc(NULL, 1)));
	EXPECT_EQ(0, trampfd_walk_tables(count_tables, &after));
	EXPECT_EQ(before, after);
}

/* A signal stops the thread that it interrupts: how often, and up to when to go on. */
static unsigned long stopped, go_on;

static void stop(int sig)
{
	unsigned long n = __atomic_add_fetch(&stopped, 1, __ATOMIC_RELEASE);

	(void)sig;
	while (__atomic_load_n(&go_on, __ATOMIC_ACQUIRE) < n)
		sched_yield();
}

static void *pairs_until_stop(void *arg)
{
	struct work *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		use_in_handler();
		__atomic_store_n(&w->steps, w->steps + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void work_beside_stopped_thread(struct __test_metadata *_metadata, void *arg)
{
	struct work w = {};
	unsigned int steps;
	pthread_t thread;
	unsigned long i;

	signal(SIGUSR1, stop);
	ASSERT_EQ(0, pthread_create(&thread, NULL, pairs_until_stop, &w));
	for (i = 1; i <= 50; i++) {
		pthread_kill(thread, SIGUSR1);
		while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		use_library(_metadata, &w);
		steps = w.steps;
		__atomic_store_n(&go_on, i, __ATOMIC_RELEASE);
		/* Wait until the thread is elsewhere. */
		while (__atomic_load_n(&w.steps, __ATOMIC_ACQUIRE) == steps)
			sched_yield();
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

TEST_F(backend, stopped_thread_blocks_no_other)
{
	in_child(_metadata, work_beside_stopped_thread, NULL);
}

/*
 * Use the library and fork() at a real-time priority, on the same CPU as @nr_others
 * threads of a lower priority.  Return the milliseconds.
 */
static long time_of_forks(struct __test_metadata *_metadata, int nr_others)
{
	struct sched_param param = { .sched_priority = 1 }, none = {};
	struct work w = { .steps = -1 };
	struct timespec begin, end;
	pthread_t threads[4];
	int i;

	for (i = 0; i < nr_others; i++)
		pthread_create(&threads[i], NULL, work_in_bursts, &w);
	usleep(10000);
	sched_setscheduler(0, SCHED_FIFO, &param);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < 10; i++) {
		use_in_handler();
		in_child(_metadata, use_library, &w);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	sched_setscheduler(0, SCHED_OTHER, &none);
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < nr_others; i++)
		pthread_join(threads[i], NULL);
	return (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
}

TEST_F(backend, no_priority_inversion)
{
	struct sched_param param = { .sched_priority = 1 };
	long alone, beside;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		SKIP(return, "SCHED_FIFO: %s", strerror(errno));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	alone = time_of_forks(_metadata, 0);
	beside = time_of_forks(_metadata, 4);
	EXPECT_EQ(0, handlers_wrong);
	/* A thread that spins at this priority runs until it is throttled, 950 ms. */
	EXPECT_LE(beside, 4 * alone + 500);
}

static void *grow_while_cancelled(void *arg)
{
	static void *t[SOME];
	int *n = arg;

	pthread_cancel(pthread_self());
	*n = exhaust(t, SOME);
	trampfd_pool_destroy(create(TRAMPFD_MODE_SLOT, 0));
	++*n;
	pthread_testcancel();
	return NULL;
}

TEST_F(backend, no_cancellation_point)
{
	pthread_t thread;
	void *end;
	int n = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, grow_while_cancelled, &n));
	pthread_join(thread, &end);
	EXPECT_EQ(PTHREAD_CANCELED, end);
	EXPECT_EQ(SOME + 1, n);
	EXPECT_EQ(1, run(alloc(NULL, 1)));
}

static void *grow_all(void *arg)
{
	static void *t[SOME];

	*(int *)arg = exhaust(t, SOME);
	return NULL;
}

TEST_F(backend, minimum_stack_suffices)
{
	long size = sysconf(_SC_THREAD_STACK_MIN);
	pthread_attr_t attr;
	pthread_t thread;
	int n = 0;

	pthread_attr_init(&attr);
	ASSERT_EQ(0, pthread_attr_setstacksize(&attr, size > 0 ? size : PTHREAD_STACK_MIN));
	ASSERT_EQ(0, pthread_create(&thread, &attr, grow_all, &n));
	pthread_join(thread, NULL);
	EXPECT_EQ(SOME, n);
}
