/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark: the interface between its programs and the methods of making trampolines.
 */
#ifndef TRAMPFD_BENCH_H
#define TRAMPFD_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef void trampoline_t(void);

struct trampfd_create_args;

/**
 * struct method - one way to make trampolines
 *
 * @name: Name in the report.
 * @create: Make @n trampolines @t; number i has the data @t + i.  The method may store
 *	another pointer for each in @handle.  Return how many were made; fewer than
 *	@n, with errno, if one failed.
 * @set: Change the data of number i to @data + i; NULL if not supported.
 * @free: Free one; NULL if the method does not record which ones are in use.
 * @release: Free all; NULL if it has @free.
 * @base: The method to compare call times with, or NULL.
 * @slow: It makes system calls for each trampoline, so do not measure very many.
 * @folios: Use anonymous memory in folios of 64 KiB, which an administrator has to enable.
 *
 * The target stores the data in @seen and does nothing else.
 */
struct method {
	const char *name;
	size_t (*create)(trampoline_t **t, void **handle, size_t n);
	void (*set)(trampoline_t **t, void **handle, size_t n, char *data);
	void (*free)(trampoline_t *t, void *handle);
	void (*release)(void);
	const struct method *base;
	int slow, folios;
};

extern const struct method *const methods[];

/* methods.c, and from method_ffi on libraries.c */
extern const struct method method_plain, method_rwx, method_toggle_each, method_toggle_page,
	method_memfd, method_text, method_data, method_data_folios, method_slot, method_push,
	method_closure_rwx, method_closure_malloc, method_closure_slot,
	method_ffi, method_ffcall, method_kernel, method_library;

/*
 * Open a file of trampolines, and map @size bytes of its code and table.  Return the
 * descriptor and the start of the code; or -1 and NULL with errno.  In a guest (trampfd.c)
 * they come from the kernel, in native.c from a copy of the guest's code.
 */
int trampfd_open(struct trampfd_create_args *a);
char *trampfd_map(const struct trampfd_create_args *a, int fd, size_t size);

/* Allocate the memory in which methods without a library record their mappings. */
void methods_prepare(void);

/*
 * The data of the last call.  On the ABIs of native.c, which has threads, each thread has
 * its own, so that they do not share a cache line.
 */
#if defined(ABI_x86_64) || defined(ABI_i386)
#define SEEN _Thread_local
#else
#define SEEN
#endif
extern SEEN void *seen;

/* The number of calls of mmap(), munmap(), mprotect() and mremap() */
extern unsigned long mapping_calls;

/* The functions themselves: the linker's --wrap redirects calls to those that count. */
void *__real_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
void *__real_mmap64(void *addr, size_t size, int prot, int flags, int fd, off64_t offset);
int __real_munmap(void *addr, size_t size);
int __real_mprotect(void *addr, size_t size, int prot);
void *__real_mremap(void *old, size_t old_size, size_t size, int flags, void *addr);

/*
 * targets.S: targets of modes DATA, SLOT and PUSH with default registers, and of the
 * trampolines in libffi's text
 */
void target_data(void);
void target_slot(void);
void target_push(void);
void target_text(void);

/* The data register points CONTEXT_OFFSET bytes below a struct context. */
void target_context(void);

/* Empty functions; target_pop is for mode PUSH. */
void target_nothing(void);
void target_pop(void);

#endif
