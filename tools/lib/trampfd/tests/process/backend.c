// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Selection of the backend, by sandboxes, by the environment and by the program.
 */

TEST_F(backend, mdwe)
{
	unsigned long i, wrong = 0;

	if (forbid_executable_memory())
		SKIP(return, "no PR_SET_MDWE: %s", strerror(errno));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (i = 0; i < SOME; i++)
		wrong += run(alloc(NULL, i)) != i;
	EXPECT_EQ(0, wrong);
}

/* The kernel refuses trampfd_create(), and the program requests no backend. */
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

TEST_F(refusal, library_replaces_kernel)
{
	struct trampfd_pool_attr attr = { .backend = TRAMPFD_BACKEND_KERNEL };
	unsigned long i, wrong = 0, before = 0;
	const struct abi_reg *other;
	static void *t[SOME];
	int refused = 0;

	/* The program enters the sandbox later. */
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
	/* Registers that the library does not support */
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

TEST(environment_selects_backend)
{
	ASSERT_EQ(0, setenv("TRAMPFD_BACKEND", "library", 1));
	EXPECT_EQ(TRAMPFD_BACKEND_LIBRARY, trampfd_pool_backend(NULL));
}

TEST(environment_with_unknown_word)
{
	int automatic = kernel_has_trampolines() ? TRAMPFD_BACKEND_KERNEL : TRAMPFD_BACKEND_LIBRARY;

	ASSERT_EQ(0, setenv("TRAMPFD_BACKEND", "nonsense", 1));
	EXPECT_EQ(automatic, trampfd_pool_backend(NULL));
}

/* Above all system call numbers, and below those for which arm sends SIGILL */
#define NO_SYSCALL	5000

/* Let the kernel kill this process for trampfd_create(), and allocate. */
static void grow_in_killing_sandbox(struct __test_metadata *_metadata)
{
	static void *t[SOME];

	ASSERT_EQ(0, filter(__NR_trampfd_create, 0, 0, 0, SECCOMP_RET_KILL_PROCESS, 0));
	EXPECT_EQ(SOME, exhaust(t, SOME));
}

static void grow_after_enosys(struct __test_metadata *_metadata, void *arg)
{
	/* The errno of a system call that the kernel does not have */
	ASSERT_EQ(-1, syscall(NO_SYSCALL));
	ASSERT_EQ(0, forbid(__NR_trampfd_create, errno));
	ASSERT_NE(NULL, alloc(NULL, 1));
	grow_in_killing_sandbox(_metadata);
}

TEST(enosys_is_remembered)
{
	in_child(_metadata, grow_after_enosys, NULL);
}

static void grow_from_library(struct __test_metadata *_metadata, void *arg)
{
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	grow_in_killing_sandbox(_metadata);
}

TEST(library_makes_no_trampfd_call)
{
	in_child(_metadata, grow_from_library, NULL);
}

/*
 * The test below executes a copy of this program with this option, and 1 if the library
 * may use its environment, or 0.
 */
#define USES_ENVIRONMENT	"--uses-environment"

static int check_environment(bool uses)
{
	const struct trampfd_pool_attr library = { .backend = TRAMPFD_BACKEND_LIBRARY };
	struct __test_metadata metadata = { .name = "executed" }, *_metadata = &metadata;
	struct trampfd_pool *pool;
	char map[64];

	/* With TRAMPFD_BACKEND=kernel this is an error, on every kernel. */
	EXPECT_EQ(0, forbid(__NR_trampfd_create, EPERM));
	pool = trampfd_pool_create(NULL);
	EXPECT_EQ(uses, !pool) TH_LOG("TRAMPFD_BACKEND");
	trampfd_alloc(trampfd_pool_create(&library), first_target, NULL);
	EXPECT_EQ(uses, names_of(getpid(), NULL, "") > 0) TH_LOG("TRAMPFD_PERF_MAP");
	sprintf(map, "/tmp/perf-%d.map", getpid());
	unlink(map);
	return metadata.exit_code;
}

struct copy {
	const char *path;
	const char *uses_environment;
};

static void run_copy(struct __test_metadata *_metadata, void *arg)
{
	const struct copy *copy = arg;

	ASSERT_EQ(0, setenv("TRAMPFD_BACKEND", "kernel", 1));
	ASSERT_EQ(0, setenv("TRAMPFD_PERF_MAP", "1", 1));
	ASSERT_EQ(0, setgid(NOBODY));
	ASSERT_EQ(0, setuid(NOBODY));
	execl(copy->path, copy->path, USES_ENVIRONMENT, copy->uses_environment, NULL);
	EXPECT_EQ(0, errno) TH_LOG("execl: %s", strerror(errno));
}

TEST(setuid_program_ignores_environment)
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
	in_child(_metadata, run_copy, &(struct copy){ path, "1" });
	ASSERT_EQ(0, chmod(path, 04755));
	in_child(_metadata, run_copy, &(struct copy){ path, "0" });
	unlink(path);
}
