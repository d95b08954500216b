// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the kernel backend, trampolines of trampfd_create(2)
 */
#include <asm/unistd.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static int map_code(struct request *request)
{
	size_t size = request->size;
	char *code;

	if (!trampfd_perf_is_on())
		return trampfd_map_at(request->region, size, PROT_READ | PROT_EXEC, request->fd, 0);
	code = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, request->fd, 0);
	if (code == MAP_FAILED)
		return -1;
	if (!trampfd_perf_reserve(request->region, size)) {
		if (mremap(code, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, request->region) ==
		    request->region)
			return 0;
		trampfd_unmap(request->region, size);
	}
	trampfd_unmap(code, size);
	return -1;
}

/* Map the table first: code without it would read other memory of the process. */
static int map_areas(struct request *request)
{
	char *table = request->region + TABLE_OFFSET;

	if (trampfd_map_at(table, request->size, PROT_READ | PROT_WRITE, request->fd, TABLE_OFFSET))
		return -1;
	if (!map_code(request))
		return 0;
	trampfd_unmap(table, request->size);
	return -1;
}

/* close() is a cancellation point. */
static void close_keeping_errno(int fd)
{
	int saved = errno;

	syscall(__NR_close, fd);
	errno = saved;
}

/*
 * Whether trampfd_create(2), a seccomp filter or a security module returns this error.
 * Any other means that the kernel does not have the system call.
 */
static bool kernel_may_have_trampfd(int error)
{
	switch (error) {
	case EINVAL:
	case E2BIG:
	case EFAULT:
	case EOPNOTSUPP:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case EACCES:
	case EPERM:
		return true;
	default:
		return false;
	}
}

char *trampfd_kernel_map(struct request *request)
{
	struct trampfd_create_args args = {
		.mode = request->attr->mode,
		.data_reg = request->attr->data_reg,
		.scratch_reg = request->attr->scratch_reg,
		.stride = request->stride,
	};
	char *region = NULL;

	errno = load(&trampfd_globals.kernel_error);
	if (errno)
		return NULL;
	request->fd = syscall(__NR_trampfd_create, &args, sizeof(args));
	if (request->fd < 0) {
		if (!kernel_may_have_trampfd(errno))
			store(&trampfd_globals.kernel_error, errno);
		return NULL;
	}
	if (args.table_offset == TABLE_OFFSET) {
		if (request->size > args.table_size)
			request->size = args.table_size;
		request->stride = args.stride;
		request->begin = 0;
		request->end = request->size;
		region = trampfd_region_map(request, map_areas);
	} else {
		errno = EOPNOTSUPP;
	}
	close_keeping_errno(request->fd);
	return region;
}
