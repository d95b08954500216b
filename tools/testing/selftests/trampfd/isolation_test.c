// SPDX-License-Identifier: GPL-2.0
/*
 * Isolation: processes share pages of code, but cannot observe each other through
 * them, evict them from each other, or change them.
 */
#include <linux/futex.h>
#include <linux/mman.h>
#include <sys/mount.h>

#include "common.h"

static void touch_all(const struct instance *in)
{
	size_t at;

	for (at = 0; at < in->args.table_offset; at += page_size())
		touch(in->code + at);
}

/* The number of pages of code that the page tables of this process map */
static size_t mapped_pages(const struct instance *in)
{
	size_t pages = in->args.table_offset / page_size(), mapped = 0, i;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	for (i = 0; i < pages; i++) {
		off_t at = (uintptr_t)in->code / page_size() + i;

		if (pread(fd, &entry, sizeof(entry), at * sizeof(entry)) == sizeof(entry))
			mapped += entry >> 63;
	}
	close(fd);
	return mapped;
}

/*
 * Another process, which has its own instance of the same geometry.  Whenever it
 * is asked, it checks that instance and answers with its number of failures.
 *
 * @question, @answer: Ends of pipes in the test.
 * @question_end, @answer_end: Their other ends.
 */
struct other {
	pid_t pid;
	int question, answer;
	int question_end, answer_end;
};

static char check_other(struct __test_metadata *_metadata, const struct instance *in)
{
	long before = nr_faults();
	char failures = 0;

	EXPECT_EQ(in->args.table_offset / page_size(), mapped_pages(in))
		failures++;
	touch_all(in);
	EXPECT_EQ(before, nr_faults())
		failures++;
	EXPECT_EQ(1, instance_run(in, 0))
		failures++;
	return failures;
}

static void be_other(struct __test_metadata *_metadata, void *arg)
{
	const struct other *other = arg;
	char failures, question;
	struct instance in = { .nr = 1 };

	close(other->question);
	close(other->answer);
	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(1, instance_call(&in, 0, 1));
	touch_all(&in);
	mapped_pages(&in);	/* so that the checks themselves cause no fault */
	instance_run(&in, 0);
	nr_faults();
	do {
		failures = check_other(_metadata, &in);
	} while (write(other->answer_end, &failures, 1) == 1 &&
		 read(other->question_end, &question, 1) == 1);
}

/* The number of failures that the other process reports, or -1 if it has ended */
static int next_answer(const struct other *other)
{
	char failures;

	return read(other->answer, &failures, 1) == 1 ? failures : -1;
}

static int failures_of(const struct other *other)
{
	return write(other->question, "?", 1) == 1 ? next_answer(other) : -1;
}

static void start(struct __test_metadata *_metadata, struct other *other)
{
	int question[2], answer[2];

	ASSERT_EQ(0, pipe(question));
	ASSERT_EQ(0, pipe(answer));
	*other = (struct other){
		.question = question[1], .question_end = question[0],
		.answer = answer[0], .answer_end = answer[1],
	};
	other->pid = begin_child(_metadata, be_other, other);
	close(other->question_end);
	close(other->answer_end);
	ASSERT_EQ(0, next_answer(other));
}

static void end(struct __test_metadata *_metadata, struct other *other)
{
	close(other->question);
	close(other->answer);
	end_child(_metadata, other->pid);
}

FIXTURE(isolation) {
	struct instance in;
	struct other other;
};

FIXTURE_SETUP(isolation)
{
	start(_metadata, &self->other);
	self->in.nr = 1;
	ASSERT_EQ(0, instance_open(&self->in));
}

FIXTURE_TEARDOWN(isolation)
{
	instance_close(&self->in);
	end(_metadata, &self->other);
}

TEST_F(isolation, mincore_shows_own_accesses_only)
{
	size_t pages = self->in.args.table_offset / page_size(), resident = 0, i;
	unsigned char *vec = malloc(pages);

	ASSERT_EQ(0, mincore(self->in.code, self->in.args.table_offset, vec));
	for (i = 0; i < pages; i++)
		resident += vec[i];
	EXPECT_EQ(0, resident);

	touch(self->in.code);
	ASSERT_EQ(0, mincore(self->in.code, page_size(), vec));
	EXPECT_EQ(1, vec[0] & 1);
	free(vec);
}

TEST_F(isolation, cachestat_counts_nothing)
{
	struct cachestat_range range = { 0, file_size(&self->in) };
	struct cachestat stat, none = {};

	touch_all(&self->in);
	memset(&stat, 0xff, sizeof(stat));
	if (syscall(__NR_cachestat, self->in.fd, &range, &stat, 0))
		SKIP(return, "no cachestat: %s", strerror(errno));
	EXPECT_EQ(0, memcmp(&stat, &none, sizeof(stat)))
		TH_LOG("%llu pages", (unsigned long long)stat.nr_cache);
}

/* The kernel may refuse advice. */
TEST_F(isolation, advice_does_not_affect_others)
{
	static const int advice[] = {
		MADV_COLD, MADV_PAGEOUT, MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
	};
	size_t size = self->in.args.table_offset, i;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		touch_all(&self->in);
		madvise(self->in.code, size, advice[i]);
		EXPECT_EQ(0, failures_of(&self->other))
			TH_LOG("madvise %d", advice[i]);
	}
	munmap(self->in.code, size);
	posix_fadvise(self->in.fd, 0, 0, POSIX_FADV_DONTNEED);
	EXPECT_EQ(0, failures_of(&self->other));
	/* Needs root */
	write_file("/proc/sys/vm/drop_caches", "3");
	EXPECT_EQ(0, failures_of(&self->other));
}

TEST_F(isolation, pageout_keeps_code)
{
	size_t pages = self->in.args.table_offset / page_size();

	touch_all(&self->in);
	ASSERT_EQ(pages, mapped_pages(&self->in));
	ASSERT_EQ(0, madvise(self->in.code, self->in.args.table_offset, MADV_COLD));
	ASSERT_EQ(0, madvise(self->in.code, self->in.args.table_offset, MADV_PAGEOUT));
	EXPECT_EQ(pages, mapped_pages(&self->in));
}

/* __NR_futex takes a timeout of two longs on every ABI here. */
static int futex(void *addr, int op, uint32_t value, long ms)
{
	struct { long s, ns; } timeout = { 0, ms * 1000000 };

	return syscall(__NR_futex, addr, op, value, &timeout, NULL, 0);
}

TEST_F(isolation, shared_futex_is_efault)
{
	static const int flags[] = { MAP_PRIVATE, MAP_SHARED };
	size_t size = self->in.args.table_offset, i;
	uint32_t *code;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		code = mmap(NULL, size, PROT_READ | PROT_EXEC, flags[i], self->in.fd, 0);
		ASSERT_NE(MAP_FAILED, code);
		EXPECT_EQ(EFAULT, error_of(futex(code, FUTEX_WAIT, *code, 100)));
		EXPECT_EQ(EFAULT, error_of(futex(code, FUTEX_WAKE, 1, 0)));
		EXPECT_EQ(EFAULT, error_of(futex(code, FUTEX_LOCK_PI, 0, 0)));
		munmap(code, size);
	}
}

static void expect_timeout(struct __test_metadata *_metadata, void *arg)
{
	uint32_t *code = arg;

	EXPECT_EQ(ETIMEDOUT, error_of(futex(code, FUTEX_WAIT_PRIVATE, *code, 300)));
}

TEST_F(isolation, private_futex_is_per_process)
{
	pid_t pid = begin_child(_metadata, expect_timeout, self->in.code);
	siginfo_t info = {};
	int woken = 0;

	while (!info.si_pid) {
		woken += futex(self->in.code, FUTEX_WAKE_PRIVATE, 1, 0);
		usleep(1000);
		ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT));
	}
	EXPECT_EQ(0, woken);
	end_child(_metadata, pid);
}

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

static void avoid_page_frame(struct __test_metadata *_metadata, void *arg)
{
	struct instance in = { .nr = ALL };
	uint64_t failed = *(uint64_t *)arg;
	size_t at;

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_EQ(0, instance_call_all(&in));
	for (at = 0; at < in.args.table_offset; at += page_size())
		EXPECT_NE(failed, page_frame(in.code + at));
}

/*
 * Pages of code are on no LRU list, so memory_failure() does not look up who maps
 * one: it sets PG_hwpoison and returns EBUSY.  Processes keep their mappings; if the
 * memory really fails, a machine check kills those that execute it.  The next fault
 * replaces the page for all processes.
 */
TEST_F(isolation, hwpoison_does_not_affect_others)
{
	uint64_t failed;

	failed = page_frame(self->in.code);
	if (madvise(self->in.code, page_size(), MADV_HWPOISON) && errno != EBUSY)
		SKIP(return, "needs root and CONFIG_MEMORY_FAILURE: %s", strerror(errno));
	ASSERT_NE(0, failed);
	EXPECT_EQ(0, failures_of(&self->other));
	in_child(_metadata, avoid_page_frame, &failed);
	EXPECT_EQ(2, instance_call(&self->in, 0, 2));
	EXPECT_NE(failed, page_frame(self->in.code + page_size()));
	EXPECT_EQ(page_frame(self->in.code + page_size()),
		  page_frame(self->in.code + 2 * page_size()));
}

/* A mount of tracefs */
struct trace {
	char root[32];
};

static const char *trace_file(const struct trace *trace, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", trace->root, file);
	return path;
}

/* Set a uprobe at the start of a file and remove it.  Return 0, or the errno. */
static int try_uprobe(const struct trace *trace, const char *file)
{
	static const char enable[] = "events/trampfd/code/enable";
	char text[128];
	int err;

	snprintf(text, sizeof(text), "p:trampfd/code %s:0x0", file);
	if (write_file(trace_file(trace, "uprobe_events"), text))
		return errno;
	err = error_of(write_file(trace_file(trace, enable), "1"));
	write_file(trace_file(trace, enable), "0");
	write_file(trace_file(trace, "uprobe_events"), "-:trampfd/code");
	return err;
}

/* A uprobe would write a breakpoint into the code of every process. */
TEST_F(isolation, uprobe_is_eio)
{
	struct trace trace = { "/tmp/trampfd.XXXXXX" };
	char file[64];

	ASSERT_NE(NULL, mkdtemp(trace.root));
	if (mount("tracefs", trace.root, "tracefs", 0, NULL) ||
	    access(trace_file(&trace, "uprobe_events"), W_OK)) {
		umount(trace.root);
		rmdir(trace.root);
		SKIP(return, "needs root and CONFIG_UPROBE_EVENTS");
	}
	snprintf(file, sizeof(file), "/proc/self/fd/%d", self->in.fd);
	EXPECT_EQ(EIO, try_uprobe(&trace, file));
	EXPECT_EQ(0, failures_of(&self->other));
	/*
	 * A program accepts a probe, or the kernel refuses it for the instruction there
	 * (arm) or for AArch32 code (arm64).  Last: on riscv64 with Linux 6.12, the other
	 * process has a page fault, as it runs this program too.
	 */
	EXPECT_NE(EIO, try_uprobe(&trace, "/proc/self/exe"));
	umount(trace.root);
	rmdir(trace.root);
}

TEST_HARNESS_MAIN
