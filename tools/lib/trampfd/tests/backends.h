/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: a fixture whose tests run with each backend, and a load of several
 * threads.
 */
#ifndef LIBTRAMPFD_TESTS_BACKENDS_H
#define LIBTRAMPFD_TESTS_BACKENDS_H

#include "library.h"

FIXTURE(backend) {
	int unused;
};

FIXTURE_VARIANT(backend) {
	enum trampfd_backend backend;
};

FIXTURE_VARIANT_ADD(backend, kernel) { TRAMPFD_BACKEND_KERNEL };
FIXTURE_VARIANT_ADD(backend, library) { TRAMPFD_BACKEND_LIBRARY };

FIXTURE_SETUP(backend)
{
	if (variant->backend == TRAMPFD_BACKEND_KERNEL && !kernel_has_trampolines())
		SKIP(return, "the kernel has no trampolines");
	ASSERT_EQ(0, trampfd_set_backend(variant->backend));
}

FIXTURE_TEARDOWN(backend)
{
	EXPECT_EQ(0, mappings("wx"));
}

/*
 * struct work - threads that pass trampolines to each other
 * @places: Trampolines, or NULL.
 * @pool: Their pool.
 * @steps: Number of steps of each thread.
 * @wrong: Number of trampolines that did not work.
 * @stop: Ends the threads.
 */
#define PLACES		512

struct work {
	void *places[PLACES];
	struct trampfd_pool *pool;
	unsigned int steps;
	unsigned long wrong;
	bool stop;
};

static inline void *work(void *arg)
{
	static uint64_t seed;
	uint64_t random = __atomic_fetch_add(&seed, 1, __ATOMIC_RELAXED) << 32;
	struct work *w = arg;
	unsigned int step, i;
	void *t;

	for (step = 0; step < w->steps && !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); step++) {
		i = random_below(&random, PLACES);
		t = step & 1 ? NULL : alloc(w->pool, i);
		t = __atomic_exchange_n(&w->places[i], t, __ATOMIC_ACQ_REL);
		if (!t)
			continue;
		if (run(t) != i || !trampfd_is_trampoline(t))
			__atomic_add_fetch(&w->wrong, 1, __ATOMIC_RELAXED);
		trampfd_free(t);
	}
	return NULL;
}

#define THREAD_STEPS	30000

#endif /* LIBTRAMPFD_TESTS_BACKENDS_H */
