// SPDX-License-Identifier: GPL-2.0
/*
 * Failures inside a call: it returns a documented error and leaks no descriptor,
 * file, inode or page.
 *
 * Fault injection lets the first allocation or user copy of a call fail, then the
 * second, and so on until the call succeeds
 * (Documentation/fault-injection/fault-injection.rst).
 */
#include "cgroup.h"
#include "inject.h"

#define MAX_FAILURES	200	/* more than the failure points of any call here */

/**
 * struct held - resources in use; other processes change them a little
 * @inodes: Inodes.  They stand for files too, whose own count is imprecise.
 * @tables: Anonymous pages.
 * @kernel: Pages of kernel memory of the test's cgroup, which include code; 0
 *	without a cgroup.
 */
struct held {
	long inodes, tables, kernel;
};

static struct held held(const struct cgroup *group)
{
	long page = page_size();

	cgroup_settle();
	/* Fold the counters of all CPUs into the global ones; needs root. */
	write_file("/proc/sys/vm/stat_refresh", "1");
	return (struct held){
		.inodes = inodes(),
		.tables = read_field("/proc/vmstat", "nr_anon_pages"),
		.kernel = group ? cgroup_stat(group, "kernel") / page : 0,
	};
}

FIXTURE(leak) {
	struct cgroup cgroup, *group;
};

FIXTURE_SETUP(leak)
{
	self->group = cgroup_make(&self->cgroup) ? NULL : &self->cgroup;
	if (!self->group)
		TH_LOG("no memory cgroup: pages of code are not counted");
	else
		ASSERT_EQ(0, cgroup_enter(self->group));
}

FIXTURE_TEARDOWN(leak)
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

/* Wait until resources of ended processes are freed, which takes a moment. */
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

/* Create each geometry once: the kernel never frees the code of a geometry. */
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
 * Call @one for many geometries, with up to @registers registers, and expect that
 * it leaks nothing.  If it @keeps_code, expect a page for each geometry.  A leak in
 * each call exceeds the noise of other processes.
 */
static void expect_no_leak(struct __test_metadata *_metadata,
			   const struct cgroup *group, unsigned int registers,
			   bool keeps_code,
			   void (*one)(struct __test_metadata *_metadata,
				       const struct trampfd_create_args *args))
{
	struct held before, after;
	const struct abi_reg *r;
	int geometries = 0;
	uint32_t stride;

	/* Harness and kernel allocate some things once: let them do so now. */
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
	/* These are the first instances, which allocate the code. */
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

	ASSERT_EQ(0, instance_open(&in));
	touch(in.code);
	scribble(in.table);
	instance_close(&in);
}

TEST_F(leak, closed_instance)
{
	expect_no_leak(_metadata, self->group, ABI_MAX_REGS, false, use_and_close);
}

static void fail_to_answer(struct __test_metadata *_metadata,
			   const struct trampfd_create_args *args)
{
	size_t page = page_size();
	struct trampfd_create_args *read_only =
		(void *)anonymous(page, PROT_READ | PROT_WRITE);

	ASSERT_NE(MAP_FAILED, read_only);
	*read_only = *args;
	ASSERT_EQ(0, mprotect(read_only, page, PROT_READ));
	EXPECT_EQ(EFAULT, error_of(trampfd_create(read_only, sizeof(*args))));
	munmap(read_only, page);
}

TEST_F(leak, efault_after_create)
{
	expect_no_leak(_metadata, self->group, ABI_MAX_REGS, false, fail_to_answer);
}

/*
 * The calls that can fail.  Each returns 0 or the errno.  @in is open and mapped,
 * the first page of code and of table has been touched, and slot 0 has data 1.
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

/* Another geometry, whose code does not exist yet */
static int create_code(struct instance *in)
{
	struct trampfd_create_args args = in->args;

	args.mode = TRAMPFD_MODE_DATA;
	return try_create(args);
}

static int map_code(struct instance *in)
{
	return map_error(in->fd, 0, in->args.table_offset, PROT_READ | PROT_EXEC,
			 MAP_PRIVATE);
}

/* Replace a part of the mapping, which splits it and merges it again. */
static int map_code_again(struct instance *in)
{
	size_t page = page_size();
	void *p = mmap(in->code + page, page, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE | MAP_FIXED, in->fd, page);

	return p == MAP_FAILED ? errno : 0;
}

/* Replace the table. */
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

/* A page of code in a range without page tables: its first fault allocates them. */
static char *far_code;

static void map_far_code(const struct instance *in)
{
	/* With pages of 64 KiB, a page table spans 512 MiB. */
	const size_t far = sizeof(long) == 8 || page_size() > 4096 ? 1UL << 30 : 64UL << 20;

	far_code = mmap(in->code - far, page_size(), PROT_READ | PROT_EXEC, MAP_PRIVATE,
			in->fd, 0);
}

/* The kernel retries a fault without memory, so a failure is not visible. */
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
	return error_of(munmap(in->table + in->size / 2, page_size()));
}

/* ECHILD: the child does not have the slot of its parent. */
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
 * @call: The call.
 * @least: Minimum number of failure points; every ABI has as many.
 * @errors: The errors that it may return.
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

/* Fails when it copies arguments in or out, or allocates code, inode, name or file. */
FIXTURE_VARIANT_ADD(failure, create) {
	.what = { create, 4, { ENOMEM, EFAULT } },
};

FIXTURE_VARIANT_ADD(failure, create_code) {
	.what = { create_code, 3, { ENOMEM, EFAULT } },
};

/* On s390x the arguments of mmap() are copied in. */
#ifdef __s390__
#define MMAP_ERRORS	{ ENOMEM, EFAULT }
#else
#define MMAP_ERRORS	{ ENOMEM }
#endif

FIXTURE_VARIANT_ADD(failure, map_code) {
	.what = { map_code, 1, MMAP_ERRORS },
};

FIXTURE_VARIANT_ADD(failure, map_code_again) {
	.what = { map_code_again, 1, MMAP_ERRORS },
};

FIXTURE_VARIANT_ADD(failure, map_table) {
	.what = { map_table, 1, MMAP_ERRORS },
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

/* Inject each failure of the call, on a fresh instance each time. */
static void fail_each(struct __test_metadata *_metadata,
		      const struct trampfd_create_args *args)
{
	int next = next_fd(), nth, err, failures = 0;
	bool failed = true;
	uint32_t first;

	for (nth = 1; failed && nth < MAX_FAILURES; nth++) {
		struct instance in = { .args = *args, .nr = ALL };

		ASSERT_EQ(0, instance_open(&in));
		/* Do not call it: its data register may be one that C code needs. */
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
	 * Do not count kernel memory for fork(): some of its many failures leave
	 * memory charged, also if the process has no trampolines.
	 */
	if (what->call == fork_and_look && INJECT_SLOWS_FORK)
		fail_each(_metadata, &(struct trampfd_create_args){});
	else if (what->call == fork_and_look)
		expect_no_leak(_metadata, NULL, 2, false, fail_each);
	else
		expect_no_leak(_metadata, self->group, 8, what->call == create_code,
			       fail_each);
	TH_LOG("up to %d failures", most);
	EXPECT_GE(most, what->least);
}

TEST_HARNESS_MAIN
