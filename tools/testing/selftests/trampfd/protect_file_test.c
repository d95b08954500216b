// SPDX-License-Identifier: GPL-2.0
/*
 * Protection of the file: opening it again, passing it to another process, executing
 * it, or splicing it gives no access to code beyond reading and mapping.
 */
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "protect.h"

/* Opening /proc/self/fd/N reopens a file.  The inode is immutable, hence EPERM. */
TEST_F(protect, reopen)
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
		if (errno != EPERM)	/* map_files needs a capability. */
			EXPECT_EQ(opens[i].err, errno);
	}
}

struct program {
	int fd;
	int err;	/* expected of fexecve() */
};

static void execute(struct __test_metadata *_metadata, void *arg)
{
	const struct program *program = arg;
	static char * const none[] = { NULL };

	EXPECT_EQ(-1, fexecve(program->fd, none, none));
	EXPECT_EQ(program->err, errno);
}

/* A memfd of the same mode is not executable either, until fchmod(). */
TEST_F(protect, execute_file)
{
	int memory = memory_file();

	ASSERT_EQ(0, fchmod(memory, 0400));
	in_child(_metadata, execute, &(struct program){ memory, EACCES });
	ASSERT_EQ(0, fchmod(memory, 0700));
	in_child(_metadata, execute, &(struct program){ memory, ENOEXEC });
	close(memory);

	EXPECT_EQ(-1, fchmod(self->in.fd, 0700));
	EXPECT_EQ(EPERM, errno);
	in_child(_metadata, execute, &(struct program){ self->in.fd, EACCES });
}

/* An O_PATH descriptor has no rights and cannot be reopened with rights. */
TEST_F(protect, o_path)
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

struct receiver {
	int socket;
	struct instance in;
};

/* Write to the files of the sender through shared mappings. */
static void receive(struct __test_metadata *_metadata, void *arg)
{
	struct receiver *r = arg;
	struct instance *in = &r->in;
	char *w;

	instance_close(in);
	w = mmap(NULL, page_size(), RW, MAP_SHARED, receive_file(r->socket), 0);
	ASSERT_NE(MAP_FAILED, w);
	memcpy(w, patch, sizeof(patch));

	in->fd = receive_file(r->socket);
	ASSERT_GE(in->fd, 0);
	EXPECT_EQ(EACCES, map_error(in->fd, 0, in->size, RW, MAP_SHARED));
	EXPECT_EQ(EACCES, map_error(in->fd, in->args.table_offset, in->size, RW,
				    MAP_SHARED));
	/* The sender's table has data 1; a new mapping is a table of its own. */
	ASSERT_EQ(0, instance_map(in, 0));
	EXPECT_EQ(0, instance_slot(in, 0)->data);
	EXPECT_EQ(3, instance_call(in, 0, 3));
}

TEST_F(protect, file_sent_to_other_process)
{
	struct receiver receiver = { .in = self->in };
	int memory = memory_file(), pair[2];
	char *x = mmap(NULL, self->page, RX, MAP_SHARED, memory, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, x);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		SKIP(return, "no UNIX sockets: %s", strerror(errno));
	receiver.socket = pair[1];
	pid = begin_child(_metadata, receive, &receiver);
	ASSERT_EQ(0, send_file(pair[0], memory));
	ASSERT_EQ(0, send_file(pair[0], self->in.fd));
	end_child(_metadata, pid);
	EXPECT_TRUE(patched(x));
	EXPECT_EQ(1, instance_run(&self->in, 0));
	close(memory);
}

static void wait_for_kill(struct __test_metadata *_metadata, void *arg)
{
	pause();
}

TEST_F(protect, pidfd_getfd)
{
	int status, pidfd, fd, memory = memory_file();
	struct instance in = self->in;
	pid_t pid;

	pid = begin_child(_metadata, wait_for_kill, NULL);
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

TEST_F(protect, splice_and_sendfile)
{
	int memory = memory_file(), fds[2];
	loff_t offset = 0, to = 0;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(sizeof(patch), write(fds[1], patch, sizeof(patch)));
	EXPECT_EQ(sizeof(patch), splice(fds[0], NULL, memory, &to, sizeof(patch), 0));
	EXPECT_EQ(sizeof(patch), sendfile(fds[1], memory, &offset, sizeof(patch)));

	/* The pipe contains the patch again. */
	to = 0;
	EXPECT_EQ(-1, splice(fds[0], NULL, self->in.fd, &to, sizeof(patch), 0));
	EXPECT_EQ(EBADF, errno);
	offset = 0;
	EXPECT_EQ(-1, sendfile(self->in.fd, memory, &offset, sizeof(patch)));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, syscall(__NR_copy_file_range, memory, NULL, self->in.fd, NULL,
			      sizeof(patch), 0));
	EXPECT_EQ(EBADF, errno);

	/* splice() would pass the page itself to all users of the pipe. */
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

TEST_HARNESS_MAIN
