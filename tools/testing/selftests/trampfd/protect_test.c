// SPDX-License-Identifier: GPL-2.0
/*
 * Nobody writes code and nobody executes the table, whichever way is tried.
 *
 * One test for each row of the security table in
 * Documentation/userspace-api/trampfd.rst.  Where there is a classic technique
 * it is tried first on the memory that it is known for, which shows that the
 * test does it right, and then on code and table.
 */
#include <linux/elf.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common.h"

#define RW	(PROT_READ | PROT_WRITE)
#define RX	(PROT_READ | PROT_EXEC)
#define RWX	(PROT_READ | PROT_WRITE | PROT_EXEC)

/* What the attacks write, different from all that they write to. */
static const char patch[16] = "not from kernel";

/*
 * @code and @table are those of @in; @text is an ordinary page of code, private
 * memory that can be read and executed.
 */
FIXTURE(protect) {
	struct instance in;
	char *was;
	char *text;
	size_t page;
};

static char *anonymous(size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

FIXTURE_SETUP(protect)
{
	self->page = page_size();
	self->in.nr = several_pages();
	ASSERT_EQ(0, instance_open(&self->in));
	ASSERT_EQ(1, instance_call(&self->in, 0, 1));
	self->was = malloc(self->in.size);
	memcpy(self->was, self->in.code, self->in.size);
	self->text = anonymous(self->page, RX);
	ASSERT_NE(MAP_FAILED, self->text);
}

/* Whatever was tried, the code is what it was, and works. */
FIXTURE_TEARDOWN(protect)
{
	EXPECT_EQ(0, memcmp(self->was, self->in.code, self->in.size));
	EXPECT_EQ(2, instance_call(&self->in, 0, 2));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RWX)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RWX)));
	instance_close(&self->in);
}

/* Whether the patch arrived at @addr. */
static bool patched(const void *addr)
{
	return !memcmp(addr, patch, sizeof(patch));
}

/* Map a range of the file: 0, or the errno. */
static int map_error(int fd, off_t offset, size_t len, int prot, int flags)
{
	void *p = mmap(NULL, len, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, len);
	return 0;
}

/* A file in memory, of one page. */
static int memory_file(void)
{
	int fd = syscall(__NR_memfd_create, "code", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, page_size()))
		return -1;
	return fd;
}

TEST_F(protect, code_is_never_writable_and_executable_at_once)
{
	struct trampfd_create_args *a = &self->in.args;

	EXPECT_EQ(0, map_error(-1, 0, self->page, RWX,
			       MAP_PRIVATE | MAP_ANONYMOUS));

	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, self->in.size, RWX, MAP_PRIVATE));
	EXPECT_EQ(EACCES, map_error(self->in.fd, a->table_offset, self->in.size,
				    RWX, MAP_PRIVATE));
	/* Nor by asking for both areas at once */
	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, instance_span(&self->in),
				    RWX, MAP_PRIVATE));
	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, instance_span(&self->in),
				    RW, MAP_PRIVATE));
}

/* The signal that a function ends with that was written to @p */
static int call_written(char *p)
{
	memcpy(p, (void *)((uintptr_t)abi_return_data & ~(uintptr_t)1), sizeof(patch));
	__builtin___clear_cache(p, p + sizeof(patch));
	return signal_of(call, p);
}

/*
 * Whether the kernel can refuse to execute data: 32-bit ones depend on the format
 * of their page tables, of which that of x86 says so at boot.
 */
static bool refuses_data(void)
{
	static char log[1 << 18];
	int len;

	if (sizeof(long) == 8)
		return true;
	len = klogctl(3, log, sizeof(log) - 1);	/* SYSLOG_ACTION_READ_ALL */
	return len > 0 && strstr(log, "NX (Execute Disable) protection: active");
}

/* The table is no more executable than other data. */
TEST_F(protect, what_was_written_is_not_executed)
{
	char *p = anonymous(self->page, RW);
	int refused = call_written(p);

	TH_LOG("data: signal %d", refused);
	if (refuses_data())
		EXPECT_EQ(SIGSEGV, refused);
	EXPECT_EQ(refused, call_written(self->in.table));
	EXPECT_STREQ("rw-p", protection_of(self->in.table));
	munmap(p, self->page);
}

TEST_F(protect, what_was_written_is_not_made_executable)
{
	char *p = anonymous(self->page, RW);

	memcpy(p, patch, sizeof(patch));
	EXPECT_EQ(0, mprotect(p, self->page, RX));
	EXPECT_EQ(0, mprotect(p, self->page, RW));

	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RX)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, PROT_EXEC)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RW)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, PROT_WRITE)));
	/* Not even when nothing else is left of the protection */
	ASSERT_EQ(0, mprotect(self->in.code, self->page, PROT_NONE));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RW)));
	ASSERT_EQ(0, mprotect(self->in.code, self->page, RX));
	munmap(p, self->page);
}

TEST_F(protect, file_mapped_twice_has_no_writable_view_of_code)
{
	struct trampfd_create_args *a = &self->in.args;
	int fd = memory_file();
	char *w, *x;

	ASSERT_GE(fd, 0);
	w = mmap(NULL, self->page, RW, MAP_SHARED, fd, 0);
	x = mmap(NULL, self->page, RX, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, w);
	ASSERT_NE(MAP_FAILED, x);
	memcpy(w, patch, sizeof(patch));
	EXPECT_TRUE(patched(x));

	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, self->in.size, RW, MAP_SHARED));
	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, self->in.size, RW, MAP_PRIVATE));
	EXPECT_EQ(EACCES, map_error(self->in.fd, a->table_offset, self->in.size,
				    RW, MAP_SHARED));
	/* What is executable can be mapped twice, and neither view be written. */
	w = mmap(NULL, self->in.size, PROT_READ, MAP_SHARED, self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, w);
	EXPECT_EQ(EACCES, error_of(mprotect(w, self->page, RW)));
	munmap(w, self->in.size);
	close(fd);
}

/* The kernel's access on behalf of a debugger writes to read-only memory. */
TEST_F(protect, code_is_not_written_through_proc_self_mem)
{
	int fd = open("/proc/self/mem", O_RDWR);
	char *shared;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(sizeof(patch), pwrite(fd, patch, sizeof(patch),
					(off_t)(uintptr_t)self->text));
	EXPECT_TRUE(patched(self->text));
	EXPECT_EQ(sizeof(patch), pwrite(fd, patch, sizeof(patch),
					(off_t)(uintptr_t)self->in.table));
	EXPECT_TRUE(patched(self->in.table));

	EXPECT_EQ(-1, pwrite(fd, patch, sizeof(patch),
			     (off_t)(uintptr_t)self->in.code));
	EXPECT_EQ(EIO, errno);
	shared = mmap(NULL, self->page, RX, MAP_SHARED, self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, shared);
	EXPECT_EQ(-1, pwrite(fd, patch, sizeof(patch), (off_t)(uintptr_t)shared));
	EXPECT_EQ(EIO, errno);
	munmap(shared, self->page);
	close(fd);
}

TEST_F(protect, code_is_not_written_by_process_vm_writev)
{
	struct iovec local = { (void *)patch, sizeof(patch) };
	struct iovec table = { self->in.table, sizeof(patch) };
	struct iovec code = { self->in.code, sizeof(patch) };
	struct iovec text = { self->text, sizeof(patch) };

	ASSERT_EQ(0, mprotect(self->text, self->page, RWX));
	EXPECT_EQ(sizeof(patch), process_vm_writev(getpid(), &local, 1, &text, 1, 0));
	EXPECT_TRUE(patched(self->text));
	EXPECT_EQ(sizeof(patch), process_vm_writev(getpid(), &local, 1, &table, 1, 0));

	EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &code, 1, 0));
	EXPECT_EQ(EFAULT, errno);
}

/* Writes to a stopped process @pid, which has what we have, as debuggers do. */
static void debug(struct __test_metadata *_metadata, const struct instance *in,
		  char *text, pid_t pid)
{
	char path[64];
	int fd;

	EXPECT_EQ(0, ptrace(PTRACE_POKETEXT, pid, text, *(long *)patch));
	EXPECT_EQ(*(long *)patch, ptrace(PTRACE_PEEKTEXT, pid, text, 0));
	EXPECT_EQ(0, ptrace(PTRACE_POKETEXT, pid, in->table, 0));

	EXPECT_EQ(-1, ptrace(PTRACE_POKETEXT, pid, in->code, 0));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, pid, in->code, 0));
	EXPECT_EQ(EIO, errno);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-1, pwrite(fd, patch, sizeof(patch),
			     (off_t)(uintptr_t)in->code));
	EXPECT_EQ(EIO, errno);
	close(fd);
	/* What a debugger can do: look. */
	errno = 0;
	EXPECT_EQ(*(long *)in->code, ptrace(PTRACE_PEEKTEXT, pid, in->code, 0));
	EXPECT_EQ(0, errno);
}

TEST_F(protect, code_is_not_written_by_a_debugger)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		/* In the child too the code is as it was, and works. */
		_exit(memcmp(self->was, self->in.code, self->in.size) ||
		      instance_call(&self->in, 0, 3) != 3);
	}
	waitpid(pid, &status, 0);
	ASSERT_TRUE(WIFSTOPPED(status));
	debug(_metadata, &self->in, self->text, pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
}

/* The test is the one that is debugged; its child attaches to it. */
TEST_F(protect, code_is_not_written_by_another_process)
{
	int status, go[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		pid_t victim = getppid();

		if (read(go[0], &c, 1) != 1 || ptrace(PTRACE_ATTACH, victim, 0, 0))
			_exit(1);
		waitpid(victim, &status, 0);
		debug(_metadata, &self->in, self->text, victim);
		ptrace(PTRACE_DETACH, victim, 0, 0);
		_exit(_metadata->exit_code);
	}
	prctl(PR_SET_PTRACER, pid, 0, 0, 0);	/* for Yama */
	ASSERT_EQ(1, write(go[1], "x", 1));
	while (waitpid(pid, &status, 0) < 0)
		ASSERT_EQ(EINTR, errno);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, memcmp(self->text, patch, sizeof(long)));
}

TEST_F(protect, system_call_does_not_write_its_result_into_code)
{
	int fd = open("/dev/zero", O_RDONLY);

	if (fd < 0)
		SKIP(return, "no /dev/zero");
	ASSERT_EQ(0, mprotect(self->text, self->page, RWX));
	EXPECT_EQ(sizeof(patch), read(fd, self->text, sizeof(patch)));
	EXPECT_EQ(sizeof(patch), read(fd, self->in.table, sizeof(patch)));

	EXPECT_EQ(-1, read(fd, self->in.code, sizeof(patch)));
	EXPECT_EQ(EFAULT, errno);
	close(fd);
}

/* Direct I/O: the device writes to the pages of the buffer, past its mapping. */
TEST_F(protect, direct_read_from_a_device_writes_no_code)
{
	int fd = open("/dev/ram0", O_RDONLY | O_DIRECT);

	if (fd < 0)
		SKIP(return, "needs root, and CONFIG_BLK_DEV_RAM: %s", strerror(errno));
	ASSERT_EQ(0, mprotect(self->text, self->page, RWX));
	memcpy(self->text, patch, sizeof(patch));
	ASSERT_EQ(self->page, pread(fd, self->text, self->page, 0));
	EXPECT_FALSE(patched(self->text));
	EXPECT_EQ(self->page, pread(fd, self->in.table, self->page, 0));

	EXPECT_EQ(-1, pread(fd, self->in.code, self->page, 0));
	EXPECT_EQ(EFAULT, errno);
	close(fd);
}

/*
 * A file that is open for reading, opened again for writing by its link.  To write
 * to an immutable inode (chattr(1)) is refused before it is opened.
 */
TEST_F(protect, file_is_not_opened_again)
{
	static const struct {
		int mode, err;
	} opens[] = {
		{ O_RDONLY, ENXIO }, { O_WRONLY, EPERM }, { O_RDWR, EPERM },
		{ O_RDWR | O_TRUNC, EPERM },
	};
	char path[128], map_file[128];
	int memory = memory_file(), fd, i;
	char *x = mmap(NULL, self->page, RX, MAP_SHARED, memory, 0);

	ASSERT_NE(MAP_FAILED, x);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	fd = open(path, O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(sizeof(patch), write(fd, patch, sizeof(patch)));
	EXPECT_TRUE(patched(x));
	close(fd);
	close(memory);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->in.fd);
	snprintf(map_file, sizeof(map_file), "/proc/self/map_files/%lx-%lx",
		 (unsigned long)self->in.code, (unsigned long)self->in.table);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-1, open(path, opens[i].mode));
		EXPECT_EQ(opens[i].err, errno);
		EXPECT_EQ(-1, open(map_file, opens[i].mode));
		if (errno != EPERM)	/* it takes a capability */
			EXPECT_EQ(opens[i].err, errno);
	}
}

/* In a child, which goes on only if it is not executed: the error. */
static int execution_of(void *fd)
{
	static char * const none[] = { NULL };

	fexecve(*(int *)fd, none, none);
	return errno;
}

/* A memfd of the same mode is as little a program, and becomes one by fchmod(). */
TEST_F(protect, file_is_not_executed_as_a_program)
{
	int memory = memory_file();

	ASSERT_EQ(0, fchmod(memory, 0400));
	EXPECT_EQ(EACCES, in_child(execution_of, &memory));
	ASSERT_EQ(0, fchmod(memory, 0700));
	EXPECT_EQ(ENOEXEC, in_child(execution_of, &memory));
	close(memory);

	EXPECT_EQ(-1, fchmod(self->in.fd, 0700));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(EACCES, in_child(execution_of, &self->in.fd));
}

/* A descriptor without rights, and no way to turn it into one that has some. */
TEST_F(protect, handle_opened_with_O_PATH_gives_no_access)
{
	struct trampfd_create_args *a = &self->in.args;
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	char path[64], byte;
	int fd, id, memory = memory_file(), again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	fd = open(path, O_PATH);
	ASSERT_GE(fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR);
	EXPECT_GE(again, 0);
	close(again);
	close(fd);
	close(memory);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->in.fd);
	fd = open(path, O_PATH);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(EBADF, map_error(fd, 0, self->in.size, RX, MAP_PRIVATE));
	EXPECT_EQ(EBADF, map_error(fd, a->table_offset, self->in.size, RW, MAP_PRIVATE));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_EQ(-1, open(path, O_RDONLY));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, open(path, O_RDWR));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, name_to_handle_at(fd, "", &h.handle, &id, AT_EMPTY_PATH));
	EXPECT_EQ(EOPNOTSUPP, errno);
	close(fd);
}

/* What a process does that was sent a file: write what the sender executes. */
static int receiver(int socket, struct instance in)
{
	char *w;
	int fd = receive_file(socket);

	w = mmap(NULL, page_size(), RW, MAP_SHARED, fd, 0);
	if (w == MAP_FAILED)
		return 1;
	memcpy(w, patch, sizeof(patch));

	in.fd = receive_file(socket);
	if (map_error(in.fd, 0, in.size, RW, MAP_SHARED) != EACCES ||
	    map_error(in.fd, in.args.table_offset, in.size, RW, MAP_SHARED) != EACCES)
		return 2;
	/* Its table is not the sender's, which has a 1 there. */
	if (instance_map(&in, 0) || instance_slot(&in, 0)->data)
		return 3;
	return instance_call(&in, 0, 3) == 3 ? 0 : 4;
}

TEST_F(protect, receiver_of_the_file_changes_nothing_for_the_sender)
{
	int memory = memory_file(), pair[2], status;
	char *x = mmap(NULL, self->page, RX, MAP_SHARED, memory, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, x);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		SKIP(return, "no UNIX sockets: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		instance_close(&self->in);
		_exit(receiver(pair[1], self->in));
	}
	ASSERT_EQ(0, send_file(pair[0], memory));
	ASSERT_EQ(0, send_file(pair[0], self->in.fd));
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_TRUE(patched(x));
	EXPECT_EQ(1, instance_run(&self->in, 0));
	close(memory);
}

/* A file that is taken out of another process, as debuggers can */
TEST_F(protect, file_taken_from_another_process_changes_nothing_there)
{
	int status, pidfd, fd, memory = memory_file();
	struct instance in = self->in;
	pid_t pid;

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	ASSERT_GE(pidfd, 0);
	fd = syscall(__NR_pidfd_getfd, pidfd, memory, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, map_error(fd, 0, self->page, RW, MAP_SHARED));
	close(fd);

	in.fd = syscall(__NR_pidfd_getfd, pidfd, self->in.fd, 0);
	ASSERT_GE(in.fd, 0);
	EXPECT_EQ(EACCES, map_error(in.fd, 0, self->page, RW, MAP_SHARED));
	ASSERT_EQ(0, instance_map(&in, 0));
	EXPECT_EQ(4, instance_call(&in, 0, 4));
	EXPECT_EQ(1, instance_run(&self->in, 0));
	instance_close(&in);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(pidfd);
	close(memory);
}

TEST_F(protect, pages_neither_leave_nor_arrive_by_splice)
{
	int memory = memory_file(), fds[2];
	loff_t offset = 0, to = 0;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(sizeof(patch), write(fds[1], patch, sizeof(patch)));
	EXPECT_EQ(sizeof(patch), splice(fds[0], NULL, memory, &to, sizeof(patch), 0));
	EXPECT_EQ(sizeof(patch), sendfile(fds[1], memory, &offset, sizeof(patch)));

	/* The pipe still holds the patch, to be written somewhere. */
	to = 0;
	EXPECT_EQ(-1, splice(fds[0], NULL, self->in.fd, &to, sizeof(patch), 0));
	EXPECT_EQ(EBADF, errno);
	offset = 0;
	EXPECT_EQ(-1, sendfile(self->in.fd, memory, &offset, sizeof(patch)));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, syscall(__NR_copy_file_range, memory, NULL, self->in.fd, NULL,
			      sizeof(patch), 0));
	EXPECT_EQ(EBADF, errno);

	/* Out of it would go the page itself, to whoever holds the pipe. */
	EXPECT_EQ(-1, splice(self->in.fd, &offset, fds[1], NULL, self->page, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sendfile(fds[1], self->in.fd, NULL, self->page));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, syscall(__NR_copy_file_range, self->in.fd, NULL, memory, NULL,
			      self->page, 0));
	EXPECT_EQ(EXDEV, errno);
	close(fds[0]);
	close(fds[1]);
	close(memory);
}

/*
 * vmsplice() puts the pages themselves into a pipe, and gives them to whoever
 * reads it (SPLICE_F_GIFT).
 */
TEST_F(protect, pipe_that_holds_code_is_not_written_into)
{
	struct iovec code = { self->in.code, self->page };
	struct iovec text = { self->text, sizeof(patch) };
	int memory = memory_file(), fds[2];
	char *taken;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(self->page, vmsplice(fds[1], &code, 1, SPLICE_F_GIFT));
	ASSERT_EQ(sizeof(patch), write(fds[1], patch, sizeof(patch)));
	EXPECT_EQ(0, memcmp(self->was, self->in.code, self->page));

	/* What is taken out of the pipe is a copy. */
	ASSERT_EQ(self->page, splice(fds[0], NULL, memory, NULL, self->page, SPLICE_F_MOVE));
	taken = mmap(NULL, self->page, RW, MAP_SHARED, memory, 0);
	ASSERT_NE(MAP_FAILED, taken);
	EXPECT_EQ(0, memcmp(self->was, taken, self->page));
	memcpy(taken, patch, sizeof(patch));
	EXPECT_EQ(0, memcmp(self->was, self->in.code, self->page));

	/* In the other direction, the pipe is read into memory. */
	code.iov_len = sizeof(patch);
	EXPECT_EQ(-1, vmsplice(fds[0], &code, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, mprotect(self->text, self->page, RWX));
	EXPECT_EQ(sizeof(patch), vmsplice(fds[0], &text, 1, 0));
	EXPECT_TRUE(patched(self->text));
	munmap(taken, self->page);
	close(fds[0]);
	close(fds[1]);
	close(memory);
}

/* The one who shares a page with its parent writes what the parent executes. */
static void write_shared(void *p)
{
	memcpy(p, patch, sizeof(patch));
}

TEST_F(protect, shared_mapping_shares_no_table_and_writes_no_code)
{
	struct trampfd_create_args *a = &self->in.args;
	char *x = mmap(NULL, self->page, RWX, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, x);
	ASSERT_EQ(0, signal_of(write_shared, x));
	EXPECT_TRUE(patched(x));

	ASSERT_EQ(0, signal_of(write_shared, self->in.table));
	EXPECT_FALSE(patched(self->in.table));
	EXPECT_EQ(SIGSEGV, signal_of(write_shared, self->in.code));
	EXPECT_EQ(EACCES, map_error(self->in.fd, a->table_offset, self->in.size,
				    RW, MAP_SHARED));
	EXPECT_EQ(EINVAL, map_error(self->in.fd, a->table_offset, self->in.size,
				    PROT_READ, MAP_SHARED));
	munmap(x, self->page);
}

/* Old size 0 asks for a second mapping of the same. */
TEST_F(protect, mremap_makes_no_second_view)
{
	int memory = memory_file();
	char *x = mmap(NULL, self->page, RX, MAP_SHARED, memory, 0), *w;

	ASSERT_NE(MAP_FAILED, x);
	w = mremap(x, 0, self->page, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, w);
	ASSERT_EQ(0, mprotect(w, self->page, RW));
	memcpy(w, patch, sizeof(patch));
	EXPECT_TRUE(patched(x));
	close(memory);

	EXPECT_EQ(MAP_FAILED, mremap(self->in.code, 0, self->page, MREMAP_MAYMOVE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->in.table, 0, self->page, MREMAP_MAYMOVE));
	EXPECT_EQ(EINVAL, errno);
	x = mmap(NULL, self->page, RX, MAP_SHARED, self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, x);
	EXPECT_EQ(MAP_FAILED, mremap(x, 0, self->page, MREMAP_MAYMOVE));
	EXPECT_EQ(EINVAL, errno);
	munmap(x, self->page);
}

/* What is moved keeps its rights, wherever it goes and whatever it leaves. */
TEST_F(protect, mremap_moves_no_rights)
{
	struct trampfd_create_args *a = &self->in.args;
	size_t size = self->in.size;
	char *w = anonymous(size, RW), *to, *p;

	/* Written elsewhere, moved over code, made executable */
	p = anonymous(self->page, RW);
	memcpy(p, patch, sizeof(patch));
	ASSERT_EQ(self->text, mremap(p, self->page, self->page,
				     MREMAP_MAYMOVE | MREMAP_FIXED, self->text));
	ASSERT_EQ(0, mprotect(self->text, self->page, RX));
	EXPECT_TRUE(patched(self->text));

	/* Code, over writable memory and back */
	ASSERT_EQ(w, mremap(self->in.code, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, w));
	EXPECT_EQ(SIGSEGV, signal_of(scribble, w));
	EXPECT_EQ(EACCES, error_of(mprotect(w, size, RW)));
	ASSERT_EQ(self->in.code, mremap(w, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
					self->in.code));
	EXPECT_EQ(SIGSEGV, signal_of(scribble, self->in.code));

	/* The table to where code was, without leaving its place: both tables */
	p = mmap(NULL, size, RX, MAP_PRIVATE, self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	to = mremap(self->in.table, self->page, self->page,
		    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, p);
	ASSERT_EQ(p, to);
	EXPECT_EQ(SIGSEGV, signal_of(call, to));
	EXPECT_EQ(EACCES, error_of(mprotect(to, self->page, RX)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RX)));

	/* Code likewise: both code */
	to = mremap(self->in.code, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ASSERT_NE(MAP_FAILED, to);
	EXPECT_EQ(0, memcmp(self->was, to, size));
	EXPECT_EQ(0, memcmp(self->was, self->in.code, size));
	EXPECT_EQ(EACCES, error_of(mprotect(to, size, RW)));

	/* Grown, it does not reach anything that can be written. */
	p = mremap(to, size, instance_span(&self->in), MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGBUS, signal_of(touch, p + a->table_offset));
	EXPECT_EQ(SIGSEGV, signal_of(scribble, p + a->table_offset));
	EXPECT_EQ(EACCES, error_of(mprotect(p + a->table_offset, self->page, RW)));
	munmap(p, instance_span(&self->in));
}

/* Pages of a shared mapping in another order: written first, then executed */
TEST_F(protect, remap_file_pages_rearranges_nothing)
{
	int memory = memory_file();
	char *x;

	ASSERT_EQ(0, ftruncate(memory, 2 * self->page));
	ASSERT_EQ(sizeof(patch), pwrite(memory, patch, sizeof(patch), self->page));
	x = mmap(NULL, self->page, RX, MAP_SHARED, memory, 0);
	ASSERT_NE(MAP_FAILED, x);
	if (syscall(__NR_remap_file_pages, x, self->page, 0, 1, 0))
		SKIP(return, "no remap_file_pages(): %s", strerror(errno));
	EXPECT_TRUE(patched(x));
	close(memory);

	EXPECT_EQ(-1, syscall(__NR_remap_file_pages, self->in.code, self->page, 0, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, syscall(__NR_remap_file_pages, self->in.table, self->page, 0, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	x = mmap(NULL, self->page, RX, MAP_SHARED, self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, x);
	EXPECT_EQ(-1, syscall(__NR_remap_file_pages, x, self->page, 0, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	munmap(x, self->page);
}

/* An executable page that is not there yet is filled by who handles its faults. */
TEST_F(protect, userfaultfd_does_not_provide_code)
{
	static const int modes[] = {
		UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP,
		UFFDIO_REGISTER_MODE_MINOR,
	};
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (unsigned long)self->text, self->page },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_copy copy = {
		.dst = (unsigned long)self->text, .len = self->page,
	};
	char *contents = anonymous(self->page, RW);
	int i, err;

	if (uffd < 0)
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	memcpy(contents, patch, sizeof(patch));
	copy.src = (unsigned long)contents;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_COPY, &copy));
	EXPECT_TRUE(patched(self->text));

	for (i = 0; i < 3; i++) {
		reg.range.start = (unsigned long)self->in.code;
		reg.mode = modes[i];
		err = error_of(ioctl(uffd, UFFDIO_REGISTER, &reg));
		EXPECT_TRUE(err == EINVAL || err == EPERM)
			TH_LOG("mode %d: %s", modes[i], strerror(err));
	}
	copy.dst = (unsigned long)self->in.code;
	EXPECT_EQ(-1, ioctl(uffd, UFFDIO_COPY, &copy));
	EXPECT_EQ(ENOENT, errno);
	close(uffd);
}

/* What each advice answers; -1 where it is the machine's to say. */
static const struct {
	const char *name;
	int advice, code, table;
} advices[] = {
	{ "DONTNEED", MADV_DONTNEED, 0, 0 },
	{ "FREE", MADV_FREE, EINVAL, 0 },
	{ "COLD", MADV_COLD, 0, 0 },
	{ "PAGEOUT", MADV_PAGEOUT, 0, 0 },
	{ "COLLAPSE", 25, EINVAL, EINVAL },
	{ "HUGEPAGE", MADV_HUGEPAGE, -1, -1 },
	{ "POPULATE_READ", MADV_POPULATE_READ, 0, 0 },
	{ "POPULATE_WRITE", MADV_POPULATE_WRITE, EINVAL, 0 },
	{ "REMOVE", MADV_REMOVE, EACCES, EACCES },
	{ "WIPEONFORK", MADV_WIPEONFORK, EINVAL, EINVAL },
	{ "DONTFORK", MADV_DONTFORK, 0, 0 },
	{ "DOFORK", MADV_DOFORK, 0, 0 },
};

TEST_F(protect, advice_changes_neither_code_nor_rights)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		err = error_of(madvise(self->in.code, self->in.size, advices[i].advice));
		if (advices[i].code >= 0)
			EXPECT_EQ(advices[i].code, err)
				TH_LOG("MADV_%s on code", advices[i].name);
		err = error_of(madvise(self->in.table, self->in.size, advices[i].advice));
		if (advices[i].table >= 0)
			EXPECT_EQ(advices[i].table, err)
				TH_LOG("MADV_%s on the table", advices[i].name);

		EXPECT_EQ(0, memcmp(self->was, self->in.code, self->in.size));
		EXPECT_EQ(0, instance_call_all(&self->in));
		EXPECT_EQ(SIGSEGV, signal_of(scribble, self->in.code));
		EXPECT_EQ('-', protection_of(self->in.table)[2])
			TH_LOG("after MADV_%s", advices[i].name);
		EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RWX)));
		EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RWX)));
	}
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

/* A guard stands where the page was.  What a write puts there would stay. */
TEST_F(protect, guard_regions_change_no_code)
{
	int fd = open("/proc/self/mem", O_RDWR);

	ASSERT_GE(fd, 0);
	if (madvise(self->in.code, self->page, MADV_GUARD_INSTALL)) {
		ASSERT_EQ(EINVAL, errno);
		SKIP(return, "no guard regions in mappings of files on this kernel");
	}
	EXPECT_EQ(SIGSEGV, signal_of(touch, self->in.code));
	EXPECT_EQ(-1, pwrite(fd, patch, sizeof(patch),
			     (off_t)(uintptr_t)self->in.code));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RW)));
	EXPECT_EQ(0, madvise(self->in.code, self->page, MADV_GUARD_REMOVE));
	close(fd);
}

static void *discard(void *arg)
{
	char **range = arg;

	while (!__atomic_load_n(&range[1], __ATOMIC_RELAXED))
		madvise(range[0], page_size(), MADV_DONTNEED);
	return NULL;
}

/* A write by the kernel while the page that it was allowed for goes away */
TEST_F(protect, discarding_code_while_it_is_written_writes_nothing)
{
	char *range[2] = { self->in.code, NULL };
	int fd = open("/proc/self/mem", O_RDWR), i, written = 0;
	pthread_t thread;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, discard, range));
	for (i = 0; i < 2000; i++)
		written += pwrite(fd, patch, sizeof(patch),
				  (off_t)(uintptr_t)self->in.code) > 0;
	__atomic_store_n(&range[1], range[0], __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, written);
	close(fd);
}

TEST_F(protect, sealed_mapping_cannot_be_replaced)
{
#ifdef __NR_mseal
	struct instance sealed = { .nr = 1 };
	int err;

	EXPECT_EQ(self->text, mmap(self->text, self->page, RW,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));

	ASSERT_EQ(0, instance_open(&sealed));
	err = syscall(__NR_mseal, sealed.code, sealed.args.table_offset, 0);
	if (err && sizeof(long) == 4)
		SKIP(return, "32-bit kernels have no mseal()");
	ASSERT_EQ(0, err);
	EXPECT_EQ(EPERM, error_of(mprotect(sealed.code, self->page, PROT_READ)));
	EXPECT_EQ(EPERM, error_of(munmap(sealed.code, self->page)));
	EXPECT_EQ(MAP_FAILED, mmap(sealed.code, self->page, RW,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(EPERM, errno);
	/* Slots are written to, until the table is sealed read-only. */
	EXPECT_EQ(4, instance_call(&sealed, 0, 4));
	ASSERT_EQ(0, mprotect(sealed.table, sealed.size, PROT_READ));
	ASSERT_EQ(0, syscall(__NR_mseal, sealed.table, sealed.size, 0));
	EXPECT_EQ(EPERM, error_of(mprotect(sealed.table, self->page, RW)));
	EXPECT_EQ(4, instance_run(&sealed, 0));
#else
	SKIP(return, "no mseal() on this ABI");
#endif
}

/* Nothing is executed in place of a table that is not there. */
static int is_left_without_a_table(void *arg)
{
	struct instance *in = arg;

	munmap(in->table, in->size);
	if (signal_of(call, in->code) != SIGSEGV)
		return 1;
	if (mmap(in->table, in->size, RW, MAP_PRIVATE | MAP_FIXED, in->fd,
		 in->args.table_offset) != in->table)
		return 2;
	return instance_call(in, 0, 8) == 8 ? 0 : 3;
}

TEST_F(protect, call_without_a_table_is_SIGSEGV)
{
	EXPECT_EQ(0, in_child(is_left_without_a_table, &self->in));
	EXPECT_EQ(1, instance_run(&self->in, 0));
}

static void ignore(int sig)
{
}

/*
 * Memory fails under a page of the table, which is the child's own since it has
 * written to it.  The kernel sends SIGBUS at once to the process that it finds
 * using it.
 */
static int loses_memory_of_the_table(void *arg)
{
	struct instance *in = arg;
	uint32_t last = in->nr - 1;

	instance_call(in, 0, 5);
	signal(SIGBUS, ignore);
	if (madvise(in->table, page_size(), MADV_HWPOISON))
		return errno == EINVAL || errno == EPERM ? 77 : 1;
	signal(SIGBUS, SIG_DFL);
	if (signal_of(call, in->code) != SIGBUS)
		return 2;
	if (instance_call(in, last, 6) != 6)
		return 3;
	if (mmap(in->table, page_size(), RW, MAP_PRIVATE | MAP_FIXED, in->fd,
		 in->args.table_offset) != in->table)
		return 4;
	return instance_call(in, 0, 7) == 7 ? 0 : 5;
}

TEST_F(protect, call_through_a_slot_in_failed_memory_is_SIGBUS)
{
	int result = in_child(loses_memory_of_the_table, &self->in);

	if (result == 77)
		SKIP(return, "needs root, and CONFIG_MEMORY_FAILURE");
	EXPECT_EQ(0, result);
	EXPECT_EQ(1, instance_run(&self->in, 0));
}

static void refill(void *arg)
{
	instance_call(arg, 0, 5);
}

TEST_F(protect, protection_key_guards_slots_and_opens_no_code)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		SKIP(return, "no protection keys: %s", strerror(errno));
	ASSERT_EQ(0, pkey_mprotect(self->text, self->page, RWX, key));

	EXPECT_EQ(EACCES, error_of(pkey_mprotect(self->in.code, self->page, RWX, key)));
	EXPECT_EQ(EACCES, error_of(pkey_mprotect(self->in.table, self->page, RWX, key)));
	/* Who may not write with this key can call, but not redirect. */
	ASSERT_EQ(0, pkey_mprotect(self->in.table, self->page, RW, key));
	ASSERT_EQ(0, pkey_set(key, PKEY_DISABLE_WRITE));
	EXPECT_EQ(SIGSEGV, signal_of(refill, &self->in));
	EXPECT_EQ(1, instance_run(&self->in, 0));
	ASSERT_EQ(0, pkey_set(key, 0));
}

/* One ring, one operation at a time; linux/io_uring.h */
struct ring {
	struct io_uring_params p;
	struct io_uring_sqe *sqes;
	char *rings;
	int fd;
};

static int ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = syscall(__NR_io_uring_setup, 1, &r->p);
	if (r->fd < 0)
		return -1;
	r->rings = mmap(NULL, page_size(), RW, MAP_SHARED, r->fd,
			IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, sizeof(*r->sqes), RW, MAP_SHARED, r->fd, IORING_OFF_SQES);
	return r->rings == MAP_FAILED || r->sqes == MAP_FAILED ? -1 : 0;
}

static uint32_t *ring_word(struct ring *r, uint32_t offset)
{
	return (uint32_t *)(r->rings + offset);
}

/* The result of one operation */
static int ring_do(struct ring *r, const struct io_uring_sqe *sqe)
{
	uint32_t head = *ring_word(r, r->p.cq_off.head);
	uint32_t mask = *ring_word(r, r->p.cq_off.ring_mask);
	struct io_uring_cqe *cqes = (void *)ring_word(r, r->p.cq_off.cqes);

	r->sqes[0] = *sqe;
	*ring_word(r, r->p.sq_off.array) = 0;
	__atomic_fetch_add(ring_word(r, r->p.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	__atomic_store_n(ring_word(r, r->p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return cqes[head & mask].res;
}

/* Let the kernel keep hold of a buffer's pages, to write to them later. */
static int ring_keep(struct ring *r, void *addr, size_t len)
{
	struct iovec iov = { addr, len };

	syscall(__NR_io_uring_register, r->fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
	return error_of(syscall(__NR_io_uring_register, r->fd,
				IORING_REGISTER_BUFFERS, &iov, 1));
}

/* The pages are kept while writable, and written to when they are executable. */
TEST_F(protect, io_uring_writes_no_code)
{
	int memory = memory_file();
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ_FIXED, .fd = memory,
		.addr = (unsigned long)self->text, .len = sizeof(patch),
	};
	struct ring ring;

	if (ring_open(&ring))
		SKIP(return, "no io_uring: %s", strerror(errno));
	ASSERT_EQ(sizeof(patch), write(memory, patch, sizeof(patch)));
	ASSERT_EQ(0, mprotect(self->text, self->page, RW));
	ASSERT_EQ(0, ring_keep(&ring, self->text, self->page));
	ASSERT_EQ(0, mprotect(self->text, self->page, RX));
	EXPECT_EQ(sizeof(patch), ring_do(&ring, &sqe));
	EXPECT_TRUE(patched(self->text));

	EXPECT_EQ(EFAULT, ring_keep(&ring, self->in.code, self->page));
	ASSERT_EQ(0, ring_keep(&ring, self->in.table, self->page));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RX)));
	sqe.opcode = IORING_OP_READ;
	sqe.addr = (unsigned long)self->in.code;
	EXPECT_EQ(-EFAULT, ring_do(&ring, &sqe));
	/* Nor does it write to the file; it can read it. */
	sqe.opcode = IORING_OP_WRITE;
	sqe.fd = self->in.fd;
	sqe.addr = (unsigned long)patch;
	EXPECT_EQ(-EBADF, ring_do(&ring, &sqe));
	sqe.opcode = IORING_OP_READ;
	sqe.addr = (unsigned long)self->in.table;
	EXPECT_EQ(sizeof(patch), ring_do(&ring, &sqe));
	EXPECT_EQ(0, memcmp(self->was, self->in.table, sizeof(patch)));
	close(ring.fd);
	close(memory);
}

static const char core_file[] = "/tmp/trampfd.core";

/* What a child leaves in its core: of the table a secret, of the code bytes */
struct core {
	bool secret;
	long code;	/* -1: no core, or no such segment */
};

#ifdef __LP64__
#define elf_header	elf64_hdr
#define elf_segment	elf64_phdr
#else
#define elf_header	elf32_hdr
#define elf_segment	elf32_phdr
#endif

static long segment_size(const char *core, const void *addr)
{
	const struct elf_header *ehdr = (void *)core;
	const struct elf_segment *phdr = (void *)(core + ehdr->e_phoff);
	int i;

	for (i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_vaddr == (uintptr_t)addr)
			return phdr[i].p_filesz;
	return -1;
}

/* Of what memory there is a dump, @filter says: core(5) */
static struct core leave_core(const struct instance *in, bool dump, const char *filter)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct core left = { .secret = !dump, .code = -1 };	/* the wrong answer */
	char secret[32], *core;
	struct stat st;
	int fd, status;
	size_t i;
	pid_t pid;

	unlink(core_file);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &limit);
		if (write_file("/proc/self/coredump_filter", filter))
			_exit(1);
		if (!dump)
			madvise(in->table, in->size, MADV_DONTDUMP);
		/* Put together there alone */
		for (i = 0; i < sizeof(secret); i++)
			in->table[i] = 0x80 + i * 5;
		abort();
	}
	waitpid(pid, &status, 0);
	for (i = 0; i < sizeof(secret); i++)
		secret[i] = 0x80 + i * 5;
	fd = open(core_file, O_RDONLY);
	if (fd < 0 || !WCOREDUMP(status) || fstat(fd, &st))
		return left;
	core = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (core != MAP_FAILED) {
		left.secret = memmem(core, st.st_size, secret, sizeof(secret));
		left.code = segment_size(core, in->code);
		munmap(core, st.st_size);
	}
	close(fd);
	unlink(core_file);
	explicit_bzero(secret, sizeof(secret));	/* the next child has this stack too */
	return left;
}

TEST_F(protect, core_dump_has_the_table_and_no_code_unless_told_otherwise)
{
	static const char setting[] = "/proc/sys/kernel/core_pattern";
	char pattern[128] = "";
	int fd = open(setting, O_RDONLY);
	struct core left;

	if (fd < 0 || read(fd, pattern, sizeof(pattern) - 1) <= 0 ||
	    write_file(setting, core_file))
		SKIP(return, "needs root, to say where the core goes");
	close(fd);
	left = leave_core(&self->in, true, "0x33");	/* the default */
	EXPECT_TRUE(left.secret);
	EXPECT_EQ(0, left.code);
	left = leave_core(&self->in, false, "0x33");
	EXPECT_FALSE(left.secret);
	/* And private mappings of files */
	left = leave_core(&self->in, true, "0x37");
	EXPECT_TRUE(left.secret);
	EXPECT_LT(0, left.code);
	EXPECT_EQ(0, write_file(setting, pattern));
}

/* Who shares the memory shares its rules. */
struct sharer {
	struct instance *in;
	char *text;
};

static int shares_memory(void *arg)
{
	size_t page = page_size();
	struct sharer *with = arg;

	if (mprotect(with->text, page, RWX))
		return 1;
	memcpy(with->text, patch, sizeof(patch));
	if (error_of(mprotect(with->in->code, page, RWX)) != EACCES ||
	    error_of(mprotect(with->in->table, page, RWX)) != EACCES)
		return 2;
	return instance_call(with->in, 0, 6) == 6 ? 0 : 3;
}

TEST_F(protect, process_that_shares_the_memory_has_no_more_rights)
{
	struct sharer with = { &self->in, self->text };
	char *stack = anonymous(64 * 1024, RW);
	int status;
	pid_t pid;

	pid = clone(shares_memory, stack + 64 * 1024, CLONE_VM | SIGCHLD, &with);
	ASSERT_GT(pid, 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(patched(self->text));
	EXPECT_EQ(6, instance_run(&self->in, 0));

	pid = clone(shares_memory, stack + 64 * 1024, CLONE_VM | CLONE_VFORK | SIGCHLD, &with);
	ASSERT_GT(pid, 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* This program again, as another that finds out what it was left. */
#define WHAT_IS_LEFT "TRAMPFD_TEST_FDS"

static bool maps_have(const char *what)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, what);
	if (f)
		fclose(f);
	return found;
}

/* 0, or what is wrong; the descriptors are those of the program before. */
static int what_is_left(const char *text)
{
	int memory, closed, kept, privileged;
	struct instance in = { .size = page_size() };

	if (sscanf(text, "%d %d %d %d", &memory, &closed, &kept, &privileged) != 4)
		return 10;
	if (privileged && geteuid())
		return 77;	/* the file system does not do setuid programs */
	/* What whoever holds the other end could go on to write */
	if (map_error(memory, 0, 1, RX, MAP_SHARED))
		return 11;
	if (maps_have("[trampfd]"))
		return 12;
	if (fcntl(closed, F_GETFD) != -1)
		return 13;
	/* Asked to be kept: code, and a table that is empty */
	close(trampfd_create(&in.args, sizeof(in.args)));
	in.fd = kept;
	if (instance_map(&in, 0))
		return 14;
	if (instance_slot(&in, 0)->code || instance_slot(&in, 0)->data)
		return 15;
	if (map_error(kept, 0, 1, RW, MAP_SHARED) != EACCES)
		return 16;
	return instance_call(&in, 0, 7) == 7 ? 0 : 17;
}

static void __attribute__((constructor)) started_again(void)
{
	const char *text = getenv(WHAT_IS_LEFT);

	if (text)
		_exit(what_is_left(text));
}

/* Start @program with what it may keep of this one; what it returned. */
static int start(const struct instance *in, const char *program, bool unprivileged)
{
	int memory = memory_file(), kept = dup(in->fd), status;
	char text[64];
	pid_t pid = fork();

	if (!pid) {
		fcntl(memory, F_SETFD, 0);	/* dup() has done so for the other */
		snprintf(text, sizeof(text), "%d %d %d %d", memory, in->fd, kept,
			 unprivileged);
		setenv(WHAT_IS_LEFT, text, 1);
		if (!unprivileged || (!setgid(65534) && !setuid(65534)))
			execl(program, program, NULL);
		_exit(20);
	}
	waitpid(pid, &status, 0);
	close(memory);
	close(kept);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

TEST_F(protect, exec_leaves_neither_mapping_nor_descriptor)
{
	EXPECT_EQ(0, start(&self->in, "/proc/self/exe", false));
	EXPECT_EQ(1, instance_run(&self->in, 0));
}

static int copy_program(const char *to, mode_t mode)
{
	int in = open("/proc/self/exe", O_RDONLY), out;
	struct stat st;

	unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0700);
	if (in < 0 || out < 0 || fstat(in, &st) ||
	    sendfile(out, in, NULL, st.st_size) != st.st_size)
		return -1;
	close(in);
	return fchmod(out, mode) | close(out);
}

TEST_F(protect, setuid_program_is_left_neither_mapping_nor_descriptor)
{
	static const char program[] = "/tmp/trampfd_setuid";
	int result;

	if (getuid())
		SKIP(return, "needs root, for a program of another user's");
	if (copy_program(program, 04755))
		SKIP(return, "cannot write %s: %s", program, strerror(errno));
	result = start(&self->in, program, true);
	unlink(program);
	if (result == 77)
		SKIP(return, "/tmp has no setuid programs");
	EXPECT_EQ(0, result);
}

/* READ_IMPLIES_EXEC asks for PROT_EXEC in the name of who did not. */
TEST_F(protect, table_is_not_executable_under_READ_IMPLIES_EXEC)
{
	struct instance in = { .nr = 1 };
	char *p;

	ASSERT_NE(-1, personality(READ_IMPLIES_EXEC));
	p = anonymous(self->page, RW);
	EXPECT_STREQ("rwxp", protection_of(p));

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_STREQ("rw-p", protection_of(in.table));
	EXPECT_EQ(SIGSEGV, signal_of(call, in.table));
	ASSERT_EQ(0, mprotect(in.table, self->page, PROT_READ));
	ASSERT_EQ(0, mprotect(in.table, self->page, RW));
	EXPECT_STREQ("rw-p", protection_of(in.table));
	EXPECT_EQ(4, instance_call(&in, 0, 4));
	EXPECT_EQ(EACCES, error_of(mprotect(in.code, self->page, RW)));
	ASSERT_NE(-1, personality(0));
}

TEST_HARNESS_MAIN
