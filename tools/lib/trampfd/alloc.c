// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: trampolines from shards and back
 *
 * A pool hands out trampolines from *shards*, small arrays of free ones, each
 * with a lock that is held for a few instructions.  A thread stays with a shard
 * until it finds it locked, and then moves to another: threads that do not meet
 * share one, those that do come apart.  So nothing belongs to a thread, and
 * nothing has to be given back when one ends.
 *
 * A free slot has code NULL, so that a call of its trampoline jumps to address
 * 0.
 *
 * What is rare is in pool.c: without calls but in their last step, the functions
 * here have no registers to save.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

__thread size_t shard_offset;

static void *alloc_wrong(void)
{
	errno = EINVAL;
	return NULL;
}

API void *trampfd_alloc(struct trampfd_pool *pool, void *code, void *data)
{
	struct shard *shard;

	if (unlikely(!code))
		return alloc_wrong();
	if (!pool)
		pool = &default_pool;
	shard = shard_of(pool);
	if (unlikely(!shard_trylock(shard)))
		return alloc_long(pool, NULL, code, data);
	if (unlikely(!shard->nr))
		return alloc_long(pool, shard, code, data);
	return pop(shard, code, data);
}

static void die(const char *why)
{
	if (write(STDERR_FILENO, why, strlen(why)) < 0)
		abort();
	abort();
}

static void free_wrong(const void *trampoline)
{
	if (!trampoline)
		return;
	if (trampfd_is_trampoline(trampoline))
		die("trampfd_free(): the trampoline is free already\n");
	die("trampfd_free(): not a trampoline\n");
}

API void trampfd_free(void *trampoline)
{
	struct instance *in = instance_of(trampoline);
	struct trampfd_slot *slot;
	struct shard *shard;

	if (unlikely(!is_trampoline_of(in, trampoline)))
		return free_wrong(trampoline);
	slot = slot_of(in, trampoline);
	if (unlikely(!__atomic_load_n(&slot->code, __ATOMIC_RELAXED)))
		return free_wrong(trampoline);
	__atomic_store_n(&slot->code, NULL, __ATOMIC_RELAXED);

	shard = shard_of(in->pool);
	if (unlikely(!shard_trylock(shard)))
		return free_long(in->pool, NULL, trampoline, slot);
	if (unlikely(shard->nr >= shard->limit))
		return free_long(in->pool, shard, trampoline, slot);
	push(shard, trampoline, slot);
}

API struct trampfd_slot *trampfd_slot(const void *trampoline)
{
	struct instance *in = instance_of(trampoline);

	if (is_trampoline_of(in, trampoline))
		return slot_of(in, trampoline);
	errno = EINVAL;
	return NULL;
}

API int trampfd_set(void *trampoline, void *code, void *data)
{
	struct trampfd_slot *slot = trampfd_slot(trampoline);

	if (!slot)
		return -1;
	if (!code) {
		errno = EINVAL;
		return -1;
	}
	slot_set(slot, code, data);
	return 0;
}

API int trampfd_is_trampoline(const void *address)
{
	return is_trampoline_of(instance_of(address), address);
}
