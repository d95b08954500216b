// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Names of trampolines for perf(1).
 */

/*
 * The number of lines in /tmp/perf-PID.map of @pid that end with @end, and, unless
 * @trampoline is NULL, have its address; or -1 without the file
 */
static int names_of(pid_t pid, const void *trampoline, const char *end)
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
		if (sscanf(line, "%lx %*x", &address) == 1 && strlen(line) > strlen(end) &&
		    !strcmp(line + strlen(line) - strlen(end), end))
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

/* @arg gets the trampoline that is named at exit. */
static void write_names(struct __test_metadata *_metadata, void *arg)
{
	struct trampfd_pool *pool;
	pid_t me = getpid();
	void *t, *u;
	int i;

	setenv("TRAMPFD_PERF_MAP", "1", 1);
	pool = create(TRAMPFD_MODE_DATA, 0);
	t = trampfd_alloc(pool, first_target, NULL);
	EXPECT_EQ(1, names_of(me, t, FIRST));
	/* The same trampoline with the same target is written once. */
	for (i = 0; i < 100; i++) {
		trampfd_free(t);
		t = trampfd_alloc(pool, first_target, NULL);
	}
	EXPECT_EQ(1, names_of(me, NULL, FIRST));
	trampfd_set(t, second_target, NULL);
	EXPECT_EQ(1, names_of(me, t, SECOND));
	/* A slot that the program changes, as libffi does */
	u = trampfd_alloc(pool, first_target, NULL);
	slot_of(u)->code = second_target;
	EXPECT_EQ(0, names_of(me, u, SECOND));
	trampfd_free(u);
	EXPECT_EQ(1, names_of(me, u, SECOND));
	EXPECT_EQ(0, mappings("wx"));
	t = trampfd_alloc(NULL, first_target, NULL);
	slot_of(t)->code = second_target;
	*(void **)arg = t;
	exit(_metadata->exit_code);
}

static void write_no_names(struct __test_metadata *_metadata, void *arg)
{
	alloc(NULL, 1);
	EXPECT_EQ(-1, names_of(getpid(), NULL, ""));
}

/* If the dynamic linker was executed, /proc/self/exe is not the program. */
static bool is_run_by_linker(void)
{
	char path[PATH_MAX] = "";

	return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 && strstr(path, "/ld-");
}

TEST_F(backend, perf_map)
{
	void **t = shared_memory(sizeof(*t));
	char path[64];
	pid_t child;

	if (is_run_by_linker())
		SKIP(return, "the dynamic linker was executed as a program");
	child = begin_child(_metadata, write_names, t);
	end_child(_metadata, child);
	EXPECT_EQ(1, names_of(child, *t, SECOND));
	sprintf(path, "/tmp/perf-%d.map", child);
	unlink(path);
	in_child(_metadata, write_no_names, NULL);
}

/**
 * struct existing - a file that has the name of this process's map
 * @kind: "file", "symlink" or "link" to another file, or "user" for one of another user.
 * @is_written: Whether the library may write to it.
 */
struct existing {
	const char *kind;
	bool is_written;
};

static void write_to_existing(struct __test_metadata *_metadata, void *arg)
{
	const struct existing *existing = arg;
	bool is_link = !strcmp(existing->kind, "link");
	bool is_symlink = !strcmp(existing->kind, "symlink");
	char path[64], other[64];
	struct stat st;
	int fd;

	sprintf(path, "/tmp/perf-%d.map", getpid());
	sprintf(other, "/tmp/trampfd-%d", getpid());
	fd = open(is_link || is_symlink ? other : path, O_CREAT | O_RDWR, 0666);
	ASSERT_GE(fd, 0);
	if (is_link)
		ASSERT_EQ(0, link(other, path));
	if (is_symlink)
		ASSERT_EQ(0, symlink(other, path));
	if (!strcmp(existing->kind, "user"))
		ASSERT_EQ(0, fchown(fd, NOBODY, NOBODY));
	setenv("TRAMPFD_PERF_MAP", "1", 1);
	trampfd_free(trampfd_alloc(NULL, first_target, NULL));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(existing->is_written, st.st_size > 0) TH_LOG("%s", existing->kind);
	unlink(path);
	unlink(other);
}

TEST(perf_map_of_others_is_not_written)
{
	in_child(_metadata, write_to_existing, &(struct existing){ "file", true });
	in_child(_metadata, write_to_existing, &(struct existing){ "symlink", false });
	in_child(_metadata, write_to_existing, &(struct existing){ "link", false });
	if (!getuid())
		in_child(_metadata, write_to_existing, &(struct existing){ "user", false });
}
