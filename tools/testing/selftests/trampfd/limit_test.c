// SPDX-License-Identifier: GPL-2.0
/*
 * Limits: each is answered with its own errno and leaves nothing behind; memory
 * is charged to who uses it; and what forbids executable memory of one's own
 * does not forbid trampolines.
 *
 * The limit on open files is in create_test.c.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "cgroup.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE		65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define MIB	(1024L * 1024)

/* The usual ways to write code at run time: 0 if it worked, else the errno. */
static int rwx(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int w_then_x(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return error_of(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int memfd_twice(void)
{
	int fd = syscall(__NR_memfd_create, "code", MFD_CLOEXEC);

	return fd < 0 ? errno : 0;
}

/* No system call @nr from now on: EPERM.  0, or -1 with errno. */
static int forbid(unsigned int nr)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

TEST(trampolines_work_where_writing_code_is_refused)
{
	struct instance in = { .nr = 1000 };

	ASSERT_EQ(0, rwx());
	ASSERT_EQ(0, w_then_x());
	ASSERT_EQ(0, memfd_twice());

	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		SKIP(return, "no PR_SET_MDWE: %s", strerror(errno));
	ASSERT_EQ(0, forbid(__NR_memfd_create));
	EXPECT_EQ(EACCES, rwx());
	EXPECT_EQ(EACCES, w_then_x());
	EXPECT_EQ(EPERM, memfd_twice());

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_EQ(0, instance_call_all(&in));
	instance_close(&in);
}

TEST(seccomp_can_forbid_new_trampolines_alone)
{
	struct instance in = { .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(0, forbid(__NR_trampfd_create));
	EXPECT_EQ(EPERM, error_of(trampfd_create(&in.args, sizeof(in.args))));
	EXPECT_EQ(0, rwx());
	EXPECT_EQ(0, instance_call_all(&in));
	instance_close(&in);
}

/* A limit of so many bytes from now on, which can be taken back */
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
 * Once the limit is lifted it works, and everything is given back, but for what
 * stdio keeps to read these numbers.
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

TEST_F(limit, of_address_space_is_ENOMEM)
{
	limit(_metadata, RLIMIT_AS, in_use("VmSize") + self->span / 2);
	EXPECT_EQ(ENOMEM, error_of(instance_map(&self->in, 0)));
	EXPECT_EQ(MAP_FAILED, self->in.code);
	limit(_metadata, RLIMIT_AS, RLIM_INFINITY);
}

/* An instance of the same file of one page of code and one of table, not mapped */
static struct instance page_of_each(const struct instance *in)
{
	struct instance page = *in;

	page.size = page_size();
	page.nr = page.size / page.args.stride;
	return page;
}

TEST_F(limit, of_address_space_lets_a_page_of_each_work)
{
	struct instance page = page_of_each(&self->in);

	in_use("VmSize");	/* stdio gets its memory now */
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

/* Not in place of another mapping: mmap() then counts what it replaces off. */
TEST_F(limit, of_data_is_ENOMEM_for_the_table_and_none_for_code)
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

/* Who is root may lock as much as there is. */
static int lock_beyond(void *arg)
{
	struct instance *in = arg;
	size_t page = page_size();

	if (setuid(65534) || instance_map(in, 0))
		return 1;
	if (mlock(in->table, page) || mlock(in->code, page))
		return 2;
	if (error_of(mlock(in->code, in->size)) != ENOMEM ||
	    error_of(mlock(in->table, in->size)) != ENOMEM)
		return 3;
	if (mlockall(MCL_FUTURE))
		return 4;
	if (error_of(instance_map(in, 0)) != EAGAIN)
		return 5;
	return 0;
}

TEST_F(limit, of_locked_memory_is_ENOMEM_to_lock_and_EAGAIN_to_map)
{
	if (getuid())
		SKIP(return, "needs root, to become a user without its rights");
	limit(_metadata, RLIMIT_MEMLOCK, 4 * page_size());
	EXPECT_EQ(0, in_child(lock_beyond, &self->in));
}

static int lock_a_page_of_each(void *arg)
{
	struct instance page = page_of_each(arg);

	if (setuid(65534) || mlockall(MCL_FUTURE))
		return 1;
	if (error_of(instance_map(&page, 0)) != EAGAIN)
		return 2;
	if (instance_map_apart(&page))
		return 3;
	if (instance_call_all(&page))
		return 4;
	return read_field("/proc/self/status", "VmLck") * 1024 < 2 * (long)page.size ? 5 : 0;
}

/* The usual limit, unless two pages are more */
TEST_F(limit, of_locked_memory_lets_a_page_of_each_work)
{
	rlim_t usual = 64 * 1024, least = 2 * page_size();

	if (getuid())
		SKIP(return, "needs root, to become a user without its rights");
	limit(_metadata, RLIMIT_MEMLOCK, usual > least ? usual : least);
	EXPECT_EQ(0, in_child(lock_a_page_of_each, &self->in));
}

/* Map more tables than the system has memory left to promise. */
static int map_beyond(void *arg)
{
	struct instance *in = arg, page = page_of_each(in);
	char *p;
	int i;

	/* A page is not much to promise. */
	if (instance_map_apart(&page) || instance_call_all(&page))
		return 5;
	/* What is promised is counted by processor, which gives some leeway. */
	for (i = 0; i < 64 && !instance_map(in, 0); i++)
		;
	if (errno != ENOMEM)
		return 1;
	if (i == 64 || in->code == MAP_FAILED)
		return 2;
	/* Nothing is promised of what is only read, until it is to be written. */
	p = mmap(in->code + in->args.table_offset, in->size, PROT_READ,
		 MAP_PRIVATE | MAP_FIXED, in->fd, in->args.table_offset);
	if (p == MAP_FAILED)
		return 3;
	return error_of(mprotect(p, in->size, PROT_READ | PROT_WRITE)) != ENOMEM ? 4 : 0;
}

TEST_F(limit, of_promised_memory_is_ENOMEM_for_the_table_and_none_for_code)
{
	static const char mode[] = "/proc/sys/vm/overcommit_memory";
	static const char most[] = "/proc/sys/vm/overcommit_kbytes";
	long was = read_number(mode), ratio = read_number("/proc/sys/vm/overcommit_ratio");
	long promised;
	char text[32];

	/* Room for the child's own few pages, not for a table */
	promised = read_field("/proc/meminfo", "Committed_AS");
	snprintf(text, sizeof(text), "%ld",
		 promised + (long)self->in.size * 3 / 4 / 1024);
	if (write_file(most, text) || write_file(mode, "2"))
		SKIP(return, "needs root, to set vm.overcommit_memory");
	EXPECT_EQ(0, in_child(map_beyond, &self->in));
	snprintf(text, sizeof(text), "%ld", was);
	EXPECT_EQ(0, write_file(mode, text));
	snprintf(text, sizeof(text), "%ld", ratio);
	EXPECT_EQ(0, write_file("/proc/sys/vm/overcommit_ratio", text));
	EXPECT_LE(read_field("/proc/meminfo", "Committed_AS"), promised + 128);
}

/* A memory cgroup (cgroup-v2.rst) for children to run in */
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

/* Nothing of what a child that is gone had is left. */
FIXTURE_TEARDOWN(cgroup)
{
	EXPECT_LT(inodes() - self->inodes, 64);
	EXPECT_EQ(0, cgroup_remove(&self->group));
}

/* What a child says of its cgroup, in memory that it shares with the test */
struct charge {
	struct cgroup *group;
	long before, after;	/* what is charged to the cgroup */
	long slab[2];		/* what the system's kernel memory is, likewise */
	long bytes;		/* what should be charged */
	long count;
	long geometries;
};

static struct charge *charge(struct cgroup *group)
{
	struct charge *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	c->group = group;
	return c;
}

static int fill_tables(void *arg)
{
	struct charge *c = arg;
	int i;

	if (cgroup_enter(c->group))
		return 1;
	c->before = cgroup_stat(c->group, "anon");
	for (i = 0; i < 64; i++) {
		struct instance in = { .nr = ALL };

		if (instance_open(&in))
			return 2;
		memset(in.table, 1, in.size);
		c->bytes += in.size;
	}
	c->after = cgroup_stat(c->group, "anon");
	return 0;
}

TEST_F(cgroup, is_charged_for_tables)
{
	struct charge *c = charge(&self->group);

	ASSERT_EQ(0, in_child(fill_tables, c));
	TH_LOG("%ld bytes of tables, %ld charged", c->bytes, c->after - c->before);
	/* Statistics come in late, by some pages on each processor. */
	EXPECT_GE(c->after - c->before, c->bytes * 9 / 10);
	EXPECT_LE(c->after - c->before, c->bytes * 11 / 10);
}

static int fill_tables_for_ever(void *arg)
{
	while (!fill_tables(arg))
		;
	return 0;
}

TEST_F(cgroup, that_is_full_kills_who_fills_tables_and_nobody_else)
{
	struct instance in = { .nr = 1 };
	int status;
	pid_t pid;

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	ASSERT_EQ(0, cgroup_set(&self->group, "memory.max", 8 * MIB));
	pid = fork();
	if (!pid)
		_exit(fill_tables_for_ever(charge(&self->group)));
	waitpid(pid, &status, 0);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		TH_LOG("status %x", status);
	EXPECT_EQ(1, instance_run(&in, 0));
	EXPECT_EQ(2, instance_call(&in, 0, 2));
	instance_close(&in);
}

/* The inode of the cgroup that a page is charged to: pagemap.rst, kpagecgroup */
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

/* The code of every mode, data register and stride, held all at once */
static int generate_code(void *arg)
{
	const struct abi_mode *mode;
	const struct abi_reg *reg;
	struct charge *c = arg;
	struct stat st;
	uint32_t stride;

	if (cgroup_enter(c->group) || stat(c->group->path, &st))
		return 1;
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4096, 4096 });
	cgroup_settle();
	c->before = cgroup_stat(c->group, "kernel");
	for (mode = abi_modes; mode->name; mode++) {
		for (reg = abi_regs; reg->name; reg++) {
			for (stride = mode->min_stride; stride <= TRAMPFD_STRIDE_MAX;
			     stride *= 2) {
				struct trampfd_create_args args = {
					.mode = mode->mode, .stride = stride,
					.data_reg = TRAMPFD_REG(reg->dwarf),
				};

				uint64_t charged;
				int fd = trampfd_create(&args, sizeof(args));

				if (fd < 0)
					return 2;
				c->geometries++;
				charged = cgroup_of_code(fd);
				c->count += charged != 0;
				if (charged == st.st_ino)
					c->bytes += page_size();
			}
		}
	}
	cgroup_settle();
	c->after = cgroup_stat(c->group, "kernel");
	return 0;
}

/*
 * Code that was there before this test was charged to others, or to nobody if they
 * were in the root cgroup: not all of it.  Statistics come in late, by some pages
 * on each processor; and the files are charged too, with less than half a page
 * each.
 */
TEST_F(cgroup, is_charged_for_the_code_that_it_was_first_to_use)
{
	struct charge *c = charge(&self->group);

	if (getuid())
		SKIP(return, "needs root, for that many open files");
	if (access("/proc/kpagecgroup", R_OK))
		SKIP(return, "needs CONFIG_PROC_PAGE_MONITOR");
	ASSERT_EQ(0, in_child(generate_code, c));
	TH_LOG("%ld of %ld geometries have code that is charged to a cgroup, %ld bytes to this",
	       c->count, c->geometries, c->bytes);
	TH_LOG("%ld bytes of kernel memory more", c->after - c->before);
	EXPECT_GT(c->count, c->geometries / 2);
	EXPECT_GE(c->after - c->before, c->bytes * 9 / 10);
	EXPECT_LE(c->after - c->before, c->bytes + c->geometries * page_size() / 2);
}

static long kernel_memory(void)
{
	return read_field("/proc/meminfo", "Slab") * 1024;
}

static int open_many(void *arg)
{
	struct charge *c = arg;
	long i;

	if (cgroup_enter(c->group))
		return 1;
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 1 << 18, 1 << 18 });
	c->slab[0] = kernel_memory();
	c->before = cgroup_stat(c->group, "slab");
	for (i = 0; i < c->count; i++) {
		struct trampfd_create_args args = {};

		if (trampfd_create(&args, sizeof(args)) < 0)
			return 2;
	}
	c->slab[1] = kernel_memory();
	c->after = cgroup_stat(c->group, "slab");
	return 0;
}

TEST_F(cgroup, is_charged_for_what_the_kernel_keeps_of_an_instance)
{
	struct charge *c = charge(&self->group);

	if (getuid())
		SKIP(return, "needs root, for that many open files");
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "kmemleak keeps something of each allocation, charged to nobody");
	c->count = 8192;
	ASSERT_EQ(0, in_child(open_many, c));
	TH_LOG("of an instance the kernel keeps %ld bytes, of which %ld are charged",
	       (c->slab[1] - c->slab[0]) / c->count, (c->after - c->before) / c->count);
	EXPECT_GE((c->after - c->before) / c->count, 512);
	EXPECT_GE((c->after - c->before) * 10, (c->slab[1] - c->slab[0]) * 9);
}

TEST_F(cgroup, that_is_full_kills_who_opens_instances_for_ever)
{
	struct charge *c = charge(&self->group);
	int status;
	pid_t pid;

	if (getuid())
		SKIP(return, "needs root, for that many open files");
	c->count = 1 << 18;
	ASSERT_EQ(0, cgroup_set(&self->group, "memory.max", 8 * MIB));
	pid = fork();
	if (!pid)
		_exit(open_many(c));
	waitpid(pid, &status, 0);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		TH_LOG("status %x", status);
}

TEST_HARNESS_MAIN
