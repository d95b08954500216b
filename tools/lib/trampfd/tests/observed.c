// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: a program to be debugged with GDB and profiled with perf
 *
 *	observed [CALLS]    call trampolines CALLS times, by default once
 *	observed --abort    die of SIGABRT at the second instruction of a trampoline
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trampfd.h>

static unsigned long nr_compared, nr_visited;

static __attribute__((noipa)) void compare(void)
{
	nr_compared++;
}

static __attribute__((noipa)) void visit(void)
{
	nr_visited++;
}

/* Call @f, but not as a tail call. */
__attribute__((noipa)) void caller(void *f)
{
	((void (*)(void))f)();
	asm volatile("");
}

/* Single-step a child into trampoline @t and end it there.  Return 0 on success. */
static int abort_inside(void *t)
{
	pid_t child = fork();
	int status, steps;

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		caller(t);
		_exit(0);
	}
	waitpid(child, &status, 0);
	for (steps = 0; WIFSTOPPED(status); steps++) {
#if defined(__x86_64__)
		/* rip: asm/ptrace-abi.h */
		unsigned long pc = ptrace(PTRACE_PEEKUSER, child, (void *)(16 * 8), NULL);
#else
		unsigned long pc = 0;
#endif
		if (pc - (unsigned long)t - 1 < 15) {
			ptrace(PTRACE_DETACH, child, NULL, (void *)SIGABRT);
			waitpid(child, &status, 0);
			break;
		}
		ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
		waitpid(child, &status, 0);
	}
	return !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT;
}

int main(int argc, char *argv[])
{
	const struct trampfd_pool_attr slots = { .mode = TRAMPFD_MODE_SLOT, .context_size = 40 };
	struct trampfd_pool *pool = trampfd_pool_create(&slots);
	long i, calls = argc > 1 ? atol(argv[1]) : 1;
	void *t[5];

	if (!pool)
		return 2;
	for (i = 0; i < 5; i++)
		t[i] = trampfd_alloc(i < 3 ? NULL : pool, i < 3 ? (void *)compare : (void *)visit,
				     (void *)0xc0de);
	if (argc > 1 && !strcmp(argv[1], "--abort"))
		return abort_inside(t[0]);
	for (i = 0; i < calls; i++) {
		caller(t[0]);
		caller(t[4]);
	}
	printf("%lu %lu\n", nr_compared, nr_visited);
	return nr_compared != (unsigned long)calls || nr_visited != (unsigned long)calls;
}
