// SPDX-License-Identifier: GPL-2.0
/*
 * What trampolines cost in memory and mappings, measured in the guest.
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
	char *code, *table;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void open_instance(struct instance *in, unsigned int nr)
{
	int fd;

	in->args = (struct trampfd_create_args){ .nr = nr };
	fd = syscall(__NR_trampfd_create, &in->args, sizeof(in->args));
	if (fd < 0)
		die("trampfd_create");
	in->code = mmap(NULL, in->args.table_offset + in->args.table_size,
			PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	in->table = mmap(in->code + in->args.table_offset, in->args.table_size,
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

	for (i = 0; i < in->args.nr; i++) {
		uintptr_t *slot = (void *)(in->table + i * in->args.table_stride);

		slot[1] = (uintptr_t)target;
		((void (*)(void))(in->code + i * in->args.code_stride))();
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

static void report(unsigned int nr)
{
	unsigned int instances = (nr + TRAMPFD_NR_MAX - 1) / TRAMPFD_NR_MAX;
	struct instance *in = calloc(instances, sizeof(*in));
	struct cost before, after;
	unsigned int i;

	before = cost_now();
	for (i = 0; i < instances; i++) {
		open_instance(&in[i], TRAMPFD_NR_MAX);
		use(&in[i]);
	}
	after = cost_now();
	nr = instances * TRAMPFD_NR_MAX;
	printf("%9u trampolines in use; of each: %.2f bytes of table, %.2f of page tables\n"
	       "%9s for each 32768: %.2f VMAs; %ld kB of code mapped in all, which is shared\n",
	       nr, (after.anonymous - before.anonymous) * 1024.0 / nr,
	       (after.tables - before.tables) * 1024.0 / nr,
	       "", (double)(after.vmas - before.vmas) / instances,
	       after.file - before.file);
	for (i = 0; i < instances; i++)
		munmap(in[i].code, in[i].args.table_offset + in[i].args.table_size);
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

/* How many different page frames of code many processes have. */
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
		for (i = 0; i < in.args.code_size; i += getpagesize()) {
			f = frame(in.code + i);
			if (write(back[1], &f, sizeof(f)) != sizeof(f))
				die("write");
		}
		/* Stay until all have told. */
		_exit(read(go[0], &f, 1) != 0);
	}
	open_instance(&in, nr);
	pages = in.args.code_size / getpagesize();
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
	       in.args.nr, processes, pages, distinct);
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
