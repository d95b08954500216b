// SPDX-License-Identifier: GPL-2.0
/*
 * Sort the lines of a file with qsort(3) and closures.
 *
 * qsort() passes no context to the comparison function.  A closure is a function
 * pointer that has a context: here a key to compare by and a counter.  It is a
 * trampoline that the kernel provides, and the context is in the trampoline's slot.
 * The trampoline loads the address of the slot into a register and jumps to the
 * function that the slot names.  The register is the one in which compare() expects
 * the argument that qsort() does not pass.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/trampfd.h>

/* The register of the third argument, by its DWARF number */
#if defined(__x86_64__)
#define DATA_REG		TRAMPFD_REG(1)	/* rdx */
#elif defined(__i386__)
/* Arguments are on the stack, except the first of a function with regparm(1). */
#define DATA_REG		TRAMPFD_REG(0)	/* eax */
#define TARGET			__attribute__((regparm(1)))
#define COMPARE(a, b, closure)	compare(closure, a, b)
#elif defined(__aarch64__) || defined(__arm__)
#define DATA_REG		TRAMPFD_REG(2)	/* x2 or r2 */
#elif defined(__riscv)
#define DATA_REG		TRAMPFD_REG(12)	/* a2 */
#elif defined(__powerpc64__)
#define DATA_REG		TRAMPFD_REG(5)	/* r5 */
#elif defined(__s390x__)
#define DATA_REG		TRAMPFD_REG(4)	/* r4 */
#elif defined(__loongarch__)
#define DATA_REG		TRAMPFD_REG(6)	/* a2 */
#else
#error "Define DATA_REG for this ABI."
#endif

#ifndef COMPARE
#define TARGET
#define COMPARE(a, b, closure)	compare(a, b, closure)
#endif

#define STRIDE	32	/* bytes for each slot, sufficient for every ABI */

/* The kernel defines the first two words of a slot, the program the others. */
struct closure {
	const char *name;	/* Mode SLOT does not use the first word. */
	void *target;		/* Trampolines jump to the second word. */
	int (*compare)(const char *a, const char *b);
	unsigned long calls;
};

static_assert(sizeof(struct closure) <= STRIDE);

static TARGET int COMPARE(const void *a, const void *b, struct closure *closure)
{
	closure->calls++;
	return closure->compare(*(char **)a, *(char **)b);
}

static int by_length(const char *a, const char *b)
{
	return (strlen(a) < strlen(b)) - (strlen(a) > strlen(b));
}

/* Compare what follows the @ of mail addresses, then the lines. */
static int by_domain(const char *a, const char *b)
{
	const char *x = strchr(a, '@') ?: "~", *y = strchr(b, '@') ?: "~";

	return strcasecmp(x, y) ?: strcasecmp(a, b);
}

static const struct closure closures[] = {
	{ "length, longest first", compare, by_length, 0 },
	{ "text, ignoring case", compare, strcasecmp, 0 },
	{ "domain of the mail address", compare, by_domain, 0 },
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Map a page of slots.  Trampoline i is at the returned address + i * STRIDE. */
static char *map_trampolines(struct trampfd_create_args *args)
{
	int fd = syscall(__NR_trampfd_create, args, sizeof(*args));
	size_t size = sysconf(_SC_PAGESIZE);
	char *code, *table;

	if (fd < 0)
		die("trampfd_create");
	code = mmap(NULL, args->table_offset + size, PROT_READ | PROT_EXEC, MAP_PRIVATE,
		    fd, 0);
	if (code == MAP_FAILED)
		die("mmap of code");
	table = mmap(code + args->table_offset, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_FIXED, fd, args->table_offset);
	if (table == MAP_FAILED)
		die("mmap of table");
	return code;
}

int main(int argc, char *argv[])
{
	struct trampfd_create_args args = {
		.mode = TRAMPFD_MODE_SLOT, .data_reg = DATA_REG, .stride = STRIDE,
	};
	static char *text[1 << 16];
	size_t i, size, line, lines = 0;
	FILE *file;
	char *code;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\nSorts the lines of FILE.\n", argv[0]);
		return 2;
	}
	file = fopen(argv[1], "r");
	if (!file)
		die(argv[1]);
	while (lines < 1 << 16 && getline(&text[lines], &size, file) > 0)
		lines += !!strtok(text[lines], "\n");

	code = map_trampolines(&args);
	for (i = 0; i < sizeof(closures) / sizeof(*closures); i++) {
		char *trampoline = code + i * STRIDE;
		struct closure *closure = (void *)(trampoline + args.table_offset);

		*closure = closures[i];
		qsort(text, lines, sizeof(*text), (void *)trampoline);
		printf("    by %s: closure at %p, called %lu times\n", closure->name,
		       trampoline, closure->calls);
		for (line = 0; line < 3 && line < lines; line++)
			printf("        %.66s\n", text[line]);
	}
	return 0;
}
