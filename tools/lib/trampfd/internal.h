/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: what its files share
 *
 * All trampolines come in *instances*.  An instance lies in a *region* of 1 MiB,
 * aligned to its size::
 *
 *	region                  code: trampolines, from the instance's first
 *	region + TABLE_OFFSET   table: struct instance, then slots
 *
 * so that a slot is TABLE_OFFSET above its trampoline, and masking the address of
 * either gives the instance.  Of code and of table the same amount is mapped,
 * from one page up; what else lies in a region may be anyone's.
 *
 * There is no lock.  A slot is taken and given back by setting and clearing its
 * bit, and each other word that threads share is changed by one atomic
 * operation, so that a thread which is stopped, cancelled or forked away from
 * anywhere in here holds up no other.
 */
#ifndef LIBTRAMPFD_INTERNAL_H
#define LIBTRAMPFD_INTERNAL_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trampfd.h"

/* The build hides all that does not say this. */
#define API			__attribute__((visibility("default")))
#define HIDDEN			__attribute__((visibility("hidden")))

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)

#define load(p)			__atomic_load_n(p, __ATOMIC_ACQUIRE)
/* valgrind takes an exchange for a load, and so for no race with other loads. */
#define store(p, value)		((void)__atomic_exchange_n(p, value, __ATOMIC_SEQ_CST))
/* If it is @old, which is a variable: else that gets what it is. */
#define replace(p, old, new)	__atomic_compare_exchange_n(p, &(old), new, false, \
							    __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)

#define TABLE_OFFSET		0x80000ul	/* of the kernel's, and of ours */
#define REGION_SIZE		(2 * TABLE_OFFSET)

#define WORD_BITS		(8 * sizeof(unsigned long))
#define FULL			(~0ul)
#define LINE_SIZE		64
#define LINE_WORDS		(LINE_SIZE / sizeof(unsigned long))

/**
 * struct instance - trampolines that were mapped at once
 *
 * @pool: Whose they are.
 * @next: The one that the pool had before.
 * @bias: What to add to the address of a bit, as if there were addresses of bits,
 *	times the stride, for the address of its slot.
 * @full: A bit for each word of used_of() in which all are set; it may lag behind.
 * @frames: What the unwinder knows of it (frames.c), or NULL.
 * @first: The address of the first trampoline, the low half of it if it has 64 bits.
 * @nr: Trampolines.
 * @nr_fast: The same; or 0, if a checker of data races is to be told (watch.c), or
 *	perf (perf.c).
 * @nr_words: Of used_of().
 * @size: Bytes of code, and of table.
 * @nth: How many the pool had before.
 * @shift: Binary logarithm of the stride.
 * @backend: Whose code it is.
 *
 * Arrays follow, used_of(), @full and owner_of(), and then the slots.
 */
struct instance {
	struct trampfd_pool *pool;
	struct instance *next;
	uintptr_t bias;
	unsigned long *full;
	void *frames;
	uint32_t first;
	uint32_t nr;
	uint32_t nr_fast;
	uint32_t nr_words;
	uint32_t size;
	uint16_t nth;
	unsigned char shift;
	unsigned char backend;
};

static_assert(sizeof(struct instance) <= LINE_SIZE, "the first line");

/* A bit for each slot that is allocated, or is not there */
static inline unsigned long *used_of(struct instance *in)
{
	return (unsigned long *)((char *)in + LINE_SIZE);
}

/* For each cache line of used_of(), the shard that takes from there, and one */
static inline uint16_t *owner_of(struct instance *in)
{
	return (uint16_t *)(in->full + (in->nr_words + WORD_BITS - 1) / WORD_BITS);
}

#define TRIM_SIZE		0x20000	/* smaller instances keep their memory */

/*
 * A thread takes slots from the word of its *shard* until that is full.  Threads
 * have shards by a hash of pthread_self(): no thread-local storage, and nothing to
 * be given back when one ends.  Two threads with one shard are slower, no more.
 */
#define SHARDS_SHIFT		7
#define SHARDS			128

/**
 * struct trampfd_pool - all zeroes is the default pool before its first use
 *
 * @shards: For each, a word of used_of() an instance, or NULL.
 * @attr: What its trampolines do.
 * @instances: The newest.
 * @search: From where to look for free slots.
 * @spare: An instance that was found to be unused, and has kept its memory.
 */
struct trampfd_pool {
	unsigned long *shards[SHARDS];
	struct trampfd_pool_attr attr;
	struct instance *instances;
	struct instance *search;
	struct instance *spare;
};

/* Whether all that is done with its slots goes by way of slow.c */
static inline bool is_slow(const struct instance *in)
{
	return !in->nr_fast;
}

static inline char *region_of(const void *address)
{
	return (char *)((uintptr_t)address & -REGION_SIZE);
}

static inline struct instance *instance_at(char *region)
{
	return (struct instance *)(region + TABLE_OFFSET);
}

#define REGIONS			128
#define REGIONS_MORE		65536	/* more than a process may have mappings */

/**
 * struct globals - what the library has without being asked, near to each other
 *
 * @regions: A hash table of our regions, REGION_GONE where one was, and in the
 *	first, where NULL would be.  A region is no further than REGION_PROBES from
 *	where it belongs; neighbours in memory are neighbours here.
 * @more: Another, for those that find no place there; or NULL.
 * @next_region: A region that is likely to be free, or NULL.
 * @shared_text: For text.c: a mapping of the library's file, or NULL.
 * @text_is_apart: Whether the text is a mapping of its own.
 * @kernel_error: What trampfd_create(2) is known to answer, or 0.  A program may
 *	enter a sandbox that kills it for a system call that its author does not know.
 * @backend: For TRAMPFD_BACKEND_AUTO, and one; 0: the environment was not read yet.
 * @frames_add: Of trampfd_set_unwinder(), or NULL.
 * @frames_remove: Likewise; it is set first.
 * @pool: The default pool.
 * @first: The first pool that is created, so that it needs no page of its own.
 * @has_first: Whether @first is in use.
 */
struct globals {
	uintptr_t regions[REGIONS];
	uintptr_t *more;
	char *next_region;
	char *shared_text;
	bool text_is_apart;
	bool has_first;
	int kernel_error;
	int backend;
	trampfd_frames_fn *frames_add;
	trampfd_frames_fn *frames_remove;
	struct trampfd_pool pool;
	struct trampfd_pool first;
};

extern struct globals trampfd_globals;

#define REGION_PROBES		8
#define REGION_GONE		1

/* region.c: regions, and which are ours */

bool trampfd_region_find(const char *region);

/* A region is there, or anywhere, if it is ours. */
static inline bool region_is_home(const char *region)
{
	size_t home = (uintptr_t)region / REGION_SIZE % REGIONS;

	return load(&trampfd_globals.regions[home]) == (uintptr_t)region;
}

static inline bool region_is_ours(const char *region)
{
	return likely(region_is_home(region)) || trampfd_region_find(region);
}

/*
 * Which trampoline @address is of those of @in, in whose region it is: no less
 * than @nr if it is none, as what is not at the beginning of one gives a large
 * number
 */
static inline uint32_t index_of(const struct instance *in, const void *address)
{
	uint32_t offset = (uint32_t)(uintptr_t)address - in->first;

	return offset >> in->shift | offset << (32 - in->shift);
}

/* The instance one of whose trampolines is at @address, or NULL */
static inline struct instance *instance_of(const void *address)
{
	struct instance *in = instance_at(region_of(address));

	return region_is_ours(region_of(address)) && index_of(in, address) < in->nr ? in : NULL;
}

int trampfd_region_add(const char *region);
void trampfd_region_remove(const char *region);
/* Call @f for each; what it returns, if that is not 0, ends it and is returned. */
int trampfd_region_each(int (*f)(char *region, void *arg), void *arg);

/*
 * Map code and table with a backend's function, which puts both at a region that
 * is likely to be free, or returns -1 with errno, EEXIST if it is not.  The
 * region; NULL with errno.
 */
struct request;
char *trampfd_region_map(struct request *request, int (*map)(struct request *request));

/* @size bytes just at @address, EEXIST if something is there; 0, or -1 with errno */
int trampfd_map_at(char *address, size_t size, int prot, int fd, size_t offset);
void trampfd_unmap(void *address, size_t size);

/**
 * struct request - an instance to be mapped
 *
 * @attr: What its trampolines do.
 * @stride: 0 for the smallest that there is; then what it is.
 * @size: Bytes of code and of table, at most; then what they are.
 * @begin: Offset in the code from which on there are such trampolines.
 * @end: Up to which there are.
 * @region: Where.
 * @fd: The file with code and table (kernel.c).
 * @offset: In trampfd_text, of what is copied (text.c).
 * @piece: How much of that at once.
 */
struct request {
	const struct trampfd_pool_attr *attr;
	uint32_t stride;
	uint32_t size;
	uint32_t begin;
	uint32_t end;
	char *region;
	int fd;
	size_t offset;
	size_t piece;
};

/**
 * struct text - as many trampolines of one kind as trampfd_text has
 *
 * @mode: An &enum trampfd_mode.
 * @data_reg: As TRAMPFD_REG().
 * @scratch_reg: As TRAMPFD_REG(), 0 if none is used.
 * @stride: The smallest: bytes from one to the next.
 * @size: Bytes; 0 ends the list.
 */
struct text {
	uint32_t mode;
	uint16_t data_reg;
	uint16_t scratch_reg;
	uint32_t stride;
	uint32_t size;
};

/* text.S: one begins where that before it ends. */
extern const struct text trampfd_texts[] HIDDEN;
extern char trampfd_text[] HIDDEN, trampfd_text_end[] HIDDEN;

/* The backends.  The region, or NULL with errno and nothing left mapped */
char *trampfd_kernel_map(struct request *request);
char *trampfd_text_map(struct request *request);

/* alloc.c and slow.c */

/* Any number that each thread has one of */
static inline uintptr_t thread_id(void)
{
/* GCC 14 says that it has this for each ABI. */
#if defined(__has_builtin) && !defined(__powerpc__)
#if __has_builtin(__builtin_thread_pointer)
	return (uintptr_t)__builtin_thread_pointer();
#endif
#endif
	return (uintptr_t)pthread_self();
}

/* By multiplication with 2^32 over the golden ratio, which spreads neighbours */
static inline unsigned int shard_of_thread(void)
{
	return (uint32_t)thread_id() * 0x9e3779b1u >> (32 - SHARDS_SHIFT);
}

static inline struct trampfd_slot *slot_of(const void *trampoline)
{
	return (struct trampfd_slot *)((char *)trampoline + TABLE_OFFSET);
}

static inline void *trampoline_of(const void *slot)
{
	return (char *)slot - TABLE_OFFSET;
}

static inline void slot_set(struct trampfd_slot *slot, void *code, void *data)
{
	__atomic_store_n(&slot->data, data, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->code, code, __ATOMIC_RELAXED);
}

/* Allocate a slot of @word; false if all are. */
static inline bool take(unsigned long *word, struct trampfd_slot **slot)
{
	unsigned long used = __atomic_load_n(word, __ATOMIC_RELAXED);
	struct instance *in = instance_at(region_of(word));
	unsigned int bit;

	do {
		if (unlikely(used == FULL))
			return false;
		bit = __builtin_ctzl(~used);
	} while (unlikely(!replace(word, used, used | 1ul << bit)));
	*slot = (void *)((((uintptr_t)word * 8 + bit) << in->shift) + in->bias);
	return true;
}

void *trampfd_alloc_slow(struct trampfd_pool *pool, void *code, void *data);
/* Of one that is slow, is in a region away from home, or is not a trampoline */
void trampfd_free_slow(void *trampoline);
/* After @word was @used and is @now */
void trampfd_freed_slow(unsigned long *word, unsigned long used, unsigned long now);

/* frames.c: tell the unwinder of code, if there is one to be told */
void trampfd_frames_add(struct instance *in);
void trampfd_frames_remove(struct instance *in);

/* perf.c: names of trampolines, if they were asked for */
bool trampfd_perf_is_on(void);
/* Map @size bytes at @address for code to be moved to, so that perf takes it for a JIT's */
int trampfd_perf_reserve(char *address, size_t size);
void trampfd_perf_name(const struct trampfd_slot *slot);
void trampfd_perf_name_all(struct instance *in);

/* symbols.c: the name of the function at @address of an ELF file, if it has one */
void trampfd_find_symbol(const void *map, size_t size, uintptr_t address, char *name,
			 size_t length);

/* pool.c */

/* A word with free slots, of instances that may be new; NULL with errno */
unsigned long *trampfd_pool_word(struct trampfd_pool *pool, unsigned int shard);
/* @word has a free slot, and had none before. */
void trampfd_pool_not_full(struct instance *in, unsigned long *word, unsigned int shard);
/* @word has no slot in use: return the instance's memory if that is true of all. */
void trampfd_pool_unused(struct instance *in, const unsigned long *word, unsigned int shard);

/*
 * watch.c: what checkers of data races and of leaks are told.  They know malloc(),
 * and so that what the last user of memory did was before what the next one does.
 */
#pragma weak __tsan_acquire
#pragma weak __tsan_release
#pragma weak __lsan_register_root_region
#pragma weak __lsan_unregister_root_region
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void __lsan_register_root_region(const void *begin, size_t size);
void __lsan_unregister_root_region(const void *begin, size_t size);

bool trampfd_watch_is_on(void);
/* Is not to be checked: only the library uses it, as its author says. */
void trampfd_watch_ignore(const void *memory, size_t size);
void trampfd_watch_freed(const void *slot);
void trampfd_watch_allocated(const void *slot, size_t size);
/* Holds pointers. */
void trampfd_watch_root(const void *table, size_t size, bool is_there);

#endif /* LIBTRAMPFD_INTERNAL_H */
