// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: what it has without being asked, and where a debugger finds that
 *
 * trampfd-gdb.py reads trampfd_debug, and with it the memory of the process or of its
 * core: it needs no debugging information of the library.  No program uses it.
 */
#include "internal.h"

struct globals trampfd_globals = { .regions = { REGION_GONE } };

#define VERSION		1	/* another when a field changes its meaning */

/**
 * struct debug - addresses, sizes and offsets
 * @regions: In struct globals.
 * @more: Likewise.
 * @version: VERSION; 32 bits, as is all that follows.
 * @nr_regions: Of @regions.
 * @nr_more: Of @more.
 * @table_offset: From a trampoline to its slot.
 * @line_size: From an instance to used_of().
 * @pool: Members of struct instance, which is where the table begins.
 * @first: Likewise.
 * @nr: Likewise.
 * @size: Likewise.
 * @shift: Likewise.
 * @backend: Likewise.
 * @attr: A member of struct trampfd_pool.
 */
struct debug {
	const uintptr_t *regions;
	uintptr_t *const *more;
	uint32_t version;
	uint32_t nr_regions;
	uint32_t nr_more;
	uint32_t table_offset;
	uint32_t line_size;
	uint32_t pool;
	uint32_t first;
	uint32_t nr;
	uint32_t size;
	uint32_t shift;
	uint32_t backend;
	uint32_t attr;
};

API const struct debug trampfd_debug = {
	.regions = trampfd_globals.regions,
	.more = &trampfd_globals.more,
	.version = VERSION,
	.nr_regions = REGIONS,
	.nr_more = REGIONS_MORE,
	.table_offset = TABLE_OFFSET,
	.line_size = LINE_SIZE,
	.pool = offsetof(struct instance, pool),
	.first = offsetof(struct instance, first),
	.nr = offsetof(struct instance, nr),
	.size = offsetof(struct instance, size),
	.shift = offsetof(struct instance, shift),
	.backend = offsetof(struct instance, backend),
	.attr = offsetof(struct trampfd_pool, attr),
};
