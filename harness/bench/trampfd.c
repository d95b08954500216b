// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd_open() and trampfd_map() for a kernel with trampfd (bench.h).
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/trampfd.h>

#include "bench.h"

int trampfd_open(struct trampfd_create_args *a)
{
	return syscall(__NR_trampfd_create, a, sizeof(*a));
}

char *trampfd_map(const struct trampfd_create_args *a, int fd, size_t size)
{
	char *code = mmap(NULL, a->table_offset + size, PROT_READ | PROT_EXEC, MAP_PRIVATE,
			  fd, 0);

	if (code == MAP_FAILED)
		return NULL;
	if (mmap(code + a->table_offset, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		 fd, a->table_offset) == MAP_FAILED)
		return NULL;
	return code;
}
