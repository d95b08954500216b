// SPDX-License-Identifier: GPL-2.0
/*
 * Sharing: all instances of a geometry share its page of code.  Processes do not
 * share tables, not even after fork().
 */
#include "common.h"

/* A field of /proc/self/smaps in kB, for the mapping that starts at @addr, or -1 */
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

static void refill_slots(struct __test_metadata *_metadata, void *arg)
{
	struct instance *in = arg;

	EXPECT_EQ(10, instance_run(in, 0));
	EXPECT_EQ(20, instance_call(in, 0, 20));
	EXPECT_EQ(21, instance_call(in, 1, 21));
}

TEST(fork_copies_the_table)
{
	struct instance in = { .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(10, instance_call(&in, 0, 10));
	in_child(_metadata, refill_slots, &in);
	EXPECT_EQ(10, instance_run(&in, 0));
	EXPECT_EQ(0, instance_slot(&in, 1)->code);
	instance_close(&in);
}

struct waiter {
	struct instance in;
	int go;
};

static void wait_and_run(struct __test_metadata *_metadata, void *arg)
{
	struct waiter *waiter = arg;
	char c;

	ASSERT_EQ(1, read(waiter->go, &c, 1));
	EXPECT_EQ(10, instance_run(&waiter->in, 0));
}

TEST(fork_isolates_child_from_later_writes)
{
	struct waiter waiter = { .in = { .nr = 1 } };
	int go[2];
	pid_t pid;

	ASSERT_EQ(0, instance_open(&waiter.in));
	ASSERT_EQ(10, instance_call(&waiter.in, 0, 10));
	ASSERT_EQ(0, pipe(go));
	waiter.go = go[0];
	pid = begin_child(_metadata, wait_and_run, &waiter);
	ASSERT_EQ(30, instance_call(&waiter.in, 0, 30));
	ASSERT_EQ(1, write(go[1], "x", 1));
	end_child(_metadata, pid);
	EXPECT_EQ(30, instance_run(&waiter.in, 0));
	instance_close(&waiter.in);
}

static void check_guards(struct __test_metadata *_metadata, void *arg)
{
	struct instance *in = arg;
	size_t page = page_size(), at;

	for (at = page; at < 3 * page; at += page)
		EXPECT_EQ(SIGSEGV, signal_of(touch, in->code + at));
	/* Below and above the guards */
	EXPECT_EQ(7, instance_run(in, 0));
	EXPECT_EQ(8, instance_run(in, in->nr - 1));
	EXPECT_EQ(9, instance_call(in, in->nr - 2, 9));
}

/*
 * fork() does not copy page tables of code, because faults fill them again, unless
 * they contain guards, which faults would not restore.
 */
TEST(fork_copies_guard_regions)
{
	struct instance in = { .nr = ALL };
	size_t page = page_size();

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(7, instance_call(&in, 0, 7));
	ASSERT_EQ(8, instance_call(&in, in.nr - 1, 8));
	if (madvise(in.code + page, 2 * page, MADV_GUARD_INSTALL))
		SKIP(return, "no guard regions in a file: %s", strerror(errno));
	in_child(_metadata, check_guards, &in);
	check_guards(_metadata, &in);
	instance_close(&in);
}

static void map_again(struct __test_metadata *_metadata, void *arg)
{
	struct instance again = *(struct instance *)arg;

	ASSERT_EQ(0, instance_map(&again, 0));
	EXPECT_EQ(0, instance_slot(&again, 0)->code);
	EXPECT_EQ(11, instance_call(&again, 0, 11));
}

TEST(child_maps_inherited_file)
{
	struct instance in = { .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(10, instance_call(&in, 0, 10));
	in_child(_metadata, map_again, &in);
	instance_close(&in);
}

/* The number of pages of code that are not in page frame @frame */
static size_t other_frames(const struct instance *in, uint64_t frame)
{
	size_t at, other = 0;

	for (at = 0; at < in->args.table_offset; at += page_size())
		other += page_frame(in->code + at) != frame;
	return other;
}

/* A request, and the page frames of an instance to compare with */
struct frames {
	struct trampfd_create_args args;
	uint64_t code, table;
};

static void expect_shared_code(struct __test_metadata *_metadata, void *arg)
{
	const struct frames *frames = arg;
	struct instance in = { .args = frames->args, .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	scribble(in.table);
	EXPECT_EQ(0, other_frames(&in, frames->code));
	EXPECT_NE(frames->table, page_frame(in.table));
	instance_close(&in);
}

TEST(code_is_one_page_for_all_processes)
{
	struct instance in = { .nr = ALL };
	struct frames frames;

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	frames.code = page_frame(in.code);
	frames.table = page_frame(in.table);
	if (!frames.code)
		SKIP(return, "needs root, for page frame numbers");
	EXPECT_EQ(0, other_frames(&in, frames.code));

	frames.args = (struct trampfd_create_args){};
	expect_shared_code(_metadata, &frames);
	in_child(_metadata, expect_shared_code, &frames);
	/* Other requests that resolve to the same geometry */
	frames.args = (struct trampfd_create_args){
		.abi = abi_native, .stride = in.args.stride,
	};
	in_child(_metadata, expect_shared_code, &frames);
	frames.args = in.args;
	in_child(_metadata, expect_shared_code, &frames);
	instance_close(&in);
}

static void expect_other_code(struct __test_metadata *_metadata, uint64_t frame,
			      struct trampfd_create_args args)
{
	struct instance in = { .args = args, .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_NE(frame, page_frame(in.code))
		TH_LOG("mode %u, data register %u, stride %u", args.mode, args.data_reg,
		       args.stride);
	instance_close(&in);
}

TEST(geometries_do_not_share_code)
{
	struct instance in = { .nr = 1 };
	const struct abi_reg *reg = abi_regs;
	uint64_t frame;

	ASSERT_EQ(0, instance_open(&in));
	frame = page_frame(in.code);
	if (!frame)
		SKIP(return, "needs root, for page frame numbers");

	expect_other_code(_metadata, frame, (struct trampfd_create_args){
		.mode = TRAMPFD_MODE_SLOT });
	expect_other_code(_metadata, frame, (struct trampfd_create_args){
		.stride = 2 * in.args.stride });
	while (TRAMPFD_REG(reg->dwarf) == in.args.data_reg ||
	       TRAMPFD_REG(reg->dwarf) == in.args.scratch_reg)
		reg++;
	expect_other_code(_metadata, frame, (struct trampfd_create_args){
		.data_reg = TRAMPFD_REG(reg->dwarf) });
	instance_close(&in);
}

/* If the page were freed, other uses of memory would overwrite it. */
TEST(mapping_keeps_code_after_close)
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
		filled = anonymous(size, PROT_READ | PROT_WRITE);
		ASSERT_NE(MAP_FAILED, filled);
		memset(filled, 0, size);
		EXPECT_EQ(0, instance_call_all(&in));
		munmap(filled, size);
		munmap(in.code, instance_span(&in));
	}
}

TEST(pss_counts_one_page_of_code)
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

TEST(rss_counts_used_slots_only)
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

TEST(few_faults_map_all_code)
{
	struct instance in = { .nr = 1 };
	long faults;
	size_t at;

	ASSERT_EQ(0, instance_open(&in));
	faults = nr_faults();
	for (at = 0; at < in.args.table_offset; at += page_size())
		touch(in.code + at);
	faults = nr_faults() - faults;
	EXPECT_EQ((long)(in.args.table_offset / 1024), smaps_field(in.code, "Rss"));
	TH_LOG("%d pages of code: %ld faults",
	       (int)(in.args.table_offset / page_size()), faults);
	EXPECT_LE(faults, 16);
	instance_close(&in);
}

static void use_received_file(struct __test_metadata *_metadata, void *arg)
{
	struct instance in = { .nr = 1 };

	/* The same request resolves to the same geometry; fdinfo shows it too. */
	ASSERT_EQ(0, instance_open(&in));
	instance_close(&in);
	in.fd = receive_file(*(int *)arg);
	ASSERT_EQ(0, instance_map(&in, 0));
	EXPECT_EQ(5, instance_call(&in, 0, 5));
}

TEST(file_sent_to_other_process_works)
{
	struct instance in = { .nr = 1 };
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		SKIP(return, "no UNIX sockets: %s", strerror(errno));
	pid = begin_child(_metadata, use_received_file, &pair[1]);
	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(0, send_file(pair[0], in.fd));
	end_child(_metadata, pid);
	instance_close(&in);
}

TEST_HARNESS_MAIN
