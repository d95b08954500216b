// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: a correct program, for race and leak detectors
 *
 * Threads allocate trampolines with contexts in their slots and pass them to each other
 * under a mutex.  A detector that reports anything has a false positive.  At exit, the
 * only pointer to a block of malloc() is in a slot.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <trampfd.h>

#define THREADS		3
#define PLACES		16

struct context {
	struct trampfd_slot slot;
	int owner;
	int calls;
};

static struct trampfd_pool *pool;
static void *places[PLACES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int steps = 3000;

static void target(void)
{
}

static void *swap(int place, void *t)
{
	void *was;

	pthread_mutex_lock(&lock);
	was = places[place];
	places[place] = t;
	pthread_mutex_unlock(&lock);
	return was;
}

static void *work(void *arg)
{
	int i, me = (int)(long)arg;
	struct context *c;
	void *t;

	for (i = 0; i < steps; i++) {
		t = trampfd_alloc(pool, (void *)target, NULL);
		if (!t)
			abort();
		c = trampfd_slot(t);
		c->owner = me;
		c->calls = 0;
		t = swap((i * (me + 1)) % PLACES, t);
		if (!t)
			continue;
		((void (*)(void))t)();
		c = trampfd_slot(t);
		c->calls++;
		if (c->owner > THREADS || c->calls != 1)
			abort();
		trampfd_free(t);
		/* Another thread may reuse this slot at once. */
		trampfd_free(trampfd_alloc(NULL, (void *)target, c));
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	struct trampfd_pool_attr attr = {
		.mode = TRAMPFD_MODE_SLOT,
		.context_size = sizeof(struct context) - sizeof(struct trampfd_slot),
	};
	pthread_t threads[THREADS];
	void *t;
	long i;

	if (argc > 1)
		steps = atoi(argv[1]);
	pool = trampfd_pool_create(&attr);
	if (!pool) {
		perror("trampfd_pool_create");
		return 1;
	}
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	t = trampfd_alloc(NULL, (void *)target, malloc(1000));
	((void (*)(void))t)();
	t = NULL;
	puts("done");
	return 0;
}
