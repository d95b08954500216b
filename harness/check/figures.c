// SPDX-License-Identifier: GPL-2.0
/*
 * Measures memory and mappings of trampolines of mode SLOT with the minimum stride, in a
 * guest.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/trampfd.h>

#define PROCESSES	100

struct instance {
	struct trampfd_create_args args;
	unsigned int nr;
	size_t size;	/* of the code, and of the table, that are mapped */
	char *code, *table;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Map @nr trampolines, rounded up to whole pages; 0: all of a file. */
static void open_instance(struct instance *in, unsigned int nr)
{
	const size_t page = getpagesize();
	int fd;

	in->args = (struct trampfd_create_args){ .mode = TRAMPFD_MODE_SLOT };
	fd = syscall(__NR_trampfd_create, &in->args, sizeof(in->args));
	if (fd < 0)
		die("trampfd_create");
	in->size = in->args.table_size;
	if (nr)
		in->size = (nr * in->args.stride + page - 1) & -page;
	in->nr = in->size / in->args.stride;
	in->code = mmap(NULL, in->args.table_offset + in->size,
			PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	in->table = mmap(in->code + in->args.table_offset, in->size,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
			 in->args.table_offset);
	if (in->code == MAP_FAILED || in->table == MAP_FAILED)
		die("mmap");
	close(fd);
}

static void target(void)
{
}

/* Fill every slot and call every trampoline. */
static void use(struct instance *in)
{
	unsigned int i;

	for (i = 0; i < in->nr; i++) {
		uintptr_t *slot = (void *)(in->table + i * in->args.stride);

		slot[1] = (uintptr_t)target;
		((void (*)(void))(in->code + i * in->args.stride))();
	}
}

/* The sum of a field over the lines of a file of /proc, in kB or lines. */
static long sum(const char *path, const char *field)
{
	FILE *f = fopen(path, "r");
	char line[512];
	long total = 0;

	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f)) {
		if (!field)
			total++;
		else if (!strncmp(line, field, strlen(field)))
			total += atol(line + strlen(field));
	}
	fclose(f);
	return total;
}

struct cost {
	long anonymous, file, tables, vmas;
};

static struct cost cost_now(void)
{
	return (struct cost){
		.anonymous = sum("/proc/self/status", "RssAnon:"),
		.file = sum("/proc/self/status", "RssFile:"),
		.tables = sum("/proc/self/status", "VmPTE:"),
		.vmas = sum("/proc/self/maps", NULL),
	};
}

/* Make at least @nr trampolines, in as many instances as necessary. */
static void report(unsigned int nr)
{
	struct instance *in = calloc(nr / 4096 + 1, sizeof(*in));
	unsigned int all = 0, instances, i;
	struct cost before, after;

	before = cost_now();
	for (instances = 0; all < nr; instances++) {
		open_instance(&in[instances], 0);
		use(&in[instances]);
		all += in[instances].nr;
	}
	after = cost_now();
	printf("%9u trampolines in use; of each: %.2f bytes of table, %.2f of page tables\n"
	       "%9s for each %u: %.2f VMAs; %ld kB of code mapped in all, of one page\n",
	       all, (after.anonymous - before.anonymous) * 1024.0 / all,
	       (after.tables - before.tables) * 1024.0 / all,
	       "", in[0].nr, (double)(after.vmas - before.vmas) / instances,
	       after.file - before.file);
	for (i = 0; i < instances; i++)
		munmap(in[i].code, in[i].args.table_offset + in[i].size);
	free(in);
}

static unsigned long long frame(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned long long entry;

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)addr / getpagesize() * 8) != 8)
		die("pagemap");
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

	return (x > y) - (x < y);
}

/* Count the different page frames of code in many processes. */
static void report_sharing(unsigned int nr, int processes)
{
	size_t pages = 0, n = 0, distinct = 0, i;
	unsigned long long *frames, f;
	struct instance in;
	int go[2], back[2], p;

	if (pipe(go) || pipe(back))
		die("pipe");
	for (p = 0; p < processes; p++) {
		if (fork())
			continue;
		close(go[1]);
		open_instance(&in, nr);
		use(&in);
		for (i = 0; i < in.size; i += getpagesize()) {
			f = frame(in.code + i);
			if (write(back[1], &f, sizeof(f)) != sizeof(f))
				die("write");
		}
		/* Exist until all have reported. */
		_exit(read(go[0], &f, 1) != 0);
	}
	open_instance(&in, nr);
	pages = in.size / getpagesize();
	frames = calloc(pages * processes, sizeof(f));
	for (; n < pages * processes; n++)
		if (read(back[0], &frames[n], sizeof(f)) != sizeof(f))
			die("read");
	close(go[1]);
	while (wait(NULL) > 0)
		;
	qsort(frames, n, sizeof(f), compare);
	for (i = 0; i < n; i++)
		distinct += !i || frames[i] != frames[i - 1];
	printf("%9u trampolines in each of %d processes: %zu pages of code each, %zu in memory\n",
	       in.nr, processes, pages, distinct);
	free(frames);
}

int main(void)
{
	report(32768);
	report(1000000);
	report_sharing(1000, 1);
	report_sharing(1000, PROCESSES);
	report_sharing(32768, PROCESSES);
	return 0;
}
