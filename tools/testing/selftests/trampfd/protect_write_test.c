// SPDX-License-Identifier: GPL-2.0
/*
 * Protection from writes by the kernel: system calls that write to memory on behalf
 * of a process, or provide pages, do not write code.
 */
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "protect.h"

/* With FOLL_FORCE the kernel writes to read-only private memory. */
TEST_F(protect, proc_self_mem)
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

TEST_F(protect, process_vm_writev)
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

/* Write to the stopped process @pid, which has the mappings of this one. */
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
	/* A debugger can read code. */
	errno = 0;
	EXPECT_EQ(*(long *)in->code, ptrace(PTRACE_PEEKTEXT, pid, in->code, 0));
	EXPECT_EQ(0, errno);
}

struct debuggee {
	const struct instance *in;
	const char *was;
};

static void be_debugged(struct __test_metadata *_metadata, void *arg)
{
	const struct debuggee *d = arg;

	ASSERT_EQ(0, ptrace(PTRACE_TRACEME, 0, 0, 0));
	raise(SIGSTOP);
	EXPECT_EQ(0, memcmp(d->was, d->in->code, d->in->size));
	EXPECT_EQ(3, instance_call(d->in, 0, 3));
}

TEST_F(protect, ptrace_of_child)
{
	struct debuggee debuggee = { &self->in, self->was };
	pid_t pid = begin_child(_metadata, be_debugged, &debuggee);
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	debug(_metadata, &self->in, self->text, pid);
	ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	end_child(_metadata, pid);
}

struct debugger {
	const struct instance *in;
	char *text;
	int go;	/* a pipe, to wait for permission */
};

static void debug_parent(struct __test_metadata *_metadata, void *arg)
{
	struct debugger *debugger = arg;
	pid_t victim = getppid();
	char c;

	ASSERT_EQ(1, read(debugger->go, &c, 1));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, victim, 0, 0));
	ASSERT_EQ(victim, waitpid(victim, NULL, 0));
	debug(_metadata, debugger->in, debugger->text, victim);
	EXPECT_EQ(0, ptrace(PTRACE_DETACH, victim, 0, 0));
}

/* A child attaches to the test itself. */
TEST_F(protect, ptrace_of_other_process)
{
	struct debugger debugger = { .in = &self->in, .text = self->text };
	int go[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(go));
	debugger.go = go[0];
	pid = begin_child(_metadata, debug_parent, &debugger);
	prctl(PR_SET_PTRACER, pid, 0, 0, 0);	/* for Yama */
	ASSERT_EQ(1, write(go[1], "x", 1));
	end_child(_metadata, pid);
	EXPECT_EQ(0, memcmp(self->text, patch, sizeof(long)));
}

TEST_F(protect, read_into_code)
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

/* With direct I/O the driver writes to the pages of the buffer. */
TEST_F(protect, direct_io_into_code)
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

/* vmsplice() puts pages into a pipe, and with SPLICE_F_GIFT gives them away. */
TEST_F(protect, vmsplice)
{
	struct iovec code = { self->in.code, self->page };
	struct iovec text = { self->text, sizeof(patch) };
	int memory = memory_file(), fds[2];
	char *taken;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(self->page, vmsplice(fds[1], &code, 1, SPLICE_F_GIFT));
	ASSERT_EQ(sizeof(patch), write(fds[1], patch, sizeof(patch)));
	EXPECT_EQ(0, memcmp(self->was, self->in.code, self->page));

	/* splice() from the pipe to a file copies. */
	ASSERT_EQ(self->page, splice(fds[0], NULL, memory, NULL, self->page, SPLICE_F_MOVE));
	taken = mmap(NULL, self->page, RW, MAP_SHARED, memory, 0);
	ASSERT_NE(MAP_FAILED, taken);
	EXPECT_EQ(0, memcmp(self->was, taken, self->page));
	memcpy(taken, patch, sizeof(patch));
	EXPECT_EQ(0, memcmp(self->was, self->in.code, self->page));

	/* In the other direction, vmsplice() copies from the pipe to memory. */
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

/* The handler of a fault provides the contents of an executable page. */
TEST_F(protect, userfaultfd)
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

/* A guard region has no page, so a forced write could leave its own there. */
TEST_F(protect, guard_region)
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

/* Discard the page while the kernel is about to write to it (CVE-2016-5195). */
TEST_F(protect, write_during_dontneed)
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

/* An io_uring with one entry, for one operation at a time */
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

/* Register a buffer, so that the kernel pins its pages.  Return 0, or the errno. */
static int ring_keep(struct ring *r, void *addr, size_t len)
{
	struct iovec iov = { addr, len };

	syscall(__NR_io_uring_register, r->fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
	return error_of(syscall(__NR_io_uring_register, r->fd,
				IORING_REGISTER_BUFFERS, &iov, 1));
}

/* The kernel pins writable pages, and writes to them when they are executable. */
TEST_F(protect, io_uring)
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
	/* It can read the file, but not write to it. */
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

TEST_HARNESS_MAIN
