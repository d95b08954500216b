// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: trampolines of GCC's nested functions
 *
 * Each thread has a list of its trampolines, in blocks, the newest last.  Functions of
 * one stack return in the reverse order of their calls, so each deletes the last entry,
 * unless threads switch stacks (coroutines).
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"

/* GCC's static chain register, if it is not the default of mode DATA */
#if defined(__aarch64__)
#define CHAIN_REG	TRAMPFD_REG(18)
#elif defined(__riscv)
#define CHAIN_REG	TRAMPFD_REG(7)
#else
#define CHAIN_REG	0
#endif

struct entry {
	void *trampoline;
	uintptr_t frame;	/* an address in the frame */
};

#define BLOCK_NR	255

/**
 * struct block - part of a thread's list
 * @below: The older block, or NULL.
 * @nr: Number of entries in use.
 * @is_mixed: In this block or an older one, an entry's frame is not below that of the
 *	entry before it: there may be several stacks.
 * @entries: The entries, the newest last.
 */
struct block {
	struct block *below;
	unsigned int nr;
	bool is_mixed;
	struct entry entries[BLOCK_NR];
};

static struct trampfd_pool *pool;
static pthread_key_t key;
static bool has_key;

static void end_of_thread(void *top)
{
	struct block *block = top, *below;

	for (; block; block = below) {
		while (block->nr)
			trampfd_free(block->entries[--block->nr].trampoline);
		below = block->below;
		munmap(block, sizeof(*block));
	}
}

static void set_up(void)
{
	const struct trampfd_pool_attr attr = { .data_reg = CHAIN_REG };

	pool = trampfd_pool_create(&attr);
	if (!pool || pthread_key_create(&key, end_of_thread))
		abort();
	has_key = true;
}

/* A plugin with this library in it can be unloaded before a thread ends. */
__attribute__((destructor)) static void tear_down(void)
{
	if (has_key)
		pthread_key_delete(key);
}

static struct block *push_block(struct block *below)
{
	struct block *block = mmap(NULL, sizeof(*block), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED || pthread_setspecific(key, block))
		abort();
	block->below = below;
	return block;
}

/* An empty block stays until an entry of the block below is deleted. */
static struct block *pop_block(struct block *top)
{
	struct block *below = top->below;

	pthread_setspecific(key, below);
	munmap(top, sizeof(*top));
	return below;
}

static const struct entry *last_entry(const struct block *top)
{
	if (top && !top->nr)
		top = top->below;
	return top ? &top->entries[top->nr - 1] : NULL;
}

API void trampfd_nested_created(void *chain, void *func, void *dst)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct entry new = { NULL, (uintptr_t)dst };
	const struct entry *last;
	struct block *top;

	pthread_once(&once, set_up);
	new.trampoline = trampfd_alloc(pool, func, chain);
	if (!new.trampoline)
		abort();
	*(void **)dst = new.trampoline;

	top = pthread_getspecific(key);
	last = last_entry(top);
	if (!top || top->nr == BLOCK_NR)
		top = push_block(top);
	if (!top->nr)
		top->is_mixed = top->below && top->below->is_mixed;
	if (last && new.frame >= last->frame)
		top->is_mixed = true;
	top->entries[top->nr++] = new;
}

/* The entry whose frame is nearest above @sp, or NULL */
static struct entry *nearest(struct block *top, uintptr_t sp)
{
	struct entry *e, *found = NULL;
	struct block *block;

	for (block = top; block; block = block->below) {
		for (e = block->entries + block->nr; e-- > block->entries;) {
			if (e->frame >= sp && (!found || e->frame < found->frame))
				found = e;
		}
	}
	return found;
}

API void trampfd_nested_deleted(void)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	struct block *top = has_key ? pthread_getspecific(key) : NULL;
	struct entry *last, *e;

	if (top && !top->nr && top->below)
		top = pop_block(top);
	if (!top || !top->nr)
		abort();
	last = &top->entries[top->nr - 1];
	e = last;
	if (top->is_mixed || last->frame < sp)
		e = nearest(top, sp);
	if (!e)
		abort();
	trampfd_free(e->trampoline);
	/* Moving the last entry breaks the order. */
	if (e != last)
		top->is_mixed = true;
	*e = *last;
	top->nr--;
}
