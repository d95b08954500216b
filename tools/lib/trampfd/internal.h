/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: data structures, and interfaces between its files
 *
 * Trampolines are mapped in *instances*.  An instance is in a *region* of 1 MiB,
 * aligned to its size::
 *
 *	region                  code: trampolines, from the instance's first
 *	region + TABLE_OFFSET   table: struct instance, then slots
 *
 * A slot is TABLE_OFFSET above its trampoline, and masking the address of either gives
 * the instance.  The same number of bytes is mapped of code and of table, at least one
 * page.  The rest of a region may contain other mappings of the process.
 *
 * There are no locks.  Allocating a slot sets its bit, freeing it clears the bit, and
 * each other word that threads share is changed by one atomic operation.  A thread
 * that is stopped or cancelled anywhere, or that does not exist after fork(), blocks no
 * other.
 */
#ifndef LIBTRAMPFD_INTERNAL_H
#define LIBTRAMPFD_INTERNAL_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "trampfd.h"

/* The build hides all other symbols. */
#define API			__attribute__((visibility("default")))
#define HIDDEN			__attribute__((visibility("hidden")))

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)

#define load(p)			__atomic_load_n(p, __ATOMIC_ACQUIRE)
/* valgrind reports a plain store as a race with atomic loads, but no exchange. */
#define store(p, value)		((void)__atomic_exchange_n(p, value, __ATOMIC_SEQ_CST))
/* Compare and exchange.  On failure, the variable @old gets the current value. */
#define replace(p, old, new)	__atomic_compare_exchange_n(p, &(old), new, false, \
							    __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)

#define TABLE_OFFSET		0x80000ul	/* for both backends */
#define REGION_SIZE		(2 * TABLE_OFFSET)

#define WORD_BITS		(8 * sizeof(unsigned long))
#define FULL			(~0ul)
#define LINE_SIZE		64
#define LINE_WORDS		(LINE_SIZE / sizeof(unsigned long))

/**
 * struct instance - trampolines that were mapped together
 *
 * @pool: The pool.
 * @next: The next older instance of the pool.
 * @bias: The address of a slot is (8 * address of the word + bit) * stride + @bias.
 * @full: A bit for each word of used_of(): all bits of the word are set.  It may be
 *	out of date.
 * @frames: Unwind information (frames.c), or NULL.
 * @first: The address of the first trampoline; its low 32 bits on a 64-bit ABI.
 * @nr: Number of trampolines.
 * @nr_fast: The same; 0 if slow.c has to tell a race detector (watch.c) or perf
 *	(perf.c).
 * @nr_words: Number of words of used_of().
 * @size: Bytes of code, and of table.
 * @nth: Number of older instances of the pool.
 * @shift: Binary logarithm of the stride.
 * @backend: The backend.
 *
 * The arrays used_of(), @full and owner_of() follow, then the slots.
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

/* A bit for each slot, set if it is allocated or beyond the end */
static inline unsigned long *used_of(struct instance *in)
{
	return (unsigned long *)((char *)in + LINE_SIZE);
}

/* For each cache line of used_of(), the shard that allocates from it, plus 1 */
static inline uint16_t *owner_of(struct instance *in)
{
	return (uint16_t *)(in->full + (in->nr_words + WORD_BITS - 1) / WORD_BITS);
}

#define TRIM_SIZE		0x20000	/* smaller instances keep their memory */

/*
 * A thread allocates slots from the word of its *shard* until the word is full.  A
 * hash of the thread's identifier selects the shard, so there is no thread-local
 * storage to set up or release.  Two threads with the same shard are slower.
 */
#define SHARDS_SHIFT		7
#define SHARDS			128

/**
 * struct trampfd_pool - a pool; zeroes are the default pool before its first use
 *
 * @shards: For each shard, a word of used_of() of an instance, or NULL.
 * @attr: What its trampolines do.
 * @instances: The newest instance.
 * @search: The instance at which the search for free slots starts.
 * @spare: An unused instance that kept its memory.
 */
struct trampfd_pool {
	unsigned long *shards[SHARDS];
	struct trampfd_pool_attr attr;
	struct instance *instances;
	struct instance *search;
	struct instance *spare;
};

/* Whether slots of @in must be allocated and freed in slow.c */
static inline bool is_slow(const struct instance *in)
{
	return !in->nr_fast;
}

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
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
#define REGIONS_MORE		65536	/* the default limit of mappings (vm.max_map_count) */

/**
 * struct globals - static data, together to touch few pages
 *
 * @regions: A hash table of the library's regions.  An entry of a removed region is
 *	REGION_GONE, and so is the first entry at the start, because NULL hashes
 *	there.  A region is at most REGION_PROBES entries after its home; regions
 *	that are adjacent in memory are adjacent here.
 * @more: A second, larger table for regions without a place in the first; or NULL.
 * @next_region: A region that is likely to be free, or NULL.
 * @shared_text: For text.c: a mapping of the library's file, or NULL.
 * @text_is_split: The text is a mapping of its own.
 * @kernel_error: The errno of trampfd_create(2) if the kernel does not have it, else
 *	0.  The program may later enter a sandbox that kills it for unknown system
 *	calls.
 * @backend: The backend for TRAMPFD_BACKEND_AUTO, plus 1; 0 if the environment was
 *	not read yet.
 * @frames_add: Argument of trampfd_set_unwinder(), or NULL.
 * @frames_remove: Likewise; set before @frames_add.
 * @pool: The default pool.
 * @first: The first pool that is created, which then needs no page of its own.
 * @has_first: @first is in use.
 */
struct globals {
	uintptr_t regions[REGIONS];
	uintptr_t *more;
	char *next_region;
	char *shared_text;
	bool text_is_split;
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

/* region.c: regions of the library */

bool trampfd_region_find(const char *region);

/* Whether @region is in its home entry.  Few regions are elsewhere. */
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
 * The index of the trampoline at @address, which is in the region of @in.  At least
 * @in->nr if no trampoline begins there: the rotation moves an offset within a
 * trampoline to the high bits.
 */
static inline uint32_t index_of(const struct instance *in, const void *address)
{
	uint32_t offset = (uint32_t)(uintptr_t)address - in->first;

	return offset >> in->shift | offset << (32 - in->shift);
}

/* The instance of the trampoline at @address, or NULL if there is none */
static inline struct instance *instance_of(const void *address)
{
	struct instance *in = instance_at(region_of(address));

	return region_is_ours(region_of(address)) && index_of(in, address) < in->nr ? in : NULL;
}

int trampfd_region_add(const char *region);
void trampfd_region_remove(const char *region);
/* Call @f for each region until it returns non-zero.  Return its last result. */
int trampfd_region_each(int (*f)(char *region, void *arg), void *arg);

/*
 * Find a free region and call @map, which maps code and table there, or returns -1
 * with errno: EEXIST if the region is not free.  Return the region, or NULL with errno.
 */
struct request;
char *trampfd_region_map(struct request *request, int (*map)(struct request *request));

/* Map @size bytes at @address.  Return 0, or -1 with errno: EEXIST if it is not free. */
int trampfd_map_at(char *address, size_t size, int prot, int fd, size_t offset);
void trampfd_unmap(void *address, size_t size);

/**
 * struct request - an instance to be mapped
 *
 * @attr: What its trampolines do.
 * @stride: In: the stride, or 0 for the minimum.  Out: resolved.
 * @size: In: maximum number of bytes of code, and of table.  Out: the number.
 * @begin: Out: offset of the first trampoline in the code.
 * @end: Out: offset of the end of the last trampoline.
 * @region: The region.
 * @fd: The file of code and table (kernel.c).
 * @offset: Offset in trampfd_text of the trampolines to copy (text.c).
 * @piece: Number of bytes to copy at once (text.c).
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
 * struct text - a range of trampfd_text with trampolines of one kind
 *
 * @mode: An &enum trampfd_mode.
 * @data_reg: As TRAMPFD_REG().
 * @scratch_reg: As TRAMPFD_REG(), 0 if none is used.
 * @stride: Bytes from one trampoline to the next, the minimum of the mode.
 * @size: Bytes; 0 ends the list.
 */
struct text {
	uint32_t mode;
	uint16_t data_reg;
	uint16_t scratch_reg;
	uint32_t stride;
	uint32_t size;
};

/* text.S: each range begins at the end of the one before it. */
extern const struct text trampfd_texts[] HIDDEN;
extern char trampfd_text[] HIDDEN, trampfd_text_end[] HIDDEN;

/* The backends: return the region; or NULL with errno, and map nothing. */
char *trampfd_kernel_map(struct request *request);
char *trampfd_text_map(struct request *request);

/* alloc.c and slow.c */

/* A number that is different in each thread */
static inline uintptr_t thread_id(void)
{
/* __has_builtin() of GCC 14 is true on each ABI, also where the compiler has none. */
#if defined(__has_builtin) && !defined(__powerpc__)
#if __has_builtin(__builtin_thread_pointer)
	return (uintptr_t)__builtin_thread_pointer();
#endif
#endif
	return (uintptr_t)pthread_self();
}

/* Multiplicative hashing, with 2^32 divided by the golden ratio */
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

/* Allocate a slot of @word.  Return false if all are allocated. */
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
/* If is_slow(), the region is not in its home entry, or this is not a trampoline */
void trampfd_free_slow(void *trampoline);
/* After freeing changed @word from @used to @now */
void trampfd_freed_slow(unsigned long *word, unsigned long used, unsigned long now);

/* frames.c: register code with the unwinder, if one is set */
void trampfd_frames_add(struct instance *in);
void trampfd_frames_remove(struct instance *in);

/* perf.c: names of trampolines, if TRAMPFD_PERF_MAP is set */
bool trampfd_perf_is_on(void);
/* Map @size bytes at @address, to be replaced by code: perf takes them for JIT code. */
int trampfd_perf_reserve(char *address, size_t size);
void trampfd_perf_name(const struct trampfd_slot *slot);
void trampfd_perf_name_all(struct instance *in);

/* symbols.c: copy the name of the function at @address of an ELF file to @name. */
void trampfd_find_symbol(const void *map, size_t size, uintptr_t address, char *name,
			 size_t length);

/* pool.c */

/* Return a word with free slots, of a new instance if necessary; or NULL with errno. */
unsigned long *trampfd_pool_word(struct trampfd_pool *pool, unsigned int shard);
/* Note that @word has a free slot, and had none before. */
void trampfd_pool_not_full(struct instance *in, unsigned long *word, unsigned int shard);
/* Note that @word is 0.  If all words are, return the memory of the instance. */
void trampfd_pool_unused(struct instance *in, const unsigned long *word, unsigned int shard);

/*
 * watch.c: annotations for race and leak detectors.  They know the order that malloc()
 * and free() establish between users of the same memory, but not that of slots.
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
/* Exclude memory that only the library uses. */
void trampfd_watch_ignore(const void *memory, size_t size);
void trampfd_watch_freed(const void *slot);
void trampfd_watch_allocated(const void *slot, size_t size);
/* Add or remove a table as memory to scan for pointers. */
void trampfd_watch_root(const void *table, size_t size, bool add);

#endif /* LIBTRAMPFD_INTERNAL_H */
