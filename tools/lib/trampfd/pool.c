// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: pools, and what is behind their shards (alloc.c): instances, each
 * with a list of its free slots, under the pool's lock.  Shards get from there,
 * and give back, several at once.  A slot in the list has the next as its data.
 *
 * Locks are taken in the order: pools_lock, a shard's, a pool's, that of
 * memory.c, which is taken only by who holds a pool's.  Who holds a pool's lock
 * only tries to take more shards.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

struct trampfd_pool default_pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct trampfd_pool *pools;

/* For TRAMPFD_BACKEND_AUTO; -1: the environment was not looked at yet. */
static int backend_wanted = -1;

static unsigned int last_shard; /* that was given to a thread */

static size_t shard_wait(struct shard *shard)
{
	size_t nr;

	while ((nr = shard_take(shard)) == SHARD_TAKEN)
		sched_yield();
	return nr;
}

/* fork() while no other thread is in here; the child has the locks too. */
static __thread unsigned int fork_depth; /* pthread_once() may register twice */

static void fork_prepare(void)
{
	struct trampfd_pool *pool;
	unsigned int i;

	if (fork_depth++)
		return;
	pthread_mutex_lock(&pools_lock);
	for (pool = pools; pool; pool = pool->next) {
		for (i = 0; i < SHARDS; i++)
			pool->shards[i].nr_at_fork = shard_wait(&pool->shards[i]);
		pthread_mutex_lock(&pool->lock);
	}
}

static void fork_done(void)
{
	struct trampfd_pool *pool;
	unsigned int i;

	if (--fork_depth)
		return;
	for (pool = pools; pool; pool = pool->next) {
		pthread_mutex_unlock(&pool->lock);
		for (i = 0; i < SHARDS; i++)
			shard_put(&pool->shards[i], pool->shards[i].nr_at_fork);
	}
	pthread_mutex_unlock(&pools_lock);
}

static void register_fork(void)
{
	pthread_atfork(fork_prepare, fork_done, fork_done);
}

/* Before any lock is taken: pthread_once() minds fork(), a lock does not. */
static void pool_set_up(struct trampfd_pool *pool)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned int i;

	pthread_once(&once, register_fork);
	pthread_mutex_lock(&pools_lock);
	if (!pool->ready) {
		pool->next = pools;
		pool->prev = &pools;
		if (pools)
			pools->prev = &pool->next;
		pools = pool;
		for (i = 0; i < SHARDS; i++)
			shard_put(&pool->shards[i], 0);
		__atomic_store_n(&pool->ready, true, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&pools_lock);
}

static void pool_make_ready(struct trampfd_pool *pool)
{
	if (!__atomic_load_n(&pool->ready, __ATOMIC_ACQUIRE))
		pool_set_up(pool);
}

/* Away from a shard that another thread has taken; its number is put in @nr. */
static struct shard *shard_take_other(struct trampfd_pool *pool, size_t *nr)
{
	struct shard *shard;
	unsigned int i;

	pool_make_ready(pool);
	for (i = 0;; i++) {
		shard = shard_of(pool);
		*nr = shard_take(shard);
		if (*nr != SHARD_TAKEN)
			return shard;
		shard_offset = __atomic_add_fetch(&last_shard, 1, __ATOMIC_RELAXED) % SHARDS *
			       sizeof(*shard);
		if (i >= SHARDS)
			sched_yield();
	}
}

static void *trampoline_of(const struct instance *in, const struct trampfd_slot *slot)
{
	return (void *)(((uintptr_t)slot - in->bias) << in->ratio_shift);
}

/* The ring of instances; all below here with the pool's lock held */
static void ring_remove(struct instance *in)
{
	struct trampfd_pool *pool = in->pool;

	if (in->next == in) {
		pool->instances = NULL;
		return;
	}
	in->next->prev = in->prev;
	in->prev->next = in->next;
	if (pool->instances == in)
		pool->instances = in->next;
}

static void ring_add(struct instance *in, bool first)
{
	struct trampfd_pool *pool = in->pool;
	struct instance *head = pool->instances;

	if (!head) {
		in->next = in;
		in->prev = in;
		pool->instances = in;
		return;
	}
	in->next = head;
	in->prev = head->prev;
	head->prev->next = in;
	head->prev = in;
	if (first)
		pool->instances = in;
}

static int read_backend_wanted(void)
{
	static const char * const words[] = { "auto", "kernel", "library" };
	int wanted = __atomic_load_n(&backend_wanted, __ATOMIC_RELAXED);
	int unread = -1, i;
	const char *word;

	if (wanted >= 0)
		return wanted;
	wanted = TRAMPFD_BACKEND_AUTO;
	word = secure_getenv("TRAMPFD_BACKEND");
	for (i = 0; word && i < 3; i++) {
		if (!strcmp(word, words[i]))
			wanted = i;
	}
	if (!__atomic_compare_exchange_n(&backend_wanted, &unread, wanted, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		wanted = unread;
	return wanted;
}

/* Something is exhausted: no answer to whether there are trampolines. */
static bool is_exhaustion(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

static int instance_map(struct instance *in, const struct trampfd_pool_attr *attr, size_t nr)
{
	unsigned int backend = attr->backend;
	int error;

	if (backend == TRAMPFD_BACKEND_AUTO)
		backend = read_backend_wanted();
	if (backend == TRAMPFD_BACKEND_LIBRARY)
		return text_map(in, attr);
	if (!kernel_map(in, attr, nr))
		return 0;
	/* All other errors say that the kernel has none, or none for us. */
	if (backend == TRAMPFD_BACKEND_KERNEL || errno == EINVAL || is_exhaustion(errno))
		return -1;
	error = errno;
	if (!text_map(in, attr))
		return 0;
	if (!is_exhaustion(errno) && errno != EOPNOTSUPP)
		errno = error;
	return -1;
}

static void instance_unmap(struct instance *in)
{
	if (in->backend == TRAMPFD_BACKEND_KERNEL)
		kernel_unmap(in);
	else
		text_unmap(in);
}

/* As many trampolines again as there are */
static int pool_grow(struct trampfd_pool *pool)
{
	struct instance *in = memory_instance();

	if (!in)
		return -1;
	in->pool = pool;
	if (instance_map(in, &pool->attr, pool->nr ?: 1))
		goto free;
	/* Code begins at a page: nothing is lost. */
	in->ratio_shift = __builtin_ctzl((in->code_mask + 1) / in->table_stride);
	in->bias = (uintptr_t)in->table - ((uintptr_t)in->code >> in->ratio_shift);
	in->free = NULL;
	in->nr_touched = 0;
	in->nr_free = in->nr;
	if (lookup_insert(in))
		goto unmap;

	ring_add(in, true);
	pool->nr_instances++;
	pool->nr += in->nr;
	pool->nr_free += in->nr;
	pool->backend = in->backend;
	return 0;
unmap:
	instance_unmap(in);
free:
	memory_instance_free(in);
	return -1;
}

static void instance_end(struct instance *in)
{
	struct trampfd_pool *pool = in->pool;

	ring_remove(in);
	pool->nr_instances--;
	pool->nr -= in->nr;
	pool->nr_free -= in->nr_free;
	lookup_remove(in);
	instance_unmap(in);
	memory_instance_free(in);
}

static struct trampfd_slot *instance_take(struct instance *in)
{
	struct trampfd_slot *slot = in->free;

	if (slot)
		in->free = slot->data;
	else
		slot = (void *)(in->table + (size_t)in->nr_touched++ * in->table_stride);
	in->pool->nr_free--;
	if (!--in->nr_free && in->next != in) {
		ring_remove(in);
		ring_add(in, false);
	}
	return slot;
}

static void instance_put(struct instance *in, struct trampfd_slot *slot)
{
	slot->data = in->free;
	in->free = slot;
	in->pool->nr_free++;
	if (!in->nr_free++ && in->pool->instances != in) {
		ring_remove(in);
		ring_add(in, true);
	}
}

/* Give back the @nr that were used longest ago, of @of. */
static void shard_give_back(struct shard *shard, size_t nr, size_t of)
{
	struct entry *e;
	size_t i;

	for (i = 0; i < nr; i++) {
		e = &shard->entries[i];
		instance_put(instance_of(e->trampoline), e->slot);
	}
	memmove(shard->entries, shard->entries + nr, (of - nr) * sizeof(*e));
}

/* What all shards have, but for those that are taken just now, as ours is */
static void gather(struct trampfd_pool *pool)
{
	struct shard *shard;
	size_t nr;

	for (shard = pool->shards; shard < pool->shards + SHARDS; shard++) {
		nr = shard_take(shard);
		if (nr == SHARD_TAKEN)
			continue;
		shard_give_back(shard, nr, nr);
		shard_limit(shard, shard->limit / 2);
		shard_put(shard, 0);
	}
}

/*
 * Return the instances that are empty, but for one.  What this costs pays when
 * as many trampolines were freed since the last time as there are now.
 */
static void pool_trim(struct trampfd_pool *pool)
{
	struct instance *in, *next, *kept = NULL;
	unsigned int i, nr = pool->nr_instances;

	gather(pool);
	for (in = pool->instances, i = 0; i < nr && in->nr_free; i++, in = next) {
		next = in->next;
		if (in->nr_free < in->nr)
			continue;
		if (kept)
			instance_end(in);
		else
			kept = in;
	}
	pool->trim_at = (pool->nr - pool->nr_free) / 2;
}

/*
 * The long ways of trampfd_alloc() and trampfd_free(), with the shard taken; its
 * number afterwards, 0 with errno if there are no more
 */
static size_t shard_refill(struct trampfd_pool *pool, struct shard *shard)
{
	size_t limit = 2 * shard->limit, wanted = shard->limit / 2 ?: 1, nr;
	struct instance *in;
	struct entry *e;

	pthread_mutex_lock(&pool->lock);
	if (!pool->nr_free && pool->nr)
		gather(pool);
	if (!pool->nr_free)
		pool_grow(pool);
	for (nr = 0; nr < wanted && pool->nr_free; nr++) {
		in = pool->instances;
		e = &shard->entries[nr];
		e->slot = instance_take(in);
		e->trampoline = trampoline_of(in, e->slot);
	}
	if (pool->trim_at < (pool->nr - pool->nr_free) / 2)
		pool->trim_at = (pool->nr - pool->nr_free) / 2;
	pthread_mutex_unlock(&pool->lock);

	if (limit < SHARD_MIN)
		limit = SHARD_MIN;
	if (limit > SHARD_MAX)
		limit = SHARD_MAX;
	shard_limit(shard, limit);
	return nr;
}

static size_t shard_make_room(struct trampfd_pool *pool, struct shard *shard, size_t nr)
{
	size_t keep = shard->limit / 2;

	pthread_mutex_lock(&pool->lock);
	shard_give_back(shard, nr - keep, nr);
	if (pool->nr - pool->nr_free <= pool->trim_at && pool->nr_instances > 1) {
		shard_give_back(shard, keep, keep);
		keep = 0;
		shard_limit(shard, shard->limit / 2);
		pool_trim(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!shard->limit)
		shard_limit(shard, 1);
	return keep;
}

void *alloc_long(struct trampfd_pool *pool, struct shard *shard, size_t nr, void *code,
		 void *data)
{
	if (nr == SHARD_TAKEN)
		shard = shard_take_other(pool, &nr);
	if (!nr)
		nr = shard_refill(pool, shard);
	if (!nr) {
		shard_put(shard, 0);
		return NULL;
	}
	return pop(shard, nr, code, data);
}

void free_long(struct trampfd_pool *pool, struct shard *shard, size_t nr, void *trampoline,
	       struct trampfd_slot *slot)
{
	if (nr == SHARD_TAKEN)
		shard = shard_take_other(pool, &nr);
	if (nr >= shard->limit)
		nr = shard_make_room(pool, shard, nr);
	push(shard, nr, trampoline, slot);
}

static void die(const char *why)
{
	if (write(STDERR_FILENO, why, strlen(why)) < 0)
		abort();
	abort();
}

void free_wrong(const void *trampoline)
{
	if (!trampoline)
		return;
	if (trampfd_is_trampoline(trampoline))
		die("trampfd_free(): the trampoline is free already\n");
	die("trampfd_free(): not a trampoline\n");
}

API struct trampfd_pool *trampfd_pool_create(const struct trampfd_pool_attr *attr)
{
	static const struct trampfd_pool_attr none;
	struct trampfd_pool *pool;
	int ret;

	if (!attr)
		attr = &none;
	if (attr->backend > TRAMPFD_BACKEND_LIBRARY ||
	    memcmp(attr->reserved, none.reserved, sizeof(none.reserved))) {
		errno = EINVAL;
		return NULL;
	}
	pool = memory_map(sizeof(*pool));
	if (!pool)
		return NULL;
	pool->attr = *attr;
	pthread_mutex_init(&pool->lock, NULL);
	pool_set_up(pool);

	pthread_mutex_lock(&pool->lock);
	ret = pool_grow(pool);
	pthread_mutex_unlock(&pool->lock);
	if (ret) {
		int saved = errno;

		trampfd_pool_destroy(pool);
		errno = saved;
		return NULL;
	}
	return pool;
}

API void trampfd_pool_destroy(struct trampfd_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	while (pool->instances)
		instance_end(pool->instances);
	pthread_mutex_unlock(&pool->lock);

	pthread_mutex_lock(&pools_lock);
	*pool->prev = pool->next;
	if (pool->next)
		pool->next->prev = pool->prev;
	pthread_mutex_unlock(&pools_lock);
	pthread_mutex_destroy(&pool->lock);
	munmap(pool, sizeof(*pool));
}

API int trampfd_pool_backend(struct trampfd_pool *pool)
{
	int backend = -1;

	if (!pool)
		pool = &default_pool;
	pool_make_ready(pool);
	pthread_mutex_lock(&pool->lock);
	if (pool->nr || !pool_grow(pool))
		backend = pool->backend;
	pthread_mutex_unlock(&pool->lock);
	return backend;
}

API int trampfd_set_backend(enum trampfd_backend backend)
{
	if ((unsigned int)backend > TRAMPFD_BACKEND_LIBRARY) {
		errno = EINVAL;
		return -1;
	}
	__atomic_store_n(&backend_wanted, (int)backend, __ATOMIC_RELAXED);
	return 0;
}
