// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd-gcc: GCC's nested functions on trampolines of libtrampfd
 *
 * With -ftrampoline-impl=heap, GCC 14 and later call these two functions where a
 * nested function's address is taken and where that function's frame ends,
 * instead of writing code to the stack; libgcc has them too, with memory that is
 * writable and executable.  A program that links this archive gets these.  As
 * in libgcc, each thread has a stack of its trampolines, and what a longjmp()
 * leaves behind stays until the thread ends.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "gcc.h"
#include "trampfd.h"

/* Of the static chain, where that is not the default of DATA: GCC's choice */
#if defined(__aarch64__)
#define CHAIN_REG	TRAMPFD_REG(18)
#elif defined(__riscv)
#define CHAIN_REG	TRAMPFD_REG(7)
#else
#define CHAIN_REG	0
#endif

#define BLOCK_SIZE	4096
#define BLOCK_NR	(BLOCK_SIZE / sizeof(void *) - 2)

/* Part of a thread's stack */
struct block {
	struct block *below;
	size_t nr;
	void *trampolines[BLOCK_NR];
};

static __thread struct block *top;
static struct trampfd_pool *pool;
static pthread_key_t key;

static void pop_block(void)
{
	struct block *block = top;

	top = block->below;
	munmap(block, sizeof(*block));
}

static void end_of_thread(void *value)
{
	(void)value;
	while (top) {
		while (top->nr)
			trampfd_free(top->trampolines[--top->nr]);
		pop_block();
	}
}

static void set_up(void)
{
	const struct trampfd_pool_attr attr = { .data_reg = CHAIN_REG };

	pool = trampfd_pool_create(&attr);
	if (!pool || pthread_key_create(&key, end_of_thread))
		abort();
}

static void push_block(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct block *block;

	pthread_once(&once, set_up);
	block = mmap(NULL, sizeof(*block), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED || pthread_setspecific(key, block))
		abort();
	block->below = top;
	top = block;
}

void __gcc_nested_func_ptr_created(void *chain, void *func, void *dst)
{
	void *trampoline;

	if (!top || top->nr == BLOCK_NR)
		push_block();
	trampoline = trampfd_alloc(pool, func, chain);
	if (!trampoline)
		abort();
	top->trampolines[top->nr++] = trampoline;
	*(void **)dst = trampoline;
}

void __gcc_nested_func_ptr_deleted(void)
{
	if (top && !top->nr && top->below)
		pop_block();
	if (!top || !top->nr)
		abort();
	trampfd_free(top->trampolines[--top->nr]);
}
