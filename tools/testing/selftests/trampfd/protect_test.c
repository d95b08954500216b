// SPDX-License-Identifier: GPL-2.0
/*
 * Nobody writes code and nobody executes the table, whichever way is tried; and
 * where W^X is enforced, trampolines work all the same.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "common.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE		65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

FIXTURE(protect) {
	struct instance in;
	char was[64];
};

FIXTURE_SETUP(protect)
{
	self->in.args.nr = 1;
	ASSERT_EQ(0, instance_open(&self->in));
	ASSERT_EQ(1, instance_call(&self->in, 0, 1));
	memcpy(self->was, self->in.code, sizeof(self->was));
}

FIXTURE_TEARDOWN(protect)
{
	EXPECT_EQ(0, memcmp(self->was, self->in.code, sizeof(self->was)));
	EXPECT_EQ(2, instance_call(&self->in, 0, 2));
	instance_close(&self->in);
}

static const char patch[16];

/* The same way of writing works on the table: it is tried for real. */
TEST_F(protect, code_is_not_written_through_proc_self_mem)
{
	int fd = open("/proc/self/mem", O_RDWR);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(sizeof(patch), pwrite(fd, patch, sizeof(patch),
					(off_t)(uintptr_t)self->in.table));
	EXPECT_EQ(-1, pwrite(fd, patch, sizeof(patch),
			     (off_t)(uintptr_t)self->in.code));
	EXPECT_EQ(EIO, errno);
	close(fd);
}

TEST_F(protect, code_is_not_written_by_process_vm_writev)
{
	struct iovec local = { (void *)patch, sizeof(patch) };
	struct iovec table = { self->in.table, sizeof(patch) };
	struct iovec code = { self->in.code, sizeof(patch) };

	ASSERT_EQ(sizeof(patch), process_vm_writev(getpid(), &local, 1, &table, 1, 0));
	EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &code, 1, 0));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(protect, code_is_not_written_by_a_debugger)
{
	char path[64];
	int fd, status;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		/* In the child too the code is as it was, and works. */
		_exit(memcmp(self->was, self->in.code, sizeof(self->was)) ||
		      instance_call(&self->in, 0, 3) != 3);
	}
	waitpid(pid, &status, 0);
	ASSERT_TRUE(WIFSTOPPED(status));

	EXPECT_EQ(0, ptrace(PTRACE_POKETEXT, pid, self->in.table, 0));
	EXPECT_EQ(-1, ptrace(PTRACE_POKETEXT, pid, self->in.code, 0));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, pid, self->in.code, 0));
	EXPECT_EQ(EIO, errno);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-1, pwrite(fd, patch, sizeof(patch),
			     (off_t)(uintptr_t)self->in.code));
	EXPECT_EQ(EIO, errno);
	close(fd);
	/* What a debugger can do: look. */
	errno = 0;
	EXPECT_EQ(*(long *)self->was, ptrace(PTRACE_PEEKTEXT, pid, self->in.code, 0));

	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
}

TEST_F(protect, read_into_code_is_EFAULT)
{
	int fd = open("/dev/zero", O_RDONLY);

	if (fd < 0)
		SKIP(return, "no /dev/zero");
	EXPECT_EQ(-1, read(fd, self->in.code, sizeof(patch)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(sizeof(patch), read(fd, self->in.table, sizeof(patch)));
	close(fd);
}

/* The protection of the mapping at @addr, as /proc/self/maps shows it. */
static void protection(const void *addr, char prot[5])
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[512], p[5];

	memset(prot, 0, 5);
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, p) == 3 &&
		    start <= (unsigned long)addr && (unsigned long)addr < end)
			memcpy(prot, p, sizeof(p));
	}
	if (f)
		fclose(f);
}

TEST(table_is_not_executable_under_READ_IMPLIES_EXEC)
{
	struct instance in = { .args = { .nr = 1 } };
	size_t page = sysconf(_SC_PAGESIZE);
	char prot[5];

	ASSERT_NE(-1, personality(READ_IMPLIES_EXEC));
	ASSERT_EQ(0, instance_open(&in));
	protection(in.table, prot);
	EXPECT_STREQ("rw-p", prot);
	EXPECT_EQ(SIGSEGV, signal_of(call, in.table));

	ASSERT_EQ(0, mprotect(in.table, page, PROT_READ));
	ASSERT_EQ(0, mprotect(in.table, page, PROT_READ | PROT_WRITE));
	protection(in.table, prot);
	EXPECT_EQ('-', prot[2]);
	EXPECT_EQ(4, instance_call(&in, 0, 4));
	EXPECT_EQ(-1, mprotect(in.code, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
}

/* The usual ways to write code at run time; 0 if it worked, else the errno. */
static int rwx(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int w_then_x(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC) ? errno : 0;
}

static int memfd_twice(void)
{
	int fd = syscall(__NR_memfd_create, "code", MFD_CLOEXEC);

	return fd < 0 ? errno : 0;
}

TEST(trampolines_work_where_writing_code_is_refused)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_memfd_create, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };
	struct instance in = { .args = { .nr = 1000 } };

	ASSERT_EQ(0, rwx());
	ASSERT_EQ(0, w_then_x());
	ASSERT_EQ(0, memfd_twice());

	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		SKIP(return, "no PR_SET_MDWE: %s", strerror(errno));
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	EXPECT_EQ(EACCES, rwx());
	EXPECT_EQ(EACCES, w_then_x());
	EXPECT_EQ(EPERM, memfd_twice());

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_EQ(0, instance_call_all(&in));
	instance_close(&in);
}

TEST_HARNESS_MAIN
