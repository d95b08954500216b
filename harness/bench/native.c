// SPDX-License-Identifier: GPL-2.0
/*
 * What a call costs on this machine, whose kernel need not have trampfd: the very
 * bytes of trampolines that a guest's read(2) returned (export.c) beside those of the
 * peers.
 *	native ROUNDS MODE=FILE...
 * In each round each peer has its turn, so that what else the machine does meets
 * all of them. Prints lines
 *	PEER <tab> TRAMPOLINES <tab> ORDER <tab> MEDIAN <tab> QUARTILE <tab> QUARTILE
 * in nanoseconds of processor time for a call, with the loop around it and the function
 * that is called; and, for 1, 2, 4 ... threads at the same time, up to the number of
 * processors, lines
 *	PEER <tab> THREADS <tab> "called by threads" or "made by threads" <tab> ...
 * in nanoseconds that pass for a call of one of 1024, or until one was made, set and
 * freed, 16 in turn.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/trampfd.h>

#include "bench.h"

#define NR		32768
#define CALLS		(4 * NR)	/* of a turn */
#define MAX_ROUNDS	1000
#define MAX_WAYS	16
#define MAX_THREADS	1024
#define MAX_STEPS	11	/* 1, 2, 4 ... threads */
#define NR_THREAD	1024
#define NR_MADE		16

static const int numbers[] = { 1, 16, 1024, NR };

#define NR_NUMBERS	(sizeof(numbers) / sizeof(*numbers))

/* Trampolines in the order in which they are called */
struct way {
	const char *name;
	const struct peer *peer;
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

static struct way *add_way(const char *name)
{
	if (nr_ways == MAX_WAYS)
		abort();
	ways[nr_ways] = calloc(1, sizeof(struct way));
	ways[nr_ways]->name = name;
	return ways[nr_ways++];
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

static void add_peer(const struct peer *peer)
{
	static void *handle[NR];
	struct way *way = add_way(peer->name);

	way->peer = peer;
	if (peer->create(way->in_order, handle, NR) != NR)
		die(peer->name);
}

/* The pages that mmap(2) of the file would give, from what it was read to */
static void add_file(unsigned int mode, const char *path)
{
	static const char *const names[] = { "trampfd DATA", "trampfd SLOT", "trampfd PUSH" };
	static trampoline_t *const targets[] = { target_data, target_slot, target_push };
	struct way *way = add_way(names[mode]);
	struct trampfd_create_args a;
	char *code, *table;
	unsigned long long done;
	ssize_t len;
	int i, fd;

	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, &a, sizeof(a)) != sizeof(a) || a.nr < NR || a.mode != mode)
		die(path);
	code = mmap(NULL, a.table_offset + a.table_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		die("mmap");
	for (done = 0; done < a.code_size; done += len) {
		len = read(fd, code + done, a.code_size - done);
		if (len <= 0)
			die(path);
	}
	close(fd);
	if (mprotect(code, a.code_size, PROT_READ | PROT_EXEC))
		die("mprotect");
	table = code + a.table_offset;
	for (i = 0; i < NR; i++) {
		void **slot = (void **)(table + i * a.table_stride);

		slot[0] = &way->in_order[i];
		slot[1] = targets[mode];
		way->in_order[i] = (trampoline_t *)(code + i * a.code_stride);
	}
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

	/* Once without the clock */
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
	const struct peer *peer = way->peer;
	trampoline_t *t[NR_MADE];
	void *handle[NR_MADE];
	double start = 0;
	int i, j;

	for (i = 0; i <= CALLS / NR_MADE; i++) {
		/* The first ones are without the clock: what a thread sets up is no pair's. */
		if (i == 1) {
			pthread_barrier_wait(barrier);
			start = nanoseconds(CLOCK_MONOTONIC);
		}
		if (peer->create(t, handle, NR_MADE) != NR_MADE)
			die(peer->name);
		for (j = 0; j < NR_MADE; j++)
			peer->free(t[j], handle[j]);
	}
	return nanoseconds(CLOCK_MONOTONIC) - start;
}

static void *run_thread(void *arg)
{
	struct thread *thread = arg;

	thread->time = thread->work(thread->way, thread->barrier);
	return NULL;
}

/* Of one, in the mean over threads */
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
	if (way->peer && way->peer->free)
		way->made[step][round] = time_threads(way, 1 << step, make_in_thread);
}

static void print(const struct way *way, int number, const char *what, float *times, int rounds)
{
	qsort(times, rounds, sizeof(*times), compare);
	printf("%s\t%d\t%s\t%.2f\t%.2f\t%.2f\n", way->name, number, what, times[rounds / 2],
	       times[rounds / 4], times[rounds * 3 / 4]);
}

int main(int argc, char **argv)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int rounds, round, i, step, shuffled;
	trampoline_t **t;
	struct way *way;
	unsigned int n;

	if (argc < 3)
		return 1;
	rounds = atoi(argv[1]);
	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 1;
	for (i = 2; i < argc; i++)
		add_file(argv[i][0] - '0', argv[i] + 2);
	for (i = 0; peers[i]; i++)
		add_peer(peers[i]);
	for (i = 0; i < nr_ways; i++)
		shuffle(ways[i]);

	for (round = 0; round < rounds; round++)
		for (n = 0; n < NR_NUMBERS; n++)
			for (shuffled = 0; shuffled < 2; shuffled++)
				for (i = 0; i < nr_ways; i++) {
					way = ways[i];
					t = shuffled ? way->shuffled[n] : way->in_order;
					way->times[n][shuffled][round] = time_calls(t, numbers[n]);
				}

	if (processors > MAX_THREADS)
		processors = MAX_THREADS;
	for (round = 0; round < rounds; round++)
		for (step = 0; 1 << step <= processors; step++)
			for (i = 0; i < nr_ways; i++)
				run_threads(ways[i], step, round);

	for (i = 0; i < nr_ways; i++) {
		way = ways[i];
		for (n = 0; n < NR_NUMBERS; n++)
			for (shuffled = 0; shuffled < 2; shuffled++)
				print(way, numbers[n], shuffled ? "at random" : "in sequence",
				      way->times[n][shuffled], rounds);
		for (step = 0; 1 << step <= processors; step++) {
			print(way, 1 << step, "called by threads", way->called[step], rounds);
			if (way->peer && way->peer->free)
				print(way, 1 << step, "made by threads", way->made[step], rounds);
		}
	}
	return 0;
}
