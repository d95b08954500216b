// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: static data, and a description of it for debuggers
 *
 * trampfd-gdb.py reads trampfd_debug, in a process or a core, to find instances and
 * slots without debugging information of the library.
 */
#include "internal.h"

struct globals trampfd_globals = { .regions = { REGION_GONE } };

#define VERSION		1	/* to be increased when a field changes its meaning */

/**
 * struct debug - addresses, sizes and offsets
 * @regions: &struct globals.regions.
 * @more: Address of &struct globals.more.
 * @version: VERSION.
 * @nr_regions: Number of entries of @regions.
 * @nr_more: Number of entries of @more.
 * @table_offset: Bytes from a trampoline to its slot.
 * @line_size: Bytes from an instance to used_of().
 * @pool: Offset in &struct instance, which is at the start of the table.
 * @first: Likewise.
 * @nr: Likewise.
 * @size: Likewise.
 * @shift: Likewise.
 * @backend: Likewise.
 * @attr: Offset in &struct trampfd_pool.
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
