// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the rare cases of trampfd_alloc() and trampfd_free()
 */
#include <errno.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

void *trampfd_alloc_slow(struct trampfd_pool *pool, void *code, void *data)
{
	unsigned int shard = shard_of_thread();
	struct trampfd_slot *slot;
	struct instance *in;
	unsigned long *word;

	if (!code) {
		errno = EINVAL;
		return NULL;
	}
	do {
		word = trampfd_pool_word(pool, shard);
		if (!word)
			return NULL;
	} while (!take(word, &slot));
	in = instance_at(region_of(slot));
	if (is_slow(in))
		trampfd_watch_allocated(slot, (size_t)1 << in->shift);
	slot_set(slot, code, data);
	if (is_slow(in))
		trampfd_perf_name(slot);
	return trampoline_of(slot);
}

static noreturn void die(const char *why)
{
	/* write() is a cancellation point. */
	syscall(__NR_write, STDERR_FILENO, why, strlen(why));
	abort();
}

void trampfd_freed_slow(unsigned long *word, unsigned long used, unsigned long now)
{
	struct instance *in = instance_at(region_of(word));

	if (now == used)
		die("trampfd_free(): the trampoline is free already\n");
	if (used == FULL)
		trampfd_pool_not_full(in, word, shard_of_thread());
	else if (!now && in->size >= TRIM_SIZE)
		trampfd_pool_unused(in, word, shard_of_thread());
}

void trampfd_free_slow(void *trampoline)
{
	struct instance *in = instance_of(trampoline);
	unsigned long *word, mask, used;
	uint32_t index;

	if (!trampoline)
		return;
	if (!in)
		die("trampfd_free(): not a trampoline\n");
	if (is_slow(in))
		trampfd_perf_name(slot_of(trampoline));
	trampfd_watch_freed(slot_of(trampoline));
	slot_of(trampoline)->code = NULL;
	index = index_of(in, trampoline);
	word = used_of(in) + index / WORD_BITS;
	mask = 1ul << index % WORD_BITS;
	used = __atomic_fetch_and(word, ~mask, __ATOMIC_SEQ_CST);
	trampfd_freed_slow(word, used, used & ~mask);
}
