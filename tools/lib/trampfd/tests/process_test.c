// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: what a process may do around it: fork, be interrupted, have threads of
 * other priorities, run out of something, enter a sandbox
 */
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "backends.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE			65
#define PR_MDWE_REFUSE_EXEC_GAIN	1
#endif

#define FORKS		200

/* Fewer with --quick */
static unsigned int nr_forks = FORKS;

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

#ifndef __NR_mmap2
#define __NR_mmap2	__NR_mmap
#endif

/*
 * At all memory that the library maps: it says that nothing may be in its place.
 * mmap() of s390x has its arguments in memory, which no filter sees: at all memory
 * that the thread maps.
 */
static int filter_own_memory(unsigned int action, unsigned int flags)
{
#ifdef __s390__
	return filter(__NR_mmap, 0, 0, 0, action, flags);
#else
	return filter(__NR_mmap2, 3, MAP_FIXED_NOREPLACE, MAP_FIXED_NOREPLACE, action, flags);
#endif
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

static int use_after_fork(void *arg)
{
	struct work *w = arg;
	struct trampfd_pool *pool;
	unsigned long i, wrong = 0;
	void *t[200];

	alarm(120); /* if something was left held */
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

/* So many at once that words become full and unused again and again */
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

/* And those that map and unmap */
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
		bad += result_of(use_after_fork, &w) != 0;
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, bad);
	EXPECT_EQ(0, w.wrong);
}

/* A thread that is held in a system call, in the midst of mapping more */
static void *grow_and_be_held(void *arg)
{
	int *listener = arg;
	int fd = filter_own_memory(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	__atomic_store_n(listener, fd, __ATOMIC_RELEASE);
	if (fd >= 0)
		alloc(NULL, 1);
	return NULL;
}

/* It, and in its further calls, until it ends */
static void *let_go(void *arg)
{
	struct pollfd held = { .fd = *(int *)arg, .events = POLLIN };
	struct seccomp_notif_resp go_on;
	struct seccomp_notif call;

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

static int count_tables(void *table, size_t size, void *arg)
{
	++*(int *)arg;
	return 0;
}

TEST_F(each, thread_that_maps_holds_up_no_other)
{
	struct pollfd held = { .events = POLLIN };
	int listener = -2, before = 0, after = 0;
	static void *t[SOME];
	pthread_t grows, lets_go;
	struct work w = {};

	ASSERT_EQ(0, pthread_create(&grows, NULL, grow_and_be_held, &listener));
	while ((held.fd = __atomic_load_n(&listener, __ATOMIC_ACQUIRE)) == -2)
		sched_yield();
	ASSERT_LE(0, held.fd);
	ASSERT_EQ(1, poll(&held, 1, -1));
	EXPECT_EQ(0, result_of(use_after_fork, &w));
	/* Here, too; then there is room for all. */
	EXPECT_EQ(0, use_after_fork(&w));
	EXPECT_EQ(SOME, exhaust(t, SOME));
	EXPECT_EQ(0, trampfd_walk_tables(count_tables, &before));
	ASSERT_EQ(0, pthread_create(&lets_go, NULL, let_go, &held.fd));
	pthread_join(grows, NULL);
	pthread_join(lets_go, NULL);
	close(held.fd);
	/* Both have mapped the first; that of the slower is no more. */
	EXPECT_EQ(1, run(alloc(NULL, 1)));
	EXPECT_EQ(0, trampfd_walk_tables(count_tables, &after));
	EXPECT_EQ(before, after);
}

/* Handlers that are older than whatever the library could register */
static struct work handlers_work;
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

static int count_in_child(void *arg)
{
	alarm(120);
	return handlers_wrong ? 255 : (int)handlers_run;
}

TEST_F(each, fork_handlers_use_the_library)
{
	alarm(300);
	ASSERT_EQ(0, pthread_atfork(use_in_handler, use_in_handler, use_in_handler));
	ASSERT_NE(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, pthread_atfork(use_in_handler, use_in_handler, use_in_handler));
	EXPECT_EQ(4, result_of(count_in_child, NULL));
	EXPECT_EQ(4, handlers_run);
	EXPECT_EQ(0, handlers_wrong);
}

/* A fork() from a handler that interrupts the library anywhere */
static unsigned int forks_in_handler, forks_wrong;

static void fork_in_handler(int sig)
{
	int status, saved = errno;
	pid_t pid = fork();

	if (!pid) {
		alarm(120);
		_exit(use_after_fork(&handlers_work));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		__atomic_add_fetch(&forks_wrong, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&forks_in_handler, 1, __ATOMIC_RELAXED);
	errno = saved;
}

TEST_F(each, fork_in_a_signal_handler)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	void *t[500];
	int i;

	/* In the program's own time, or it gets none if fork() is slower than the timer. */
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
	EXPECT_EQ(0, __atomic_load_n(&forks_wrong, __ATOMIC_RELAXED));
}

static int change_slot(void *t)
{
	trampfd_set(t, abi_return_data, (void *)2);
	return run(t);
}

TEST_F(each, fork_gives_the_child_slots_of_its_own)
{
	void *t = alloc(NULL, 1);

	EXPECT_EQ(2, result_of(change_slot, t));
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
	EXPECT_EQ(0, result_of(is_another, t));
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

static void *pairs_until_stop(void *arg)
{
	struct work *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		use_in_handler();
		__atomic_store_n(&w->steps, w->steps + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int work_beside_a_stopped_thread(void *arg)
{
	struct work w = {};
	unsigned int steps;
	pthread_t thread;
	unsigned long i;

	signal(SIGUSR1, stop);
	if (pthread_create(&thread, NULL, pairs_until_stop, &w))
		return 1;
	alarm(120); /* if the stopped thread holds us up */
	for (i = 1; i <= 50; i++) {
		pthread_kill(thread, SIGUSR1);
		while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		if (use_after_fork(&w))
			return 1;
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

TEST_F(each, stopped_thread_holds_up_no_other)
{
	EXPECT_EQ(0, result_of(work_beside_a_stopped_thread, NULL));
}

/* Milliseconds for some forks by a thread beside others of a lower priority */
static long time_of_forks(int nr_others)
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
		if (result_of(use_after_fork, &w))
			handlers_wrong++;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	sched_setscheduler(0, SCHED_OTHER, &none);
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < nr_others; i++)
		pthread_join(threads[i], NULL);
	return (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
}

TEST_F(each, thread_of_high_priority_waits_for_no_other)
{
	struct sched_param param = { .sched_priority = 1 };
	long alone, beside;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		SKIP(return, "SCHED_FIFO: %s", strerror(errno));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	alone = time_of_forks(0);
	beside = time_of_forks(4);
	EXPECT_EQ(0, handlers_wrong);
	/* One that waits does so until it is throttled, for 50 ms of each second. */
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

TEST_F(each, nothing_is_a_cancellation_point)
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

TEST_F(each, smallest_stack_is_enough)
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

/* A handler that interrupts the library anywhere */
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

/* All that the library does is async-signal-safe. */
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

TEST_F(each, signal_handlers_allocate)
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

TEST(without_descriptors_it_fails_and_recovers)
{
	struct rlimit none = {}, was;
	static void *t[SOME];
	unsigned long i, wrong = 0;
	int n, maps;

	if (!kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &was));
	none.rlim_max = was.rlim_max;
	/* From the first on */
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(NULL, alloc(NULL, 1));
	EXPECT_EQ(EMFILE, errno);
	EXPECT_EQ(NULL, create(0, 0));
	EXPECT_EQ(EMFILE, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &was));
	ASSERT_NE(NULL, alloc(NULL, 1));
	EXPECT_EQ(TRAMPFD_BACKEND_KERNEL, trampfd_pool_backend(NULL));
	maps = mappings("");
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	n = exhaust(t, SOME);
	EXPECT_EQ(EMFILE, errno);
	ASSERT_LT(n, SOME);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &was));
	EXPECT_EQ(maps, mappings(""));
	for (i = 0; i < (unsigned long)n; i++)
		wrong += run(t[i]) != i;
	EXPECT_EQ(0, wrong);
	ASSERT_NE(NULL, alloc(NULL, 1));
}

TEST(descriptors_are_not_needed_by_the_library)
{
	struct rlimit none = {};
	static void *t[SOME];

	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(SOME, exhaust(t, SOME));
}

/* What the process has now, and @more bytes */
static int limit_address_space(struct rlimit *was, size_t more)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, was))
		return -1;
	limit = *was;
	limit.rlim_cur = read_field("/proc/self/status", "VmSize") * 1024 + more;
	return setrlimit(RLIMIT_AS, &limit);
}

TEST_F(each, without_address_space_it_fails_and_recovers)
{
	static void *t[1000000];
	unsigned long i, wrong = 0;
	struct rlimit was;
	int n;

	/* From the first on */
	mappings("");
	ASSERT_EQ(0, limit_address_space(&was, 0));
	EXPECT_EQ(NULL, alloc(NULL, 1));
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &was));
	ASSERT_NE(NULL, alloc(NULL, 1));

	ASSERT_EQ(0, limit_address_space(&was, 0x100000));
	n = exhaust(t, ARRAY_SIZE(t));
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_LT(n, ARRAY_SIZE(t));
	EXPECT_EQ(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &was));
	for (i = 0; i < (unsigned long)n; i++)
		wrong += run(t[i]) != i;
	EXPECT_EQ(0, wrong);
	EXPECT_NE(NULL, alloc(NULL, 1));
	for (i = 0; i < (unsigned long)n; i++)
		trampfd_free(t[i]);
}

/* A sanitizer maps memory of its own. */
TEST_F(each, page_of_code_and_of_table_is_enough)
{
	struct rlimit was;
	void *t;

	if (IS_SANITIZED)
		SKIP(return, "a sanitizer needs more");
	mappings("");
	ASSERT_EQ(0, limit_address_space(&was, 2 * page_size()));
	t = alloc(NULL, 1);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(1, run(t));
}

#define USER		12345	/* an ordinary one, for whom limits are */

static int lock_all_and_allocate(void *arg)
{
	rlim_t max = page_size() > 4096 ? 16 * page_size() : 65536;
	struct rlimit limit = { max, max };
	static void *t[SOME];
	long locked;
	int n, i;

	/* What is mapped already is not locked; what comes is. */
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setuid(USER) || mlockall(MCL_FUTURE))
		return 253;
	n = exhaust(t, SOME);
	/* More than of one page */
	if (n < 3 * (long)page_size() / 40)
		return 1;
	if (n < SOME && errno != EAGAIN && errno != ENOMEM)
		return 2;
	for (i = 0; i < n; i++)
		if (run(t[i]) != (unsigned long)i)
			return 3;
	locked = read_field("/proc/self/status", "VmLck") * 1024;
	return locked <= (long)limit.rlim_cur ? 0 : 4;
}

TEST_F(each, locked_memory_of_a_few_pages_is_enough)
{
	int ret = result_of(lock_all_and_allocate, NULL);

	if (ret == 253)
		SKIP(return, "mlockall(): not allowed");
	EXPECT_EQ(0, ret);
}

static void *alloc_one(void *t)
{
	*(void **)t = alloc(NULL, 1);
	return NULL;
}

/* Threads keep apart, as long as there is more. */
TEST_F(each, without_memory_threads_share_what_there_is)
{
	void *t = alloc(NULL, 1), *other = NULL;
	static char stack[1 << 18];
	pthread_attr_t attr;
	pthread_t thread;

	ASSERT_NE(NULL, t);
	pthread_attr_init(&attr);
	ASSERT_EQ(0, pthread_attr_setstack(&attr, stack, sizeof(stack)));
	ASSERT_EQ(0, filter_own_memory(SECCOMP_RET_ERRNO | ENOMEM, 0));
	ASSERT_EQ(0, pthread_create(&thread, &attr, alloc_one, &other));
	pthread_join(thread, NULL);
	EXPECT_NE(NULL, other);
}

TEST_F(each, without_memory_of_its_own_it_keeps_nothing)
{
	static void *t[SOME];
	int i, n, maps;

	ASSERT_NE(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, filter_own_memory(SECCOMP_RET_ERRNO | ENOMEM, 0));
	n = exhaust(t, SOME);
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_LT(n, SOME);
	maps = mappings("");
	for (i = 0; i < 10; i++)
		EXPECT_EQ(NULL, alloc(NULL, i));
	EXPECT_EQ(maps, mappings(""));
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
	const struct abi_reg *other;
	static void *t[SOME];
	int refused = 0;

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
	/* Registers that the library does not have */
	for (other = abi_regs; other->name; other++) {
		if (create(TRAMPFD_MODE_DATA, TRAMPFD_REG(other->dwarf)))
			continue;
		EXPECT_EQ(EOPNOTSUPP, errno);
		refused++;
	}
	EXPECT_GT(refused, 0);
	EXPECT_EQ(0, mappings("wx"));
	for (i = 0; i < SOME; i++)
		trampfd_free(t[i]);
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

/* A number beyond all tables, and below those for which arm sends SIGILL */
#define NO_SYSCALL	5000

/* A sandbox that kills for system calls that its author did not know */
static int grow_in_killing_sandbox(void *arg)
{
	static void *t[SOME];

	/* As if the kernel had no such system call */
	syscall(NO_SYSCALL);
	if (forbid(__NR_trampfd_create, errno) || !alloc(NULL, 1) ||
	    filter(__NR_trampfd_create, 0, 0, 0, SECCOMP_RET_KILL_PROCESS, 0))
		return 1;
	return exhaust(t, SOME) == SOME ? 0 : 2;
}

TEST(kernel_that_has_none_is_asked_once)
{
	EXPECT_EQ(0, result_of(grow_in_killing_sandbox, NULL));
}

static int never_ask(void *arg)
{
	static void *t[SOME];

	if (trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY) ||
	    filter(__NR_trampfd_create, 0, 0, 0, SECCOMP_RET_KILL_PROCESS, 0))
		return 1;
	return exhaust(t, SOME) == SOME ? 0 : 2;
}

TEST(kernel_is_not_asked_where_the_library_is_wanted)
{
	EXPECT_EQ(0, result_of(never_ask, NULL));
}

/* In /tmp/perf-PID.map of @pid: how many lines have @word, and @trampoline's address if any */
static int names_of(pid_t pid, const void *trampoline, const char *word)
{
	char path[64], line[512];
	unsigned long address;
	int nr = 0;
	FILE *f;

	sprintf(path, "/tmp/perf-%d.map", pid);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "%lx %*x", &address) == 1 && strlen(line) > strlen(word) &&
		    !strcmp(line + strlen(line) - strlen(word), word))
			nr += !trampoline || address == (unsigned long)trampoline;
	}
	fclose(f);
	return nr;
}

static void first_target(void)
{
	asm volatile("");
}

static void second_target(void)
{
	asm volatile("" : : "r" (0));
}

#define FIRST		" trampoline of first_target"
#define SECOND		" trampoline of second_target"

/* What is not 0 is a line where it was not as it should be. */
static int write_names(void *arg)
{
	struct trampfd_pool *pool;
	pid_t me = getpid();
	void *t, *u;
	int i;

	setenv("TRAMPFD_PERF_MAP", "1", 1);
	pool = create(TRAMPFD_MODE_DATA, 0);
	t = trampfd_alloc(pool, first_target, NULL);
	if (names_of(me, t, FIRST) != 1)
		return __LINE__ % 250 + 1;
	/* Of what is the same there is one line. */
	for (i = 0; i < 100; i++) {
		trampfd_free(t);
		t = trampfd_alloc(pool, first_target, NULL);
	}
	if (names_of(me, NULL, FIRST) != 1)
		return __LINE__ % 250 + 1;
	trampfd_set(t, second_target, NULL);
	if (names_of(me, t, SECOND) != 1)
		return __LINE__ % 250 + 1;
	/* As libffi does */
	u = trampfd_alloc(pool, first_target, NULL);
	slot_of(u)->code = second_target;
	if (names_of(me, u, SECOND) != 0)
		return __LINE__ % 250 + 1;
	trampfd_free(u);
	if (names_of(me, u, SECOND) != 1 || mappings("wx"))
		return __LINE__ % 250 + 1;
	/* Named at the end */
	t = trampfd_alloc(NULL, first_target, NULL);
	slot_of(t)->code = second_target;
	*(void **)arg = t;
	exit(0);
}

/* A program that the dynamic linker was told to run has no name that leads to it. */
static bool is_run_by_linker(void)
{
	char path[PATH_MAX] = "";

	return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 && strstr(path, "/ld-");
}

TEST_F(each, names_for_perf_are_written_on_request)
{
	void **t = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[64];
	pid_t child;
	int status;

	if (is_run_by_linker())
		SKIP(return, "the dynamic linker was run as a program");
	child = fork();
	if (!child)
		_exit(write_names(t));
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, names_of(child, *t, SECOND));
	sprintf(path, "/tmp/perf-%d.map", child);
	unlink(path);
	/* And not without */
	child = fork();
	if (!child) {
		alloc(NULL, 1);
		_exit(names_of(getpid(), NULL, ""));
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(255, WEXITSTATUS(status));
}

/* Whether a file that is there already gets names: by a link, another name, or another user */
static int names_go_elsewhere(void *how)
{
	bool is_link = !strcmp(how, "link"), is_symlink = !strcmp(how, "symlink");
	char path[64], other[64], line[100] = "";
	FILE *f;
	int fd;

	sprintf(path, "/tmp/perf-%d.map", getpid());
	sprintf(other, "/tmp/trampfd-%d", getpid());
	fd = open(is_link || is_symlink ? other : path, O_CREAT | O_RDWR, 0666);
	if (fd < 0 || (is_link && link(other, path)) || (is_symlink && symlink(other, path)) ||
	    (!strcmp(how, "user") && fchown(fd, 65534, 65534)))
		return 100;
	setenv("TRAMPFD_PERF_MAP", "1", 1);
	trampfd_free(trampfd_alloc(NULL, first_target, NULL));
	f = fdopen(fd, "r");
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	unlink(path);
	unlink(other);
	return !!line[0];
}

TEST(names_go_to_no_file_of_others)
{
	EXPECT_EQ(1, result_of(names_go_elsewhere, "file"));
	EXPECT_EQ(0, result_of(names_go_elsewhere, "symlink"));
	EXPECT_EQ(0, result_of(names_go_elsewhere, "link"));
	if (!getuid())
		EXPECT_EQ(0, result_of(names_go_elsewhere, "user"));
}

/* Says of a program that was executed whether it may choose by the environment. */
#define SAY_BACKEND	"--say-backend"
#define HAS_NAMES	8	/* and that it wrote names for perf */

static int run_copy(void *path)
{
	if (setenv("TRAMPFD_BACKEND", "kernel", 1) || setenv("TRAMPFD_PERF_MAP", "1", 1) ||
	    setgid(65534) || setuid(65534))
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
	EXPECT_EQ(TRAMPFD_BACKEND_KERNEL | HAS_NAMES, result_of(run_copy, path));
	ASSERT_EQ(0, chmod(path, 04755));
	EXPECT_EQ(TRAMPFD_BACKEND_AUTO, result_of(run_copy, path));
	unlink(path);
}

int main(int argc, char *argv[])
{
	if (is_quick(&argc, &argv))
		nr_forks = FORKS / 10;
	if (argc == 2 && !strcmp(argv[1], SAY_BACKEND)) {
		const struct trampfd_pool_attr library = { .backend = TRAMPFD_BACKEND_LIBRARY };
		struct trampfd_pool *pool;
		char map[64];
		int names;

		/* As if there were no kernel: the kernel's word is an error, or not. */
		if (forbid(__NR_trampfd_create, EPERM))
			return 102;
		pool = trampfd_pool_create(NULL);
		trampfd_alloc(trampfd_pool_create(&library), first_target, NULL);
		names = names_of(getpid(), NULL, "") > 0 ? HAS_NAMES : 0;
		sprintf(map, "/tmp/perf-%d.map", getpid());
		unlink(map);
		return (pool ? TRAMPFD_BACKEND_AUTO : TRAMPFD_BACKEND_KERNEL) | names;
	}
	return test_harness_run(argc, argv);
}
