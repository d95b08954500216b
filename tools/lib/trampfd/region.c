// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: find free regions of the address space, and record those in use
 */
#include <errno.h>
#include <sys/mman.h>

#include "internal.h"

static uintptr_t *find_in(uintptr_t *table, size_t nr, const char *region)
{
	uintptr_t found, *p;
	size_t i;

	/* An entry that was never used is NULL. */
	for (i = 0; table && region && i < REGION_PROBES; i++) {
		p = &table[((uintptr_t)region / REGION_SIZE + i) % nr];
		found = load(p);
		if (found == (uintptr_t)region)
			return p;
		if (!found)
			break;
	}
	return NULL;
}

static uintptr_t *find(const char *region)
{
	return find_in(trampfd_globals.regions, REGIONS, region) ?:
	       find_in(load(&trampfd_globals.more), REGIONS_MORE, region);
}

bool trampfd_region_find(const char *region)
{
	return find(region);
}

static bool add_to(uintptr_t *table, size_t nr, const char *region)
{
	uintptr_t found, *p;
	size_t i;

	for (i = 0; table && i < REGION_PROBES; i++) {
		p = &table[((uintptr_t)region / REGION_SIZE + i) % nr];
		found = load(p);
		if ((!found || found == REGION_GONE) && replace(p, found, (uintptr_t)region))
			return true;
	}
	return false;
}

/* Get the second table.  Return NULL with errno if there is no memory for it. */
static uintptr_t *map_more(void)
{
	uintptr_t *table = load(&trampfd_globals.more), *none = NULL;
	size_t size = REGIONS_MORE * sizeof(*table);

	if (table)
		return table;
	table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		return NULL;
	if (replace(&trampfd_globals.more, none, table))
		return table;
	trampfd_unmap(table, size);
	return none;
}

int trampfd_region_add(const char *region)
{
	if (add_to(trampfd_globals.regions, REGIONS, region) ||
	    add_to(map_more(), REGIONS_MORE, region))
		return 0;
	errno = ENOMEM;
	return -1;
}

void trampfd_region_remove(const char *region)
{
	store(find(region), REGION_GONE);
}

static int each_of(const uintptr_t *table, size_t nr, int (*f)(char *region, void *arg), void *arg)
{
	uintptr_t region;
	size_t i;
	int ret = 0;

	for (i = 0; table && i < nr && !ret; i++) {
		region = load(&table[i]);
		if (region && region != REGION_GONE)
			ret = f((char *)region, arg);
	}
	return ret;
}

int trampfd_region_each(int (*f)(char *region, void *arg), void *arg)
{
	return each_of(trampfd_globals.regions, REGIONS, f, arg) ?:
	       each_of(load(&trampfd_globals.more), REGIONS_MORE, f, arg);
}

void trampfd_unmap(void *address, size_t size)
{
	int saved = errno;

	munmap(address, size);
	errno = saved;
}

int trampfd_map_at(char *address, size_t size, int prot, int fd, size_t offset)
{
	int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (fd < 0 ? MAP_ANONYMOUS : 0);
	char *p = mmap(address, size, prot, flags, fd, offset);

	if (p == address)
		return 0;
	if (p != MAP_FAILED) {
		/* Linux before 4.17 ignores MAP_FIXED_NOREPLACE: the address is a hint. */
		trampfd_unmap(p, size);
		errno = EEXIST;
	}
	return -1;
}

/*
 * Map and unmap a range that contains a region, and return the region.  If limits do
 * not permit that, guess: return the @nth region below a page that was free.  Return
 * NULL with errno if no page is free.
 */
static char *look_for_region(size_t nth)
{
	size_t page = page_size(), size = 2 * REGION_SIZE - page;
	char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED) {
		trampfd_unmap(p, size);
		return region_of(p + REGION_SIZE - 1);
	}
	p = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	trampfd_unmap(p, page);
	return region_of(p) - nth * REGION_SIZE;
}

#define TRIES			64

char *trampfd_region_map(struct request *request, int (*map)(struct request *request))
{
	size_t i;

	for (i = 0; i < TRIES; i++) {
		/* Regions are used from high to low addresses, as mmap() does. */
		request->region = i ? NULL : load(&trampfd_globals.next_region);
		if (!request->region)
			request->region = look_for_region(i);
		if (!request->region)
			return NULL;
		if (!map(request)) {
			store(&trampfd_globals.next_region, request->region - REGION_SIZE);
			return request->region;
		}
		/* The first may be outside of the address space. */
		if (i && errno != EEXIST)
			return NULL;
	}
	errno = ENOMEM;
	return NULL;
}
