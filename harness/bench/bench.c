// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark, in a guest in which the clock counts instructions: what methods cost
 * in instructions, page faults, mappings and memory. Prints lines
 *	METHOD <tab> TRAMPOLINES <tab> WHAT <tab> NUMBER
 * where a WHAT with "each" is per trampoline, or
 *	METHOD <tab> TRAMPOLINES <tab> stops <tab> NUMBER (WHY)
 * for a method that can make no more.
 *	bench NUMBER...             each method with so many trampolines
 *	bench --only NAME NUMBER... one of them
 *	bench --start NAME          make a trampoline of that method, call it and end
 * Each measurement is in a process, and of memory in a cgroup, of its own, without huge
 * pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "bench.h"

#define CGROUPS		"/tmp/cgroup"
#define HUGE_PAGES	"/sys/kernel/mm/transparent_hugepage/enabled"
#define FOLIOS		"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"
#define SANDBOX		"/sandbox"	/* not of all guests */
#define PROCESSES	100
#define PROCESS_NR	1000

/* As many as methods take that need system calls for each */
#define NR_SLOW		100000

static const char *self;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void print(const struct method *method, size_t n, const char *what, double number)
{
	printf("%s\t%zu\t%s\t%.2f\n", method->name, n, what, number);
	fflush(stdout);
}

/* The lines of a file, or the sum of the numbers after a word */
static double sum(const char *path, const char *word)
{
	FILE *f = fopen(path, "r");
	char line[512];
	double total = 0;

	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f)) {
		if (!word)
			total++;
		else if (!strncmp(line, word, strlen(word)))
			total += atof(line + strlen(word));
	}
	fclose(f);
	return total;
}

static unsigned long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* What all in a cgroup have of the machine's memory, in bytes */
struct memory {
	double anonymous, shared, tables, slab, charged;
};

static struct memory memory_now(const char *group)
{
	struct memory m;
	char path[64];

	/* The kernel brings memory.stat up to date every 2 s (FLUSH_TIME of mm/memcontrol.c). */
	sleep(5);
	snprintf(path, sizeof(path), "%s/memory.stat", group);
	m.anonymous = sum(path, "anon ");
	m.shared = sum(path, "shmem ");
	m.tables = sum(path, "pagetables ");
	m.slab = sum(path, "slab ");
	m.charged = m.anonymous + sum(path, "file ") + sum(path, "kernel ");
	return m;
}

static const char *cgroup_make(void)
{
	static char group[] = CGROUPS "/XXXXXX";

	if (!mkdtemp(group))
		die(group);
	return group;
}

static void cgroup_enter(const char *group)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

static void cgroups_mount(void)
{
	int fd;

	mkdir(CGROUPS, 0755);
	if (mount("cgroup2", CGROUPS, "cgroup2", 0, NULL))
		die(CGROUPS);
	fd = open(CGROUPS "/cgroup.subtree_control", O_WRONLY);
	if (fd < 0 || write(fd, "+memory", 7) != 7)
		die("memory controller");
	close(fd);
}

/* Memory that is there before anything is measured */
static void *array(size_t n, size_t size)
{
	void *p = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static trampoline_t **t;
static void **handle;
static unsigned int *order;

static void prepare(size_t n)
{
	size_t i, j;
	unsigned int swap;

	t = array(n, sizeof(*t));
	handle = array(n, sizeof(*handle));
	order = array(n, sizeof(*order));
	srandom(1);
	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n - 1; i > 0; i--) {
		j = random() % (i + 1);
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
}

static void call(size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		t[i]();
}

/* That trampoline i has the data @data + i * @step */
static void check(const struct method *method, size_t n, void *data, size_t step)
{
	size_t i;

	if (!method->set && !method->free)
		return;		/* a function pointer carries none */
	for (i = 0; i < n; i += n / 100 + 1) {
		t[i]();
		if (seen != (char *)data + i * step) {
			printf("%s: trampoline %zu of %zu is wrong\n", method->name, i, n);
			exit(1);
		}
	}
}

/* What calling costs by itself: of a function that returns, by the same loop */
static double call_again(size_t n)
{
	unsigned long long start, best = ~0ULL;
	int i;

	for (i = 0; i < 3; i++) {
		start = instructions();
		call(n);
		start = instructions() - start;
		if (start < best)
			best = start;
	}
	return (double)best;
}

static double fork_cost(void)
{
	unsigned long long start = instructions();
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	return instructions() - start;
}

/* All of it is there, and no page is shared with a parent, before anything is measured. */
static void clear(size_t n)
{
	memset(t, 0, n * sizeof(*t));
	memset(handle, 0, n * sizeof(*handle));
	methods_prepare();
}

static void print_memory(const struct method *method, size_t n, const char *of,
			 struct memory before, struct memory now)
{
	const struct {
		const char *what;
		double bytes;
	} rows[] = {
		{ "anonymous", now.anonymous - before.anonymous },
		{ "shared memory", now.shared - before.shared },
		{ "page table", now.tables - before.tables },
		{ "slab", now.slab - before.slab },
		{ "charged", now.charged - before.charged },
	};
	char what[64];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(what, sizeof(what), "%s%s bytes each", of, rows[i].what);
		print(method, n, what, rows[i].bytes / n);
	}
}

static void measure_memory(const struct method *method, size_t n)
{
	const char *group = cgroup_make();
	struct memory before;
	double vmas, file;

	cgroup_enter(group);
	prepare(n);
	clear(n);
	vmas = sum("/proc/self/maps", NULL);
	file = sum("/proc/self/status", "RssFile:");
	before = memory_now(group);
	if (method->create(t, handle, n) < n)
		return;
	call(n);
	print_memory(method, n, "", before, memory_now(group));
	file = sum("/proc/self/status", "RssFile:") - file;
	print(method, n, "file pages mapped", file * 1024 / getpagesize());
	print(method, n, "VMAs", sum("/proc/self/maps", NULL) - vmas);
}

static void measure(const struct method *method, size_t n)
{
	double fork_before, start;
	unsigned long faults_before;
	size_t i, made, some;

	prepare(n);
	mapping_calls = 0;
	fork_cost();
	fork_before = fork_cost();
	clear(n);

	faults_before = faults();
	start = instructions();
	made = method->create(t, handle, n);
	start = instructions() - start;
	if (made < n) {
		printf("%s\t%zu\tstops\t%zu (%s)\n", method->name, n, made, strerror(errno));
		return;
	}
	print(method, n, "create instructions each", start / n);
	print(method, n, "create faults", faults() - faults_before);
	print(method, n, "create mapping calls", mapping_calls);

	faults_before = faults();
	start = instructions();
	call(n);
	start = instructions() - start;
	print(method, n, "first call instructions each", start / n);
	print(method, n, "first call faults", faults() - faults_before);
	print(method, n, "call instructions each", call_again(n) / n);
	check(method, n, t, sizeof(*t));

	if (method->set) {
		some = n < NR_SLOW ? n : NR_SLOW;
		start = instructions();
		method->set(t, handle, some, (char *)handle);
		print(method, n, "set instructions each", (instructions() - start) / some);
		check(method, some, handle, 1);
	}
	fork_cost();
	print(method, n, "fork instructions", fork_cost() - fork_before);

	start = instructions();
	if (method->free) {
		for (i = 0; i < n; i++)
			method->free(t[order[i]], handle[order[i]]);
		print(method, n, "free instructions each", (instructions() - start) / n);
	} else {
		method->release();
		print(method, n, "release instructions each", (instructions() - start) / n);
	}
}

/*
 * Memory that a process of any kind has just above the next mapping, at a place in a
 * page table that is another for each @i.
 */
static void map_neighbour(int i)
{
	size_t page = getpagesize(), window = page * page / sizeof(void *);
	char *p;

	if (mmap(NULL, window / PROCESSES * i + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0) == MAP_FAILED)
		die("mmap");
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	*p = 1;
}

/* Each ends when all are there and have been looked at. */
static struct memory memory_of_processes(const struct method *method, const char *group)
{
	int back[2], go[2], i;
	struct memory m;
	char c = 0;

	if (pipe(back) || pipe(go))
		die("pipe");
	for (i = 0; i < PROCESSES; i++) {
		if (fork())
			continue;
		close(go[1]);
		clear(PROCESS_NR);
		map_neighbour(i);
		if (method && method->create(t, handle, PROCESS_NR) != PROCESS_NR)
			die(method->name);
		if (method)
			call(PROCESS_NR);
		if (write(back[1], &c, 1) != 1)
			die("write");
		_exit(read(go[0], &c, 1) != 0);
	}
	for (i = 0; i < PROCESSES; i++)
		if (read(back[0], &c, 1) != 1)
			die("read");
	m = memory_now(group);
	close(go[1]);
	while (wait(NULL) > 0)
		;
	close(go[0]);
	close(back[0]);
	close(back[1]);
	return m;
}

/* More than of as many that make none */
static void measure_processes(const struct method *method)
{
	const char *group = cgroup_make();
	struct memory before;

	cgroup_enter(group);
	prepare(PROCESS_NR);
	before = memory_of_processes(NULL, group);
	print_memory(method, PROCESSES * PROCESS_NR, "of 100 processes, ", before,
		     memory_of_processes(method, group));
}

/* Run this program to make one; its exit status */
static int run_start(const char *program, const char *name)
{
	pid_t pid = vfork();
	int status;

	if (!pid) {
		execl(program, program, self, "--start", name, NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid)
		die(name);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The least of some: RCU and the timer take their turns in between. */
static double run_self(const char *name)
{
	unsigned long long start, best = ~0ULL;
	int i;

	for (i = 0; i < 20; i++) {
		start = instructions();
		if (run_start(self, name))
			die(name);
		start = instructions() - start;
		if (start < best)
			best = start;
	}
	return (double)best;
}

static void measure_start(const struct method *method)
{
	double none = run_self("");
	trampoline_t *one;
	void *closure;

	print(method, 1, "more at start, instructions", run_self(method->name) - none);
	/* What they share is there. */
	if (method->create(&one, &closure, 1) == 1)
		print(method, 1, "more at start beside another, instructions",
		      run_self(method->name) - none);
}

/* Exit status 1: it could not be made */
static int start(const char *name)
{
	trampoline_t *one;
	void *closure;
	size_t i;

	for (i = 0; methods[i]; i++) {
		if (strcmp(methods[i]->name, name))
			continue;
		if (methods[i]->create(&one, &closure, 1) != 1)
			return 1;
		one();
	}
	return 0;
}

static void print_refused(const struct method *method, const char *where, int status)
{
	printf("%s\t1\t%s\t%s\n", method->name, where,
	       status == 0 ? "works" : status == 1 ? "refused" : "fails");
}

/* In a process that may not make memory executable that was writable */
static void measure_mdwe(const struct method *method)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		die("PR_SET_MDWE");
	print_refused(method, "under PR_SET_MDWE", start(method->name));
}

/*
 * In harness/guest/sandbox.c, with no file system that is both writable and executable:
 * what is left of systemd's MemoryDenyWriteExecute=, SystemCallFilter=~memfd_create
 * and NoExecPaths= once a service is started
 */
static void measure_sandbox(const struct method *method)
{
	static const char *const places[] = { "/tmp", "/dev/shm", "/dev" };
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (mount(NULL, places[i], NULL, MS_REMOUNT | MS_NOEXEC, NULL))
			die(places[i]);
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL))
		die("/");
	print_refused(method, "in the sandbox", run_start(SANDBOX, method->name));
}

/* 0, or -1 if the kernel does not have the file */
static int write_file(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return -1;
	if (write(fd, word, strlen(word)) != (ssize_t)strlen(word))
		die(path);
	close(fd);
	return 0;
}

/* Whether it can be had, or is not asked for */
static int set_folios(const struct method *method)
{
	return !write_file(FOLIOS, method->folios ? "always" : "never") || !method->folios;
}

static void in_a_process(void (*function)(const struct method *method, size_t n),
			 const struct method *method, size_t n)
{
	int status;

	if (!set_folios(method))
		return;
	fflush(stdout);
	if (!fork()) {
		function(method, n);
		exit(0);
	}
	if (wait(&status) < 0)
		die("wait");
	if (status)
		printf("%s\t%zu\tfails\t%#x\n", method->name, n, status);
}

static void measure_more(const struct method *method, size_t what)
{
	switch (what) {
	case 0:
		measure_start(method);
		break;
	case 1:
		measure_processes(method);
		break;
	case 2:
		measure_mdwe(method);
		break;
	case 3:
		measure_sandbox(method);
		break;
	}
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	size_t i, n, what;
	int arg, first = 1;

	/* By itself and by the sandbox */
	self = argv[0];
	if (argc > 2 && !strcmp(argv[argc - 2], "--start"))
		return start(argv[argc - 1]);
	if (argc > 2 && !strcmp(argv[1], "--only")) {
		only = argv[2];
		first = 3;
	}
	cgroups_mount();
	/* Where a mapping has a huge page depends on where it lies. */
	write_file(HUGE_PAGES, "never");
	for (i = 0; methods[i]; i++) {
		if (only && strcmp(methods[i]->name, only))
			continue;
		for (what = 0; what < 3; what++)
			in_a_process(measure_more, methods[i], what);
		for (arg = first; arg < argc; arg++) {
			n = strtoul(argv[arg], NULL, 0);
			if (n > NR_SLOW && methods[i]->slow)
				continue;
			in_a_process(measure, methods[i], n);
			in_a_process(measure_memory, methods[i], n);
		}
	}
	for (i = 0; methods[i] && !access(SANDBOX, X_OK); i++)
		if (!only || !strcmp(methods[i]->name, only))
			in_a_process(measure_more, methods[i], 3);
	return 0;
}
