// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: trampolines from shards and back
 *
 * A pool hands out trampolines from *shards*, small arrays of free ones, each
 * of which a thread has for itself for a few instructions.  A thread stays with a shard
 * until it finds it taken, and then moves to another: threads that do not meet
 * share one, those that do come apart.  So nothing belongs to a thread, and
 * nothing has to be given back when one ends.
 *
 * A free slot has code NULL, so that a call of its trampoline jumps to address
 * 0.
 *
 * What is rare is in pool.c: without calls but in their last step, the functions
 * here have no registers to save.  Of the 72 instructions of a pair on x86_64, 20
 * are the three steps of the tree (internal.h) that tells any address from one of
 * ours: a tree of two would take 2 MiB of address space, and of memory where it is
 * locked (mlockall(2)), for each level.
 */
#include <errno.h>

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
	size_t nr;

	if (unlikely(!code))
		return alloc_wrong();
	if (!pool)
		pool = &default_pool;
	shard = shard_of(pool);
	nr = shard_take(shard);
	/* None or SHARD_TAKEN, at once */
	if (unlikely(nr - 1 >= SHARD_MAX))
		return alloc_long(pool, shard, nr, code, data);
	return pop(shard, nr, code, data);
}

API void trampfd_free(void *trampoline)
{
	struct instance *in = instance_of(trampoline);
	struct trampfd_slot *slot;
	struct shard *shard;
	size_t nr;

	if (unlikely(!is_trampoline_of(in, trampoline)))
		return free_wrong(trampoline);
	slot = slot_of(in, trampoline);
	if (unlikely(!__atomic_load_n(&slot->code, __ATOMIC_RELAXED)))
		return free_wrong(trampoline);
	__atomic_store_n(&slot->code, NULL, __ATOMIC_RELAXED);

	shard = shard_of(in->pool);
	nr = shard_take(shard);
	/* Too many or SHARD_TAKEN, at once: then the limit may change meanwhile. */
	if (unlikely(nr >= __atomic_load_n(&shard->limit, __ATOMIC_RELAXED)))
		return free_long(in->pool, shard, nr, trampoline, slot);
	push(shard, nr, trampoline, slot);
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
