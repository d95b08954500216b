// SPDX-License-Identifier: GPL-2.0
/*
 * What closures of libffi cost: makes as many as it is told, calls all, and prints
 *	how many
 *	the nanoseconds, which are instructions in a guest with ICOUNT, to make and
 *	free one again and again; of a call; to make one for the first time; to
 *	free it
 *	the bytes that each takes: of memory, and of page tables
 *	how many mappings there are more
 */
#include <ffi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAIRS 100000

static ffi_type *types[] = { &ffi_type_sint };
static ffi_cif cif;

static void add(ffi_cif *c, void *result, void **args, void *data)
{
	(void)c;
	*(ffi_arg *)result = *(int *)args[0] + (int)(intptr_t)data;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* The kB that a line of the file says */
static long in_kb(const char *file, const char *name)
{
	size_t len = strlen(name);
	char line[256];
	long kb = -1;
	FILE *f = fopen(file, "r");

	if (!f)
		fail(file);
	while (kb < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ':')
			kb = atol(line + len + 1);
	fclose(f);
	if (kb < 0)
		fail(name);
	return kb;
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int n = 0, c;

	if (!f)
		fail("/proc/self/maps");
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static ffi_closure *make(void **code)
{
	ffi_closure *closure = ffi_closure_alloc(sizeof(*closure), code);

	if (!closure || ffi_prep_closure_loc(closure, &cif, add, (void *)1, *code) != FFI_OK)
		fail("no closure");
	return closure;
}

/* Has the files that are mapped in memory, whose pages are not the closures' */
static void map_in_files(void)
{
	unsigned long start, end;
	FILE *f = fopen("/proc/self/maps", "r");

	if (!f)
		fail("/proc/self/maps");
	while (fscanf(f, "%lx-%lx%*[^\n]", &start, &end) == 2)
		madvise((void *)start, end - start, MADV_POPULATE_READ);
	fclose(f);
}

struct memory {
	long pss, tables;
	int mappings;
};

static void look(struct memory *m)
{
	m->mappings = mappings();
	m->tables = in_kb("/proc/self/status", "VmPTE");
	m->pss = in_kb("/proc/self/smaps_rollup", "Pss");
}

int main(int argc, char **argv)
{
	int nr = argc == 2 ? atoi(argv[1]) : 0;
	double start, pair, made, called, freed;
	struct memory before, after;
	ffi_closure **closures;
	void **codes, *code;

	if (nr <= 0 || ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_sint, types) != FFI_OK)
		fail("usage: closures NUMBER");
	closures = malloc(nr * sizeof(*closures));
	codes = malloc(nr * sizeof(*codes));
	if (!closures || !codes)
		fail("no memory");
	/* Neither these pages nor those of stdio are the closures'. */
	memset(closures, 1, nr * sizeof(*closures));
	memset(codes, 1, nr * sizeof(*codes));
	look(&before);
	map_in_files();
	look(&before);

	start = now();
	for (int i = 0; i < nr; i++)
		closures[i] = make(&codes[i]);
	made = now() - start;

	for (int i = 0; i < nr; i++)
		if (((int (*)(int))codes[i])(i) != i + 1)
			fail("wrong result");
	look(&after);

	/* Again, with everything touched */
	start = now();
	for (int i = 0; i < PAIRS; i++)
		ffi_closure_free(make(&code));
	pair = (now() - start) / PAIRS;
	start = now();
	for (int i = 0; i < PAIRS; i++)
		if (((int (*)(int))codes[0])(i) != i + 1)
			fail("wrong result");
	called = (now() - start) / PAIRS;

	start = now();
	for (int i = 0; i < nr; i++)
		ffi_closure_free(closures[i]);
	freed = now() - start;

	printf("%d\t%.0f\t%.0f\t%.0f\t%.0f\t", nr, pair, called, made / nr, freed / nr);
	printf("%.1f\t%.1f\t%d\n", (after.pss - before.pss) * 1024.0 / nr,
	       (after.tables - before.tables) * 1024.0 / nr, after.mappings - before.mappings);
	return 0;
}
