// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd in processes that fork, handle signals, have threads, exceed limits, or
 * enter sandboxes.  The files in process/ are one program, so that one guest runs them.
 */
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "backends.h"

#define FORKS		200

/* --quick reduces it. */
static unsigned int nr_forks = FORKS;

/* Allocate up to @max trampolines.  Return how many, with errno if not all. */
static int exhaust(void **t, int max)
{
	int n;

	for (n = 0; n < max; n++) {
		t[n] = alloc(NULL, n);
		if (!t[n])
			break;
	}
	return n;
}

/*
 * Filter mappings of the library, which uses MAP_FIXED_NOREPLACE.  On s390x, filter all
 * mappings of the thread: the arguments of mmap() are in memory, where a filter cannot
 * read them.
 */
static int filter_own_memory(unsigned int action, unsigned int flags)
{
#ifdef __s390__
	return filter(__NR_mmap, 0, 0, 0, action, flags);
#else
	return filter(__NR_mmap2, 3, MAP_FIXED_NOREPLACE, MAP_FIXED_NOREPLACE, action, flags);
#endif
}

#include "process/fork.c"
#include "process/threads.c"
#include "process/signals.c"
#include "process/limits.c"
#include "process/perf.c"
#include "process/backend.c"

int main(int argc, char *argv[])
{
	if (is_quick(&argc, &argv))
		nr_forks = FORKS / 10;
	if (argc == 3 && !strcmp(argv[1], USES_ENVIRONMENT))
		return check_environment(atoi(argv[2]));
	return test_harness_run(argc, argv);
}
