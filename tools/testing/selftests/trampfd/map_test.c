// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings: which ranges can be mapped with which protection, and what other system
 * calls do with the mappings and the file.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common.h"

FIXTURE(map) {
	struct instance in;
	size_t page;
};

FIXTURE_SETUP(map)
{
	self->page = page_size();
	self->in.nr = several_pages();
	ASSERT_EQ(0, instance_open(&self->in));
}

FIXTURE_TEARDOWN(map)
{
	instance_close(&self->in);
}

TEST_F(map, code_is_readable_and_executable)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_EXEC, PROT_READ | PROT_EXEC
	};
	size_t size = self->in.args.table_offset;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		EXPECT_EQ(0, map_error(self->in.fd, 0, size, prots[i], MAP_PRIVATE));
		EXPECT_EQ(0, map_error(self->in.fd, 0, size, prots[i], MAP_SHARED));
		EXPECT_EQ(0, map_error(self->in.fd, 0, size, prots[i],
				       MAP_SHARED_VALIDATE));
		EXPECT_EQ(0, map_error(self->in.fd, self->page, self->page, prots[i],
				       MAP_PRIVATE));
		EXPECT_EQ(0, map_error(self->in.fd, size - self->page, self->page,
				       prots[i], MAP_PRIVATE));
		EXPECT_EQ(0, map_error(self->in.fd, 0, file_size(&self->in), prots[i],
				       MAP_SHARED));
	}
}

TEST_F(map, shared_code_runs)
{
	struct instance shared = self->in;

	ASSERT_EQ(0, instance_map_code(&shared, 0, MAP_SHARED));
	EXPECT_EQ(77, instance_call(&shared, shared.nr - 1, 77));
	EXPECT_EQ(EACCES, error_of(mprotect(shared.code, self->page, PROT_WRITE)));
	munmap(shared.code, instance_span(&shared));
}

TEST_F(map, code_is_never_mapped_writable)
{
	size_t span = instance_span(&self->in), page = self->page;
	int prot, extra;

	for (extra = 0; extra < 4; extra++) {
		prot = PROT_WRITE | (extra & 1 ? PROT_READ : 0) |
		       (extra & 2 ? PROT_EXEC : 0);
		EXPECT_EQ(EACCES, map_error(self->in.fd, 0, span, prot, MAP_PRIVATE));
		EXPECT_EQ(EACCES, map_error(self->in.fd, 0, page, prot, MAP_SHARED));
		EXPECT_EQ(EACCES, map_error(self->in.fd, page, page, prot, MAP_PRIVATE));
		/* The last page of code and the first of the table */
		EXPECT_EQ(EACCES, map_error(self->in.fd,
					    self->in.args.table_offset - page,
					    2 * page, prot, MAP_PRIVATE));
		EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, page, prot)));
		EXPECT_EQ(EACCES, error_of(mprotect(self->in.code + page, page, prot)));
	}
	EXPECT_EQ(5, instance_call(&self->in, 0, 5));
}

TEST_F(map, prot_none_is_reversible)
{
	void *code = self->in.code;

	ASSERT_EQ(0, error_of(mprotect(code, self->page, PROT_NONE)));
	EXPECT_EQ(EACCES, error_of(mprotect(code, self->page, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(0, error_of(mprotect(code, self->page, PROT_READ | PROT_EXEC)));
	EXPECT_EQ(6, instance_call(&self->in, 0, 6));
}

TEST_F(map, table_is_never_executable)
{
	size_t off = self->in.args.table_offset, size = self->in.args.table_size;
	void *table = self->in.table;
	int prot;

	for (prot = 0; prot < 8; prot++) {
		int want = prot & PROT_EXEC ? EACCES : 0;

		EXPECT_EQ(want, map_error(self->in.fd, off, size, prot, MAP_PRIVATE));
		EXPECT_EQ(want, map_error(self->in.fd, off + size - self->page,
					  self->page, prot, MAP_PRIVATE));
		EXPECT_EQ(want, error_of(mprotect(table, self->page, prot)));
	}
	EXPECT_EQ(0, error_of(mprotect(table, self->page, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(8, instance_call(&self->in, 0, 8));
}

TEST_F(map, table_is_never_shared)
{
	size_t off = self->in.args.table_offset, size = self->in.args.table_size;

	EXPECT_EQ(EINVAL, map_error(self->in.fd, off, size, PROT_READ, MAP_SHARED));
	EXPECT_EQ(EINVAL, map_error(self->in.fd, off, size, PROT_NONE, MAP_SHARED));
	EXPECT_EQ(EINVAL, map_error(self->in.fd, off, size, PROT_READ | PROT_EXEC,
				    MAP_SHARED));
	/* mmap() checks first that the file is open for writing. */
	EXPECT_EQ(EACCES, map_error(self->in.fd, off, size, PROT_READ | PROT_WRITE,
				    MAP_SHARED));
}

TEST_F(map, inval_range_past_end)
{
	size_t end = file_size(&self->in), page = self->page;
	size_t off = self->in.args.table_offset;

	EXPECT_EQ(EINVAL, map_error(self->in.fd, 0, end + page, PROT_READ, MAP_PRIVATE));
	EXPECT_EQ(EINVAL, map_error(self->in.fd, 0, end + 1, PROT_READ, MAP_SHARED));
	EXPECT_EQ(EINVAL, map_error(self->in.fd, off, self->in.args.table_size + 1,
				    PROT_READ, MAP_PRIVATE));
	EXPECT_EQ(EINVAL, map_error(self->in.fd, end, page, PROT_READ, MAP_PRIVATE));
	EXPECT_EQ(EINVAL, map_error(self->in.fd, (off_t)1 << 30, page, PROT_READ,
				    MAP_PRIVATE));
}

/*
 * If a new mapping continues a neighbour with the same file and flags, mmap() could
 * merge the two without calling ->mmap().
 */
TEST_F(map, merge_does_not_bypass_checks)
{
	size_t off = self->in.args.table_offset, span = file_size(&self->in);
	int flags[] = { MAP_PRIVATE, MAP_SHARED }, i;
	char *base;

	for (i = 0; i < 2; i++) {
		base = anonymous(2 * span, PROT_NONE);
		ASSERT_NE(MAP_FAILED, base);
		ASSERT_EQ(base, mmap(base, off, PROT_READ | PROT_EXEC,
				     flags[i] | MAP_FIXED, self->in.fd, 0));
		EXPECT_EQ(MAP_FAILED, mmap(base + off, span - off, PROT_READ | PROT_EXEC,
					   flags[i] | MAP_FIXED, self->in.fd, off));
		EXPECT_EQ(i ? EINVAL : EACCES, errno);

		/* The whole file, then the range past its end */
		ASSERT_EQ(base, mmap(base, span, PROT_READ | PROT_EXEC,
				     flags[i] | MAP_FIXED, self->in.fd, 0));
		EXPECT_EQ(MAP_FAILED, mmap(base + span, self->page, PROT_READ | PROT_EXEC,
					   flags[i] | MAP_FIXED, self->in.fd, span));
		EXPECT_EQ(EINVAL, errno);
		munmap(base, 2 * span);
	}
}

TEST_F(map, sigbus_in_range_of_table)
{
	size_t off = self->in.args.table_offset;
	char *p = mmap(NULL, instance_span(&self->in), PROT_READ | PROT_EXEC,
		       MAP_PRIVATE, self->in.fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, signal_of(touch, p));
	EXPECT_EQ(0, signal_of(touch, p + off - 1));
	EXPECT_EQ(SIGBUS, signal_of(touch, p + off));
	EXPECT_EQ(SIGBUS, signal_of(call, p + off));
	EXPECT_EQ(SIGBUS, signal_of(touch, p + instance_span(&self->in) - 1));
	munmap(p, instance_span(&self->in));
}

/* Map @size bytes of code from @offset, and their table.  Return 0, or -1 with errno. */
static int map_part(struct instance *in, size_t offset, size_t size)
{
	size_t distance = in->args.table_offset;

	in->size = size;
	in->nr = size / in->args.stride;
	in->code = mmap(NULL, distance + size, PROT_READ | PROT_EXEC, MAP_PRIVATE,
			in->fd, offset);
	if (in->code == MAP_FAILED)
		return -1;
	in->table = mmap(in->code + distance, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED, in->fd, distance + offset);
	return in->table == MAP_FAILED ? -1 : 0;
}

TEST_F(map, each_page_alone)
{
	size_t size = self->in.args.table_size, at;
	struct instance part = self->in;

	for (at = 0; at < size; at += self->page) {
		ASSERT_EQ(0, map_part(&part, at, self->page));
		EXPECT_EQ(0, instance_call_all(&part));
		munmap(part.code, instance_span(&part));
	}
}

TEST_F(map, second_half_alone)
{
	size_t half = self->in.args.table_size / 2;
	struct instance part = self->in;

	ASSERT_EQ(0, map_part(&part, half, half));
	EXPECT_EQ(0, instance_call_all(&part));
	EXPECT_EQ(SIGBUS, signal_of(touch, part.code + half));
	munmap(part.code, instance_span(&part));
}

TEST_F(map, file_mapped_twice_has_two_tables)
{
	size_t size = self->in.args.table_size;
	struct instance one = self->in, two = self->in;
	uint32_t i, wrong = 0;

	ASSERT_EQ(0, map_part(&one, 0, size));
	ASSERT_EQ(0, map_part(&two, 0, size));
	EXPECT_EQ(0, instance_call_all(&one));
	for (i = 0; i < two.nr; i++)
		wrong += instance_call(&two, i, i) != i;
	for (i = 0; i < one.nr; i++)
		wrong += instance_run(&one, i) != ~0UL - i;
	EXPECT_EQ(0, wrong);
	munmap(one.code, instance_span(&one));
	munmap(two.code, instance_span(&two));
}

/* A trampoline reaches its slot by the distance in memory, not by file offsets. */
TEST_F(map, distance_in_memory_selects_the_slot)
{
	struct instance part = self->in;

	ASSERT_EQ(0, map_part(&part, 0, self->page));
	ASSERT_EQ(part.table, mmap(part.table, self->page, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_FIXED, part.fd,
				   part.args.table_offset + self->page));
	EXPECT_EQ(0, instance_call_all(&part));
	munmap(part.code, instance_span(&part));
}

TEST_F(map, gap_between_code_and_table)
{
	struct instance first = self->in, next = self->in;

	first.size = self->page;
	first.nr = self->page / first.args.stride;
	next.size = first.size;
	next.nr = first.nr;
	ASSERT_EQ(0, instance_map_apart(&first));
	EXPECT_EQ(0, instance_call_all(&first));

	/* mmap() picks the same address again, below which the code is still mapped. */
	munmap(first.table, self->page);
	ASSERT_EQ(0, instance_map_apart(&next));
	EXPECT_NE(first.code, next.code);
	EXPECT_EQ(0, instance_call_all(&next));
	instance_unmap_apart(&next);
	munmap(first.code, self->page);
}

TEST_F(map, sigsegv_on_forbidden_access)
{
	EXPECT_EQ(SIGSEGV, signal_of(scribble, self->in.code));
	EXPECT_EQ(SIGSEGV, signal_of(call, self->in.table));
}

TEST_F(map, table_starts_zeroed)
{
	size_t i, other = 0;

	for (i = 0; i < self->in.size; i++)
		other += self->in.table[i] != 0;
	EXPECT_EQ(0, other);
}

TEST_F(map, table_mapped_twice_is_two_tables)
{
	char *other = mmap(NULL, self->in.args.table_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE, self->in.fd, self->in.args.table_offset);

	ASSERT_NE(MAP_FAILED, other);
	*other = 1;
	EXPECT_EQ(0, *self->in.table);
	munmap(other, self->in.args.table_size);
}

TEST_F(map, read_returns_one_page_of_code)
{
	size_t page = self->page, half = page / 2 + 8;
	char *buf = malloc(2 * page);

	ASSERT_EQ(page, (size_t)read(self->in.fd, buf, 2 * page));
	EXPECT_EQ(0, memcmp(buf, self->in.code, page));
	EXPECT_EQ(0, read(self->in.fd, buf, 100));

	memset(buf, 0, page);
	ASSERT_EQ(page - half, (size_t)pread(self->in.fd, buf, page, half));
	EXPECT_EQ(0, memcmp(buf, self->in.code + half, page - half));
	EXPECT_EQ(0, pread(self->in.fd, buf, 100, page));
	EXPECT_EQ(0, pread(self->in.fd, buf, 100, self->in.args.table_offset));

	EXPECT_EQ((off_t)page, lseek(self->in.fd, 0, SEEK_END));
	EXPECT_EQ(16, lseek(self->in.fd, 16, SEEK_SET));
	ASSERT_EQ(16, read(self->in.fd, buf, 16));
	EXPECT_EQ(0, memcmp(buf, self->in.code + 16, 16));
	EXPECT_EQ(-1, lseek(self->in.fd, -1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
	free(buf);
}

TEST_F(map, each_page_equals_what_read_returns)
{
	char *page = malloc(self->page);
	size_t at, other = 0;

	ASSERT_EQ(self->page, (size_t)pread(self->in.fd, page, self->page, 0));
	for (at = 0; at < self->in.args.table_offset; at += self->page)
		other += memcmp(page, self->in.code + at, self->page) != 0;
	EXPECT_EQ(0, other);
	free(page);
}

TEST_F(map, file_cannot_be_changed)
{
	int fd = self->in.fd;
	char path[64], was[16];

	memcpy(was, self->in.code, sizeof(was));
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, pwrite(fd, "x", 1, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, ftruncate(fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(fd, 0, 0, self->page));
	EXPECT_EQ(EBADF, errno);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_EQ(-1, truncate(path, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fchmod(fd, 0700));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fchown(fd, geteuid(), getegid()));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, futimens(fd, NULL));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fcntl(fd, F_SETFL, O_DIRECT));
	EXPECT_EQ(0, memcmp(was, self->in.code, sizeof(was)));
	EXPECT_EQ((off_t)self->page, lseek(fd, 0, SEEK_END));
}

TEST_F(map, mremap_of_code_and_table)
{
	struct instance *in = &self->in;
	uint32_t i, wrong = 0;
	char *was = in->code;

	ASSERT_EQ(0, instance_call_all(in));
	ASSERT_EQ(0, instance_move(in));
	ASSERT_NE(was, in->code);
	for (i = 0; i < in->nr; i++)
		wrong += instance_run(in, i) != ~0UL - i;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, instance_call_all(in));
	EXPECT_EQ(EACCES, error_of(mprotect(in->code, self->page, PROT_WRITE)));
	EXPECT_EQ(EACCES, error_of(mprotect(in->table, self->page, PROT_EXEC)));
}

/* A table that was never touched has no pages and no anon_vma. */
TEST_F(map, mremap_of_untouched_table)
{
	struct instance *in = &self->in;
	char *to = mremap(in->table, in->size, in->size,
			  MREMAP_MAYMOVE | MREMAP_FIXED,
			  anonymous(in->size, PROT_NONE));

	ASSERT_NE(MAP_FAILED, to);
	EXPECT_EQ(EACCES, error_of(mprotect(to, self->page, PROT_EXEC)));
	EXPECT_EQ(0, signal_of(scribble, to));
	munmap(to, in->size);
}

TEST_F(map, mremap_beyond_end_is_sigbus)
{
	size_t off = self->in.args.table_offset, span = file_size(&self->in);
	char *p = mmap(NULL, span, PROT_READ | PROT_EXEC, MAP_PRIVATE,
		       self->in.fd, 0);
	char *grown;

	ASSERT_NE(MAP_FAILED, p);
	grown = mremap(p, span, 2 * span, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, grown);
	EXPECT_EQ(0, memcmp(grown, self->in.code, off));
	EXPECT_EQ(SIGBUS, signal_of(touch, grown + off));
	EXPECT_EQ(SIGBUS, signal_of(touch, grown + span));
	EXPECT_EQ(SIGBUS, signal_of(touch, grown + 2 * span - 1));
	EXPECT_EQ(EACCES, error_of(mprotect(grown + span, self->page, PROT_WRITE)));
	munmap(grown, 2 * span);
}

TEST_F(map, munmap_of_part)
{
	char *code = self->in.code;

	ASSERT_EQ(0, munmap(code, self->page));
	EXPECT_EQ(SIGSEGV, signal_of(touch, code));
	EXPECT_EQ(9, instance_call(&self->in, self->in.nr - 1, 9));
}

TEST_F(map, mlock)
{
	unsigned char resident[2] = {};

	ASSERT_EQ(0, mlock(self->in.code, 2 * self->page));
	ASSERT_EQ(0, mincore(self->in.code, 2 * self->page, resident));
	EXPECT_EQ(1, resident[0] & resident[1] & 1);
	ASSERT_EQ(0, mlock(self->in.table, self->page));
	EXPECT_EQ(3, instance_call(&self->in, 0, 3));
	EXPECT_EQ(0, munlock(self->in.code, self->page));
}

/* The number of locked pages in the system, with the counters of all CPUs folded in */
static long locked_pages(void)
{
	if (write_file("/proc/sys/vm/stat_refresh", "1"))
		return -1;
	return read_field("/proc/vmstat", "nr_mlock");
}

/* mlock() and munlock() drain the batch of pages that this CPU has yet to unlock. */
static void finish_unlocking(struct __test_metadata *_metadata)
{
	size_t page = page_size();
	void *p = anonymous(page, PROT_READ | PROT_WRITE);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mlock(p, page));
	ASSERT_EQ(0, munlock(p, page));
	munmap(p, page);
}

TEST_F(map, mlock_accounting)
{
	struct instance in = self->in;
	long before;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	finish_unlocking(_metadata);
	before = locked_pages();
	if (before < 0)
		SKIP(return, "needs root, for exact statistics");

	ASSERT_EQ(0, mlock(in.code, 2 * self->page));
	EXPECT_GT(locked_pages(), before);
	ASSERT_EQ(0, munlock(in.code, 2 * self->page));
	EXPECT_EQ(before, locked_pages());

	ASSERT_EQ(0, instance_map(&in, 0));
	ASSERT_EQ(0, mlock(in.code, 2 * self->page));
	EXPECT_GT(locked_pages(), before);
	munmap(in.code, instance_span(&in));
	finish_unlocking(_metadata);
	EXPECT_EQ(before, locked_pages());
	EXPECT_EQ(3, instance_call(&self->in, 0, 3));
}

TEST_F(map, madvise_dontneed)
{
	size_t size = self->in.args.table_offset;
	char *was = malloc(size);

	memcpy(was, self->in.code, size);
	ASSERT_EQ(1, instance_call(&self->in, 0, 1));
	ASSERT_EQ(0, madvise(self->in.table, self->page, MADV_DONTNEED));
	EXPECT_EQ(0, instance_slot(&self->in, 0)->code);
	ASSERT_EQ(0, madvise(self->in.code, size, MADV_DONTNEED));
	EXPECT_EQ(0, memcmp(was, self->in.code, size));
	EXPECT_EQ(2, instance_call(&self->in, 0, 2));
	EXPECT_EQ(-1, madvise(self->in.code, size, MADV_REMOVE));
	EXPECT_EQ(0, memcmp(was, self->in.code, size));
	free(was);
}

struct filler {
	int uffd;
	size_t stride;
};

/* Resolve one fault with a page whose second slot has data 42. */
static void *fill_page(void *arg)
{
	const struct filler *filler = arg;
	struct uffd_msg msg;
	size_t page = page_size();
	char *contents = calloc(1, page);
	struct uffdio_copy copy;

	*(struct slot *)(contents + filler->stride) = (struct slot){
		42, (unsigned long)abi_return_data
	};
	if (read(filler->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return NULL;
	copy = (struct uffdio_copy){
		.dst = msg.arg.pagefault.address & ~(uint64_t)(page - 1),
		.src = (unsigned long)contents,
		.len = page,
	};
	ioctl(filler->uffd, UFFDIO_COPY, &copy);
	free(contents);
	return NULL;
}

TEST_F(map, userfaultfd_fills_table)
{
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	struct filler filler = { uffd, self->in.args.stride };
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (unsigned long)self->in.table, self->page },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	pthread_t thread;

	if (uffd < 0)
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg));
	ASSERT_EQ(0, pthread_create(&thread, NULL, fill_page, &filler));
	EXPECT_EQ(42, instance_run(&self->in, 1));
	pthread_join(thread, NULL);
	close(uffd);
}

TEST_F(map, proc_maps_has_no_wx_line)
{
	unsigned int code = 0, table = 0, bad = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512], prot[5];

	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %4s", prot) != 1)
			continue;
		bad += prot[1] == 'w' && prot[2] == 'x';
		if (!strstr(line, "anon_inode:[trampfd]"))
			continue;
		code += !strcmp(prot, "r-xp");
		table += !strcmp(prot, "rw-p");
	}
	fclose(f);
	EXPECT_EQ(0, bad);
	EXPECT_EQ(1, code);
	EXPECT_EQ(1, table);
}

TEST_HARNESS_MAIN
