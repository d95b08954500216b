// SPDX-License-Identifier: GPL-2.0
/*
 * The demonstration: runs samples/trampfd/closures.c, whose main() is linked as
 * sample(), in a process that sandbox.c has forbidden to create executable memory, and
 * shows what the kernel says of its memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

#define TRAMPOLINE_BYTES	32	/* the stride of the sample */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static FILE *open_file(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		die(path);
	return file;
}

static void report(const char *what, bool worked)
{
	if (worked)
		printf("    %-51s works\n", what);
	else
		printf("    %-51s %s: %s\n", what, strerrorname_np(errno),
		       strerror(errno));
}

static void try_usual_ways(void)
{
	void *p;

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	report("memory that is both writable and executable (mmap)", p != MAP_FAILED);

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	report("memory written, then made executable (mprotect)",
	       !mprotect(p, 4096, PROT_READ | PROT_EXEC));

	report("a file mapped twice, rw- and r-x (memfd_create)",
	       syscall(SYS_memfd_create, "code", 0) >= 0);
}

/* The number of lines that are not empty */
static unsigned int lines_of(const char *path)
{
	FILE *file = open_file(path);
	unsigned int lines = 0;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, file) > 0)
		lines += *line != '\n';
	free(line);
	fclose(file);
	return lines;
}

static void show_maps(void)
{
	unsigned int both = 0, lines = 0;
	FILE *file = open_file("/proc/self/maps");
	char line[512], prot[5];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %4s", prot) != 1)
			continue;
		lines++;
		both += prot[1] == 'w' && prot[2] == 'x';
		if (strstr(line, "[trampfd]"))
			printf("    %s", line);
	}
	fclose(file);
	printf("    mappings: %u, writable and executable at once: %u\n", lines, both);
}

/* The file of trampolines that the sample left open */
static int trampfd_of_sample(void)
{
	char path[64], target[64];
	int fd;

	for (fd = 3; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		memset(target, 0, sizeof(target));
		if (readlink(path, target, sizeof(target) - 1) > 0 &&
		    !strcmp(target, "anon_inode:[trampfd]"))
			return fd;
	}
	return -1;
}

/* demo.sh disassembles them. */
static void show_bytes(void)
{
	unsigned char bytes[TRAMPOLINE_BYTES];
	unsigned int i;

	if (pread(trampfd_of_sample(), bytes, sizeof(bytes), 0) != sizeof(bytes))
		die("pread");
	printf("    bytes:");
	for (i = 0; i < sizeof(bytes); i++)
		printf(" %02x", bytes[i]);
	printf("\n");
}

/*
 * Print Rss and Pss of the code.  Rss counts its page for each address where it is
 * mapped; Pss divides this by the number of mappings in all processes.
 */
static void show_sharing(const char *who)
{
	FILE *file = open_file("/proc/self/smaps");
	unsigned long rss = 0, pss = 0;
	char line[512], prot[5];
	bool code = false;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*x-%*x %4s", prot) == 1)
			code = strstr(line, "[trampfd]") && prot[2] == 'x';
		if (code)
			(void)(sscanf(line, "Rss: %lu", &rss) ||
			       sscanf(line, "Pss: %lu", &pss));
	}
	fclose(file);
	printf("    %-40s code mapped: %lu kB, share of memory: %lu kB\n",
	       who, rss, pss);
}

/*
 * Start another process, which runs the sample on a small file when told to, and ends
 * when the pipe is closed.
 */
static pid_t start_other(int go[2], int done[2])
{
	char *args[3] = { "sample", "/proc/self/maps" }, byte;
	pid_t pid;

	if (pipe(go) || pipe(done))
		die("pipe");
	pid = fork();
	if (pid)
		return pid;

	close(go[1]);
	if (read(go[0], &byte, 1) != 1 || !freopen("/dev/null", "w", stdout) ||
	    sample(2, args) || write(done[1], "", 1) != 1)
		exit(1);
	exit(read(go[0], &byte, 1) < 0);
}

int main(int argc, char *argv[])
{
	int go[2], done[2];
	pid_t pid;
	char byte;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);

	printf("\n1. A callback that carries a context (a closure) needs a few instructions of\n"
	       "   its own, made at run time. In a hardened sandbox the usual ways fail:\n\n");
	try_usual_ways();
	pid = start_other(go, done);

	printf("\n2. trampfd: the kernel makes the instructions, the program fills a table\n"
	       "   (samples/trampfd/closures.c).\n");

	printf("\n3. %u lines of %s, sorted by plain qsort() through closures:\n\n",
	       lines_of(argv[1]), argv[1]);
	if (sample(argc, argv))
		return 1;

	printf("\n4. The process has no memory that is both writable and executable. Code is\n"
	       "   r-x and can never become writable, the table is rw- and never executable:\n\n");
	show_maps();

	printf("\n5. Trampoline 0, as read(2) of the file returns it:\n\n");
	show_bytes();

	printf("\n6. Each process has a table of its own; all share one page of code:\n\n");
	show_sharing("one process");
	if (write(go[1], "", 1) != 1 || read(done[0], &byte, 1) != 1)
		die("other process");
	show_sharing("after another made its own closures");
	close(go[1]);
	waitpid(pid, NULL, 0);
	printf("\n");
	return 0;
}
