// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Limits: descriptors, address space, locked memory, and mappings that fail.
 */

TEST(rlimit_nofile)
{
	struct rlimit none = {}, was;
	static void *t[SOME];
	unsigned long i, wrong = 0;
	int n, maps;

	if (!kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &was));
	none.rlim_max = was.rlim_max;
	/* Before the first trampoline */
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

TEST(library_needs_no_descriptor)
{
	struct rlimit none = {};
	static void *t[SOME];

	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(SOME, exhaust(t, SOME));
}

/* Limit the address space to its current size plus @more bytes. */
static int limit_address_space(struct rlimit *was, size_t more)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, was))
		return -1;
	limit = *was;
	limit.rlim_cur = read_field("/proc/self/status", "VmSize") * 1024 + more;
	return setrlimit(RLIMIT_AS, &limit);
}

TEST_F(backend, rlimit_as)
{
	static void *t[1000000];
	unsigned long i, wrong = 0;
	struct rlimit was;
	int n;

	/* Before the first trampoline; mappings() lets stdio allocate its buffer. */
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

TEST_F(backend, rlimit_as_of_two_pages)
{
	struct rlimit was;
	void *t;

	if (IS_SANITIZED)
		SKIP(return, "sanitizers map memory");
	mappings("");
	ASSERT_EQ(0, limit_address_space(&was, 2 * page_size()));
	t = alloc(NULL, 1);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(1, run(t));
}

static void lock_all_and_allocate(struct __test_metadata *_metadata, void *arg)
{
	rlim_t max = page_size() > 4096 ? 16 * page_size() : 65536;
	struct rlimit limit = { max, max };
	static void *t[SOME];
	long n, i;

	/* root may exceed the limit. */
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setuid(NOBODY) || mlockall(MCL_FUTURE))
		SKIP(return, "mlockall() as another user: %s", strerror(errno));
	n = exhaust(t, SOME);
	if (n < SOME)
		EXPECT_TRUE(errno == EAGAIN || errno == ENOMEM) TH_LOG("%s", strerror(errno));
	/* More than one page of slots */
	EXPECT_GE(n, 3 * (long)page_size() / 40);
	for (i = 0; i < n; i++)
		EXPECT_EQ(i, run(t[i]));
	EXPECT_LE(read_field("/proc/self/status", "VmLck") * 1024, (long)limit.rlim_cur);
}

TEST_F(backend, rlimit_memlock)
{
	in_child(_metadata, lock_all_and_allocate, NULL);
}

static void *alloc_one(void *t)
{
	*(void **)t = alloc(NULL, 1);
	return NULL;
}

/* Threads use different cache lines only while more can be mapped. */
TEST_F(backend, enomem_threads_share_slots)
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

TEST_F(backend, enomem_leaks_nothing)
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
