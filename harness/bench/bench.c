// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark, in a guest whose clock counts instructions: instructions, page faults,
 * mappings and memory of each method. Prints lines
 *	METHOD <tab> TRAMPOLINES <tab> WHAT <tab> NUMBER
 * where WHAT contains "each" if it is per trampoline, or
 *	METHOD <tab> TRAMPOLINES <tab> stops <tab> NUMBER (WHY)
 * if a method cannot make more.
 *	bench NUMBER...             measure each method with NUMBER trampolines
 *	bench --only NAME NUMBER... measure one method
 *	bench --start NAME          make and call one trampoline of a method
 * Each measurement has a process of its own, and measurements of memory a cgroup, without
 * huge pages.
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
#define SANDBOX		"/sandbox"	/* optional */
#define PROCESSES	100
#define PROCESS_NR	1000

/* The maximum for methods that make system calls for each trampoline */
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

/* The number of lines of a file, or the sum of the numbers after @word */
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

/* Memory of a cgroup, in bytes */
struct memory {
	double anonymous, shared, tables, slab, charged;
};

static struct memory memory_now(const char *group)
{
	struct memory m;
	char path[64];

	/* The kernel updates memory.stat every 2 s (FLUSH_TIME of mm/memcontrol.c). */
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

/* Allocate memory with all its pages, before the measurement. */
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

/* Check that trampoline i has the data @data + i * @step. */
static void check(const struct method *method, size_t n, void *data, size_t step)
{
	size_t i;

	if (!method->set && !method->free)
		return;		/* a plain function pointer has no data */
	for (i = 0; i < n; i += n / 100 + 1) {
		t[i]();
		if (seen != (char *)data + i * step) {
			printf("%s: trampoline %zu of %zu is wrong\n", method->name, i, n);
			exit(1);
		}
	}
}

/* The minimum of several loops over all trampolines */
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

/* Write to all memory, so that no page is shared with the parent. */
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
 * Map memory next to the following mappings, as other mappings of a real process would
 * be.  @i determines the position in the page table.
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

/* Measure PROCESSES processes that exist at the same time. */
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

/* Measure the difference from processes that make no trampolines. */
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

/* Execute this program with --start.  Return its exit status. */
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

/* The minimum of several runs: RCU and the timer interrupt some. */
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
	/* Another process has made what processes share. */
	if (method->create(&one, &closure, 1) == 1)
		print(method, 1, "more at start beside another, instructions",
		      run_self(method->name) - none);
}

/* Return the exit status: 1 if no trampoline could be made. */
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

static void measure_mdwe(const struct method *method)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		die("PR_SET_MDWE");
	print_refused(method, "under PR_SET_MDWE", start(method->name));
}

/* In harness/guest/sandbox.c, without a file system that is writable and executable */
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

/* Return 0, or -1 if the kernel does not have the file. */
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

/* Return whether folios are as the method needs them. */
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

	self = argv[0];
	/* The sandbox adds arguments before this one. */
	if (argc > 2 && !strcmp(argv[argc - 2], "--start"))
		return start(argv[argc - 1]);
	if (argc > 2 && !strcmp(argv[1], "--only")) {
		only = argv[2];
		first = 3;
	}
	cgroups_mount();
	/* Whether a mapping has huge pages would depend on its address. */
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
