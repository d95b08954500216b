// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the library's own memory, from mmap() alone, so that it can be used
 * below or beside any malloc(); and the tree that finds an instance by the
 * address of a trampoline.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/*
 * For all in this file, and in text.c for who uses the text.  Held for a moment;
 * nothing else is locked by who holds it.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void memory_lock(void)
{
	pthread_mutex_lock(&lock);
}

void memory_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void *memory_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void unmap_keeping_errno(void *addr, size_t size)
{
	int saved = errno;

	munmap(addr, size);
	errno = saved;
}

void close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

/* Instances are never unmapped (internal.h): those that no pool has, by next */
static struct instance *unused;

/* And those that never were anyone's; what is not touched costs no memory. */
#define INSTANCES	512
static struct instance *fresh;
static unsigned int nr_fresh;

struct instance *memory_instance(void)
{
	struct instance *in = NULL;

	memory_lock();
	if (unused) {
		in = unused;
		unused = in->next;
		goto out;
	}
	if (!nr_fresh) {
		fresh = memory_map(INSTANCES * sizeof(*fresh));
		if (!fresh)
			goto out;
		nr_fresh = INSTANCES;
	}
	in = fresh++;
	nr_fresh--;
out:
	memory_unlock();
	return in;
}

void memory_instance_free(struct instance *in)
{
	memory_lock();
	in->next = unused;
	unused = in;
	memory_unlock();
}

struct node lookup_root;

/* The entry of the page at @addr, made if need be; NULL with errno */
static void **lookup_entry(uintptr_t addr)
{
	unsigned int shift = ADDRESS_BITS - NODE_SHIFT;
	struct node *node = &lookup_root, *below;
	void **entry;

	for (; shift > LOOKUP_PAGE_SHIFT; shift -= NODE_SHIFT) {
		entry = node_entry(node, addr, shift);
		below = *entry;
		if (!below) {
			below = memory_map(sizeof(*below));
			if (!below)
				return NULL;
			__atomic_store_n(entry, below, __ATOMIC_RELEASE);
		}
		node = below;
	}
	return node_entry(node, addr, shift);
}

/* The pages of code of @in are @value's, up to the first that has no entry. */
static int lookup_set(const struct instance *in, void *value)
{
	uintptr_t addr = (uintptr_t)in->code, end = addr + in->code_size;
	void **entry;
	int ret = 0;

	memory_lock();
	for (; addr < end; addr += 1u << LOOKUP_PAGE_SHIFT) {
		entry = lookup_entry(addr);
		if (!entry) {
			ret = -1;
			break;
		}
		__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	}
	memory_unlock();
	return ret;
}

int lookup_insert(struct instance *in)
{
	int ret = lookup_set(in, in);

	if (ret) {
		int saved = errno;

		lookup_remove(in);
		errno = saved;
	}
	return ret;
}

void lookup_remove(const struct instance *in)
{
	lookup_set(in, NULL);
}
