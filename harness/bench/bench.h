/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark: methods of making trampolines, as a table.
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
 * @name: As in the report.
 * @create: Make @n, of which number i has the data @t + i and jumps to a target
 *	of the method's. @handle is for what else it has to know of each. Returns how
 *	many there are, fewer than @n if it can make no more; errno says why.
 * @set: Give number i the data @data + i; NULL if it can not.
 * @free: Free one; NULL if the method does not record which ones are in use.
 * @release: Give all back at once; NULL if it has @free.
 * @base: What times of its calls are compared with; NULL: with nothing.
 * @slow: It makes system calls for each: not for very many.
 * @folios: With anonymous memory in folios of 64 KiB, where the kernel has them,
 *	which an administrator has to ask for.
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

/* Of own making, in methods.c, and those over a library */
extern const struct method method_plain, method_rwx, method_toggle_each, method_toggle_page,
	method_memfd, method_text, method_data, method_data_folios, method_slot, method_push,
	method_closure_rwx, method_closure_malloc, method_closure_slot,
	method_ffi, method_ffcall, method_kernel, method_library;

/*
 * A file of trampolines, and so many bytes of its code and table mapped: the start of
 * the code; -1 and NULL with errno.  In a guest they are the kernel's (trampfd.c),
 * in native.c what a guest's read(2) returned.
 */
int trampfd_open(struct trampfd_create_args *a);
char *trampfd_map(const struct trampfd_create_args *a, int fd, size_t size);

/* Touches the lists in which methods without a library record their mappings. */
void methods_prepare(void);

/*
 * The data that came last: where programs have threads (native.c) one for each, so
 * that none waits for another's.
 */
#if defined(ABI_x86_64) || defined(ABI_i386)
#define SEEN _Thread_local
#else
#define SEEN
#endif
extern SEEN void *seen;

/* How often memory was mapped and protected: mmap(), mprotect(), munmap() */
extern unsigned long mapping_calls;

/* The linker's --wrap gives these names to what is counted. */
void *__real_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
void *__real_mmap64(void *addr, size_t size, int prot, int flags, int fd, off64_t offset);
int __real_munmap(void *addr, size_t size);
int __real_mprotect(void *addr, size_t size, int prot);
void *__real_mremap(void *old, size_t old_size, size_t size, int flags, void *addr);

/*
 * targets.S: the data comes in the default register, as the slot's address there, or
 * on the stack, as PUSH and the trampolines of libffi's text leave it.
 */
void target_data(void);
void target_slot(void);
void target_push(void);
void target_text(void);

/* The data register points to memory that has a struct context after CONTEXT_OFFSET bytes. */
void target_context(void);

/* These do nothing; target_pop does it after PUSH. */
void target_nothing(void);
void target_pop(void);

#endif
