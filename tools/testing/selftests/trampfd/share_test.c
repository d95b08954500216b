// SPDX-License-Identifier: GPL-2.0
/*
 * What is shared and what is not: code pages by everybody, tables by nobody,
 * not even across fork(); and code that was reclaimed comes back the same.
 */
#include "common.h"

static void drop_page_cache(void)
{
	sync();
	write_file("/proc/sys/vm/drop_caches", "3");
}

/* How many of the pages of a mapping are in memory at all. */
static size_t resident(void *addr, size_t len)
{
	size_t pages = len / sysconf(_SC_PAGESIZE), n = 0, i;
	unsigned char vec[1024];

	if (pages > sizeof(vec) || mincore(addr, len, vec))
		return -1;
	for (i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

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
	struct instance in = { .args = { .nr = 1 } };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(10, instance_call(&in, 0, 10));
	EXPECT_EQ(0, in_child(refill_slot, &in));
	EXPECT_EQ(10, instance_run(&in, 0));
	EXPECT_EQ(0, instance_slot(&in, 1)->code);
	instance_close(&in);
}

TEST(slot_reused_in_the_parent_is_not_changed_in_the_child)
{
	struct instance in = { .args = { .nr = 1 } };
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

TEST(child_maps_the_inherited_file_for_itself)
{
	struct instance in = { .args = { .nr = 1 } }, again;
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

/* Page frames of another instance of the same geometry, made elsewhere. */
struct other {
	struct trampfd_create_args args;
	uint64_t code[2], table;
};

static int has_these_frames(void *arg)
{
	struct other *o = arg;
	struct instance in = { .args = o->args };
	size_t page = sysconf(_SC_PAGESIZE);

	if (instance_open(&in))
		return 1;
	instance_call(&in, 0, 1);
	if (page_frame(in.code) != o->code[0] ||
	    page_frame(in.code + page) != o->code[1])
		return 2;	/* code not shared */
	if (page_frame(in.table) == o->table)
		return 3;	/* table shared */
	return 0;
}

TEST(instances_and_processes_share_one_copy_of_the_code)
{
	struct instance in = { .args = { .nr = several_pages() } };
	size_t page = sysconf(_SC_PAGESIZE);
	struct other o;

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	o = (struct other){
		.args = { .nr = several_pages() },
		.code = { page_frame(in.code), page_frame(in.code + page) },
		.table = page_frame(in.table),
	};
	if (!o.code[0])
		SKIP(return, "needs root, for page frame numbers");
	EXPECT_NE(o.code[0], o.code[1]);

	EXPECT_EQ(0, has_these_frames(&o));
	EXPECT_EQ(0, in_child(has_these_frames, &o));
	/* The geometry is the same however it was asked for. */
	o.args = (struct trampfd_create_args){
		.nr = several_pages() - 1, .abi = abi_native,
	};
	EXPECT_EQ(0, in_child(has_these_frames, &o));
	o.args = in.args;
	EXPECT_EQ(0, in_child(has_these_frames, &o));
	/* Another geometry is other code. */
	o.args = (struct trampfd_create_args){
		.nr = several_pages(), .mode = TRAMPFD_MODE_SLOT,
	};
	EXPECT_EQ(2, in_child(has_these_frames, &o));
	instance_close(&in);
}

TEST(pss_shows_the_code_shared)
{
	struct instance a = { .args = { .nr = several_pages() } }, b = a;
	size_t page = sysconf(_SC_PAGESIZE), i;
	unsigned int sum = 0;
	long rss, pss;

	ASSERT_EQ(0, instance_open(&a));
	ASSERT_EQ(0, instance_open(&b));
	for (i = 0; i < a.args.code_size; i += page)
		sum += a.code[i] + b.code[i];
	ASSERT_NE(0, sum);
	rss = smaps_field(a.code, "Rss");
	pss = smaps_field(a.code, "Pss");
	EXPECT_EQ((long)(a.args.code_size / 1024), rss);
	EXPECT_EQ(rss / 2, pss);
	EXPECT_EQ(0, smaps_field(a.code, "Private_Dirty"));
	EXPECT_EQ(0, smaps_field(a.code, "Anonymous"));
	instance_close(&a);
	instance_close(&b);
}

TEST(process_pays_for_the_slots_that_it_uses_alone)
{
	struct instance in = { .args = { .nr = TRAMPFD_NR_MAX } };
	long page_kb = sysconf(_SC_PAGESIZE) / 1024;

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_EQ(0, smaps_field(in.table, "Rss"));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	EXPECT_EQ(page_kb, smaps_field(in.table, "Anonymous"));
	ASSERT_EQ(1, instance_call(&in, in.args.nr - 1, 1));
	EXPECT_EQ(2 * page_kb, smaps_field(in.table, "Anonymous"));
	EXPECT_EQ(2 * page_kb, smaps_field(in.table, "Rss"));
	instance_close(&in);
}

TEST(reclaimed_code_is_generated_again_the_same)
{
	struct instance in = { .args = { .nr = 4096 } };
	char *was, *again;
	size_t size;

	ASSERT_EQ(0, instance_open(&in));
	size = in.args.code_size;
	was = malloc(size);
	again = malloc(size);
	ASSERT_EQ((ssize_t)size, pread(in.fd, was, size, 0));
	ASSERT_EQ(0, instance_call_all(&in));
	ASSERT_EQ(size / sysconf(_SC_PAGESIZE), resident(in.code, size));

	/* Out of this mapping, then out of memory */
	ASSERT_EQ(0, madvise(in.code, size, MADV_DONTNEED));
	drop_page_cache();
	if (resident(in.code, size))
		SKIP(return, "needs root, to drop caches");
	ASSERT_EQ((ssize_t)size, pread(in.fd, again, size, 0));
	EXPECT_EQ(0, memcmp(was, again, size));

	ASSERT_EQ(0, madvise(in.code, size, MADV_DONTNEED));
	drop_page_cache();
	ASSERT_EQ(0, resident(in.code, size));
	EXPECT_EQ(0, instance_call_all(&in));
	EXPECT_EQ(0, memcmp(was, in.code, size));
	free(was);
	free(again);
	instance_close(&in);
}

TEST(code_can_be_paged_out_under_its_user)
{
	struct instance in = { .args = { .nr = 4096 } };
	size_t size;

	ASSERT_EQ(0, instance_open(&in));
	size = in.args.code_size;
	ASSERT_EQ(0, instance_call_all(&in));
	ASSERT_EQ(0, madvise(in.code, size, MADV_PAGEOUT));
	EXPECT_LT(resident(in.code, size), size / sysconf(_SC_PAGESIZE));
	EXPECT_EQ(0, instance_call_all(&in));
	instance_close(&in);
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

TEST(tens_of_faults_touch_all_code_of_the_largest_instance)
{
	struct instance in = { .args = { .nr = TRAMPFD_NR_MAX } };
	size_t page = sysconf(_SC_PAGESIZE), i;
	long faults[2], round;

	/* The first round generates the code, the second finds it. */
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, instance_open(&in));
		faults[round] = minor_faults();
		for (i = 0; i < in.args.code_size; i += page)
			touch(in.code + i);
		faults[round] = minor_faults() - faults[round];
		EXPECT_EQ((long)(in.args.code_size / 1024), smaps_field(in.code, "Rss"));
		if (!round)
			close(in.fd);
	}
	TH_LOG("%d pages of code: %ld faults, then %ld",
	       (int)(in.args.code_size / page), faults[0], faults[1]);
	EXPECT_LT(faults[0], 100);
	EXPECT_LT(faults[1], 100);
	instance_close(&in);
}

TEST(file_passed_to_another_process_works_there)
{
	struct instance in = { .args = { .nr = 1 } }, copy = in;
	int pair[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		SKIP(return, "no UNIX sockets: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		/* Its fdinfo and a create call both tell the geometry. */
		close(trampfd_create(&copy.args, sizeof(copy.args)));
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
