// SPDX-License-Identifier: GPL-2.0
/*
 * Measures nested functions: a million calls that each make one while no other is in use
 * (flat), while a thousand are in use (deep), and at the most expensive depth (worst).
 * Prints for each pattern a line
 *
 *	PATTERN  nanoseconds each  calls that map each  mappings that are W and X  KiB
 *
 * In a guest with ICOUNT, a nanosecond is an instruction.  The linker's --wrap counts calls
 * that map memory.  KiB is the increase of memory.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static unsigned long maps, calls;
static long base;

void *__real_mmap(void *address, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
int __real_mprotect(void *address, size_t size, int prot);
void *__real_mremap(void *address, size_t old, size_t new, int flags, ...);

void *__wrap_mmap(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
	maps++;
	return __real_mmap(address, size, prot, flags, fd, offset);
}

void *__wrap_mmap64(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
	return __wrap_mmap(address, size, prot, flags, fd, offset);
}

int __wrap_munmap(void *address, size_t size)
{
	maps++;
	return __real_munmap(address, size);
}

int __wrap_mprotect(void *address, size_t size, int prot)
{
	maps++;
	return __real_mprotect(address, size, prot);
}

void *__wrap_mremap(void *address, size_t old, size_t new, int flags, ...)
{
	va_list arguments;
	void *to;

	va_start(arguments, flags);
	to = va_arg(arguments, void *);
	va_end(arguments);
	maps++;
	return __real_mremap(address, old, new, flags, to);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int rwx(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512], prot[5];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f))
		nr += sscanf(line, "%*s %4s", prot) == 1 && prot[1] == 'w' && prot[2] == 'x';
	if (f)
		fclose(f);
	return nr;
}

static long memory(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static __attribute__((noipa)) void call(void (*f)(void))
{
	f();
}

static __attribute__((noipa)) void make_one(long value)
{
	void count(void)
	{
		calls += value;
	}

	call(count);
}

/* While @depth of them are in use */
static void at_depth(int depth, void (*f)(void *), void *arg)
{
	void deeper(void)
	{
		at_depth(depth - 1, f, arg);
	}

	if (depth)
		call(deeper);
	else
		f(arg);
}

struct run {
	long nr;
	double each;
	double maps;
	int wx;
	long kib;
};

static void measure(void *arg)
{
	struct run *run = arg;
	unsigned long had = maps;
	double start = now();
	long i;

	for (i = 0; i < run->nr; i++)
		make_one(1);
	run->each = (now() - start) / run->nr;
	run->maps = (double)(maps - had) / run->nr;
	run->wx = rwx();
	run->kib = memory() - base;
}

static void report(const char *pattern, const struct run *run)
{
	printf("%-6s %8.1f %6.2f %3d %5ld\n", pattern, run->each, run->maps, run->wx, run->kib);
}

int main(int argc, char *argv[])
{
	struct run run = { .nr = argc > 1 ? atol(argv[1]) : 1000000 }, worst = { 0 };
	int depth;

	/* Let stdio allocate its buffers before the measurement. */
	rwx();
	memory();
	base = memory();
	at_depth(0, measure, &run);
	report("flat", &run);
	for (depth = 1; depth < 300; depth++) {
		struct run here = { .nr = 20 };

		at_depth(depth, measure, &here);
		if (here.maps > worst.maps || depth == 1) {
			worst = here;
			worst.nr = depth;
		}
	}
	depth = worst.nr;
	worst.nr = run.nr / 100;
	at_depth(depth, measure, &worst);
	report("worst", &worst);
	at_depth(1000, measure, &run);
	report("deep", &run);
	return !calls;
}
