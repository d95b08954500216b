// SPDX-License-Identifier: GPL-2.0
/*
 * Nested functions of C whose addresses are taken: with recursion, threads,
 * longjmp(3), jumps to labels of the enclosing function, and exceptions of C++
 * (throw.cc) through them.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH		300	/* more than fit into a page */
#define THREADS		4
#define TIMES		2000

/* throw.cc */
void throw_now(int value);
int catch_from(void (*f)(void));
void pass_through(void (*f)(void));

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static long apply(long (*f)(long), long value)
{
	return f(value);
}

static int sort_descending(void)
{
	int numbers[] = { 2, 3, 1, 5, 4 }, calls = 0;

	int compare(const void *a, const void *b)
	{
		calls++;
		return *(const int *)b - *(const int *)a;
	}

	qsort(numbers, 5, sizeof(*numbers), compare);
	return calls && numbers[0] == 5 && numbers[2] == 3 && numbers[4] == 1;
}

/* Take the address of a nested function at each depth; call all at the deepest. */
static long sum_of_depths(int depth, long (*above)(long))
{
	long mine = depth;

	long add(long value)
	{
		value += mine;
		return above ? apply(above, value) : value;
	}

	return depth ? sum_of_depths(depth - 1, add) : apply(add, 0);
}

static int recurse(void)
{
	return sum_of_depths(DEPTH, NULL) == DEPTH * (DEPTH + 1) / 2;
}

static void *recurse_often(void *result)
{
	int i;

	for (i = 0; i < 20; i++)
		*(int *)result += recurse();
	return NULL;
}

static int in_threads(void)
{
	pthread_t threads[THREADS];
	int results[THREADS] = { 0 }, i, sum = 0;

	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, recurse_often, &results[i]);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += results[i];
	}
	return sum == 20 * THREADS;
}

/* Leave a nested function over the frames of others. */
static int jump_once(int depth, jmp_buf *to)
{
	int value = depth + 1;

	long leave(long more)
	{
		longjmp(*to, value + more);
	}

	return depth ? jump_once(depth - 1, to) : apply(leave, 0);
}

static int jump(void)
{
	volatile int i, good = 0;
	jmp_buf buffer;
	int value;

	for (i = 0; i < TIMES; i++) {
		value = setjmp(buffer);
		if (!value)
			jump_once(i % 10, &buffer);
		good += value == 1 && sort_descending();
	}
	return good == TIMES;
}

static int go_to_label(void)
{
	__label__ out;
	volatile int left = 0, i = 0;

	long leave(long more)
	{
		left += more;
		goto out;
	}

again:
	apply(leave, 1);
	return 0;
out:
	if (++i < TIMES)
		goto again;
	return left == TIMES && sort_descending();
}

/* Frames that an exception unwinds free their trampolines. */
static int throw_once(int depth, int value)
{
	void throw_it(void)
	{
		throw_now(value);
	}

	void deeper(void)
	{
		throw_once(depth - 1, value);
	}

	if (depth)
		pass_through(deeper);
	else
		pass_through(throw_it);
	return 0;
}

static int throw_often(void)
{
	int i, good = 0;

	void begin(void)
	{
		throw_once(i % 10, i);
	}

	for (i = 0; i < TIMES; i++)
		good += catch_from(begin) == i;
	return good == TIMES && sort_descending();
}

int main(void)
{
	check(sort_descending(), "a nested function does not sort");
	check(recurse(), "recursion");
	check(in_threads(), "threads");
	check(throw_often(), "exceptions");
	check(jump(), "longjmp()");
	check(go_to_label(), "a jump to a label");
	check(recurse() && throw_often(), "after jumps");
	puts("called back");
	return 0;
}
