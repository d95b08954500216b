// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the kernel's trampolines
 */
#include <asm/unistd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/*
 * Map @size bytes of code and of table.  The first mmap() reserves both areas and
 * all between them.  Unmap the rest: a trampoline there has no slot of its own,
 * and jumps to what it finds in whatever is mapped above the table.
 */
static int map_areas(struct instance *in, const struct trampfd_create_args *args, size_t size,
		     int fd)
{
	size_t reserved = args->table_offset + size;

	in->code = mmap(NULL, reserved, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (in->code == MAP_FAILED)
		return -1;
	in->table = mmap(in->code + args->table_offset, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED, fd, args->table_offset);
	if (in->table == MAP_FAILED ||
	    (size < args->table_offset && munmap(in->code + size, args->table_offset - size))) {
		unmap_keeping_errno(in->code, reserved);
		return -1;
	}
	return 0;
}

int kernel_map(struct instance *in, const struct trampfd_pool_attr *attr, size_t nr)
{
	size_t page = sysconf(_SC_PAGESIZE), size;
	struct trampfd_create_args args = {
		.mode = attr->mode,
		.data_reg = attr->data_reg,
		.scratch_reg = attr->scratch_reg,
	};
	int fd, ret;

	fd = syscall(__NR_trampfd_create, &args, sizeof(args));
	if (fd < 0)
		return -1;
	size = (nr * args.stride + page - 1) & -page;
	if (size > args.table_size)
		size = args.table_size;
	ret = map_areas(in, &args, size, fd);
	close_keeping_errno(fd);
	if (ret)
		return -1;

	in->backend = TRAMPFD_BACKEND_KERNEL;
	in->nr = size / args.stride;
	in->code_size = size;
	in->code_mask = args.stride - 1;
	in->table_stride = args.stride;
	return 0;
}

/* Both areas are of one size. */
void kernel_unmap(struct instance *in)
{
	unmap_keeping_errno(in->code, in->code_size);
	unmap_keeping_errno(in->table, in->code_size);
}
