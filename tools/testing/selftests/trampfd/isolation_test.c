// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that use the same page of code learn nothing of each other through
 * it, cannot take it from each other, and cannot have it changed.
 */
#include <linux/futex.h>
#include <linux/mman.h>
#include <sys/mount.h>

#include "common.h"

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static void touch_all(const struct instance *in)
{
	size_t at;

	for (at = 0; at < in->args.table_offset; at += page_size())
		touch(in->code + at);
}

/* How many pages of the code are in the page tables of this process */
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
 * The other process: use an instance of its own of the same geometry, and each
 * time it is asked, say whether that is as before (UNHARMED).
 */
enum answer { UNHARMED, NOT_STARTED, UNMAPPED, FAULTS, WRONG_CALL };

static enum answer look_after(const struct instance *in)
{
	long before = faults();
	enum answer answer = UNHARMED;

	if (mapped_pages(in) != in->args.table_offset / page_size())
		return UNMAPPED;
	touch_all(in);
	if (faults() != before)
		answer = FAULTS;
	if (instance_run(in, 0) != 1)
		answer = WRONG_CALL;
	return answer;
}

static void be_the_other(int questions, int answers)
{
	char answer = NOT_STARTED, question;
	struct instance in = { .nr = 1 };

	if (instance_open(&in) || instance_call(&in, 0, 1) != 1) {
		write(answers, &answer, 1);
		_exit(1);
	}
	touch_all(&in);
	look_after(&in);	/* whatever it touches is there then */
	do {
		answer = look_after(&in);
	} while (write(answers, &answer, 1) == 1 && read(questions, &question, 1) == 1);
	_exit(0);
}

struct other {
	pid_t pid;
	int question, answer;
};

static enum answer next_answer(const struct other *other)
{
	char answer;

	return read(other->answer, &answer, 1) == 1 ? answer : NOT_STARTED;
}

static enum answer ask(const struct other *other)
{
	return write(other->question, "?", 1) == 1 ? next_answer(other) : NOT_STARTED;
}

static void start(struct __test_metadata *_metadata, struct other *other)
{
	int question[2], answer[2];

	ASSERT_EQ(0, pipe(question));
	ASSERT_EQ(0, pipe(answer));
	other->pid = fork();
	ASSERT_GE(other->pid, 0);
	if (!other->pid) {
		close(question[1]);
		close(answer[0]);
		be_the_other(question[0], answer[1]);
	}
	close(question[0]);
	close(answer[1]);
	other->question = question[1];
	other->answer = answer[0];
	ASSERT_EQ(UNHARMED, next_answer(other));
}

static void end(struct other *other)
{
	if (!other->pid)
		return;
	close(other->question);
	close(other->answer);
	waitpid(other->pid, NULL, 0);
	other->pid = 0;
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
	end(&self->other);
}

TEST_F(isolation, mincore_tells_what_this_process_touched_alone)
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

TEST_F(isolation, cachestat_counts_no_pages_whatever_is_mapped)
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

/* Advice may be refused; it may not reach beyond the process that gives it. */
TEST_F(isolation, advice_takes_no_code_from_another_process)
{
	static const int advice[] = {
		MADV_COLD, MADV_PAGEOUT, MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
	};
	size_t size = self->in.args.table_offset, i;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		touch_all(&self->in);
		madvise(self->in.code, size, advice[i]);
		EXPECT_EQ(UNHARMED, ask(&self->other)) TH_LOG("madvise %d", advice[i]);
	}
	munmap(self->in.code, size);
	posix_fadvise(self->in.fd, 0, 0, POSIX_FADV_DONTNEED);
	EXPECT_EQ(UNHARMED, ask(&self->other));
	/* Needs root */
	write_file("/proc/sys/vm/drop_caches", "3");
	EXPECT_EQ(UNHARMED, ask(&self->other));
}

TEST_F(isolation, code_is_not_paged_out)
{
	size_t pages = self->in.args.table_offset / page_size();

	touch_all(&self->in);
	ASSERT_EQ(pages, mapped_pages(&self->in));
	ASSERT_EQ(0, madvise(self->in.code, self->in.args.table_offset, MADV_COLD));
	ASSERT_EQ(0, madvise(self->in.code, self->in.args.table_offset, MADV_PAGEOUT));
	EXPECT_EQ(pages, mapped_pages(&self->in));
}

/* With a time-out as the system call of this number has it on every ABI */
static int futex(void *addr, int op, uint32_t value, long ms)
{
	struct { long s, ns; } timeout = { 0, ms * 1000000 };

	return syscall(__NR_futex, addr, op, value, &timeout, NULL, 0);
}

TEST_F(isolation, shared_futex_on_code_is_EFAULT)
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

static int wait_for_nothing(void *arg)
{
	uint32_t *code = arg;

	return error_of(futex(code, FUTEX_WAIT_PRIVATE, *code, 300));
}

TEST_F(isolation, private_futex_on_code_wakes_nobody_elsewhere)
{
	void *code = self->in.code;
	int status, woken = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(wait_for_nothing(code));
	while (!waitpid(pid, &status, WNOHANG)) {
		woken += futex(code, FUTEX_WAKE_PRIVATE, 1, 0);
		usleep(1000);
	}
	EXPECT_EQ(0, woken);
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(ETIMEDOUT, WEXITSTATUS(status));
}

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

static int uses_other_memory_than(void *arg)
{
	struct instance in = { .nr = ALL };
	uint64_t failed = *(uint64_t *)arg;
	size_t at;

	if (instance_open(&in))
		return 1;
	if (instance_call_all(&in))
		return 2;
	for (at = 0; at < in.args.table_offset; at += page_size())
		if (page_frame(in.code + at) == failed)
			return 3;
	return 0;
}

/*
 * The kernel does not know who maps a page that is on no LRU list: memory_failure()
 * marks it and answers EBUSY.  A process that has it mapped keeps it and, if the
 * memory really failed, is killed by the machine check when it next executes it.
 * The first fault from then on puts another page in its place, for everybody.
 */
TEST_F(isolation, failed_memory_takes_no_code_from_others)
{
	uint64_t failed;

	failed = page_frame(self->in.code);
	if (madvise(self->in.code, page_size(), MADV_HWPOISON) && errno != EBUSY)
		SKIP(return, "needs root and CONFIG_MEMORY_FAILURE: %s", strerror(errno));
	ASSERT_NE(0, failed);
	EXPECT_EQ(UNHARMED, ask(&self->other));
	EXPECT_EQ(0, in_child(uses_other_memory_than, &failed));
	EXPECT_EQ(2, instance_call(&self->in, 0, 2));
	EXPECT_NE(failed, page_frame(self->in.code + page_size()));
	EXPECT_EQ(page_frame(self->in.code + page_size()),
		  page_frame(self->in.code + 2 * page_size()));
}

/* A uprobe would write a breakpoint into the code of every process. */
struct trace {
	char root[32];
};

static const char *trace_file(const struct trace *trace, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", trace->root, file);
	return path;
}

/* Put a probe at the begin of a file, and take it off: 0, or the errno. */
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

TEST_F(isolation, uprobe_on_code_is_EIO)
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
	/*
	 * A program can have probes, or is refused for what its bytes are (arm), or
	 * as one of AArch32 (arm64).
	 */
	EXPECT_NE(EIO, try_uprobe(&trace, "/proc/self/exe"));
	EXPECT_EQ(EIO, try_uprobe(&trace, file));
	EXPECT_EQ(UNHARMED, ask(&self->other));
	umount(trace.root);
	rmdir(trace.root);
}

TEST_HARNESS_MAIN
