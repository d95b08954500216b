// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: allocate and free trampolines
 *
 * A slot is allocated if its bit is set.  A thread allocates from one word of bits at a
 * time (internal.h, "shard").  The code of a free slot is NULL, so that a call of its
 * trampoline jumps to address 0.
 *
 * Rare cases are in slow.c: the functions here make tail calls only, so that they save
 * no registers.
 */
#include <errno.h>

#include "internal.h"

API void *trampfd_slot(const void *trampoline)
{
	return slot_of(trampoline);
}

API void *trampfd_trampoline(const void *slot)
{
	return trampoline_of(slot);
}

/* Shards have no words of instances for which is_slow() is true. */
API void *trampfd_alloc(struct trampfd_pool *pool, void *code, void *data)
{
	struct trampfd_slot *slot;
	unsigned long *word;

	if (!pool)
		pool = &trampfd_globals.pool;
	word = load(&pool->shards[shard_of_thread()]);
	if (unlikely(!word || !code || !take(word, &slot)))
		return trampfd_alloc_slow(pool, code, data);
	slot_set(slot, code, data);
	return trampoline_of(slot);
}

API void trampfd_free(void *trampoline)
{
	char *region = region_of(trampoline);
	struct instance *in = instance_at(region);
	unsigned long *word, used, now;
	uint32_t index;

	if (unlikely(!region_is_home(region)))
		return trampfd_free_slow(trampoline);
	index = index_of(in, trampoline);
	if (unlikely(index >= in->nr_fast))
		return trampfd_free_slow(trampoline);

	__atomic_store_n(&slot_of(trampoline)->code, NULL, __ATOMIC_RELAXED);
	word = used_of(in) + index / WORD_BITS;
	used = __atomic_load_n(word, __ATOMIC_RELAXED);
	do {
		now = used & ~(1ul << index % WORD_BITS);
	} while (unlikely(!replace(word, used, now)));
	if (unlikely(now == used || used == FULL || (!now && in->size >= TRIM_SIZE)))
		trampfd_freed_slow(word, used, now);
}

API int trampfd_set(void *trampoline, void *code, void *data)
{
	struct instance *in = instance_of(trampoline);

	if (!code || !in) {
		errno = EINVAL;
		return -1;
	}
	slot_set(slot_of(trampoline), code, data);
	if (unlikely(is_slow(in)))
		trampfd_perf_name(slot_of(trampoline));
	return 0;
}

API int trampfd_is_trampoline(const void *address)
{
	return !!instance_of(address);
}
