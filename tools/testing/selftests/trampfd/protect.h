/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of the protect_*_test.c: no process can write code or execute a
 * table, whichever way it tries.
 *
 * Where there is a known technique, a test first uses it on memory where it works.
 * This shows that the technique is applied correctly.  It then expects the technique
 * to fail on code and table.
 */
#ifndef TRAMPFD_PROTECT_H
#define TRAMPFD_PROTECT_H

#include "common.h"

#define RW	(PROT_READ | PROT_WRITE)
#define RX	(PROT_READ | PROT_EXEC)
#define RWX	(PROT_READ | PROT_WRITE | PROT_EXEC)

/* What the tests try to write; no trampoline and no zeroed page contains it. */
static const char patch[16] = "not from kernel";

/*
 * @in: An instance with several pages of code and of table.
 * @was: A copy of its code.
 * @text: A page of private memory that can be read and executed.
 * @page: The page size.
 */
FIXTURE(protect) {
	struct instance in;
	char *was;
	char *text;
	size_t page;
};

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

/* After each test the code is unchanged, works, and has its rights. */
FIXTURE_TEARDOWN(protect)
{
	EXPECT_EQ(0, memcmp(self->was, self->in.code, self->in.size));
	EXPECT_EQ(2, instance_call(&self->in, 0, 2));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RWX)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RWX)));
	instance_close(&self->in);
}

/* Whether @addr contains the patch */
static inline bool patched(const void *addr)
{
	return !memcmp(addr, patch, sizeof(patch));
}

/* A memfd of one page, or -1 */
static inline int memory_file(void)
{
	int fd = syscall(__NR_memfd_create, "code", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, page_size()))
		return -1;
	return fd;
}

#endif /* TRAMPFD_PROTECT_H */
