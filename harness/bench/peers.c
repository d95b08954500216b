// SPDX-License-Identifier: GPL-2.0
/*
 * Peers that need no library: what a runtime does that makes its trampolines
 * itself. Each takes memory for so many at a time as an instance of trampfd has at
 * most, hands them out in a row and keeps no books of them, so that its figures are
 * the least that its way can cost.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/trampfd.h>

#include "abi.h"
#include "bench.h"

SEEN void *seen;
unsigned long mapping_calls;

void *__wrap_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	mapping_calls++;
	return __real_mmap(addr, size, prot, flags, fd, offset);
}

void *__wrap_mmap64(void *addr, size_t size, int prot, int flags, int fd, off64_t offset)
{
	mapping_calls++;
	return __real_mmap64(addr, size, prot, flags, fd, offset);
}

int __wrap_munmap(void *addr, size_t size)
{
	mapping_calls++;
	return __real_munmap(addr, size);
}

int __wrap_mprotect(void *addr, size_t size, int prot)
{
	mapping_calls++;
	return __real_mprotect(addr, size, prot);
}

/* What was mapped, for release() */
static struct {
	void *start;
	size_t size;
} areas[65536];

static size_t nr_areas;

void peers_prepare(void)
{
	memset(areas, 0, sizeof(areas));
}

static void add_area(void *start, size_t size)
{
	if (nr_areas == sizeof(areas) / sizeof(*areas))
		abort();
	areas[nr_areas].start = start;
	areas[nr_areas++].size = size;
}

static void release(void)
{
	while (nr_areas) {
		nr_areas--;
		munmap(areas[nr_areas].start, areas[nr_areas].size);
	}
}

static size_t minimum(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t pages(size_t size)
{
	size_t page = getpagesize();

	return (size + page - 1) / page * page;
}

/* A function pointer: the limit */
static size_t plain_create(trampoline_t **t, void **handle, size_t n)
{
	size_t i;

	(void)handle;
	for (i = 0; i < n; i++)
		t[i] = target_data;
	return n;
}

static void plain_release(void)
{
}

const struct peer peer_plain = {
	.name = "function pointer",
	.create = plain_create,
	.release = plain_release,
};

/* Memory that is both writable and executable */
static size_t rwx_create(trampoline_t **t, void **handle, size_t n)
{
	size_t i, j, some;
	char *code;

	(void)handle;
	for (i = 0; i < n; i += some) {
		some = minimum(n - i, TRAMPFD_NR_MAX);
		code = mmap(NULL, pages(some * JIT_STRIDE), PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (code == MAP_FAILED)
			return i;
		add_area(code, pages(some * JIT_STRIDE));
		for (j = 0; j < some; j++) {
			jit(code + j * JIT_STRIDE, target_data, &t[i + j]);
			t[i + j] = (trampoline_t *)(code + j * JIT_STRIDE);
		}
		__builtin___clear_cache(code, code + some * JIT_STRIDE);
	}
	return n;
}

static void rwx_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	size_t i;

	(void)handle;
	for (i = 0; i < n; i++) {
		jit((char *)t[i], target_data, data + i);
		__builtin___clear_cache((char *)t[i], (char *)t[i] + JIT_STRIDE);
	}
}

const struct peer peer_rwx = {
	.name = "RWX page",
	.create = rwx_create,
	.set = rwx_set,
	.release = release,
};

/*
 * Memory that is writable, then executable: a page for each trampoline, or once for
 * all in it. Where it is refused, that is the end.
 */
static int toggle_write(char *page, int prot)
{
	return mprotect(page, getpagesize(), prot);
}

static size_t toggle_create(trampoline_t **t, size_t n, size_t batch)
{
	size_t i, j, k, some, now;
	char *code, *page;

	for (i = 0; i < n; i += some) {
		some = minimum(n - i, TRAMPFD_NR_MAX);
		code = mmap(NULL, pages(some * JIT_STRIDE), PROT_READ | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (code == MAP_FAILED)
			return i;
		add_area(code, pages(some * JIT_STRIDE));
		for (j = 0; j < some; j += now) {
			now = minimum(some - j, batch);
			page = (char *)((uintptr_t)(code + j * JIT_STRIDE) & -getpagesize());
			if (toggle_write(page, PROT_READ | PROT_WRITE))
				return i + j;
			for (k = j; k < j + now; k++) {
				jit(code + k * JIT_STRIDE, target_data, &t[i + k]);
				t[i + k] = (trampoline_t *)(code + k * JIT_STRIDE);
			}
			if (toggle_write(page, PROT_READ | PROT_EXEC))
				return i + j;
			__builtin___clear_cache(code + j * JIT_STRIDE, code + k * JIT_STRIDE);
		}
	}
	return n;
}

static size_t toggle_each_create(trampoline_t **t, void **handle, size_t n)
{
	(void)handle;
	return toggle_create(t, n, 1);
}

static size_t toggle_page_create(trampoline_t **t, void **handle, size_t n)
{
	(void)handle;
	return toggle_create(t, n, getpagesize() / JIT_STRIDE);
}

/* One at a time: who sets one again does not know of others. */
static void toggle_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	char *page;
	size_t i;

	(void)handle;
	for (i = 0; i < n; i++) {
		page = (char *)((uintptr_t)t[i] & -getpagesize());
		toggle_write(page, PROT_READ | PROT_WRITE);
		jit((char *)t[i], target_data, data + i);
		toggle_write(page, PROT_READ | PROT_EXEC);
		__builtin___clear_cache((char *)t[i], (char *)t[i] + JIT_STRIDE);
	}
}

const struct peer peer_toggle_each = {
	.name = "W^X, one at a time",
	.create = toggle_each_create,
	.set = toggle_set,
	.release = release,
	.slow = 1,
};

const struct peer peer_toggle_page = {
	.name = "W^X, a page at a time",
	.create = toggle_page_create,
	.set = toggle_set,
	.release = release,
};

/* A file mapped twice, one time writable, the other executable */
static size_t memfd_create_all(trampoline_t **t, void **handle, size_t n)
{
	size_t i, j, some, size;
	char *code, *alias;
	int fd;

	for (i = 0; i < n; i += some) {
		some = minimum(n - i, TRAMPFD_NR_MAX);
		size = pages(some * JIT_STRIDE);
		fd = memfd_create("trampolines", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, size))
			return i;
		alias = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		code = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
		close(fd);
		if (alias == MAP_FAILED || code == MAP_FAILED)
			return i;
		add_area(alias, size);
		add_area(code, size);
		for (j = 0; j < some; j++) {
			jit(alias + j * JIT_STRIDE, target_data, &t[i + j]);
#ifdef ABI_i386
			/* The jump is relative to where it is executed. */
			*(int *)(alias + j * JIT_STRIDE + 10) += alias - code;
#endif
			t[i + j] = (trampoline_t *)(code + j * JIT_STRIDE);
			handle[i + j] = alias + j * JIT_STRIDE;
		}
		__builtin___clear_cache(code, code + some * JIT_STRIDE);
	}
	return n;
}

static void memfd_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	size_t i;

	for (i = 0; i < n; i++) {
		jit(handle[i], target_data, data + i);
#ifdef ABI_i386
		*(int *)((char *)handle[i] + 10) += (char *)handle[i] - (char *)t[i];
#endif
		__builtin___clear_cache((char *)t[i], (char *)t[i] + JIT_STRIDE);
	}
}

const struct peer peer_memfd = {
	.name = "memfd mapped twice",
	.create = memfd_create_all,
	.set = memfd_set,
	.release = release,
};

#ifdef FFI_STATIC
/*
 * A page of static text mapped again for each page of data: libffi's own text, of
 * which the library has these two, and no more of libffi.
 */
void *ffi_tramp_arch(size_t *tramp_size, size_t *map_size);

/* Where in the program's file an address of it is, 0 if it is not */
struct place {
	uintptr_t address;
	off_t offset;
};

static int place_in_file(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *place = arg;
	size_t i, distance;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		distance = place->address - info->dlpi_addr - info->dlpi_phdr[i].p_vaddr;
		if (info->dlpi_phdr[i].p_type == PT_LOAD &&
		    distance < info->dlpi_phdr[i].p_filesz)
			place->offset = info->dlpi_phdr[i].p_offset + distance;
	}
	return 1;	/* of the program alone */
}

static size_t text_create(trampoline_t **t, void **handle, size_t n)
{
	size_t i, j, some, stride, size;
	struct place place = { 0 };
	char *code;
	int fd;

	place.address = (uintptr_t)ffi_tramp_arch(&stride, &size);
	dl_iterate_phdr(place_in_file, &place);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	for (i = 0; i < n; i += some) {
		some = minimum(n - i, size / stride);
		code = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (code == MAP_FAILED)
			break;
		if (mmap(code, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED,
			 fd, place.offset) == MAP_FAILED)
			break;
		add_area(code, 2 * size);
		for (j = 0; j < some; j++) {
			void **slot = (void **)(code + size + j * stride);

			slot[0] = &t[i + j];
			slot[1] = target_text;
			t[i + j] = (trampoline_t *)(code + j * stride);
			handle[i + j] = slot;
		}
	}
	close(fd);
	return i;
}

static void text_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	size_t i;

	(void)t;
	for (i = 0; i < n; i++) {
		void **slot = handle[i];

		slot[0] = data + i;
		slot[1] = target_text;
	}
}

const struct peer peer_text = {
	.name = "text mapped again",
	.create = text_create,
	.set = text_set,
	.release = release,
};
#endif

/* trampfd, with no library */
static size_t trampfd_create(trampoline_t **t, void **handle, size_t n, unsigned int mode,
			     trampoline_t *target)
{
	struct trampfd_create_args a;
	char *code, *table;
	size_t i, j, some;
	int fd;

	for (i = 0; i < n; i += some) {
		some = minimum(n - i, TRAMPFD_NR_MAX);
		a = (struct trampfd_create_args){ .mode = mode, .nr = some };
		fd = syscall(__NR_trampfd_create, &a, sizeof(a));
		if (fd < 0)
			return i;
		code = mmap(NULL, a.table_offset + a.table_size, PROT_READ | PROT_EXEC,
			    MAP_PRIVATE, fd, 0);
		if (code == MAP_FAILED)
			return i;
		table = mmap(code + a.table_offset, a.table_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_FIXED, fd, a.table_offset);
		if (table == MAP_FAILED)
			return i;
		close(fd);
		add_area(code, a.table_offset + a.table_size);
		for (j = 0; j < some; j++) {
			void **slot = (void **)(table + j * a.table_stride);

			slot[0] = &t[i + j];
			slot[1] = target;
			t[i + j] = (trampoline_t *)(code + j * a.code_stride);
			handle[i + j] = slot;
		}
	}
	return n;
}

static void trampfd_set(void **handle, size_t n, char *data, trampoline_t *target)
{
	size_t i;

	for (i = 0; i < n; i++) {
		void **slot = handle[i];

		slot[0] = data + i;
		slot[1] = target;
	}
}

#define TRAMPFD_PEER(word, MODE)							\
static size_t word##_create(trampoline_t **t, void **handle, size_t n)			\
{											\
	return trampfd_create(t, handle, n, TRAMPFD_MODE_##MODE, target_##word);	\
}											\
											\
static void word##_set(trampoline_t **t, void **handle, size_t n, char *data)		\
{											\
	(void)t;									\
	trampfd_set(handle, n, data, target_##word);					\
}											\
											\
const struct peer peer_##word = {							\
	.name = "trampfd " #MODE,							\
	.create = word##_create,							\
	.set = word##_set,								\
	.release = release,								\
}

TRAMPFD_PEER(data, DATA);

const struct peer peer_data_folios = {
	.name = "trampfd DATA, 64 KiB folios",
	.create = data_create,
	.set = data_set,
	.release = release,
	.folios = 1,
};

TRAMPFD_PEER(slot, SLOT);
#ifdef ABI_i386
TRAMPFD_PEER(push, PUSH);
#endif
