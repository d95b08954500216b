// SPDX-License-Identifier: GPL-2.0
/*
 * Limits: each returns its own error and leaks nothing.  Memory cgroups are charged
 * for what their processes use.  PR_SET_MDWE does not forbid trampolines.
 *
 * create_test.c has the limits on open files.
 */
#include <limits.h>

#include "cgroup.h"
#include "sandbox.h"

#define MIB	(1024L * 1024)

/* The usual ways to write code at run time.  Return 0, or the errno. */
static int map_rwx(void)
{
	return map_error(-1, 0, page_size(), PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS);
}

static int write_then_exec(void)
{
	return error_of(mprotect(anonymous(page_size(), PROT_READ | PROT_WRITE),
				 page_size(), PROT_READ | PROT_EXEC));
}

static int create_memfd(void)
{
	return error_of(syscall(__NR_memfd_create, "code", MFD_CLOEXEC));
}

TEST(mdwe_permits_trampolines)
{
	struct instance in = { .nr = 1000 };

	ASSERT_EQ(0, map_rwx());
	ASSERT_EQ(0, write_then_exec());
	ASSERT_EQ(0, create_memfd());

	if (forbid_executable_memory())
		SKIP(return, "no PR_SET_MDWE: %s", strerror(errno));
	ASSERT_EQ(0, forbid(__NR_memfd_create, EPERM));
	EXPECT_EQ(EACCES, map_rwx());
	EXPECT_EQ(EACCES, write_then_exec());
	EXPECT_EQ(EPERM, create_memfd());

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_EQ(0, instance_call_all(&in));
	instance_close(&in);
}

TEST(seccomp_refuses_trampfd_create_only)
{
	struct instance in = { .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(0, forbid(__NR_trampfd_create, EPERM));
	EXPECT_EQ(EPERM, error_of(trampfd_create(&in.args, sizeof(in.args))));
	EXPECT_EQ(0, map_rwx());
	EXPECT_EQ(0, instance_call_all(&in));
	instance_close(&in);
}

/* Set the soft limit. */
static void limit(struct __test_metadata *_metadata, int resource, rlim_t bytes)
{
	struct rlimit r;

	ASSERT_EQ(0, getrlimit(resource, &r));
	r.rlim_cur = bytes;
	ASSERT_EQ(0, setrlimit(resource, &r));
}

static long in_use(const char *field)
{
	return read_field("/proc/self/status", field) * 1024;
}

FIXTURE(limit) {
	struct instance in;
	size_t span;
};

FIXTURE_SETUP(limit)
{
	struct instance *in = &self->in;

	in->fd = trampfd_create(&in->args, sizeof(in->args));
	ASSERT_GE(in->fd, 0);
	in->size = in->args.table_size;
	in->nr = in->size / in->args.stride;
	self->span = instance_span(in);
}

/*
 * Without the limit the mappings work, and unmapping releases everything.  The
 * slack is memory of stdio, which reads the numbers.
 */
FIXTURE_TEARDOWN(limit)
{
	long size = in_use("VmSize"), data = in_use("VmData");
	long slack = 4 * page_size();

	ASSERT_EQ(0, instance_map(&self->in, 0));
	EXPECT_LE(labs(in_use("VmSize") - size - (long)self->span), slack);
	EXPECT_LE(labs(in_use("VmData") - data - (long)self->in.size), slack);
	EXPECT_EQ(1, instance_call(&self->in, self->in.nr - 1, 1));
	instance_close(&self->in);
	EXPECT_LE(labs(in_use("VmSize") - size), slack);
	EXPECT_LE(labs(in_use("VmData") - data), slack);
}

TEST_F(limit, rlimit_as)
{
	limit(_metadata, RLIMIT_AS, in_use("VmSize") + self->span / 2);
	EXPECT_EQ(ENOMEM, error_of(instance_map(&self->in, 0)));
	EXPECT_EQ(MAP_FAILED, self->in.code);
	limit(_metadata, RLIMIT_AS, RLIM_INFINITY);
}

/* An instance of the same file with one page of code and one of table, not mapped */
static struct instance one_page_of(const struct instance *in)
{
	struct instance page = *in;

	page.size = page_size();
	page.nr = page.size / page.args.stride;
	return page;
}

TEST_F(limit, rlimit_as_of_two_pages)
{
	struct instance page = one_page_of(&self->in);

	in_use("VmSize");	/* lets stdio allocate its buffer */
	limit(_metadata, RLIMIT_AS, in_use("VmSize") + 2 * page.size);
	EXPECT_EQ(ENOMEM, error_of(instance_map(&page, 0)));
	ASSERT_EQ(0, instance_map_apart(&page));
	EXPECT_EQ(0, instance_call_all(&page));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page.size, PROT_READ, MAP_PRIVATE,
				   page.fd, 0));
	EXPECT_EQ(ENOMEM, errno);
	instance_unmap_apart(&page);
	limit(_metadata, RLIMIT_AS, RLIM_INFINITY);
}

/*
 * The limit applies to the table, not to the code.  Do not use MAP_FIXED here: mmap()
 * would subtract the mapping that it replaces.
 */
TEST_F(limit, rlimit_data)
{
	struct trampfd_create_args *a = &self->in.args;
	char *p;

	limit(_metadata, RLIMIT_DATA, in_use("VmData") + a->table_size / 2);
	p = mmap(NULL, a->table_offset, PROT_READ | PROT_EXEC, MAP_PRIVATE,
		 self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, a->table_size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, self->in.fd, a->table_offset));
	EXPECT_EQ(ENOMEM, errno);
	munmap(p, a->table_offset);
	limit(_metadata, RLIMIT_DATA, RLIM_INFINITY);
}

/* CAP_IPC_LOCK overrides the limit. */
static void exceed_memlock(struct __test_metadata *_metadata, void *arg)
{
	struct instance *in = arg;
	size_t page = page_size();

	ASSERT_EQ(0, setuid(NOBODY));
	ASSERT_EQ(0, instance_map(in, 0));
	EXPECT_EQ(0, mlock(in->table, page));
	EXPECT_EQ(0, mlock(in->code, page));
	EXPECT_EQ(ENOMEM, error_of(mlock(in->code, in->size)));
	EXPECT_EQ(ENOMEM, error_of(mlock(in->table, in->size)));
	ASSERT_EQ(0, mlockall(MCL_FUTURE));
	EXPECT_EQ(EAGAIN, error_of(instance_map(in, 0)));
}

TEST_F(limit, rlimit_memlock)
{
	if (getuid())
		SKIP(return, "needs root, to become a user without capabilities");
	limit(_metadata, RLIMIT_MEMLOCK, 4 * page_size());
	in_child(_metadata, exceed_memlock, &self->in);
}

static void lock_two_pages(struct __test_metadata *_metadata, void *arg)
{
	struct instance page = one_page_of(arg);

	ASSERT_EQ(0, setuid(NOBODY));
	ASSERT_EQ(0, mlockall(MCL_FUTURE));
	EXPECT_EQ(EAGAIN, error_of(instance_map(&page, 0)));
	ASSERT_EQ(0, instance_map_apart(&page));
	EXPECT_EQ(0, instance_call_all(&page));
	EXPECT_GE(in_use("VmLck"), 2 * (long)page.size);
}

TEST_F(limit, rlimit_memlock_of_two_pages)
{
	rlim_t common = 64 * 1024, two_pages = 2 * page_size();

	if (getuid())
		SKIP(return, "needs root, to become a user without capabilities");
	limit(_metadata, RLIMIT_MEMLOCK, common > two_pages ? common : two_pages);
	in_child(_metadata, lock_two_pages, &self->in);
}

static void exceed_commit_limit(struct __test_metadata *_metadata, void *arg)
{
	struct instance *in = arg, page = one_page_of(in);
	int mapped, err = 0;
	char *p;

	/* There is room for one page. */
	ASSERT_EQ(0, instance_map_apart(&page));
	EXPECT_EQ(0, instance_call_all(&page));
	/* Each CPU counts for itself first, so the limit takes effect late. */
	for (mapped = 0; mapped < 64 && !err; mapped++)
		err = error_of(instance_map(in, 0));
	EXPECT_EQ(ENOMEM, err);
	ASSERT_NE(MAP_FAILED, in->code);
	/* A read-only mapping is accounted when it becomes writable. */
	p = mmap(in->code + in->args.table_offset, in->size, PROT_READ,
		 MAP_PRIVATE | MAP_FIXED, in->fd, in->args.table_offset);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(ENOMEM, error_of(mprotect(p, in->size, PROT_READ | PROT_WRITE)));
}

/* The limit applies to the table, not to the code. */
TEST_F(limit, overcommit)
{
	static const char mode[] = "/proc/sys/vm/overcommit_memory";
	static const char kbytes[] = "/proc/sys/vm/overcommit_kbytes";
	static const char ratio[] = "/proc/sys/vm/overcommit_ratio";
	long old_mode = read_number(mode), old_ratio = read_number(ratio);
	long committed;
	char text[32];

	/* Leave room for the child's few pages, not for a table. */
	committed = read_field("/proc/meminfo", "Committed_AS");
	snprintf(text, sizeof(text), "%ld",
		 committed + (long)self->in.size * 3 / 4 / 1024);
	if (write_file(kbytes, text) || write_file(mode, "2"))
		SKIP(return, "needs root, to set vm.overcommit_memory");
	in_child(_metadata, exceed_commit_limit, &self->in);
	snprintf(text, sizeof(text), "%ld", old_mode);
	EXPECT_EQ(0, write_file(mode, text));
	/* This also resets overcommit_kbytes. */
	snprintf(text, sizeof(text), "%ld", old_ratio);
	EXPECT_EQ(0, write_file(ratio, text));
	EXPECT_LE(read_field("/proc/meminfo", "Committed_AS"), committed + 128);
}

/* A memory cgroup to run children in */
FIXTURE(cgroup) {
	struct cgroup group;
	long inodes;
};

FIXTURE_SETUP(cgroup)
{
	const char *why = cgroup_make(&self->group);

	if (why)
		SKIP(return, "%s", why);
	self->inodes = inodes();
}

/* The children have ended: their instances are freed. */
FIXTURE_TEARDOWN(cgroup)
{
	EXPECT_LT(inodes() - self->inodes, 64);
	EXPECT_EQ(0, cgroup_remove(&self->group));
}

/* Measurements of a child, in memory that it shares with the test */
struct charge {
	struct cgroup *group;
	long count;		/* how often to do something */
	long bytes;		/* expected charge */
	long before, after;	/* charge of the cgroup */
	long slab[2];		/* slab memory of the system, before and after */
	long geometries;
};

static struct charge *charge(struct cgroup *group, long count)
{
	struct charge *c = shared_memory(sizeof(*c));

	c->group = group;
	c->count = count;
	return c;
}

static void fill_tables(struct __test_metadata *_metadata, void *arg)
{
	struct charge *c = arg;
	long i;

	ASSERT_EQ(0, cgroup_enter(c->group));
	c->before = cgroup_stat(c->group, "anon");
	for (i = 0; i < c->count; i++) {
		struct instance in = { .nr = ALL };

		ASSERT_EQ(0, instance_open(&in));
		memset(in.table, 1, in.size);
		c->bytes += in.size;
	}
	c->after = cgroup_stat(c->group, "anon");
}

TEST_F(cgroup, charges_tables)
{
	struct charge *c = charge(&self->group, 64);

	in_child(_metadata, fill_tables, c);
	TH_LOG("%ld bytes of tables, %ld charged", c->bytes, c->after - c->before);
	/* The statistics lag behind by some pages for each CPU. */
	EXPECT_GE(c->after - c->before, c->bytes * 9 / 10);
	EXPECT_LE(c->after - c->before, c->bytes * 11 / 10);
}

/* Expect that the OOM killer ends @child, which fills the cgroup. */
static void expect_oom_kill(struct __test_metadata *_metadata, child_fn *child,
			    struct charge *c)
{
	int status = -1;

	ASSERT_EQ(0, cgroup_set(c->group, "memory.max", 8 * MIB));
	waitpid(begin_child(_metadata, child, c), &status, 0);
	ASSERT_TRUE(WIFSIGNALED(status))
		TH_LOG("wait status %#x", status);
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

TEST_F(cgroup, oom_kill_spares_other_processes)
{
	struct instance in = { .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	expect_oom_kill(_metadata, fill_tables, charge(&self->group, LONG_MAX));
	EXPECT_EQ(1, instance_run(&in, 0));
	EXPECT_EQ(2, instance_call(&in, 0, 2));
	instance_close(&in);
}

/*
 * The inode of the cgroup that a page of code is charged to, or 0
 * (Documentation/admin-guide/mm/pagemap.rst, kpagecgroup)
 */
static uint64_t cgroup_of_code(int fd)
{
	char *code = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd, 0);
	int pages = open("/proc/kpagecgroup", O_RDONLY);
	uint64_t inode = 0;

	if (pread(pages, &inode, sizeof(inode),
		  page_frame(code) * sizeof(inode)) != sizeof(inode))
		inode = 0;
	close(pages);
	munmap(code, page_size());
	return inode;
}

/* Kernel memory without that of objects, such as files */
static long cgroup_kernel_pages(const struct cgroup *group)
{
	return cgroup_stat(group, "kernel") - cgroup_stat(group, "slab");
}

/* Create and keep an instance for every mode, data register and stride. */
static void generate_code(struct __test_metadata *_metadata, void *arg)
{
	const struct abi_mode *mode;
	const struct abi_reg *reg;
	struct charge *c = arg;
	struct stat st;
	uint32_t stride;

	ASSERT_EQ(0, cgroup_enter(c->group));
	ASSERT_EQ(0, stat(c->group->path, &st));
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4096, 4096 });
	cgroup_settle();
	c->before = cgroup_kernel_pages(c->group);
	for (mode = abi_modes; mode->name; mode++) {
		for (reg = abi_regs; reg->name; reg++) {
			for (stride = mode->min_stride; stride <= TRAMPFD_STRIDE_MAX;
			     stride *= 2) {
				struct trampfd_create_args args = {
					.mode = mode->mode, .stride = stride,
					.data_reg = TRAMPFD_REG(reg->dwarf),
				};
				int fd = trampfd_create(&args, sizeof(args));
				uint64_t charged;

				ASSERT_GE(fd, 0);
				c->geometries++;
				charged = cgroup_of_code(fd);
				c->count += charged != 0;
				if (charged == st.st_ino)
					c->bytes += page_size();
			}
		}
	}
	cgroup_settle();
	c->after = cgroup_kernel_pages(c->group);
}

/*
 * Code that existed before this test is charged to the cgroup of its first user, or
 * to none if that was the root cgroup.  The statistics lag behind by some pages for
 * each CPU.
 */
TEST_F(cgroup, charges_code_to_first_user)
{
	struct charge *c = charge(&self->group, 0);

	if (getuid())
		SKIP(return, "needs root, for that many open files");
	if (access("/proc/kpagecgroup", R_OK))
		SKIP(return, "needs CONFIG_PROC_PAGE_MONITOR");
	in_child(_metadata, generate_code, c);
	TH_LOG("%ld geometries, %ld charged to cgroups, %ld bytes to this one",
	       c->geometries, c->count, c->bytes);
	TH_LOG("pages of the kernel grew by %ld bytes", c->after - c->before);
	EXPECT_GT(c->count, c->geometries / 2);
	EXPECT_GE(c->after - c->before, c->bytes * 9 / 10);
	EXPECT_LE(c->after - c->before, c->bytes + c->geometries * page_size() / 8);
}

static long kernel_memory(void)
{
	return read_field("/proc/meminfo", "Slab") * 1024;
}

static void open_many(struct __test_metadata *_metadata, void *arg)
{
	struct charge *c = arg;
	long i;

	ASSERT_EQ(0, cgroup_enter(c->group));
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 1 << 18, 1 << 18 });
	c->slab[0] = kernel_memory();
	c->before = cgroup_stat(c->group, "slab");
	for (i = 0; i < c->count; i++) {
		struct trampfd_create_args args = {};

		ASSERT_GE(trampfd_create(&args, sizeof(args)), 0);
	}
	c->slab[1] = kernel_memory();
	c->after = cgroup_stat(c->group, "slab");
}

TEST_F(cgroup, charges_kernel_memory_of_instances)
{
	struct charge *c = charge(&self->group, 8192);

	if (getuid())
		SKIP(return, "needs root, for that many open files");
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "kmemleak allocates metadata that is not charged");
	in_child(_metadata, open_many, c);
	TH_LOG("%ld bytes of slab memory for an instance, %ld charged",
	       (c->slab[1] - c->slab[0]) / c->count, (c->after - c->before) / c->count);
	EXPECT_GE((c->after - c->before) / c->count, 512);
	EXPECT_GE((c->after - c->before) * 10, (c->slab[1] - c->slab[0]) * 9);
}

TEST_F(cgroup, oom_kill_with_many_instances)
{
	if (getuid())
		SKIP(return, "needs root, for that many open files");
	expect_oom_kill(_metadata, open_many, charge(&self->group, 1 << 18));
}

TEST_HARNESS_MAIN
