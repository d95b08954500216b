/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the stress test share.
 */
#ifndef TRAMPFD_STRESS_H
#define TRAMPFD_STRESS_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#define TRAMPFD_NO_HARNESS
#include "common.h"

/* What is checked: stress_test.c has the words. */
enum promise {
	ANSWERS, CALLS, TABLES, CODE, MAPPINGS, PROTECTION, FORKS, SIGNALS,
	SURVIVAL, FAULTS, PRESSURE, LEFTOVERS, NR_PROMISES
};

/* What is counted: likewise. */
enum count {
	N_CALLS, N_PROBES, N_BORROWED, N_SIGNALS, N_INSIDE, N_JUMPS, N_ARMED,
	N_INJECTED, N_REFUSED, N_OOM_KILLS, NR_COUNTS
};

/**
 * struct report - what all processes found out; they share it
 */
struct report {
	bool stop;
	unsigned long operations[32];	/* by index in operations[] */
	unsigned long counts[NR_COUNTS];
	unsigned long failures[NR_PROMISES];
	char why[NR_PROMISES][256];	/* the first of them */
	const char *skipped[NR_PROMISES];
};

/**
 * struct written - what was written to a slot
 * @head: Its two words.
 * @rest: The last word of the user's part; 0 if it has none.
 */
struct written {
	struct slot head;
	unsigned long rest;
};

/**
 * struct object - an instance, and what it must be like
 */
struct object {
	pthread_rwlock_t lock;	/* its owner writes, others read */
	struct instance in;
	struct written *model;	/* by slot; NULL: there is no instance */
	uint64_t code_hash;	/* of each page */
	unsigned long plain;	/* target that C can call; 0: not with these registers */
};

#define OBJECTS	4	/* of a thread */

/**
 * struct worker - a thread that does operations
 */
struct worker {
	unsigned int process, number;
	pthread_t thread;
	uint64_t random;
	unsigned long steps;
	const char *operation;
	struct object own[OBJECTS];
	int fail_nth;			/* a descriptor; -1: nothing is made to fail */
	bool armed, failed;		/* a failure is ahead; was met */
	bool is_child;			/* of a fork() by a worker */
	struct instance handler;	/* called by the signal handler */
	unsigned long signals;
	/* For the handler: set around calls, which a compiler does not move. */
	const struct instance *calling;
	sig_atomic_t may_jump;	/* out of it, to @out */
	sigjmp_buf out;
};

extern struct report *report;
/* Those of this process, and the one that runs */
extern struct worker *workers;
extern unsigned int nr_workers;
extern __thread struct worker *self;

void count(enum count what, unsigned long n);
__printf(2, 3) void fail(enum promise broken, const char *format, ...);

/* stress_operations.c */
void step(void);
void drop(struct object *o);
const char *operation_name(unsigned int i);	/* NULL: there are no more */

/* stress_trouble.c */
void open_failures(void);
void arm_failure(void);
void disarm_failure(void);
void spare_slow_fork(void);
const char *allow_failures(void);	/* NULL, or why not; likewise below */
void forbid_failures(void);
const char *make_cgroup(void);
void run_out_of_memory(void);
void check_cgroup(void);
const char *look_at_leftovers(void);
void check_leftovers(void);

/* stress_stale.c */
void look_for_stale_code(void);
void forget_unmapped_code(void);

#endif /* TRAMPFD_STRESS_H */
