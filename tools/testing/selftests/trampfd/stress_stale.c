// SPDX-License-Identifier: GPL-2.0
/*
 * Emulators that execute code which is no longer mapped.
 *
 * QEMU finds code that it translated by the virtual address.  When a page of
 * more than 4 KiB is unmapped (16 and 64 KiB, of arm64) it forgets only what
 * begins near the start of that: further on, what was called there before is
 * executed again, instead of what is mapped there now.  QEMU 11.1 still does so,
 * with code of any file, as is shown here with an ordinary one.  It lasts until
 * more is forgotten at once: when another process runs, or when much is unmapped
 * (accel/tcg/cputlb.c, tb_jmp_cache_clear_page() and
 * tlb_flush_range_by_mmuidx_async_0()).
 */
#include "stress.h"

#define SMALLEST_PAGE	4096
#define FUNCTION_SIZE	16	/* at least that of each of these two */

static int first(void)
{
	return 1;
}

static int second(void)
{
	return 2;
}

/* Bit 0 is the state of the processor (Thumb), not of the address. */
static void write_function(char *to, int (*function)(void))
{
	memcpy(to, (void *)((uintptr_t)function & ~1UL), FUNCTION_SIZE);
}

static int call_function(char *at)
{
	return ((int (*)(void))((uintptr_t)at | ((uintptr_t)first & 1)))();
}

/* A file of two pages, the functions of the one returning 1, of the other 2 */
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

/* Not each time, for another process may run in between. */
void look_for_stale_code(void)
{
	size_t page = page_size(), at;
	int fd = file_of_functions(), i;
	char *p = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (i = 0; i < 64; i++) {
		p = mmap(p, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED,
			 fd, i % 2 * page);
		if (p == MAP_FAILED)
			ksft_exit_fail_msg("a file in memory can not be executed: %s\n",
					   strerror(errno));
		for (at = 0; at < page; at += SMALLEST_PAGE)
			executes_unmapped_code |= call_function(p + at) != 1 + i % 2;
	}
	munmap(p, page);
	close(fd);
	if (executes_unmapped_code)
		ksft_print_msg("an emulator: it executes code that was unmapped, of any file\n");
}

/*
 * To be called when code has been mapped where other code may have been, before
 * it is called.  So much is unmapped at once that arm64 flushes the whole TLB
 * (MAX_DVM_OPS of asm/tlbflush.h), or where it can say a range, that QEMU does.
 */
void forget_unmapped_code(void)
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
