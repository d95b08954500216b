// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: pools and their instances
 *
 * The instances of a pool are a list.  New ones are added at the front; none is
 * removed until the pool is destroyed.  An unused instance returns the memory of its
 * table and stays mapped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

static int read_backend(void)
{
	static const char * const words[] = { "auto", "kernel", "library" };
	int backend = load(&trampfd_globals.backend) - 1, unread = 0, i;
	const char *word;

	if (backend >= 0)
		return backend;
	backend = TRAMPFD_BACKEND_AUTO;
	word = secure_getenv("TRAMPFD_BACKEND");
	for (i = 0; word && i < 3; i++) {
		if (!strcmp(word, words[i]))
			backend = i;
	}
	return replace(&trampfd_globals.backend, unread, backend + 1) ? backend : unread - 1;
}

/* Whether a resource is exhausted; the backend itself may work. */
static bool is_exhaustion(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

/* Map an instance.  Return the backend, or -1 with errno. */
static int request_map(struct request *request)
{
	unsigned int backend = request->attr->backend;
	struct request original = *request;
	int error = 0;

	if (backend == TRAMPFD_BACKEND_AUTO)
		backend = read_backend();
	if (backend != TRAMPFD_BACKEND_LIBRARY) {
		request->region = trampfd_kernel_map(request);
		if (request->region)
			return TRAMPFD_BACKEND_KERNEL;
		/* All other errors: the kernel has no trampolines, or refuses them. */
		if (backend == TRAMPFD_BACKEND_KERNEL || errno == EINVAL || is_exhaustion(errno))
			return -1;
		error = errno;
		*request = original;
	}
	request->region = trampfd_text_map(request);
	if (request->region)
		return TRAMPFD_BACKEND_LIBRARY;
	if (backend == TRAMPFD_BACKEND_AUTO && !is_exhaustion(errno) && errno != EOPNOTSUPP)
		errno = error;
	return -1;
}

static size_t round_up(size_t value, size_t to)
{
	return (value + to - 1) & -to;
}

/* The stride for slot and context: at least 32 bytes, which every mode permits */
static size_t stride_for(const struct trampfd_pool_attr *attr)
{
	size_t stride = 32, size = sizeof(struct trampfd_slot) + attr->context_size;

	if (!attr->context_size)
		return 0;
	while (stride < size)
		stride *= 2;
	return stride;
}

/* Bytes of the structure and its arrays, up to the first slot */
static size_t head_size(const struct instance *in)
{
	return in->first & (REGION_SIZE - 1);
}

static void instance_set_up(struct instance *in, const struct request *request)
{
	size_t bits = request->size / request->stride;
	size_t words = round_up(bits, WORD_BITS) / WORD_BITS;
	size_t marks = round_up(words, WORD_BITS) / WORD_BITS;
	size_t lines = round_up(words, LINE_WORDS) / LINE_WORDS, first;

	in->full = used_of(in) + words;
	first = (char *)(in->full + marks) + lines * sizeof(*owner_of(in)) - (char *)in;
	if (first < request->begin)
		first = request->begin;
	first = round_up(first, request->stride);
	in->first = (uintptr_t)request->region + first;
	in->size = request->size;
	in->shift = __builtin_ctzl(request->stride);
	in->bias = (uintptr_t)in + first - ((uintptr_t)used_of(in) * 8 << in->shift);
	in->nr = (request->end - first) >> in->shift;
	/* Whole words, so that all words of an unused instance are 0. */
	if (in->size >= TRIM_SIZE)
		in->nr -= in->nr % WORD_BITS;
	in->nr_words = round_up(in->nr, WORD_BITS) / WORD_BITS;
	if (in->nr % WORD_BITS)
		used_of(in)[in->nr / WORD_BITS] = FULL << in->nr % WORD_BITS;
}

static void instance_unmap(struct instance *in)
{
	char *region = region_of(in);
	size_t size = in->size;

	trampfd_watch_root(in, size, false);
	trampfd_frames_remove(in);
	trampfd_unmap(region, size);
	trampfd_unmap(in, size);
	/*
	 * Use this region for the next instance: a mapping far from all others is
	 * expensive to unmap, because its page tables are freed too.
	 */
	store(&trampfd_globals.next_region, region);
}

static struct instance *instance_map(struct trampfd_pool *pool, size_t size)
{
	struct request request = {
		.attr = &pool->attr,
		.stride = stride_for(&pool->attr),
		.size = size,
	};
	bool is_watched = trampfd_watch_is_on();
	struct instance *in;
	int backend;

	if (is_watched) {
		trampfd_watch_ignore(&trampfd_globals, sizeof(trampfd_globals));
		trampfd_watch_ignore(pool, sizeof(*pool));
	}
	backend = request_map(&request);
	if (backend < 0)
		return NULL;
	in = instance_at(request.region);
	instance_set_up(in, &request);
	in->pool = pool;
	in->backend = backend;
	if (is_watched) {
		trampfd_watch_ignore(in, head_size(in));
		trampfd_watch_freed(in);
	}
	if (!is_watched && !trampfd_perf_is_on())
		in->nr_fast = in->nr;
	trampfd_watch_root(in, in->size, true);
	if (!trampfd_region_add(request.region)) {
		trampfd_frames_add(in);
		return in;
	}
	instance_unmap(in);
	return NULL;
}

/*
 * Add an instance: the first has one page, the second 16, all others the maximum.  If
 * limits do not permit that, it has one page.  @head is the newest instance that the
 * caller knows: if another thread has added one since, keep that one.  Return 0, or -1
 * with errno.
 */
static int pool_grow(struct trampfd_pool *pool, struct instance *head)
{
	size_t least = round_up(4 * stride_for(&pool->attr), page_size()) ?: page_size();
	size_t size = head ? least << 4 * (head->nth + 1) : least;
	struct instance *in;

	if (head && (head->nth > 1 || size > TABLE_OFFSET))
		size = TABLE_OFFSET;
	in = instance_map(pool, size);
	if (!in && is_exhaustion(errno) && size > least)
		in = instance_map(pool, least);
	if (!in)
		return -1;
	in->next = head;
	in->nth = head ? head->nth + (head->nth < UINT16_MAX) : 0;
	if (!replace(&pool->instances, head, in)) {
		trampfd_region_remove(region_of(in));
		instance_unmap(in);
	}
	return 0;
}

/*
 * Find a word with free slots and make @owner the owner of its cache line.  Unless
 * @any, skip lines with another owner, because threads that write to the same line are
 * slow.
 */
static unsigned long *instance_word(struct instance *in, unsigned int owner, bool any)
{
	unsigned long rest, bit, *word, *marks;
	uint16_t *line;
	size_t i, base;

	for (base = 0; base < in->nr_words; base += WORD_BITS) {
		marks = &in->full[base / WORD_BITS];
		for (rest = ~load(marks); rest; rest &= ~bit) {
			bit = rest & -rest;
			i = base + __builtin_ctzl(bit);
			if (i >= in->nr_words)
				break;
			line = &owner_of(in)[i / LINE_WORDS];
			if (!any && load(line) && load(line) != owner)
				continue;
			word = used_of(in) + i;
			if (load(word) != FULL) {
				store(line, owner);
				return word;
			}
			/* A thread that freed a slot in between may not have seen the mark. */
			__atomic_fetch_or(marks, bit, __ATOMIC_SEQ_CST);
			if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != FULL)
				__atomic_fetch_and(marks, ~bit, __ATOMIC_SEQ_CST);
		}
	}
	return NULL;
}

/* Start where the last search ended, so that several searches are one round. */
static unsigned long *pool_find(struct trampfd_pool *pool, unsigned int owner, bool any)
{
	struct instance *start = load(&pool->search) ?: load(&pool->instances), *in = start;
	unsigned long *word;

	while (in) {
		word = instance_word(in, owner, any);
		if (word) {
			if (in != start)
				store(&pool->search, in);
			return word;
		}
		in = in->next ?: load(&pool->instances);
		if (in == start)
			break;
	}
	return NULL;
}

/* Threads share cache lines only if the pool has this many instances. */
#define INSTANCES_UNSHARED	3

unsigned long *trampfd_pool_word(struct trampfd_pool *pool, unsigned int shard)
{
	unsigned int owner = shard + 1;
	struct instance *head;
	unsigned long *word;
	bool is_small;

	for (;;) {
		head = load(&pool->instances);
		is_small = !head || head->nth + 1 < INSTANCES_UNSHARED;
		word = pool_find(pool, owner, false);
		if (!word && !is_small)
			word = pool_find(pool, owner, true);
		if (word)
			break;
		if (!pool_grow(pool, head))
			continue;
		word = pool_find(pool, owner, true);
		if (word)
			break;
		return NULL;
	}
	if (!is_slow(instance_at(region_of(word))))
		store(&pool->shards[shard], word);
	return word;
}

void trampfd_pool_not_full(struct instance *in, unsigned long *word, unsigned int shard)
{
	size_t i = word - used_of(in);
	unsigned long **hint = &in->pool->shards[shard], *was = load(hint);
	unsigned long *marks = &in->full[i / WORD_BITS], mark = 1ul << i % WORD_BITS;

	if (__atomic_load_n(marks, __ATOMIC_SEQ_CST) & mark)
		__atomic_fetch_and(marks, ~mark, __ATOMIC_SEQ_CST);
	/* Allocate the slot that was freed last, which is in the cache. */
	if (was && load(was) == FULL)
		store(hint, word);
}

static bool is_unused(struct instance *in)
{
	size_t i;

	for (i = 0; i < in->nr_words; i++) {
		if (load(used_of(in) + i))
			return false;
	}
	return true;
}

/*
 * Allocate all slots, so that no other thread has one; return the memory; free all
 * slots.  Keep the first pages, which contain the bits.
 */
static void return_memory(struct instance *in)
{
	size_t begin = round_up(head_size(in), page_size()), i, nr;
	unsigned long none;
	int saved = errno;

	for (nr = 0; nr < in->nr_words; nr++) {
		none = 0;
		if (!replace(used_of(in) + nr, none, FULL))
			break;
	}
	if (nr == in->nr_words)
		madvise((char *)in + begin, in->size - begin, MADV_DONTNEED);
	for (i = 0; i < nr; i++)
		store(used_of(in) + i, 0);
	for (i = 0; i < nr; i += WORD_BITS)
		store(&in->full[i / WORD_BITS], 0);
	errno = saved;
}

/*
 * One unused instance of a pool keeps its memory, because it is likely to be used
 * again.  So does an instance that this thread allocates from.
 */
void trampfd_pool_unused(struct instance *in, const unsigned long *word, unsigned int shard)
{
	struct instance *spare = load(&in->pool->spare);

	if (load(&in->pool->shards[shard]) == word || !is_unused(in) || spare == in)
		return;
	if (spare && is_unused(spare))
		return_memory(in);
	else
		store(&in->pool->spare, in);
}

/* Allocate a pool of zeroes.  Return NULL with errno if that fails. */
static struct trampfd_pool *pool_new(void)
{
	struct trampfd_pool *pool;
	bool no = false;

	if (replace(&trampfd_globals.has_first, no, true))
		return &trampfd_globals.first;
	pool = mmap(NULL, sizeof(*pool), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	return pool != MAP_FAILED ? pool : NULL;
}

static void pool_delete(struct trampfd_pool *pool)
{
	if (pool != &trampfd_globals.first) {
		trampfd_unmap(pool, sizeof(*pool));
		return;
	}
	memset(pool, 0, sizeof(*pool));
	store(&trampfd_globals.has_first, false);
}

API struct trampfd_pool *trampfd_pool_create(const struct trampfd_pool_attr *attr)
{
	static const struct trampfd_pool_attr none;
	struct trampfd_pool *pool;

	if (!attr)
		attr = &none;
	if (attr->backend > TRAMPFD_BACKEND_LIBRARY ||
	    attr->context_size > TRAMPFD_STRIDE_MAX - sizeof(struct trampfd_slot) ||
	    memcmp(attr->reserved, none.reserved, sizeof(none.reserved))) {
		errno = EINVAL;
		return NULL;
	}
	pool = pool_new();
	if (!pool)
		return NULL;
	pool->attr = *attr;
	if (!pool_grow(pool, NULL))
		return pool;
	pool_delete(pool);
	return NULL;
}

API void trampfd_pool_destroy(struct trampfd_pool *pool)
{
	struct instance *in, *next;

	if (!pool)
		return;
	for (in = pool->instances; in; in = next) {
		next = in->next;
		trampfd_perf_name_all(in);
		trampfd_region_remove(region_of(in));
		instance_unmap(in);
	}
	pool_delete(pool);
}

API int trampfd_pool_backend(struct trampfd_pool *pool)
{
	struct instance *head;

	if (!pool)
		pool = &trampfd_globals.pool;
	head = load(&pool->instances);
	if (!head && pool_grow(pool, NULL))
		return -1;
	return load(&pool->instances)->backend;
}

API int trampfd_set_backend(enum trampfd_backend backend)
{
	if ((unsigned int)backend > TRAMPFD_BACKEND_LIBRARY) {
		errno = EINVAL;
		return -1;
	}
	store(&trampfd_globals.backend, (int)backend + 1);
	return 0;
}

struct area {
	trampfd_table_fn *f;
	void *arg;
};

static int call_for_area(char *region, void *arg)
{
	const struct area *area = arg;
	struct instance *in = instance_at(region);

	return area->f(in, in->size, area->arg);
}

API int trampfd_walk_tables(trampfd_table_fn *f, void *arg)
{
	struct area area = { f, arg };

	return trampfd_region_each(call_for_area, &area);
}
