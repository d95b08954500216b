// SPDX-License-Identifier: GPL-2.0
/*
 * Methods without a library, as in a runtime that makes its own trampolines. Each maps
 * memory for CHUNK_NR trampolines at a time and does not record which ones are in use,
 * so that its figures are the minimum for the method.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/trampfd.h>

#include "abi.h"
#include "bench.h"

/* The maximum of one mapping of trampfd, with the minimum stride of x86_64 */
#define CHUNK_NR	32768

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

/* libtrampfd passes an address. */
void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, void *addr)
{
	mapping_calls++;
	return __real_mremap(old, old_size, size, flags, addr);
}

/* Mappings, for release() */
static struct {
	void *start;
	size_t size;
} areas[65536];

static size_t nr_areas;

void methods_prepare(void)
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

/* A plain function pointer: the lower limit of call times */
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

const struct method method_plain = {
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
		some = minimum(n - i, CHUNK_NR);
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

const struct method method_rwx = {
	.name = "RWX page",
	.create = rwx_create,
	.set = rwx_set,
	.release = release,
};

/*
 * Memory that is made writable, then executable again: once for each trampoline, or once
 * for all of a page.
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
		some = minimum(n - i, CHUNK_NR);
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

/* A program sets trampolines one at a time. */
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

const struct method method_toggle_each = {
	.name = "W^X, one at a time",
	.create = toggle_each_create,
	.set = toggle_set,
	.release = release,
	.slow = 1,
};

const struct method method_toggle_page = {
	.name = "W^X, a page at a time",
	.create = toggle_page_create,
	.set = toggle_set,
	.release = release,
};

/* A file mapped twice, writable and executable */
static size_t memfd_create_all(trampoline_t **t, void **handle, size_t n)
{
	size_t i, j, some, size;
	char *code, *alias;
	int fd;

	for (i = 0; i < n; i += some) {
		some = minimum(n - i, CHUNK_NR);
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
			/* The jump is relative to the executable address. */
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

const struct method method_memfd = {
	.name = "memfd mapped twice",
	.create = memfd_create_all,
	.set = memfd_set,
	.release = release,
};

#ifdef FFI_STATIC
/*
 * A page of static text, mapped again for each page of data: the trampolines in libffi's
 * text, without the rest of libffi
 */
void *ffi_tramp_arch(size_t *tramp_size, size_t *map_size);

/* An address, and its offset in the program's file, or 0 if it is not there */
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
	return 1;	/* only the program, which is first */
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

const struct method method_text = {
	.name = "text mapped again",
	.create = text_create,
	.set = text_set,
	.release = release,
};
#endif

/* trampfd, without a library */
static void trampfd_slot_set(void **slot, trampoline_t *target, void *data)
{
	slot[0] = data;
	slot[1] = target;
}

static size_t trampfd_create(trampoline_t **t, void **handle, size_t n, unsigned int mode,
			     unsigned int stride, trampoline_t *target)
{
	struct trampfd_create_args a = { .mode = mode, .stride = stride };
	size_t i, j, some, size;
	char *code, *table;
	int fd;

	fd = trampfd_open(&a);
	if (fd < 0)
		return 0;
	for (i = 0; i < n; i += some) {
		some = minimum(n - i, a.table_size / a.stride);
		size = pages(some * a.stride);
		code = trampfd_map(&a, fd, size);
		if (!code)
			break;
		table = code + a.table_offset;
		add_area(code, a.table_offset + size);
		for (j = 0; j < some; j++) {
			handle[i + j] = table + j * a.stride;
			trampfd_slot_set(handle[i + j], target, &t[i + j]);
			t[i + j] = (trampoline_t *)(code + j * a.stride);
		}
	}
	close(fd);
	return i;
}

static void trampfd_set(void **handle, size_t n, char *data, trampoline_t *target)
{
	size_t i;

	for (i = 0; i < n; i++)
		trampfd_slot_set(handle[i], target, data + i);
}

#define TRAMPFD_METHOD(word, MODE)							\
static size_t word##_create(trampoline_t **t, void **handle, size_t n)			\
{											\
	return trampfd_create(t, handle, n, TRAMPFD_MODE_##MODE, 0, target_##word);	\
}											\
											\
static void word##_set(trampoline_t **t, void **handle, size_t n, char *data)		\
{											\
	(void)t;									\
	trampfd_set(handle, n, data, target_##word);					\
}											\
											\
const struct method method_##word = {							\
	.name = "trampfd " #MODE,							\
	.create = word##_create,							\
	.set = word##_set,								\
	.release = release,								\
	.base = &method_rwx,								\
}

TRAMPFD_METHOD(data, DATA);

const struct method method_data_folios = {
	.name = "trampfd DATA, 64 KiB folios",
	.create = data_create,
	.set = data_set,
	.release = release,
	.folios = 1,
};

TRAMPFD_METHOD(slot, SLOT);
#ifdef ABI_i386
TRAMPFD_METHOD(push, PUSH);
#endif

/*
 * Closures: trampolines with a context, which the target reads.  All have the layout of
 * abi.h, so that all use the same target.
 */
static const int cif;	/* a context points to it */

static void context_set(char *closure, void *data)
{
	*context_of(closure) = (struct context){ (void *)&cif, (void *)&cif, data };
}

/* Code and context in memory that is both writable and executable, as Debian's libffi */
static size_t closure_rwx_create(trampoline_t **t, void **handle, size_t n)
{
	size_t i, j, some;
	char *code;

	for (i = 0; i < n; i += some) {
		some = minimum(n - i, CHUNK_NR);
		code = mmap(NULL, pages(some * CLOSURE_SIZE), PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (code == MAP_FAILED)
			return i;
		add_area(code, pages(some * CLOSURE_SIZE));
		for (j = 0; j < some; j++) {
			handle[i + j] = code + j * CLOSURE_SIZE;
			jit_closure(handle[i + j], target_context);
			context_set(handle[i + j], &t[i + j]);
			t[i + j] = (trampoline_t *)(code + j * CLOSURE_SIZE);
		}
		__builtin___clear_cache(code, code + some * CLOSURE_SIZE);
	}
	return n;
}

static void closure_rwx_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	size_t i;

	for (i = 0; i < n; i++) {
		jit_closure(handle[i], target_context);
		context_set(handle[i], data + i);
		__builtin___clear_cache((char *)t[i], (char *)t[i] + JIT_STRIDE);
	}
}

const struct method method_closure_rwx = {
	.name = "closure in RWX page",
	.create = closure_rwx_create,
	.set = closure_rwx_set,
	.release = release,
};

/* The context in a block of malloc(); slot.data points to it */
static char **closures;
static size_t nr_closures;

static size_t closure_malloc_create(trampoline_t **t, void **handle, size_t n)
{
	size_t i, made = trampfd_create(t, handle, n, TRAMPFD_MODE_DATA, 0, target_context);

	closures = (char **)handle;
	for (i = 0; i < made; i++) {
		void **slot = handle[i];

		handle[i] = malloc(CLOSURE_SIZE);
		if (!handle[i])
			abort();
		context_set(handle[i], &t[i]);
		trampfd_slot_set(slot, target_context, handle[i]);
	}
	nr_closures = made;
	return made;
}

/* Only the context changes, not the slot. */
static void closure_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	size_t i;

	(void)t;
	for (i = 0; i < n; i++)
		context_set(handle[i], data + i);
}

static void closure_malloc_release(void)
{
	while (nr_closures)
		free(closures[--nr_closures]);
	release();
}

const struct method method_closure_malloc = {
	.name = "closure of malloc()",
	.create = closure_malloc_create,
	.set = closure_set,
	.release = closure_malloc_release,
	.base = &method_closure_rwx,
};

/* The context in the slot */
static size_t closure_slot_create(trampoline_t **t, void **handle, size_t n)
{
	size_t i, made;

	made = trampfd_create(t, handle, n, TRAMPFD_MODE_SLOT, CLOSURE_SIZE, target_context);
	for (i = 0; i < made; i++)
		context_set(handle[i], &t[i]);
	return made;
}

const struct method method_closure_slot = {
	.name = "closure in trampfd slot",
	.create = closure_slot_create,
	.set = closure_set,
	.release = release,
	.base = &method_closure_rwx,
};
