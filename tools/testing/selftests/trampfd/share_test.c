// SPDX-License-Identifier: GPL-2.0
/*
 * What is shared and what is not: the page of code of a geometry by everybody,
 * tables by nobody, not even across fork().
 */
#include "common.h"

/* A field of /proc/self/smaps in kB, of the mapping that begins at @addr. */
static long smaps_field(const void *addr, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512], start[32], name[32];
	bool ours = false;
	long value = -1;

	snprintf(start, sizeof(start), "%08lx-", (unsigned long)addr);
	snprintf(name, sizeof(name), "%s:", field);
	while (f && fgets(line, sizeof(line), f)) {
		if (strchr("0123456789abcdef", line[0]))
			ours = !strncmp(line, start, strlen(start));
		else if (ours && !strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	}
	if (f)
		fclose(f);
	return value;
}

static int refill_slot(void *arg)
{
	struct instance *in = arg;

	if (instance_run(in, 0) != 10)
		return 1;	/* the parent's closure does not work here */
	if (instance_call(in, 0, 20) != 20 || instance_call(in, 1, 21) != 21)
		return 2;	/* nor one of its own */
	return 0;
}

TEST(fork_gives_the_child_its_own_table)
{
	struct instance in = { .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(10, instance_call(&in, 0, 10));
	EXPECT_EQ(0, in_child(refill_slot, &in));
	EXPECT_EQ(10, instance_run(&in, 0));
	EXPECT_EQ(0, instance_slot(&in, 1)->code);
	instance_close(&in);
}

TEST(slot_reused_in_the_parent_is_not_changed_in_the_child)
{
	struct instance in = { .nr = 1 };
	int fds[2], status;
	char c;
	pid_t pid;

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(10, instance_call(&in, 0, 10));
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		if (read(fds[0], &c, 1) != 1)
			_exit(1);
		_exit(instance_run(&in, 0) == 10 ? 0 : 2);
	}
	ASSERT_EQ(30, instance_call(&in, 0, 30));
	ASSERT_EQ(1, write(fds[1], "x", 1));
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(30, instance_run(&in, 0));
	instance_close(&in);
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

/*
 * fork() leaves page tables of code to the faults of the child, unless there is
 * something in them that a fault would not bring back.
 */
static int has_the_guards(void *arg)
{
	struct instance *in = arg;
	size_t page = page_size(), at;

	for (at = page; at < 3 * page; at += page)
		if (signal_of(touch, in->code + at) != SIGSEGV)
			return 1;
	if (instance_run(in, 0) != 7)
		return 2;	/* below the guards */
	if (instance_run(in, in->nr - 1) != 8 ||
	    instance_call(in, in->nr - 2, 9) != 9)
		return 3;	/* above */
	return 0;
}

TEST(fork_gives_the_child_guards_in_code_and_trampolines)
{
	struct instance in = { .nr = ALL };
	size_t page = page_size();

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(7, instance_call(&in, 0, 7));
	ASSERT_EQ(8, instance_call(&in, in.nr - 1, 8));
	if (madvise(in.code + page, 2 * page, MADV_GUARD_INSTALL))
		SKIP(return, "no guard regions in a file: %s", strerror(errno));
	EXPECT_EQ(0, in_child(has_the_guards, &in));
	EXPECT_EQ(0, has_the_guards(&in));
	instance_close(&in);
}

TEST(child_maps_the_inherited_file_for_itself)
{
	struct instance in = { .nr = 1 }, again;
	int status;
	pid_t pid;

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(10, instance_call(&in, 0, 10));
	pid = fork();
	if (!pid) {
		again = in;
		if (instance_map(&again, 0) || instance_slot(&again, 0)->code)
			_exit(1);
		_exit(instance_call(&again, 0, 11) == 11 ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	instance_close(&in);
}

/* How many pages of the code of @in are other page frames than @frame */
static size_t other_frames(const struct instance *in, uint64_t frame)
{
	size_t at, other = 0;

	for (at = 0; at < in->args.table_offset; at += page_size())
		other += page_frame(in->code + at) != frame;
	return other;
}

/* Another instance, made elsewhere */
struct other {
	struct trampfd_create_args args;
	uint64_t code, table;
};

static int has_these_frames(void *arg)
{
	const struct other *o = arg;
	struct instance in = { .args = o->args, .nr = 1 };
	int result = 0;

	if (instance_open(&in))
		return 1;
	scribble(in.table);
	if (other_frames(&in, o->code))
		result = 2;	/* code not shared */
	if (page_frame(in.table) == o->table)
		result = 3;	/* table shared */
	instance_close(&in);
	return result;
}

TEST(instances_and_processes_share_one_page_of_code)
{
	struct instance in = { .nr = ALL };
	struct other o;

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	o.code = page_frame(in.code);
	o.table = page_frame(in.table);
	if (!o.code)
		SKIP(return, "needs root, for page frame numbers");
	EXPECT_EQ(0, other_frames(&in, o.code));

	o.args = (struct trampfd_create_args){};
	EXPECT_EQ(0, has_these_frames(&o));
	EXPECT_EQ(0, in_child(has_these_frames, &o));
	/* The geometry is the same however it was asked for. */
	o.args = (struct trampfd_create_args){
		.abi = abi_native, .stride = in.args.stride,
	};
	EXPECT_EQ(0, in_child(has_these_frames, &o));
	o.args = in.args;
	EXPECT_EQ(0, in_child(has_these_frames, &o));
	instance_close(&in);
}

TEST(another_geometry_has_another_page_of_code)
{
	struct instance in = { .nr = 1 };
	const struct abi_reg *reg = abi_regs;
	struct other o;

	ASSERT_EQ(0, instance_open(&in));
	o.code = page_frame(in.code);
	o.table = page_frame(in.table);
	if (!o.code)
		SKIP(return, "needs root, for page frame numbers");

	o.args = (struct trampfd_create_args){ .mode = TRAMPFD_MODE_SLOT };
	EXPECT_EQ(2, has_these_frames(&o));
	o.args = (struct trampfd_create_args){ .stride = 2 * in.args.stride };
	EXPECT_EQ(2, has_these_frames(&o));
	while (TRAMPFD_REG(reg->dwarf) == in.args.data_reg ||
	       TRAMPFD_REG(reg->dwarf) == in.args.scratch_reg)
		reg++;
	o.args = (struct trampfd_create_args){ .data_reg = TRAMPFD_REG(reg->dwarf) };
	EXPECT_EQ(2, has_these_frames(&o));
	instance_close(&in);
}

/* What fills the memory that was free */
static void *fill_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : memset(p, 0, size);
}

TEST(mapping_keeps_the_code_when_the_last_file_is_closed)
{
	struct instance in = { .nr = 1 }, other;
	const size_t size = 4 << 20;
	void *filled;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, instance_open(&in));
		close(in.fd);
		ASSERT_EQ(1, instance_call(&in, 0, 1));
		other = (struct instance){ .nr = 1 };
		ASSERT_EQ(0, instance_open(&other));
		instance_close(&other);
		filled = fill_memory(size);
		ASSERT_NE(NULL, filled);
		EXPECT_EQ(0, instance_call_all(&in));
		munmap(filled, size);
		munmap(in.code, instance_span(&in));
	}
}

TEST(pss_shows_one_page_of_code)
{
	struct instance a = { .nr = ALL }, b = { .nr = ALL };
	long page_kb = page_size() / 1024;
	size_t at;

	ASSERT_EQ(0, instance_open(&a));
	ASSERT_EQ(0, instance_open(&b));
	for (at = 0; at < a.args.table_offset; at += page_size()) {
		touch(a.code + at);
		touch(b.code + at);
	}
	EXPECT_EQ((long)(a.args.table_offset / 1024), smaps_field(a.code, "Rss"));
	EXPECT_LE(smaps_field(a.code, "Pss") + smaps_field(b.code, "Pss"), page_kb);
	EXPECT_EQ(0, smaps_field(a.code, "Private_Dirty"));
	EXPECT_EQ(0, smaps_field(a.code, "Anonymous"));
	instance_close(&a);
	instance_close(&b);
}

TEST(process_pays_for_the_slots_that_it_uses_alone)
{
	struct instance in = { .nr = ALL };
	long page_kb = page_size() / 1024;

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_EQ(0, smaps_field(in.table, "Rss"));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	EXPECT_EQ(page_kb, smaps_field(in.table, "Anonymous"));
	ASSERT_EQ(1, instance_call(&in, in.nr - 1, 1));
	EXPECT_EQ(2 * page_kb, smaps_field(in.table, "Anonymous"));
	EXPECT_EQ(2 * page_kb, smaps_field(in.table, "Rss"));
	instance_close(&in);
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

TEST(few_faults_touch_all_code)
{
	struct instance in = { .nr = 1 };
	long faults;
	size_t at;

	ASSERT_EQ(0, instance_open(&in));
	faults = minor_faults();
	for (at = 0; at < in.args.table_offset; at += page_size())
		touch(in.code + at);
	faults = minor_faults() - faults;
	EXPECT_EQ((long)(in.args.table_offset / 1024), smaps_field(in.code, "Rss"));
	TH_LOG("%d pages of code: %ld faults",
	       (int)(in.args.table_offset / page_size()), faults);
	EXPECT_LE(faults, 16);
	instance_close(&in);
}

TEST(file_passed_to_another_process_works_there)
{
	struct instance in = { .nr = 1 }, copy;
	int pair[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		SKIP(return, "no UNIX sockets: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		/* Its fdinfo and a create call both tell the geometry. */
		copy = (struct instance){ .nr = 1 };
		if (instance_open(&copy))
			_exit(1);
		instance_close(&copy);
		copy.fd = receive_file(pair[1]);
		if (instance_map(&copy, 0))
			_exit(1);
		_exit(instance_call(&copy, 0, 5) == 5 ? 0 : 2);
	}
	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(0, send_file(pair[0], in.fd));
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	instance_close(&in);
}

TEST_HARNESS_MAIN
