// SPDX-License-Identifier: GPL-2.0
/*
 * Workaround for emulators that execute code after it has been unmapped.
 *
 * QEMU (11.1 and before) caches translated code by virtual address.  If a guest
 * unmaps a page of 16 or 64 KiB (arm64), QEMU drops only the translations near the
 * start of the page.  If other code is mapped there, QEMU then executes the old code
 * at higher addresses of the page.  This affects the code of any file; the test here
 * uses a memfd.  QEMU drops all translations when another process runs or when a
 * large range is unmapped (accel/tcg/cputlb.c, tb_jmp_cache_clear_page() and
 * tlb_flush_range_by_mmuidx_async_0()).
 */
#include "stress.h"

#define SMALLEST_PAGE	4096
#define FUNCTION_SIZE	16	/* at least the size of first() and second() */

static int first(void)
{
	return 1;
}

static int second(void)
{
	return 2;
}

/* Bit 0 of a function pointer selects T32 state on arm. */
static void write_function(char *to, int (*function)(void))
{
	memcpy(to, (void *)((uintptr_t)function & ~1UL), FUNCTION_SIZE);
}

static int call_function(char *at)
{
	return ((int (*)(void))((uintptr_t)at | ((uintptr_t)first & 1)))();
}

/* A file of two pages: copies of first(), then copies of second() */
static int file_of_functions(void)
{
	size_t page = page_size(), at;
	int fd = syscall(__NR_memfd_create, "functions", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, 2 * page))
		ksft_exit_fail_msg("no file in memory: %s\n", strerror(errno));
	p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	for (at = 0; at < page; at += SMALLEST_PAGE) {
		write_function(p + at, first);
		write_function(p + page + at, second);
	}
	munmap(p, 2 * page);
	return fd;
}

static bool executes_unmapped_code;

/* Try several times, because another process may run in between. */
void detect_stale_code(void)
{
	size_t page = page_size(), at;
	int fd = file_of_functions(), i;
	char *p = anonymous(page, PROT_NONE);

	for (i = 0; i < 64; i++) {
		p = mmap(p, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED,
			 fd, i % 2 * page);
		if (p == MAP_FAILED)
			ksft_exit_fail_msg("cannot map a memfd executable: %s\n",
					   strerror(errno));
		for (at = 0; at < page; at += SMALLEST_PAGE)
			executes_unmapped_code |= call_function(p + at) != 1 + i % 2;
	}
	munmap(p, page);
	close(fd);
	if (executes_unmapped_code)
		ksft_print_msg("the emulator executes code after it has been unmapped\n");
}

/*
 * Call this after mapping code at an address that may have had other code.  Unmap a
 * range for which arm64 flushes the whole TLB (MAX_DVM_OPS in asm/tlbflush.h), or for
 * which QEMU does if the kernel flushes by range.
 */
void flush_stale_code(void)
{
	size_t page = page_size(), size = page * page / 8 + (32 << 20);
	char *p;

	if (!executes_unmapped_code)
		return;
	disarm_failure();
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		fail(SURVIVAL, "no memory: %s", strerror(errno));
		return;
	}
	scribble(p);
	scribble(p + size - 1);
	munmap(p, size);
}
