// SPDX-License-Identifier: GPL-2.0
/*
 * Protection of mappings: mmap(), mprotect(), mremap() and others make no code
 * writable and no table executable.
 */
#include <sys/klog.h>
#include <sys/personality.h>

#include "protect.h"

TEST_F(protect, mmap_writable_and_executable)
{
	struct trampfd_create_args *a = &self->in.args;

	EXPECT_EQ(0, map_error(-1, 0, self->page, RWX,
			       MAP_PRIVATE | MAP_ANONYMOUS));

	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, self->in.size, RWX, MAP_PRIVATE));
	EXPECT_EQ(EACCES, map_error(self->in.fd, a->table_offset, self->in.size,
				    RWX, MAP_PRIVATE));
	/* A range of code and table */
	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, instance_span(&self->in),
				    RWX, MAP_PRIVATE));
	EXPECT_EQ(EACCES, map_error(self->in.fd, 0, instance_span(&self->in),
				    RW, MAP_PRIVATE));
}

/* Write a function to @p and call it.  Return the signal that ended the call, or 0. */
static int call_written(char *p)
{
	memcpy(p, (void *)((uintptr_t)abi_return_data & ~(uintptr_t)1), sizeof(patch));
	__builtin___clear_cache(p, p + sizeof(patch));
	return signal_of(call, p);
}

/*
 * Whether the kernel can refuse to execute data.  On 32-bit kernels this depends on
 * the page table format; x86 logs it at boot.
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

/* A table is no more executable than other data. */
TEST_F(protect, call_written_data)
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

TEST_F(protect, mprotect_after_write)
{
	char *p = anonymous(self->page, RW);

	memcpy(p, patch, sizeof(patch));
	EXPECT_EQ(0, mprotect(p, self->page, RX));
	EXPECT_EQ(0, mprotect(p, self->page, RW));

	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RX)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, PROT_EXEC)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RW)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, PROT_WRITE)));
	/* Nor from PROT_NONE */
	ASSERT_EQ(0, mprotect(self->in.code, self->page, PROT_NONE));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.code, self->page, RW)));
	ASSERT_EQ(0, mprotect(self->in.code, self->page, RX));
	munmap(p, self->page);
}

TEST_F(protect, file_mapped_twice)
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
	/* A second view of the code is possible, but it is not writable either. */
	w = mmap(NULL, self->in.size, PROT_READ, MAP_SHARED, self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, w);
	EXPECT_EQ(EACCES, error_of(mprotect(w, self->page, RW)));
	munmap(w, self->in.size);
	close(fd);
}

static void write_shared(void *p)
{
	memcpy(p, patch, sizeof(patch));
}

/* A child writes to memory that it inherits. */
TEST_F(protect, shared_mapping)
{
	struct trampfd_create_args *a = &self->in.args;
	char *x = shared_memory(self->page);

	ASSERT_NE(MAP_FAILED, x);
	ASSERT_EQ(0, mprotect(x, self->page, RWX));
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

/* With an old size of 0, mremap() maps shared memory a second time. */
TEST_F(protect, mremap_old_size_0)
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

/* Both the new mapping and what remains at the old address keep their rights. */
TEST_F(protect, mremap_keeps_rights)
{
	struct trampfd_create_args *a = &self->in.args;
	size_t size = self->in.size;
	char *w = anonymous(size, RW), *to, *p;

	/* Memory that is written, moved over code, then made executable */
	p = anonymous(self->page, RW);
	memcpy(p, patch, sizeof(patch));
	ASSERT_EQ(self->text, mremap(p, self->page, self->page,
				     MREMAP_MAYMOVE | MREMAP_FIXED, self->text));
	ASSERT_EQ(0, mprotect(self->text, self->page, RX));
	EXPECT_TRUE(patched(self->text));

	/* Code that is moved over writable memory and back */
	ASSERT_EQ(w, mremap(self->in.code, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, w));
	EXPECT_EQ(SIGSEGV, signal_of(scribble, w));
	EXPECT_EQ(EACCES, error_of(mprotect(w, size, RW)));
	ASSERT_EQ(self->in.code, mremap(w, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
					self->in.code));
	EXPECT_EQ(SIGSEGV, signal_of(scribble, self->in.code));

	/* A table over code, with MREMAP_DONTUNMAP: both mappings are tables. */
	p = mmap(NULL, size, RX, MAP_PRIVATE, self->in.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	to = mremap(self->in.table, self->page, self->page,
		    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, p);
	ASSERT_EQ(p, to);
	EXPECT_EQ(SIGSEGV, signal_of(call, to));
	EXPECT_EQ(EACCES, error_of(mprotect(to, self->page, RX)));
	EXPECT_EQ(EACCES, error_of(mprotect(self->in.table, self->page, RX)));

	/* Code, with MREMAP_DONTUNMAP: both mappings are code. */
	to = mremap(self->in.code, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ASSERT_NE(MAP_FAILED, to);
	EXPECT_EQ(0, memcmp(self->was, to, size));
	EXPECT_EQ(0, memcmp(self->was, self->in.code, size));
	EXPECT_EQ(EACCES, error_of(mprotect(to, size, RW)));

	/* Code that grows over the range of the table: nothing there is writable. */
	p = mremap(to, size, instance_span(&self->in), MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGBUS, signal_of(touch, p + a->table_offset));
	EXPECT_EQ(SIGSEGV, signal_of(scribble, p + a->table_offset));
	EXPECT_EQ(EACCES, error_of(mprotect(p + a->table_offset, self->page, RW)));
	munmap(p, instance_span(&self->in));
}

/* Exchange an executable page of a shared mapping for one that was written. */
TEST_F(protect, remap_file_pages)
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

/* The error for each advice; -1 if it depends on the configuration */
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

TEST_F(protect, madvise)
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

TEST_F(protect, mseal)
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
	/* Slots are writable until the table is sealed read-only. */
	EXPECT_EQ(4, instance_call(&sealed, 0, 4));
	ASSERT_EQ(0, mprotect(sealed.table, sealed.size, PROT_READ));
	ASSERT_EQ(0, syscall(__NR_mseal, sealed.table, sealed.size, 0));
	EXPECT_EQ(EPERM, error_of(mprotect(sealed.table, self->page, RW)));
	EXPECT_EQ(4, instance_run(&sealed, 0));
#else
	SKIP(return, "no mseal() on this ABI");
#endif
}

static void refill(void *arg)
{
	instance_call(arg, 0, 5);
}

TEST_F(protect, pkey_mprotect)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		SKIP(return, "no protection keys: %s", strerror(errno));
	ASSERT_EQ(0, pkey_mprotect(self->text, self->page, RWX, key));

	EXPECT_EQ(EACCES, error_of(pkey_mprotect(self->in.code, self->page, RWX, key)));
	EXPECT_EQ(EACCES, error_of(pkey_mprotect(self->in.table, self->page, RWX, key)));
	/* A thread without write access by this key can call, but not fill slots. */
	ASSERT_EQ(0, pkey_mprotect(self->in.table, self->page, RW, key));
	ASSERT_EQ(0, pkey_set(key, PKEY_DISABLE_WRITE));
	EXPECT_EQ(SIGSEGV, signal_of(refill, &self->in));
	EXPECT_EQ(1, instance_run(&self->in, 0));
	ASSERT_EQ(0, pkey_set(key, 0));
}

/* This personality adds PROT_EXEC to each request with PROT_READ. */
TEST_F(protect, read_implies_exec)
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
