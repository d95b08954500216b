/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the stress test.
 */
#ifndef TRAMPFD_STRESS_H
#define TRAMPFD_STRESS_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#define TRAMPFD_NO_HARNESS
#include "common.h"

/* Results, which stress_test.c names */
enum check {
	ANSWERS, CALLS, TABLES, CODE, MAPPINGS, PROTECTION, FORKS, SIGNALS,
	SURVIVAL, FAULTS, PRESSURE, LEAKS, NR_CHECKS
};

/* Counters, which stress_test.c names */
enum count {
	N_CALLS, N_PROBES, N_BORROWED, N_SIGNALS, N_INSIDE, N_JUMPS, N_ARMED,
	N_INJECTED, N_REFUSED, N_OOM_KILLS, NR_COUNTS
};

/**
 * struct report - results, in memory that all processes share
 * @stop: Tells the process that runs out of memory to end.
 * @operations: How often each of operations[] was done.
 * @counts: Counters.
 * @failures: Number of failures of each check.
 * @why: The first failure of each check.
 * @skipped: Why a check is skipped, or NULL.
 */
struct report {
	bool stop;
	unsigned long operations[32];
	unsigned long counts[NR_COUNTS];
	unsigned long failures[NR_CHECKS];
	char why[NR_CHECKS][256];
	const char *skipped[NR_CHECKS];
};

/**
 * struct written - the expected contents of a slot
 * @head: The two words of the slot.
 * @rest: The last word of the program's part, or 0 if the slot has none.
 */
struct written {
	struct slot head;
	unsigned long rest;
};

/**
 * struct object - an instance and its expected state
 * @lock: The owner locks for writing before changes, other threads for reading.
 * @in: The instance.
 * @model: Expected contents of each slot, or NULL if there is no instance.
 * @code_hash: Hash of each page of code.
 * @plain: A target that C code can call, or 0 if the registers do not permit it.
 */
struct object {
	pthread_rwlock_t lock;
	struct instance in;
	struct written *model;
	uint64_t code_hash;
	unsigned long plain;
};

#define OBJECTS	4	/* for each thread */

/**
 * struct worker - a thread that does operations
 * @process: Number of its process.
 * @number: Its number in the process.
 * @thread: The thread.
 * @random: State of its random number generator.
 * @steps: Number of operations so far.
 * @operation: Name of the current operation.
 * @own: Its instances.
 * @fail_nth: Descriptor for fault injection, or -1.
 * @armed: A failure is pending.
 * @failed: A failure was injected.
 * @is_child: It runs in a child that a worker has forked.
 * @handler: An instance for the signal handler.
 * @signals: Number of signals handled.
 * @calling: The instance that it calls, for the signal handler.
 * @may_jump: The signal handler may jump to @out.
 * @out: Where the signal handler jumps to.
 *
 * Accesses to @calling and @may_jump surround indirect calls, so the compiler does
 * not move them.
 */
struct worker {
	unsigned int process, number;
	pthread_t thread;
	uint64_t random;
	unsigned long steps;
	const char *operation;
	struct object own[OBJECTS];
	int fail_nth;
	bool armed, failed;
	bool is_child;
	struct instance handler;
	unsigned long signals;
	const struct instance *calling;
	sig_atomic_t may_jump;
	sigjmp_buf out;
};

extern struct report *report;
/* The workers of this process, and the one that is running */
extern struct worker *workers;
extern unsigned int nr_workers;
extern __thread struct worker *self;

void count(enum count what, unsigned long n);
__printf(2, 3) void fail(enum check check, const char *format, ...);

/* stress_operations.c */
void step(void);
void drop(struct object *o);
const char *operation_name(unsigned int i);	/* NULL after the last */

/*
 * stress_pressure.c; functions that return a string return NULL, or the reason for
 * skipping the check.
 */
void open_injection(void);
void arm_failure(void);
void disarm_failure(void);
void disarm_slow_fork(void);
const char *allow_failures(void);
void forbid_failures(void);
const char *make_cgroup(void);
void run_out_of_memory(void);
void check_cgroup(void);
const char *save_leak_counters(void);
void check_leaks(void);

/* stress_stale.c */
void detect_stale_code(void);
void flush_stale_code(void);

#endif /* TRAMPFD_STRESS_H */
