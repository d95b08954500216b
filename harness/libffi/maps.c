// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into each program of the test suite.  When the program ends, this writes to the
 * file $MAPS the number of mappings, and each mapping that is both writable and executable,
 * or is a writable mapping of memory that is executable elsewhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MAPPINGS 512

struct mapping {
	char line[512];
	char perms[5];
	char file[64];	/* device and inode */
};

static struct mapping maps[MAX_MAPPINGS];

static int read_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char device[32];
	unsigned long inode;
	int n = 0;

	if (!f)
		abort();
	while (n < MAX_MAPPINGS && fgets(maps[n].line, sizeof(maps[n].line), f)) {
		if (sscanf(maps[n].line, "%*s %4s %*s %31s %lu",
			   maps[n].perms, device, &inode) != 3)
			abort();
		/* Anonymous memory has no other mapping. */
		if (inode)
			snprintf(maps[n].file, sizeof(maps[n].file), "%s %lu", device, inode);
		n++;
	}
	if (n == MAX_MAPPINGS)
		abort();
	fclose(f);
	return n;
}

static int is_executable_elsewhere(const struct mapping *m, int n)
{
	for (int i = 0; i < n; i++)
		if (maps[i].perms[2] == 'x' && !strcmp(maps[i].file, m->file))
			return 1;
	return 0;
}

/* Writes to a private mapping of a file do not reach other mappings. */
static int is_forbidden(const struct mapping *m, int n)
{
	if (m->perms[1] != 'w')
		return 0;
	if (m->perms[2] == 'x')
		return 1;
	return m->perms[3] == 's' && *m->file && is_executable_elsewhere(m, n);
}

static void __attribute__((destructor)) look(void)
{
	FILE *f = fopen(getenv("MAPS"), "w");
	int n = read_maps();

	if (!f)
		abort();
	fprintf(f, "%d mappings\n", n);
	for (int i = 0; i < n; i++)
		if (is_forbidden(&maps[i], n))
			fputs(maps[i].line, f);
	fclose(f);
}
