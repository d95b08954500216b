// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever fails within a call, the call answers as documented, and nothing is
 * left behind: no descriptor, file, inode or page.
 *
 * Failures are injected one by one, the first, the second and so on, until the
 * call succeeds (Documentation/fault-injection/fault-injection.rst).
 */
#include "cgroup.h"
#include "inject.h"

#define MAX_FAILURES	200	/* more than any call here has occasions to fail */

/*
 * What the system holds; it may change a little by what others do.  A file keeps
 * its inode, by which it is counted too: the count of files itself is coarse.  The
 * code of a geometry is kernel memory, which is charged to the cgroup of the test
 * if that has one.
 */
struct held {
	long inodes, tables, kernel;
};

static struct held held(const struct cgroup *group)
{
	long page = page_size();

	cgroup_settle();
	/* Likewise those of each processor; needs root. */
	write_file("/proc/sys/vm/stat_refresh", "1");
	return (struct held){
		.inodes = inodes(),
		.tables = read_field("/proc/vmstat", "nr_anon_pages"),
		.kernel = group ? cgroup_stat(group, "kernel") / page : 0,
	};
}

FIXTURE(nothing_left) {
	struct cgroup cgroup, *group;
};

FIXTURE_SETUP(nothing_left)
{
	self->group = cgroup_make(&self->cgroup) ? NULL : &self->cgroup;
	if (!self->group)
		TH_LOG("without a memory cgroup, code is not counted");
	else
		ASSERT_EQ(0, cgroup_enter(self->group));
}

FIXTURE_TEARDOWN(nothing_left)
{
	if (self->group)
		EXPECT_EQ(0, cgroup_leave_and_remove(self->group));
}

static bool any_grew_by(const struct held *before, const struct held *after, long nr)
{
	return after->inodes - before->inodes >= nr ||
	       after->tables - before->tables >= nr ||
	       after->kernel - before->kernel >= nr;
}

/* What a process that has ended held is freed some time after it can be waited for. */
static struct held held_at_last(const struct cgroup *group, const struct held *before,
				long nr)
{
	struct held now = held(group);
	int tries;

	for (tries = 0; tries < 50 && any_grew_by(before, &now, nr); tries++) {
		usleep(100000);
		now = held(group);
	}
	return now;
}

/* The kernel keeps the code of each geometry from its first instance on. */
static void make_codes(struct __test_metadata *_metadata, unsigned int registers)
{
	const struct abi_reg *r;
	uint32_t stride;

	for (r = abi_regs; r->name && r < abi_regs + registers; r++) {
		for (stride = 32; stride <= TRAMPFD_STRIDE_MAX; stride *= 2) {
			struct trampfd_create_args args = {
				.mode = TRAMPFD_MODE_SLOT, .stride = stride,
				.data_reg = TRAMPFD_REG(r->dwarf),
			};
			int fd = trampfd_create(&args, sizeof(args));

			ASSERT_GE(fd, 0);
			close(fd);
		}
	}
}

/*
 * Expect that @one, done with many geometries (of up to @registers registers),
 * leaves nothing behind but, if it @keeps_code, a page for each.  They are many,
 * so that what is left each time is seen beside what others do.
 */
static void expect_nothing_left(struct __test_metadata *_metadata,
				const struct cgroup *group, unsigned int registers,
				bool keeps_code,
				void (*one)(struct __test_metadata *_metadata,
					    const struct trampfd_create_args *args))
{
	struct held before, after;
	const struct abi_reg *r;
	int geometries = 0;
	uint32_t stride;

	/* What is made once, by the harness and the kernel, is there now. */
	one(_metadata, &(struct trampfd_create_args){});
	make_codes(_metadata, registers);
	before = held(group);
	ASSERT_GT(before.inodes, 0);
	for (r = abi_regs; r->name && r < abi_regs + registers; r++) {
		for (stride = 32; stride <= TRAMPFD_STRIDE_MAX; stride *= 2) {
			one(_metadata, &(struct trampfd_create_args){
				.mode = TRAMPFD_MODE_SLOT, .stride = stride,
				.data_reg = TRAMPFD_REG(r->dwarf) });
			geometries++;
		}
	}
	/* The page of code of each, if these are their first instances */
	if (keeps_code)
		before.kernel += geometries;
	after = held_at_last(group, &before, geometries / 2);
	EXPECT_LT(after.inodes - before.inodes, geometries / 2)
		TH_LOG("%ld inodes more after %d geometries",
		       after.inodes - before.inodes, geometries);
	EXPECT_LT(after.tables - before.tables, geometries / 2)
		TH_LOG("%ld anonymous pages more after %d geometries",
		       after.tables - before.tables, geometries);
	EXPECT_LT(after.kernel - before.kernel, geometries / 2)
		TH_LOG("%ld pages of kernel memory more after %d geometries",
		       after.kernel - before.kernel, geometries);
}

static void use_and_close(struct __test_metadata *_metadata,
			  const struct trampfd_create_args *args)
{
	struct instance in = { .args = *args, .nr = 1 };

	EXPECT_EQ(0, instance_open(&in));
	touch(in.code);
	scribble(in.table);
	instance_close(&in);
}

TEST_F(nothing_left, by_a_closed_instance)
{
	expect_nothing_left(_metadata, self->group, ABI_MAX_REGS, false,
			    use_and_close);
}

static void fail_to_answer(struct __test_metadata *_metadata,
			   const struct trampfd_create_args *args)
{
	size_t page = page_size();
	struct trampfd_create_args *read_only = mmap(NULL, page,
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, read_only);
	*read_only = *args;
	ASSERT_EQ(0, mprotect(read_only, page, PROT_READ));
	EXPECT_EQ(EFAULT, error_of(trampfd_create(read_only, sizeof(*args))));
	munmap(read_only, page);
}

TEST_F(nothing_left, by_an_answer_that_cannot_be_written)
{
	expect_nothing_left(_metadata, self->group, ABI_MAX_REGS, false,
			    fail_to_answer);
}

/*
 * What can fail: each returns 0 or the errno.  @in is open and mapped, the first
 * page of code and table is there, and 1 is the data of slot 0.
 */
static int try_create(struct trampfd_create_args args)
{
	int fd = trampfd_create(&args, sizeof(args));
	int err = errno;

	if (fd < 0)
		return err;
	close(fd);
	return 0;
}

static int create(struct instance *in)
{
	return try_create(in->args);
}

/* Of another geometry, the code of which is not there yet */
static int create_code(struct instance *in)
{
	struct trampfd_create_args args = in->args;

	args.mode = TRAMPFD_MODE_DATA;
	return try_create(args);
}

static int map_code(struct instance *in)
{
	size_t size = in->args.table_offset;
	void *p = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, in->fd, 0);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, size);
	return 0;
}

/* In place of a part of what is there, with which it becomes one again */
static int map_code_again(struct instance *in)
{
	size_t page = page_size();
	void *p = mmap(in->code + page, page, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE | MAP_FIXED, in->fd, page);

	return p == MAP_FAILED ? errno : 0;
}

/* In place of the table that is there */
static int map_table(struct instance *in)
{
	void *p = mmap(in->table, in->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_FIXED, in->fd, in->args.table_offset);

	return p == MAP_FAILED ? errno : 0;
}

static int read_code(struct instance *in)
{
	static char code[4096];

	return error_of(pread(in->fd, code, sizeof(code), 0));
}

/*
 * A page of code that is mapped where there is no page table: all that its first
 * fault needs memory for
 */
static char *far_code;

static void map_far_code(const struct instance *in)
{
	/* With pages of 64 KiB, a page table spans 512 MiB. */
	const size_t far = sizeof(long) == 8 || page_size() > 4096 ? 1UL << 30 : 64UL << 20;

	far_code = mmap(in->code - far, page_size(), PROT_READ | PROT_EXEC, MAP_PRIVATE,
			in->fd, 0);
}

/* A fault that finds no memory is tried again: nobody sees that it failed. */
static int touch_code(struct instance *in)
{
	touch(far_code);
	return 0;
}

static int touch_table(struct instance *in)
{
	scribble(in->table + in->size - 1);
	return 0;
}

static int move_code(struct instance *in)
{
	size_t size = in->args.table_offset;
	char *p = mremap(in->code, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, size);
	return 0;
}

static int split_code(struct instance *in)
{
	size_t page = page_size();
	int err = error_of(mprotect(in->code + page, page, PROT_NONE));

	return err ?: error_of(mprotect(in->code + page, page, PROT_READ | PROT_EXEC));
}

static int split_table(struct instance *in)
{
	return error_of(munmap(in->table + in->size / 2,
			       page_size()));
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
	struct cgroup cgroup, *group;
	int injector;
};

FIXTURE_VARIANT(failure) {
	struct failing what;
};

/* Arguments copied in, code and its page, an inode, its name, a file, arguments out */
FIXTURE_VARIANT_ADD(failure, create) {
	.what = { create, 4, { ENOMEM, EFAULT } },
};

FIXTURE_VARIANT_ADD(failure, create_code) {
	.what = { create_code, 3, { ENOMEM, EFAULT } },
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
	self->group = cgroup_make(&self->cgroup) ? NULL : &self->cgroup;
	if (self->group)
		ASSERT_EQ(0, cgroup_enter(self->group));
	self->injector = inject_open();
	ASSERT_GE(self->injector, 0);
}

FIXTURE_TEARDOWN(failure)
{
	close(self->injector);
	inject_forbid();
	if (self->group)
		EXPECT_EQ(0, cgroup_leave_and_remove(self->group));
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
		struct instance in = { .args = *args, .nr = ALL };

		ASSERT_EQ(0, instance_open(&in));
		/* A register of any kind: not for a C function to call */
		instance_slot(&in, 0)->data = 1;
		first = *(uint32_t *)in.code;
		map_far_code(&in);
		ASSERT_NE(MAP_FAILED, far_code);

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
		munmap(far_code, page_size());
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
	/*
	 * A fork has many ways to fail, and some leave kernel memory charged, of
	 * a process without mappings of code too: that is not counted.
	 */
	if (what->call == fork_and_look && INJECT_SLOWS_FORK)
		fail_each(_metadata, &(struct trampfd_create_args){});
	else if (what->call == fork_and_look)
		expect_nothing_left(_metadata, NULL, 2, false, fail_each);
	else
		expect_nothing_left(_metadata, self->group, 8, what->call == create_code,
				    fail_each);
	TH_LOG("up to %d failures", most);
	EXPECT_GE(most, what->least);
}

TEST_HARNESS_MAIN
