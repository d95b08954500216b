/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: what its files share
 */
#ifndef LIBTRAMPFD_INTERNAL_H
#define LIBTRAMPFD_INTERNAL_H

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trampfd.h"

/* The build hides all that does not say this. */
#define API			__attribute__((visibility("default")))

#define unlikely(x)		__builtin_expect(!!(x), 0)

/**
 * struct instance - trampolines mapped at once: code, and the table above it
 *
 * @pool: Whose they are.
 * @next: In the pool's list, those with free trampolines first.
 * @prev: Likewise.
 * @code: The first trampoline.
 * @table: Its slot.
 * @code_size: Bytes of code.
 * @code_mask: Bytes from one trampoline to the next, a power of two, less one.
 * @table_stride: And from one slot to the next; the same but for the library's
 *	text, where it may be less.
 * @ratio_shift: Binary logarithm of how many times less.
 * @bias: What to add to the address of a trampoline, shifted right by that, for
 *	the address of its slot.
 * @backend: Whose code it is.
 * @map: Of the library's text, all that is mapped; NULL if it is used in its place.
 * @map_size: Bytes of that.
 * @free: Slots that were used and are free, each with the next as its data.
 * @nr: Trampolines.
 * @nr_touched: How many were ever used: those behind are free, and not in @free.
 * @nr_free: All that are free, but for those in a shard of the pool.
 *
 * Its memory is an instance's for ever: instance_of() may look at one that has
 * just been unmapped.
 */
struct instance {
	struct trampfd_pool *pool;
	struct instance *next, *prev;
	char *code;
	char *table;
	size_t code_size;
	size_t code_mask;
	size_t table_stride;
	uintptr_t bias;
	unsigned char ratio_shift;
	unsigned char backend;
	char *map;
	size_t map_size;
	struct trampfd_slot *free;
	unsigned int nr;
	unsigned int nr_touched;
	unsigned int nr_free;
};

/* memory.c: from the address of a trampoline to its instance */

/*
 * A tree over the address space by pages of code, of 2^NODE_SHIFT entries at
 * each level.  The kernel gives no address of 2^48 or more that is not asked for
 * (Documentation/arch/x86/x86_64/5level-paging.rst,
 * Documentation/arch/arm64/memory.rst, DEFAULT_MAP_WINDOW of riscv).
 */
#define LOOKUP_PAGE_SHIFT	12	/* the smallest page there is */
#if UINTPTR_MAX > 0xffffffffu
#define ADDRESS_BITS		48
#define NODE_SHIFT		12
#else
#define ADDRESS_BITS		32
#define NODE_SHIFT		10
#endif

struct node {
	void *entry[1u << NODE_SHIFT];
};

extern struct node lookup_root;

static inline void **node_entry(struct node *node, uintptr_t addr, unsigned int shift)
{
	return &node->entry[addr >> shift & ((1u << NODE_SHIFT) - 1)];
}

/* The instance in whose code @address is, or NULL */
static inline struct instance *instance_of(const void *address)
{
	unsigned int shift = ADDRESS_BITS - NODE_SHIFT;
	uintptr_t addr = (uintptr_t)address;
	struct node *node;

	if (unlikely(addr >> shift >= 1u << NODE_SHIFT))
		return NULL;
	/* Nodes are never removed, and what leads to one was zeroed before. */
	node = __atomic_load_n(&lookup_root.entry[addr >> shift], __ATOMIC_RELAXED);
	for (shift -= NODE_SHIFT; node && shift > LOOKUP_PAGE_SHIFT; shift -= NODE_SHIFT)
		node = __atomic_load_n(node_entry(node, addr, shift), __ATOMIC_RELAXED);
	if (unlikely(!node))
		return NULL;
	return __atomic_load_n(node_entry(node, addr, shift), __ATOMIC_ACQUIRE);
}

/* Make instance_of() find @in; 0, or -1 with errno. */
int lookup_insert(struct instance *in);
void lookup_remove(const struct instance *in);

/* pool.c, alloc.c: pools, and the trampolines at hand in them */

#define SHARDS		32
#define SHARD_MAX	62	/* 1024 bytes a shard on 64-bit ABIs */
#define SHARD_MIN	8
#define CACHE_LINE	64

/* A trampoline that is free, in a shard */
struct entry {
	void *trampoline;
	struct trampfd_slot *slot;
};

/**
 * struct shard - free trampolines at hand
 *
 * @nr_plus_one: How many there are, and one.  Who takes them leaves 0 in its place,
 *	which is the shard's lock, and has the number until it puts that back.
 * @nr_at_fork: The number, while fork() has it.
 * @limit: With how many it gives some back to their instances.  It grows with
 *	each time that it had to get some from there, and shrinks with each
 *	attempt to return instances, so that those few that are here do not keep
 *	many of these mapped.
 * @entries: They.
 *
 * In a pool that was not set up, all are 0: who finds a shard so goes the long
 * way, which sets it up.
 */
struct shard {
	alignas(CACHE_LINE) size_t nr_plus_one;
	size_t nr_at_fork;
	size_t limit;
	struct entry entries[SHARD_MAX];
};

#define SHARD_TAKEN	SIZE_MAX	/* for their number; more than any limit */

/**
 * struct trampfd_pool - all zeroes before it is set up
 *
 * @shards: What it has at hand.
 * @ready: Whether it is set up.
 * @next: In the list of pools.
 * @prev: What points to it there.
 * @attr: What its trampolines do.
 * @lock: Guards all below.
 * @instances: The first of a ring of them, those with free trampolines first.
 * @nr_instances: How many there are.
 * @nr: Trampolines of all instances.
 * @nr_free: Those of them that are not in use, nor in a shard.
 * @trim_at: With how many in use, or less, to look for instances to return: half
 *	of those in use when this was last done.
 * @backend: Of the newest instance.
 */
struct trampfd_pool {
	struct shard shards[SHARDS];
	bool ready;
	struct trampfd_pool *next, **prev;
	struct trampfd_pool_attr attr;
	pthread_mutex_t lock;
	struct instance *instances;
	unsigned int nr_instances;
	size_t nr, nr_free, trim_at;
	int backend;
};

extern struct trampfd_pool default_pool;

/* Where in each pool the shard is that this thread uses */
extern __thread size_t shard_offset;

static inline struct shard *shard_of(struct trampfd_pool *pool)
{
	return (void *)((char *)pool->shards + shard_offset);
}

/* How many there are, for the caller alone; or SHARD_TAKEN, if another has them */
static inline size_t shard_take(struct shard *shard)
{
	return __atomic_exchange_n(&shard->nr_plus_one, 0, __ATOMIC_ACQUIRE) - 1;
}

static inline void shard_put(struct shard *shard, size_t nr)
{
	__atomic_store_n(&shard->nr_plus_one, nr + 1, __ATOMIC_RELEASE);
}

/* By who has taken the shard; another may compare SHARD_TAKEN with it. */
static inline void shard_limit(struct shard *shard, size_t limit)
{
	__atomic_store_n(&shard->limit, limit, __ATOMIC_RELAXED);
}

static inline struct trampfd_slot *slot_of(const struct instance *in, const void *trampoline)
{
	return (void *)(((uintptr_t)trampoline >> in->ratio_shift) + in->bias);
}

/* Code begins at a page. */
static inline bool is_trampoline_of(const struct instance *in, const void *address)
{
	return in && !((uintptr_t)address & in->code_mask);
}

static inline void slot_set(struct trampfd_slot *slot, void *code, void *data)
{
	__atomic_store_n(&slot->data, data, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->code, code, __ATOMIC_RELAXED);
}

/* The last steps of both, with the @nr of shard_take() */
static inline void *pop(struct shard *shard, size_t nr, void *code, void *data)
{
	struct entry e = shard->entries[nr - 1];

	shard_put(shard, nr - 1);
	slot_set(e.slot, code, data);
	return e.trampoline;
}

static inline void push(struct shard *shard, size_t nr, void *trampoline,
			struct trampfd_slot *slot)
{
	shard->entries[nr] = (struct entry){ trampoline, slot };
	shard_put(shard, nr + 1);
}

/* The rest of trampfd_alloc() and trampfd_free() */
void *alloc_long(struct trampfd_pool *pool, struct shard *shard, size_t nr, void *code,
		 void *data);
void free_long(struct trampfd_pool *pool, struct shard *shard, size_t nr, void *trampoline,
	       struct trampfd_slot *slot);
/* What is not there to be freed: NULL, which is right, or the program's end */
void free_wrong(const void *trampoline);

/* memory.c: memory that malloc() does not know of; NULL with errno */
void *memory_map(size_t size);
struct instance *memory_instance(void);
void memory_instance_free(struct instance *in);
void memory_lock(void);
void memory_unlock(void);

/*
 * The backends: map at least @nr trampolines, or as many as there can be at
 * once; set what &struct instance has from @code up to @map_size, but for
 * @ratio_shift and @bias, and @nr.  0, or -1 with errno and nothing left mapped.
 * Unmapping keeps errno.
 */
int kernel_map(struct instance *in, const struct trampfd_pool_attr *attr, size_t nr);
void kernel_unmap(struct instance *in);
int text_map(struct instance *in, const struct trampfd_pool_attr *attr);
void text_unmap(struct instance *in);
void unmap_keeping_errno(void *addr, size_t size);
void close_keeping_errno(int fd);

#endif /* LIBTRAMPFD_INTERNAL_H */
