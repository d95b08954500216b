// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the functions of trampfd.h, with each backend.  The files in library/
 * are one program, so that one guest runs them.
 */
#include <malloc.h>
#include <signal.h>
#include <ucontext.h>

#include "backends.h"
#include "gcc.h"

#define MILLION		1000000

/* --quick reduces it: an emulator translates each trampoline. */
static unsigned int nr_many = MILLION;

#include "library/alloc.c"
#include "library/memory.c"
#include "library/threads.c"
#include "library/context.c"
#include "library/nested.c"

/* For counting instructions: --pairs NUMBER THREADS allocates and frees in threads. */
#define PAIRS		"--pairs"

static void *pairs(void *arg)
{
	long nr = (long)arg;

	while (nr--)
		trampfd_free(trampfd_alloc(NULL, abi_return_data, NULL));
	return NULL;
}

static int pairs_in_threads(long nr, int nr_threads)
{
	pthread_t threads[64];
	int i;

	for (i = 0; i < nr_threads && i < ARRAY_SIZE(threads); i++) {
		if (pthread_create(&threads[i], NULL, pairs, (void *)nr))
			return 1;
	}
	while (i--)
		pthread_join(threads[i], NULL);
	return 0;
}

int main(int argc, char *argv[])
{
	if (is_quick(&argc, &argv))
		nr_many = MILLION / 10;
	if (argc == 4 && !strcmp(argv[1], PAIRS))
		return pairs_in_threads(atol(argv[2]), atoi(argv[3]));
	return test_harness_run(argc, argv);
}
