// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the time of calls on this machine, whose kernel need not have trampfd: the page
 * of code was read in a guest (export.c), and is mapped here as the kernel maps it.
 *	native ROUNDS FILE...
 * Each round measures each method, so that other load on the machine affects all methods
 * equally.  Prints lines
 *	METHOD <tab> TRAMPOLINES <tab> ORDER <tab> MEDIAN <tab> QUARTILE <tab> QUARTILE <tab> LEAST
 * in nanoseconds of processor time for a call, including the loop and the called function.
 * If ORDER ends in "relative", the numbers are ratios to those of another method (struct
 * method, base) in the same round, and LEAST is the ratio of both minimums.
 * For 1, 2, 4 ... threads at the same time, up to the number of processors, prints lines
 *	METHOD <tab> THREADS <tab> "called by threads" or "made by threads" <tab> ...
 * in nanoseconds of elapsed time for a call of one of 1024 trampolines, or for making,
 * setting and freeing one, 16 in turn.  All other measurements use one processor.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/trampfd.h>

#include "bench.h"

#define NR		32768
#define CALLS		(4 * NR)	/* in one measurement */
#define MAX_ROUNDS	1000
#define MAX_WAYS	16
#define MAX_STEPS	11	/* 1, 2, 4 ... threads */
#define MAX_THREADS	(1 << (MAX_STEPS - 1))
#define NR_THREAD	1024
#define NR_MADE		16

static const int numbers[] = { 1, 16, 1024, 8192, NR };

#define NR_NUMBERS	(sizeof(numbers) / sizeof(*numbers))

/* Trampolines of a method in the order of their calls, and the measured times */
struct way {
	const struct method *method;
	const struct way *base;
	trampoline_t *in_order[NR], *shuffled[NR_NUMBERS][NR];
	float times[NR_NUMBERS][2][MAX_ROUNDS];
	float called[MAX_STEPS][MAX_ROUNDS], made[MAX_STEPS][MAX_ROUNDS];
};

static struct way *ways[MAX_WAYS];
static int nr_ways;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The files of the command line: each has the output of the system call and the code. */
static char *const *files;

static int is_asked_for(const struct trampfd_create_args *wanted,
			const struct trampfd_create_args *a)
{
	return a->mode == wanted->mode && (!wanted->stride || a->stride == wanted->stride);
}

/* Open the first file that matches.  Files of the minimum stride must come first. */
int trampfd_open(struct trampfd_create_args *a)
{
	struct trampfd_create_args answer;
	int i, fd;

	for (i = 0; files[i]; i++) {
		fd = open(files[i], O_RDONLY);
		if (fd < 0 || read(fd, &answer, sizeof(answer)) != sizeof(answer))
			die(files[i]);
		if (is_asked_for(a, &answer)) {
			*a = answer;
			return fd;
		}
		close(fd);
	}
	return -1;
}

/* Map the same page of code at every offset. */
char *trampfd_map(const struct trampfd_create_args *a, int fd, size_t size)
{
	static char page[65536];
	size_t page_size = getpagesize(), i;
	int code_fd = memfd_create("code", MFD_CLOEXEC);
	char *code;

	if (code_fd < 0 || pread(fd, page, page_size, sizeof(*a)) != (ssize_t)page_size ||
	    write(code_fd, page, page_size) != (ssize_t)page_size)
		return NULL;
	code = mmap(NULL, a->table_offset + size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		return NULL;
	for (i = 0; i < size; i += page_size)
		if (mmap(code + i, page_size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED,
			 code_fd, 0) == MAP_FAILED)
			return NULL;
	close(code_fd);
	return code;
}

static void shuffle(struct way *way)
{
	trampoline_t *swap;
	unsigned int n;
	int i, j;

	for (n = 0; n < NR_NUMBERS; n++) {
		memcpy(way->shuffled[n], way->in_order, sizeof(way->in_order));
		for (i = numbers[n] - 1; i > 0; i--) {
			j = random() % (i + 1);
			swap = way->shuffled[n][i];
			way->shuffled[n][i] = way->shuffled[n][j];
			way->shuffled[n][j] = swap;
		}
	}
}

static const struct way *find_way(const struct method *method)
{
	int i;

	for (i = 0; i < nr_ways; i++)
		if (ways[i]->method == method)
			return ways[i];
	return NULL;
}

static void add_way(const struct method *method)
{
	/* Not freed: some methods keep a pointer to it. */
	void **handle = calloc(NR, sizeof(*handle));
	struct way *way = calloc(1, sizeof(*way));

	if (nr_ways == MAX_WAYS)
		abort();
	way->method = method;
	way->base = find_way(method->base);
	if (method->create(way->in_order, handle, NR) != NR)
		die(method->name);
	ways[nr_ways++] = way;
}

static double nanoseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static double time_calls(trampoline_t **t, int n)
{
	double start;
	int i, j;

	/* Warm up the caches. */
	for (j = 0; j < n; j++)
		t[j]();
	start = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; i < CALLS / n; i++)
		for (j = 0; j < n; j++)
			t[j]();
	return (nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start) / CALLS;
}

struct thread {
	pthread_t id;
	double (*work)(struct way *way, pthread_barrier_t *barrier);
	struct way *way;
	pthread_barrier_t *barrier;
	double time;
};

static double call_in_thread(struct way *way, pthread_barrier_t *barrier)
{
	double start;
	int i, j;

	pthread_barrier_wait(barrier);
	start = nanoseconds(CLOCK_MONOTONIC);
	for (i = 0; i < CALLS / NR_THREAD; i++)
		for (j = 0; j < NR_THREAD; j++)
			way->in_order[j]();
	return nanoseconds(CLOCK_MONOTONIC) - start;
}

static double make_in_thread(struct way *way, pthread_barrier_t *barrier)
{
	const struct method *method = way->method;
	trampoline_t *t[NR_MADE];
	void *handle[NR_MADE];
	double start = 0;
	int i, j;

	for (i = 0; i <= CALLS / NR_MADE; i++) {
		/* Do not measure the first ones, for which a thread allocates memory. */
		if (i == 1) {
			pthread_barrier_wait(barrier);
			start = nanoseconds(CLOCK_MONOTONIC);
		}
		if (method->create(t, handle, NR_MADE) != NR_MADE)
			die(method->name);
		for (j = 0; j < NR_MADE; j++)
			method->free(t[j], handle[j]);
	}
	return nanoseconds(CLOCK_MONOTONIC) - start;
}

static void *run_thread(void *arg)
{
	struct thread *thread = arg;

	thread->time = thread->work(thread->way, thread->barrier);
	return NULL;
}

/* The time for one trampoline, averaged over the threads */
static double time_threads(struct way *way, int n,
			   double (*work)(struct way *way, pthread_barrier_t *barrier))
{
	static struct thread threads[MAX_THREADS];
	pthread_barrier_t barrier;
	double total = 0;
	int i;

	pthread_barrier_init(&barrier, NULL, n);
	for (i = 0; i < n; i++) {
		threads[i] = (struct thread){ .work = work, .way = way, .barrier = &barrier };
		if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]))
			die("pthread_create");
	}
	for (i = 0; i < n; i++) {
		pthread_join(threads[i].id, NULL);
		total += threads[i].time;
	}
	pthread_barrier_destroy(&barrier);
	return total / n / CALLS;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void run_threads(struct way *way, int step, int round)
{
	way->called[step][round] = time_threads(way, 1 << step, call_in_thread);
	if (way->method->free)
		way->made[step][round] = time_threads(way, 1 << step, make_in_thread);
}

static void print(const struct way *way, int number, const char *what, float *times, int rounds)
{
	qsort(times, rounds, sizeof(*times), compare);
	printf("%s\t%d\t%s\t%.3f\t%.3f\t%.3f\t%.3f\n", way->method->name, number, what,
	       times[rounds / 2], times[rounds / 4], times[rounds * 3 / 4], times[0]);
}

static void print_calls(const struct way *way, int n, int shuffled, int rounds)
{
	const char *order = shuffled ? "at random" : "in sequence";
	float times[MAX_ROUNDS];

	memcpy(times, way->times[n][shuffled], sizeof(times));
	print(way, numbers[n], order, times, rounds);
}

static float least(const float *times, int rounds)
{
	float best = times[0];
	int i;

	for (i = 1; i < rounds; i++)
		if (times[i] < best)
			best = times[i];
	return best;
}

static void print_relative(const struct way *way, int n, int shuffled, int rounds)
{
	const float *mine = way->times[n][shuffled], *base = way->base->times[n][shuffled];
	float ratios[MAX_ROUNDS];
	int i;

	for (i = 0; i < rounds; i++)
		ratios[i] = mine[i] / base[i];
	qsort(ratios, rounds, sizeof(*ratios), compare);
	printf("%s\t%d\t%s, relative\t%.3f\t%.3f\t%.3f\t%.3f\n", way->method->name, numbers[n],
	       shuffled ? "at random" : "in sequence", ratios[rounds / 2], ratios[rounds / 4],
	       ratios[rounds * 3 / 4], least(mine, rounds) / least(base, rounds));
}

static void run_calls(int rounds)
{
	int round, shuffled, i;
	unsigned int n;

	for (round = 0; round < rounds; round++)
		for (n = 0; n < NR_NUMBERS; n++)
			for (shuffled = 0; shuffled < 2; shuffled++)
				for (i = 0; i < nr_ways; i++)
					ways[i]->times[n][shuffled][round] =
						time_calls(shuffled ? ways[i]->shuffled[n] :
								      ways[i]->in_order,
							   numbers[n]);
}

/* For 1, 2, 4 ... up to 2^(steps - 1) threads */
static void run_all_threads(int steps, int rounds)
{
	int round, step, i;

	for (round = 0; round < rounds; round++)
		for (step = 0; step < steps; step++)
			for (i = 0; i < nr_ways; i++)
				run_threads(ways[i], step, round);
}

static void print_all(struct way *way, int steps, int rounds)
{
	int step, shuffled;
	unsigned int n;

	for (n = 0; n < NR_NUMBERS; n++)
		for (shuffled = 0; shuffled < 2; shuffled++) {
			print_calls(way, n, shuffled, rounds);
			if (way->base)
				print_relative(way, n, shuffled, rounds);
		}
	for (step = 0; step < steps; step++) {
		print(way, 1 << step, "called by threads", way->called[step], rounds);
		if (way->method->free)
			print(way, 1 << step, "made by threads", way->made[step], rounds);
	}
}

int main(int argc, char **argv)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int rounds, i, steps;
	cpu_set_t all, one;

	if (argc < 3)
		return 1;
	rounds = atoi(argv[1]);
	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 1;
	/* Whether a mapping has huge pages would depend on its address. */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("PR_SET_THP_DISABLE");
	files = argv + 2;
	for (i = 0; methods[i]; i++)
		add_way(methods[i]);
	for (i = 0; i < nr_ways; i++)
		shuffle(ways[i]);

	if (sched_getaffinity(0, sizeof(all), &all))
		die("sched_getaffinity");
	/* Use the last processor: the first has more interrupts. */
	for (i = CPU_SETSIZE - 1; i && !CPU_ISSET(i, &all); i--)
		;
	CPU_ZERO(&one);
	CPU_SET(i, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity");
	run_calls(rounds);

	if (sched_setaffinity(0, sizeof(all), &all))
		die("sched_setaffinity");
	for (steps = 1; steps < MAX_STEPS && 1 << steps <= processors; steps++)
		;
	run_all_threads(steps, rounds);
	for (i = 0; i < nr_ways; i++)
		print_all(ways[i], steps, rounds);
	return 0;
}
