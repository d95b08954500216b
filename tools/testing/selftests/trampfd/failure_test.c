// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever fails within a call, the call answers as documented, and nothing is
 * left behind: no descriptor, file, inode or page.
 *
 * Failures are injected one by one, the first, the second and so on, until the
 * call succeeds (Documentation/fault-injection/fault-injection.rst).
 */
#include "inject.h"

#define MAX_FAILURES	200	/* more than any call here has occasions to fail */

/*
 * What the system holds; it may change a little by what others do.  A file keeps
 * its inode, by which it is counted too: the count of files itself is coarse.
 */
struct held {
	long inodes, pages;
};

static struct held held(void)
{
	return (struct held){
		.inodes = inodes(),
		.pages = read_field("/proc/vmstat", "nr_file_pages") +
			 read_field("/proc/vmstat", "nr_anon_pages"),
	};
}

/*
 * Expect that @one, done with many geometries (of up to 8 registers, and of sizes
 * @times apart), leaves nothing behind.  Each
 * geometry has a code object, so that one that is left each time is seen beside
 * what others do.
 */
static void expect_nothing_left(struct __test_metadata *_metadata,
				void (*one)(struct __test_metadata *_metadata,
					    const struct trampfd_create_args *args),
				uint32_t times)
{
	struct held before = held(), after;
	const struct abi_reg *r;
	int geometries = 0;
	uint32_t nr;

	ASSERT_GT(before.inodes, 0);
	for (r = abi_regs; r->name && r < abi_regs + 8; r++) {
		for (nr = several_pages(); nr <= TRAMPFD_NR_MAX; nr *= times) {
			one(_metadata, &(struct trampfd_create_args){
				.mode = TRAMPFD_MODE_SLOT,
				.data_reg = TRAMPFD_REG(r->dwarf), .nr = nr });
			geometries++;
		}
	}
	after = held();
	EXPECT_LT(after.inodes - before.inodes, geometries / 2)
		TH_LOG("%ld inodes more after %d geometries",
		       after.inodes - before.inodes, geometries);
	/* A code object has two pages or more, and many here have 256. */
	EXPECT_LT(after.pages - before.pages, 8 * geometries)
		TH_LOG("%ld pages more after %d geometries",
		       after.pages - before.pages, geometries);
}

static void use_and_close(struct __test_metadata *_metadata,
			  const struct trampfd_create_args *args)
{
	struct instance in = { .args = *args };

	EXPECT_EQ(0, instance_open(&in));
	touch(in.code);
	scribble(in.table);
	instance_close(&in);
}

TEST(closed_instance_leaves_nothing_behind)
{
	expect_nothing_left(_metadata, use_and_close, 2);
}

static void fail_to_answer(struct __test_metadata *_metadata,
			   const struct trampfd_create_args *args)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct trampfd_create_args *read_only = mmap(NULL, page,
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, read_only);
	*read_only = *args;
	ASSERT_EQ(0, mprotect(read_only, page, PROT_READ));
	EXPECT_EQ(EFAULT, error_of(trampfd_create(read_only, sizeof(*args))));
	munmap(read_only, page);
}

TEST(args_not_writable_leaves_nothing_behind)
{
	expect_nothing_left(_metadata, fail_to_answer, 2);
}

/*
 * What can fail: each returns 0 or the errno.  @in is open and mapped, the first
 * page of code and table is there, and 1 is the data of slot 0.
 */
/* Of another geometry, the code of which is not there yet */
static int create(struct instance *in)
{
	struct trampfd_create_args args = in->args;
	int fd, err;

	args.nr /= 2;
	fd = trampfd_create(&args, sizeof(args));
	err = errno;

	if (fd < 0)
		return err;
	close(fd);
	return 0;
}

static int map_code(struct instance *in)
{
	void *p = mmap(NULL, in->args.code_size, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE, in->fd, 0);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, in->args.code_size);
	return 0;
}

/* In place of a part of what is there, with which it becomes one again */
static int map_code_again(struct instance *in)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *p = mmap(in->code + page, page, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE | MAP_FIXED, in->fd, page);

	return p == MAP_FAILED ? errno : 0;
}

/* In place of the table that is there */
static int map_table(struct instance *in)
{
	void *p = mmap(in->table, in->args.table_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_FIXED, in->fd, in->args.table_offset);

	return p == MAP_FAILED ? errno : 0;
}

static int read_code(struct instance *in)
{
	static char code[8192];

	return error_of(pread(in->fd, code, sizeof(code),
			      in->args.code_size - sizeof(code)));
}

/* A fault that finds no memory is tried again: nobody sees that it failed. */
static int touch_code(struct instance *in)
{
	touch(in->code + in->args.code_size - 1);
	return 0;
}

static int touch_table(struct instance *in)
{
	scribble(in->table + in->args.table_size - 1);
	return 0;
}

static int move_code(struct instance *in)
{
	size_t size = in->args.code_size;
	char *p = mremap(in->code, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, size);
	return 0;
}

static int split_code(struct instance *in)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int err = error_of(mprotect(in->code + page, page, PROT_NONE));

	return err ?: error_of(mprotect(in->code + page, page, PROT_READ | PROT_EXEC));
}

static int split_table(struct instance *in)
{
	return error_of(munmap(in->table + in->args.table_size / 2,
			       sysconf(_SC_PAGESIZE)));
}

static int fork_and_look(struct instance *in)
{
	pid_t pid = fork();
	int err = errno, status;

	if (!pid)
		_exit(instance_slot(in, 0)->data != 1);
	if (pid < 0)
		return err;
	waitpid(pid, &status, 0);
	return status ? ECHILD : 0;
}

static int show(struct instance *in)
{
	char path[64], text[512];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", in->fd);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return errno;
	err = error_of(read(fd, text, sizeof(text)));
	close(fd);
	return err;
}

/**
 * struct failing - a call that can fail
 * @least: In how many ways, at least; seen on every ABI.
 * @errors: What it may answer then.
 */
struct failing {
	int (*call)(struct instance *in);
	int least;
	int errors[2];
};

FIXTURE(failure) {
	int injector;
};

FIXTURE_VARIANT(failure) {
	struct failing what;
};

/* Arguments copied in, two inodes, their names, a file, arguments copied out */
FIXTURE_VARIANT_ADD(failure, create) {
	.what = { create, 6, { ENOMEM, EFAULT } },
};

FIXTURE_VARIANT_ADD(failure, map_code) {
	.what = { map_code, 1, { ENOMEM } },
};

FIXTURE_VARIANT_ADD(failure, map_code_again) {
	.what = { map_code_again, 1, { ENOMEM } },
};

FIXTURE_VARIANT_ADD(failure, map_table) {
	.what = { map_table, 1, { ENOMEM } },
};

FIXTURE_VARIANT_ADD(failure, read_code) {
	.what = { read_code, 1, { ENOMEM, EFAULT } },
};

FIXTURE_VARIANT_ADD(failure, touch_code) {
	.what = { touch_code, 1 },
};

FIXTURE_VARIANT_ADD(failure, touch_table) {
	.what = { touch_table, 1 },
};

FIXTURE_VARIANT_ADD(failure, move_code) {
	.what = { move_code, 1, { ENOMEM } },
};

FIXTURE_VARIANT_ADD(failure, split_code) {
	.what = { split_code, 1, { ENOMEM } },
};

FIXTURE_VARIANT_ADD(failure, split_table) {
	.what = { split_table, 1, { ENOMEM } },
};

FIXTURE_VARIANT_ADD(failure, fork_and_look) {
	.what = { fork_and_look, 5, { ENOMEM } },
};

FIXTURE_VARIANT_ADD(failure, show) {
	.what = { show, 3, { ENOMEM, EFAULT } },
};

FIXTURE_SETUP(failure)
{
	const char *why = inject_allow();

	if (why)
		SKIP(return, "%s", why);
	self->injector = inject_open();
	ASSERT_GE(self->injector, 0);
}

FIXTURE_TEARDOWN(failure)
{
	close(self->injector);
	inject_forbid();
}

/* For fail_each() */
static int injector;
static const struct failing *what;
static int most;

/* Every failure of one call on a fresh instance, until there is none */
static void fail_each(struct __test_metadata *_metadata,
		      const struct trampfd_create_args *args)
{
	int next = next_fd(), nth, err, failures = 0;
	bool failed = true;
	uint32_t first;

	for (nth = 1; failed && nth < MAX_FAILURES; nth++) {
		struct instance in = { .args = *args };

		ASSERT_EQ(0, instance_open(&in));
		/* A register of any kind: not for a C function to call */
		instance_slot(&in, 0)->data = 1;
		first = *(uint32_t *)in.code;

		inject_arm(injector, nth);
		err = what->call(&in);
		failed = inject_disarm(injector);
		failures += failed;
		if (err)
			EXPECT_TRUE(failed && (err == what->errors[0] ||
					       err == what->errors[1]))
				TH_LOG("failure %d: %s", nth, strerror(err));
		EXPECT_EQ(first, *(uint32_t *)in.code);
		if (what->call != map_table)
			EXPECT_EQ(1, instance_slot(&in, 0)->data);
		instance_close(&in);
		EXPECT_EQ(next, next_fd());
	}
	EXPECT_FALSE(failed);
	if (failures > most)
		most = failures;
}

TEST_F_TIMEOUT(failure, leaves_nothing_behind, 900)
{
	what = &variant->what;
	injector = self->injector;
	most = 0;
	/* A fork has many ways to fail. */
	expect_nothing_left(_metadata, fail_each, what->call == fork_and_look ? 16 : 2);
	TH_LOG("up to %d failures", most);
	EXPECT_GE(most, what->least);
}

TEST_HARNESS_MAIN
