// SPDX-License-Identifier: GPL-2.0
/*
 * What a trampoline costs, in numbers that are the same in each run: for each mode,
 * in a guest whose clock counts instructions, a line
 *	MODE instructions of a call more than of a function's, and of the largest
 *	instance: VMAs, page faults to fill the table and to touch all code, pages of
 *	each in memory
 * where every other page of the table is filled. With PUSH the function has to pop,
 * which is counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/trampfd.h>

#include "abi.h"
#include "bench.h"

#define CALLS	10000

/* Fault-around maps aligned windows: what it does with code depends on its place. */
#define PLACE	((void *)0x20000000)

SEEN void *seen;	/* of targets.S */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static long vmas(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	long lines = 0;
	int c;

	if (!f)
		die("maps");
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

/* In memory, whoever brought it there */
static long resident(char *start, size_t size)
{
	static unsigned char pages[1024];
	size_t page = getpagesize(), i;
	long n = 0;

	if (size / page > sizeof(pages) || mincore(start, size, pages))
		die("mincore");
	for (i = 0; i < size / page; i++)
		n += pages[i] & 1;
	return n;
}

/* Of so many calls */
static long call_cost(trampoline_t *t)
{
	unsigned long long start, best = ~0ULL;
	int turn, i;

	/* The timer does not interrupt all of them. */
	for (turn = 0; turn < 10; turn++) {
		start = instructions();
		for (i = 0; i < CALLS; i++)
			t();
		start = instructions() - start;
		if (start < best)
			best = start;
	}
	return (long)best;
}

static long rounded(long cost)
{
	return (cost + CALLS / 2) / CALLS;
}

static void measure(unsigned int mode, const char *name, trampoline_t *target)
{
	struct trampfd_create_args a = { .mode = mode, .nr = TRAMPFD_NR_MAX };
	long mappings = vmas(), table_faults, code_faults;
	size_t page = getpagesize(), i;
	char *code, *table, bytes = 0;
	void **slot;
	int fd;

	fd = syscall(__NR_trampfd_create, &a, sizeof(a));
	if (fd < 0)
		return;
	code = mmap(PLACE, a.table_offset + a.table_size, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE, fd, 0);
	table = mmap(code + a.table_offset, a.table_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_FIXED, fd, a.table_offset);
	if (code != PLACE || table == MAP_FAILED)
		die("mmap");

	table_faults = faults();
	for (i = 0; i < a.table_size; i += 2 * page)
		table[i] = 0;
	table_faults = faults() - table_faults;
	code_faults = faults();
	for (i = 0; i < a.code_size; i += page)
		bytes |= code[i];
	code_faults = faults() - code_faults;
	if (!bytes)
		die("code");

	slot = (void **)table;
	slot[1] = target;
	printf("%s %ld, %ld VMAs, %ld and %ld faults, %ld and %ld pages\n", name,
	       rounded(call_cost((trampoline_t *)code) - call_cost(target_nothing)),
	       vmas() - mappings, table_faults, code_faults,
	       resident(table, a.table_size), resident(code, a.code_size));
	munmap(code, a.table_offset + a.table_size);
	close(fd);
}

int main(void)
{
	measure(TRAMPFD_MODE_DATA, "DATA", target_nothing);
	measure(TRAMPFD_MODE_SLOT, "SLOT", target_nothing);
	measure(TRAMPFD_MODE_PUSH, "PUSH", target_pop);
	return 0;
}
