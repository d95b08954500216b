// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the kernel's trampolines
 */
#include <asm/unistd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static int map_areas(struct instance *in, const struct trampfd_create_args *args, int fd)
{
	in->map_size = args->table_offset + args->table_size;
	in->code = mmap(NULL, in->map_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (in->code == MAP_FAILED)
		return -1;
	in->map = in->code;
	in->table = mmap(in->code + args->table_offset, args->table_size,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
			 args->table_offset);
	if (in->table == MAP_FAILED) {
		unmap_keeping_errno(in->map, in->map_size);
		return -1;
	}
	return 0;
}

int kernel_map(struct instance *in, const struct trampfd_pool_attr *attr, unsigned int nr)
{
	struct trampfd_create_args args = {
		.mode = attr->mode,
		.data_reg = attr->data_reg,
		.scratch_reg = attr->scratch_reg,
		.nr = nr,
	};
	int fd, ret;

	fd = syscall(__NR_trampfd_create, &args, sizeof(args));
	if (fd < 0)
		return -1;
	ret = map_areas(in, &args, fd);
	close_keeping_errno(fd);
	if (ret)
		return -1;

	in->backend = TRAMPFD_BACKEND_KERNEL;
	in->nr = args.nr;
	in->code_size = args.code_size;
	in->code_mask = args.code_stride - 1;
	in->table_stride = args.table_stride;
	return 0;
}
