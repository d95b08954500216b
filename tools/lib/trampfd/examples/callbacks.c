// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Callbacks with a context, for functions that do not pass one, in a process that may
 * not make memory executable.
 *
 * Each callback here takes its context as an argument after those that its caller
 * passes.  The data register of the pool is the register of that argument, the third or
 * the fourth.
 *
 * sqlite3_auto_extension() is an example of such a function: it registers a callback,
 * which is called for every new connection, without user data.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <sqlite3.h>

#include <trampfd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE			65
#define PR_MDWE_REFUSE_EXEC_GAIN	1
#endif

/* The registers of the third and fourth argument, by DWARF number */
#if defined(__x86_64__)
#define THIRD	TRAMPFD_REG(1)	/* rdx */
#define FOURTH	TRAMPFD_REG(2)	/* rcx */
#elif defined(__aarch64__) || defined(__arm__)
#define THIRD	TRAMPFD_REG(2)
#define FOURTH	TRAMPFD_REG(3)
#elif defined(__riscv)
#define THIRD	TRAMPFD_REG(12)	/* a2 */
#define FOURTH	TRAMPFD_REG(13)	/* a3 */
#elif defined(__powerpc64__)
#define THIRD	TRAMPFD_REG(5)
#define FOURTH	TRAMPFD_REG(6)
#elif defined(__s390x__)
#define THIRD	TRAMPFD_REG(4)
#define FOURTH	TRAMPFD_REG(5)
#elif defined(__loongarch__)
#define THIRD	TRAMPFD_REG(6)	/* a2 */
#define FOURTH	TRAMPFD_REG(7)	/* a3 */
#else
#error "define the registers of the third and fourth argument"
#endif

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct trampfd_pool *pool_of(unsigned short data_reg)
{
	struct trampfd_pool_attr attr = { .data_reg = data_reg };
	struct trampfd_pool *pool = trampfd_pool_create(&attr);

	if (!pool)
		die("trampfd_pool_create");
	return pool;
}

static void *callback(struct trampfd_pool *pool, void *function, void *context)
{
	void *trampoline = trampfd_alloc(pool, function, context);

	if (!trampoline)
		die("trampfd_alloc");
	return trampoline;
}

/* The column to compare, and the number of comparisons */
struct order {
	int column;
	int calls;
};

static int compare(const int (*a)[2], const int (*b)[2], struct order *order)
{
	order->calls++;
	return (*a)[order->column] - (*b)[order->column];
}

static void sort_and_search(void)
{
	struct trampfd_pool *third = pool_of(THIRD);
	int rows[][2] = { { 3, 10 }, { 1, 30 }, { 2, 20 } }, wanted[2] = { 0, 20 }, *found;
	struct order order = { 0, 0 };
	void *by_column = callback(third, compare, &order);

	for (order.column = 0; order.column < 2; order.column++) {
		qsort(rows, 3, sizeof(*rows), by_column);
		printf("qsort, by column %d: %d %d, %d %d, %d %d\n", order.column, rows[0][0],
		       rows[0][1], rows[1][0], rows[1][1], rows[2][0], rows[2][1]);
	}
	order.column = 1;
	found = bsearch(wanted, rows, 3, sizeof(*rows), by_column);
	if (!found)
		die("bsearch");
	printf("bsearch, by column 1: %d %d\n", found[0], found[1]);
	printf("comparisons counted: %d\n", order.calls);
	trampfd_free(by_column);
	trampfd_pool_destroy(third);
}

/* Count a new connection.  sqlite3 passes the first three arguments. */
static int opened(sqlite3 *db, const char **error, const void *api, int *count)
{
	(void)db;
	(void)error;
	(void)api;
	++*count;
	return SQLITE_OK;
}

static void watch_sqlite(void)
{
	struct trampfd_pool *fourth = pool_of(FOURTH);
	int counts[2] = { 0, 0 }, i;
	void *watch[2];
	sqlite3 *db;

	for (i = 0; i < 2; i++) {
		watch[i] = callback(fourth, opened, &counts[i]);
		sqlite3_auto_extension((void (*)(void))watch[i]);
		if (sqlite3_open(":memory:", &db))
			die("sqlite3_open");
		sqlite3_close(db);
	}
	printf("connections told to the first watch: %d, to the second: %d\n", counts[0],
	       counts[1]);
	for (i = 0; i < 2; i++) {
		sqlite3_cancel_auto_extension((void (*)(void))watch[i]);
		trampfd_free(watch[i]);
	}
	trampfd_pool_destroy(fourth);
}

int main(void)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		perror("PR_SET_MDWE (it needs Linux 6.3)");
	sort_and_search();
	watch_sqlite();
	printf("code from: %s\n", trampfd_pool_backend(NULL) == TRAMPFD_BACKEND_KERNEL ?
	       "the kernel" : "the library");
	return 0;
}
