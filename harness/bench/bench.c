// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark, in a guest in which the clock counts instructions: what peers cost
 * in instructions, page faults, mappings and memory. Prints lines
 *	PEER <tab> TRAMPOLINES <tab> WHAT <tab> NUMBER
 * where a WHAT with "each" is per trampoline, or
 *	PEER <tab> TRAMPOLINES <tab> stops <tab> NUMBER (WHY)
 * for a peer that can make no more.
 *	bench NUMBER...             each peer with so many trampolines
 *	bench --only NAME NUMBER... one of them
 *	bench --start NAME          make a trampoline of that peer, call it and end
 * Each measurement is in a process and a cgroup of its own.
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
#define FOLIOS		"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"
#define PROCESSES	100
#define PROCESS_NR	1000

/* As many as peers take that need system calls for each */
#define NR_SLOW		100000

static const char *self;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void print(const struct peer *peer, size_t n, const char *what, double number)
{
	printf("%s\t%zu\t%s\t%.2f\n", peer->name, n, what, number);
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

/* What a process, or all in its cgroup, has of the machine, in bytes */
struct state {
	double vmas, anonymous, shared, tables, slab, charged, file;
	unsigned long faults, calls;
};

static struct state state_now(const char *group)
{
	struct rusage usage;
	struct state s = { .calls = mapping_calls };
	char path[64];

	getrusage(RUSAGE_SELF, &usage);
	s.faults = usage.ru_minflt;
	s.vmas = sum("/proc/self/maps", NULL);
	s.file = sum("/proc/self/status", "RssFile:") * 1024;
	snprintf(path, sizeof(path), "%s/memory.stat", group);
	s.anonymous = sum(path, "anon ");
	s.shared = sum(path, "shmem ");
	s.tables = sum(path, "pagetables ");
	s.slab = sum(path, "slab ");
	s.charged = s.anonymous + sum(path, "file ") + sum(path, "kernel ");
	return s;
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
static void check(const struct peer *peer, size_t n, void *data, size_t step)
{
	size_t i;

	if (!peer->set && !peer->free)
		return;		/* a function pointer carries none */
	for (i = 0; i < n; i += n / 100 + 1) {
		t[i]();
		if (seen != (char *)data + i * step) {
			printf("%s: trampoline %zu of %zu is wrong\n", peer->name, i, n);
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

static void print_memory(const struct peer *peer, size_t n, struct state before, struct state now)
{
	print(peer, n, "anonymous bytes each", (now.anonymous - before.anonymous) / n);
	print(peer, n, "shared memory bytes each", (now.shared - before.shared) / n);
	print(peer, n, "page table bytes each", (now.tables - before.tables) / n);
	print(peer, n, "slab bytes each", (now.slab - before.slab) / n);
	print(peer, n, "charged bytes each", (now.charged - before.charged) / n);
	print(peer, n, "file pages mapped", (now.file - before.file) / getpagesize());
	print(peer, n, "VMAs", now.vmas - before.vmas);
}

static void measure(const struct peer *peer, size_t n)
{
	const char *group = cgroup_make();
	struct state before, now;
	double fork_before, start;
	size_t i, made, some;

	cgroup_enter(group);
	prepare(n);
	mapping_calls = 0;
	fork_cost();
	fork_before = fork_cost();
	for (i = 0; i < n; i++) {
		t[i] = NULL;
		handle[i] = NULL;	/* shared with the child until written to */
	}
	peers_prepare();
	before = state_now(group);

	start = instructions();
	made = peer->create(t, handle, n);
	start = instructions() - start;
	if (made < n) {
		printf("%s\t%zu\tstops\t%zu (%s)\n", peer->name, n, made, strerror(errno));
		return;
	}
	now = state_now(group);
	print(peer, n, "create instructions each", start / n);
	print(peer, n, "create faults", now.faults - before.faults);
	print(peer, n, "create mapping calls", now.calls - before.calls);

	before.faults = now.faults;
	start = instructions();
	call(n);
	print(peer, n, "first call instructions each", (instructions() - start) / n);
	now = state_now(group);
	print(peer, n, "first call faults", now.faults - before.faults);
	print_memory(peer, n, before, now);
	print(peer, n, "call instructions each", call_again(n) / n);
	check(peer, n, t, sizeof(*t));

	if (peer->set) {
		some = n < NR_SLOW ? n : NR_SLOW;
		start = instructions();
		peer->set(t, handle, some, (char *)handle);
		print(peer, n, "set instructions each", (instructions() - start) / some);
		check(peer, some, handle, 1);
	}
	fork_cost();
	print(peer, n, "fork instructions", fork_cost() - fork_before);

	start = instructions();
	if (peer->free) {
		for (i = 0; i < n; i++)
			peer->free(t[order[i]], handle[order[i]]);
		print(peer, n, "free instructions each", (instructions() - start) / n);
	} else {
		peer->release();
		print(peer, n, "release instructions each", (instructions() - start) / n);
	}
}

/* Each ends when all are there and have been looked at. */
static void measure_processes(const struct peer *peer)
{
	const char *group = cgroup_make();
	int back[2], go[2], i, turn;
	struct state before = { 0 }, now;
	char c = 0;

	cgroup_enter(group);
	prepare(PROCESS_NR);
	/* First as many that make none */
	for (turn = 0; turn < 2; turn++) {
		if (pipe(back) || pipe(go))
			die("pipe");
		for (i = 0; i < PROCESSES; i++) {
			if (fork())
				continue;
			close(go[1]);
			peers_prepare();
			memset(t, 0, PROCESS_NR * sizeof(*t));
			memset(handle, 0, PROCESS_NR * sizeof(*handle));
			if (turn && peer->create(t, handle, PROCESS_NR) != PROCESS_NR)
				die(peer->name);
			if (turn)
				call(PROCESS_NR);
			if (write(back[1], &c, 1) != 1)
				die("write");
			_exit(read(go[0], &c, 1) != 0);
		}
		for (i = 0; i < PROCESSES; i++)
			if (read(back[0], &c, 1) != 1)
				die("read");
		now = state_now(group);
		if (!turn)
			before = now;
		close(go[1]);
		while (wait(NULL) > 0)
			;
	}
	print(peer, PROCESSES * PROCESS_NR, "of 100 processes, charged bytes each",
	      (now.charged - before.charged) / PROCESSES / PROCESS_NR);
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

static void measure_start(const struct peer *peer)
{
	double none = run_self("");

	print(peer, 1, "more at start, instructions", run_self(peer->name) - none);
}

/* Exit status 1: it could not be made */
static int start(const char *name)
{
	trampoline_t *one;
	void *closure;
	size_t i;

	for (i = 0; peers[i]; i++) {
		if (strcmp(peers[i]->name, name))
			continue;
		if (peers[i]->create(&one, &closure, 1) != 1)
			return 1;
		one();
	}
	return 0;
}

static void print_refused(const struct peer *peer, const char *where, int status)
{
	printf("%s\t1\t%s\t%s\n", peer->name, where,
	       status == 0 ? "works" : status == 1 ? "refused" : "fails");
}

/* In a process that may not make memory executable that was writable */
static void measure_mdwe(const struct peer *peer)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		die("PR_SET_MDWE");
	print_refused(peer, "under PR_SET_MDWE", start(peer->name));
}

/*
 * In harness/guest/sandbox.c, with no file system that is both writable and executable:
 * what is left of systemd's MemoryDenyWriteExecute=, SystemCallFilter=~memfd_create
 * and NoExecPaths= once a service is started
 */
static void measure_sandbox(const struct peer *peer)
{
	static const char *const places[] = { "/tmp", "/dev/shm", "/dev" };
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (mount(NULL, places[i], NULL, MS_REMOUNT | MS_NOEXEC, NULL))
			die(places[i]);
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL))
		die("/");
	print_refused(peer, "in the sandbox", run_start("/sandbox", peer->name));
}

/* Whether it can be had, or is not asked for */
static int set_folios(const struct peer *peer)
{
	const char *word = peer->folios ? "always" : "never";
	int fd = open(FOLIOS, O_WRONLY);

	if (fd < 0)
		return !peer->folios;
	if (write(fd, word, strlen(word)) != (ssize_t)strlen(word))
		die(FOLIOS);
	close(fd);
	return 1;
}

static void in_a_process(void (*function)(const struct peer *peer, size_t n),
			 const struct peer *peer, size_t n)
{
	int status;

	if (!set_folios(peer))
		return;
	fflush(stdout);
	if (!fork()) {
		function(peer, n);
		exit(0);
	}
	if (wait(&status) < 0)
		die("wait");
	if (status)
		printf("%s\t%zu\tfails\t%#x\n", peer->name, n, status);
}

static void measure_more(const struct peer *peer, size_t what)
{
	switch (what) {
	case 0:
		measure_start(peer);
		break;
	case 1:
		measure_processes(peer);
		break;
	case 2:
		measure_mdwe(peer);
		break;
	case 3:
		measure_sandbox(peer);
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
	for (i = 0; peers[i]; i++) {
		if (only && strcmp(peers[i]->name, only))
			continue;
		for (what = 0; what < 3; what++)
			in_a_process(measure_more, peers[i], what);
		for (arg = first; arg < argc; arg++) {
			n = strtoul(argv[arg], NULL, 0);
			if (n <= NR_SLOW || !peers[i]->slow)
				in_a_process(measure, peers[i], n);
		}
	}
	for (i = 0; peers[i]; i++)
		if (!only || !strcmp(peers[i]->name, only))
			in_a_process(measure_more, peers[i], 3);
	return 0;
}
