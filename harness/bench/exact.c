// SPDX-License-Identifier: GPL-2.0
/*
 * Measures each step of using one trampoline, and all trampolines of a file, in each mode,
 * in a guest whose clock counts instructions.  Prints lines as bench.c does:
 *	METHOD <tab> TRAMPOLINES <tab> WHAT <tab> NUMBER
 * Calls in mode PUSH include the pop in the target.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/trampfd.h>

#include "abi.h"
#include "bench.h"

#define CALLS	10000
#define TURNS	20

/* A fixed address, because fault-around maps aligned windows. */
#define PLACE	((char *)0x20000000)

SEEN void *seen;	/* for targets.S */

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

struct mode {
	const char *name;
	struct trampfd_create_args args;
	trampoline_t *target;
	char *code;
};

static void print(const struct mode *mode, const char *what, double number)
{
	printf("trampfd %s\t%u\t%s\t%.0f\n", mode->name,
	       (unsigned int)(mode->args.table_size / mode->args.stride), what, number);
}

static void print_one(const struct mode *mode, const char *what, double number)
{
	printf("trampfd %s\t1\t%s\t%.0f\n", mode->name, what, number);
}

/*
 * The minimum of several calls of a function that returns the number of instructions: the
 * timer interrupts some calls, and the first ones fill caches of the kernel.
 */
static double least(double (*function)(struct mode *mode), struct mode *mode)
{
	double cost, best = 0;
	int turn;

	for (turn = 0; turn < TURNS; turn++) {
		cost = function(mode);
		if (!turn || cost < best)
			best = cost;
	}
	return best;
}

/* noipa, so that the loop has the same instructions for each function */
static __attribute__((noipa)) double count_calls(trampoline_t *t)
{
	unsigned long long start = instructions();
	int i;

	for (i = 0; i < CALLS; i++)
		t();
	return instructions() - start;
}

static double call_function(struct mode *mode)
{
	(void)mode;
	return count_calls(target_nothing);
}

static double call_trampoline(struct mode *mode)
{
	return count_calls((trampoline_t *)mode->code);
}

/* Create a file with this stride. */
static double create_with_stride(const struct mode *mode, unsigned int stride)
{
	struct trampfd_create_args args = { .mode = mode->args.mode, .stride = stride };
	unsigned long long start = instructions();
	int fd = trampfd_open(&args);

	start = instructions() - start;
	if (fd < 0)
		die("trampfd_create");
	close(fd);
	return start;
}

static double create_known(struct mode *mode)
{
	return create_with_stride(mode, 0);
}

/* The kernel generates the code of a geometry once, so use each stride once. */
static double create_new(const struct mode *mode)
{
	double least = create_with_stride(mode, 128), cost;
	unsigned int stride;

	for (stride = 256; stride <= TRAMPFD_STRIDE_MAX; stride *= 2) {
		cost = create_with_stride(mode, stride);
		if (cost < least)
			least = cost;
	}
	return least;
}

static void map_all(struct mode *mode)
{
	const struct trampfd_create_args *a = &mode->args;
	int fd = trampfd_open(&mode->args);

	if (fd < 0)
		die("trampfd_create");
	mode->code = mmap(PLACE, a->table_offset + a->table_size, PROT_READ | PROT_EXEC,
			  MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
	if (mode->code != PLACE ||
	    mmap(mode->code + a->table_offset, a->table_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, fd, a->table_offset) == MAP_FAILED)
		die("mmap");
	close(fd);
}

static void unmap_all(struct mode *mode)
{
	munmap(mode->code, mode->args.table_offset + mode->args.table_size);
}

static void touch_code(struct mode *mode)
{
	size_t i, page = getpagesize();

	for (i = 0; i < mode->args.table_offset; i += page)
		__atomic_load_n(mode->code + i, __ATOMIC_RELAXED);
}

/* Touch every other page: one fault could map two neighbours. */
static void touch_table(struct mode *mode)
{
	char *table = mode->code + mode->args.table_offset;
	size_t i, page = getpagesize();

	for (i = 0; i < mode->args.table_size; i += 2 * page)
		table[i] = 0;
}

/* Map it, touch all of its code, and unmap it. */
static double touch_all_code(struct mode *mode)
{
	unsigned long long start;

	map_all(mode);
	start = instructions();
	touch_code(mode);
	start = instructions() - start;
	unmap_all(mode);
	return start;
}

static double unmap_all_code(struct mode *mode)
{
	unsigned long long start;

	map_all(mode);
	touch_code(mode);
	start = instructions();
	unmap_all(mode);
	return instructions() - start;
}

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

	return (x > y) - (x < y);
}

/* The number of different page frames of code (Documentation/admin-guide/mm/pagemap.rst) */
static long code_pages(struct mode *mode)
{
	size_t nr = mode->args.table_offset / getpagesize(), i;
	uintptr_t first = (uintptr_t)mode->code / getpagesize();
	unsigned long long *frames = calloc(nr, sizeof(*frames));
	ssize_t size = nr * sizeof(*frames);
	int fd = open("/proc/self/pagemap", O_RDONLY);
	long pages = 0;

	if (pread(fd, frames, size, first * sizeof(*frames)) != size)
		die("pagemap");
	for (i = 0; i < nr; i++)
		frames[i] &= (1ULL << 55) - 1;
	qsort(frames, nr, sizeof(*frames), compare);
	for (i = 0; i < nr; i++)
		pages += !i || frames[i] != frames[i - 1];
	free(frames);
	close(fd);
	return pages;
}

enum step { CREATE, MAP_CODE, MAP_TABLE, CLOSE, SET, CALL, UNMAP, NR_STEPS };

static const char *const step_names[] = {
	[CREATE] = "one: create, instructions",
	[MAP_CODE] = "one: map code, instructions",
	[MAP_TABLE] = "one: map table, instructions",
	[CLOSE] = "one: close, instructions",
	[SET] = "one: set, instructions",
	[CALL] = "one: call, instructions",
	[UNMAP] = "one: unmap, instructions",
};

/* Make one trampoline, and record the time at the end of each step. */
static void make_one(struct mode *mode, unsigned long long time[NR_STEPS + 1])
{
	struct trampfd_create_args *a = &mode->args;
	size_t page = getpagesize();
	char *code;
	int fd;

	time[0] = instructions();
	fd = trampfd_open(a);
	time[1 + CREATE] = instructions();
	code = mmap(PLACE, a->table_offset + page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	time[1 + MAP_CODE] = instructions();
	mmap(code + a->table_offset, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
	     a->table_offset);
	time[1 + MAP_TABLE] = instructions();
	close(fd);
	time[1 + CLOSE] = instructions();
	((void **)(code + a->table_offset))[1] = mode->target;
	time[1 + SET] = instructions();
	((trampoline_t *)code)();
	time[1 + CALL] = instructions();
	munmap(code, a->table_offset + page);
	time[1 + UNMAP] = instructions();
}

static void measure_one(struct mode *mode)
{
	unsigned long long time[NR_STEPS + 1], least[NR_STEPS];
	int turn, step;

	for (turn = 0; turn < TURNS; turn++) {
		make_one(mode, time);
		for (step = 0; step < NR_STEPS; step++)
			if (!turn || time[step + 1] - time[step] < least[step])
				least[step] = time[step + 1] - time[step];
	}
	for (step = 0; step < NR_STEPS; step++)
		print_one(mode, step_names[step], least[step]);
}

static void measure(struct mode *mode)
{
	long mappings = vmas(), before;
	int fd = trampfd_open(&mode->args);

	if (fd < 0)
		return;		/* the ABI does not have the mode */
	close(fd);
	measure_one(mode);
	print_one(mode, "create, new geometry, instructions", create_new(mode));
	print_one(mode, "create, known geometry, instructions", least(create_known, mode));
	print(mode, "touch all code, instructions", least(touch_all_code, mode));
	print(mode, "unmap all code, instructions", least(unmap_all_code, mode));

	map_all(mode);
	print(mode, "all: VMAs", vmas() - mappings);
	before = faults();
	touch_table(mode);
	print(mode, "set in every other page of the table, faults", faults() - before);
	before = faults();
	touch_code(mode);
	print(mode, "touch all code, faults", faults() - before);
	print(mode, "pages of code", code_pages(mode));
	((void **)(mode->code + mode->args.table_offset))[1] = mode->target;
	print_one(mode, "call more than a function, instructions",
		  (least(call_trampoline, mode) - least(call_function, mode)) / CALLS);
	unmap_all(mode);
}

int main(void)
{
	static struct mode modes[] = {
		{ "DATA", { .mode = TRAMPFD_MODE_DATA }, target_nothing, NULL },
		{ "SLOT", { .mode = TRAMPFD_MODE_SLOT }, target_nothing, NULL },
		{ "PUSH", { .mode = TRAMPFD_MODE_PUSH }, target_pop, NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		measure(&modes[i]);
	return 0;
}
