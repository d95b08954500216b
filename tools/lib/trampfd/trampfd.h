/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines, for callbacks that carry a context
 *
 * A trampoline is a few instructions that load a data pointer and jump to a
 * function.  It gives a C function pointer a context.  This library allocates
 * trampolines one by one, as malloc() does memory.  It never has memory that is
 * both writable and executable::
 *
 *	void *callback = trampfd_alloc(NULL, function, context);
 *
 *	qsort(array, nr, size, callback);
 *	trampfd_free(callback);
 *
 * A *pool* determines what its trampolines do (&struct trampfd_pool_attr).  NULL is
 * the default pool, whose trampolines load the ABI's default register, see
 * "Registers" in linux/trampfd.h.  Each trampoline has a *slot*, which begins with
 * {data, code} and can hold the context of the callback.  The distance between the
 * two is constant.  libtrampfd(7) describes the layout in memory.
 *
 * Code comes from one of two *backends*, which behave the same:
 *
 * - the kernel: trampfd_create(2);
 * - the library: the same instructions, assembled into the library's text for the
 *   most common registers.
 *
 * Unless the program selects a backend, the library tries the kernel first, and uses
 * its own text if the kernel has no trampolines or refuses them (ENOSYS, EPERM,
 * EACCES, EOPNOTSUPP).  After ENOSYS it does not try the kernel again.  If a seccomp
 * filter may kill the program for an unknown system call, call
 * trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY) first.
 *
 * Errors: a function that returns a pointer returns NULL, a function that returns an
 * int returns -1, and both set errno.  After ENOMEM, EAGAIN, EMFILE and ENFILE a
 * later call may succeed.
 *
 * Threads: any thread may call any function at any time, except for the same
 * trampoline, or for a pool that is being destroyed.  There are no locks: a thread
 * that is stopped, cancelled or has a lower priority blocks no other.  No function is
 * a cancellation point.
 *
 * Signal handlers and fork(): all functions are async-signal-safe, except that the
 * first call in a program reads the environment.  The child of fork(), or of the system
 * call itself, has all trampolines, with its own copy of the slots, and may call every
 * function.
 */
#ifndef LIBTRAMPFD_TRAMPFD_H
#define LIBTRAMPFD_TRAMPFD_H

#include <stddef.h>

#include <linux/trampfd.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum trampfd_backend - the source of the code of trampolines
 *
 * @TRAMPFD_BACKEND_AUTO: The kernel if possible, else the library.
 * @TRAMPFD_BACKEND_KERNEL: trampfd_create(2).
 * @TRAMPFD_BACKEND_LIBRARY: The library's own text.
 */
enum trampfd_backend {
	TRAMPFD_BACKEND_AUTO,
	TRAMPFD_BACKEND_KERNEL,
	TRAMPFD_BACKEND_LIBRARY
};

/**
 * struct trampfd_pool_attr - what the trampolines of a pool do
 *
 * @mode: An &enum trampfd_mode.
 * @data_reg: 0 for the default, or TRAMPFD_REG() of the register that gets the
 *	data or the slot's address.
 * @scratch_reg: 0 for the default, or TRAMPFD_REG() of a register that the
 *	trampoline may overwrite, if the mode needs one.
 * @backend: An &enum trampfd_backend.  %TRAMPFD_BACKEND_AUTO selects the backend of
 *	trampfd_set_backend() or of the environment.
 * @context_size: Bytes of context after the two words of each slot.  If not 0, the
 *	size of a slot is the next power of two, at least 32 bytes and at most
 *	%TRAMPFD_STRIDE_MAX; if 0, the mode's minimum (``stride`` of &struct
 *	trampfd_create_args).
 * @reserved: Must be 0.
 *
 * Zero means the default everywhere.  The library backend supports:
 *
 * ===========  ====  ================================  =====================
 * ABI          mode  data register                     scratch
 * ===========  ====  ================================  =====================
 * x86_64       DATA  r10, rdi, rsi, rdx, rcx, r8, r9   none
 *              SLOT  r10
 * i386         DATA  ecx; eax                          eax; ecx
 *              SLOT  ecx, eax                          none
 *              PUSH  eax                               none
 * arm64        DATA  x17, x18, x0 to x7                x16
 *              SLOT  x17, x18                          x16
 * arm          DATA  r12, r0 to r3                     none
 *              SLOT  r12                               none
 * riscv64      DATA  t3, t2, a0 to a7                  t1
 *              SLOT  t3                                t1
 * ppc64le      DATA  r11, r3 to r10                    r12
 *              SLOT  r11                               r12
 * s390x        DATA  r0, r2 to r6                      r1
 *              SLOT  r0                                r1
 * loongarch64  DATA  t8, a0 to a7; t0                  t0; t8
 *              SLOT  t8; t0                            t0; t8
 * ===========  ====  ================================  =====================
 */
struct trampfd_pool_attr {
	unsigned int mode;
	unsigned short data_reg;
	unsigned short scratch_reg;
	unsigned int backend;
	unsigned int context_size;
	unsigned int reserved[4];
};

/**
 * struct trampfd_slot - the data of a trampoline
 *
 * @data: Argument of trampfd_alloc() or trampfd_set().  %TRAMPFD_MODE_SLOT and
 *	%TRAMPFD_MODE_PUSH do not read it: the data register points to the slot.
 * @code: Argument of the same functions; NULL if the trampoline is free.
 *
 * The context follows.  A program's structure for slot and context begins with these
 * two words.  Slots are aligned to their size.
 */
struct trampfd_slot {
	void *data;
	void *code;
};

struct trampfd_pool;

/**
 * trampfd_pool_create() - make a pool
 * @attr: What its trampolines do; NULL means a structure of zeroes.
 *
 * Maps the first trampolines, so that an unsupported request fails here.
 *
 * Return: A pool for trampfd_alloc(), or NULL with errno:
 *
 * - EINVAL: the mode, a register or the backend does not exist, the context is too
 *   large, or @reserved is not 0
 * - EOPNOTSUPP: the ABI does not have this mode; or the kernel has no trampolines,
 *   and the library does not support these registers
 * - ENOMEM, EMFILE, ENFILE: memory, address space, mappings or descriptors are
 *   exhausted
 * - EAGAIN: mlockall(MCL_FUTURE) is in effect, and RLIMIT_MEMLOCK is exceeded
 * - any other error of trampfd_create(2), if the library backend cannot be used
 *   either
 * - EACCES, ESTALE, or an error of open(2) or mmap(2): library backend, on Linux
 *   before 5.13: its file was not found, has been replaced, or is writable by others
 */
struct trampfd_pool *trampfd_pool_create(const struct trampfd_pool_attr *attr);

/**
 * trampfd_pool_destroy() - destroy a pool and all of its trampolines
 * @pool: The pool; if NULL, nothing is done, because the default pool stays.
 *
 * No trampoline of the pool may be in use.
 */
void trampfd_pool_destroy(struct trampfd_pool *pool);

/**
 * trampfd_pool_backend() - get the backend of a pool
 * @pool: The pool, or NULL for the default pool.
 *
 * If a pool grows after the program has entered a sandbox that refuses
 * trampfd_create(2), it has trampolines of both backends.  The result is that of the
 * newest.
 *
 * Return: %TRAMPFD_BACKEND_KERNEL or %TRAMPFD_BACKEND_LIBRARY; or -1 with an errno of
 * trampfd_pool_create(), if the default pool had to be set up first.
 */
int trampfd_pool_backend(struct trampfd_pool *pool);

/**
 * trampfd_set_backend() - select the backend
 * @backend: Used from now on by pools with %TRAMPFD_BACKEND_AUTO when they grow.
 *
 * Overrides the environment variable TRAMPFD_BACKEND, whose value is "auto",
 * "kernel" or "library".  The library reads the variable once, and ignores it in
 * setuid and similar programs (secure_getenv(3)).
 *
 * Return: 0, or -1 with errno EINVAL.
 */
int trampfd_set_backend(enum trampfd_backend backend);

/**
 * trampfd_alloc() - allocate a trampoline
 * @pool: The pool, or NULL for the default pool.
 * @code: The address that it jumps to, a function or any other landing pad; not NULL.
 * @data: Any value.
 *
 * The context in its slot is not initialised.
 *
 * Return: The trampoline's address, to be passed as a function pointer; or NULL with
 * EINVAL if @code is NULL, or with an errno of trampfd_pool_create().
 */
void *trampfd_alloc(struct trampfd_pool *pool, void *code, void *data);

/**
 * trampfd_set() - change code and data of a trampoline
 * @trampoline: Result of trampfd_alloc().
 * @code: See trampfd_alloc().
 * @data: See trampfd_alloc().
 *
 * The two are stored one after the other: no thread may call the trampoline at the
 * same time.
 *
 * Return: 0, or -1 with EINVAL if @trampoline is not a trampoline or @code is NULL.
 */
int trampfd_set(void *trampoline, void *code, void *data);

/**
 * trampfd_slot() - get the slot of a trampoline
 * @trampoline: Result of trampfd_alloc().
 *
 * Adds a constant, without checks.
 *
 * Return: The slot, a &struct trampfd_slot and the context.  The program may read it,
 * and change it under the rules of trampfd_set().
 */
void *trampfd_slot(const void *trampoline);

/**
 * trampfd_trampoline() - get the trampoline of a slot
 * @slot: Result of trampfd_slot(), or the data register of %TRAMPFD_MODE_SLOT.
 *
 * Subtracts a constant, without checks.
 *
 * Return: The trampoline.
 */
void *trampfd_trampoline(const void *slot);

/**
 * trampfd_is_trampoline() - check whether an address is a trampoline
 * @address: Any value.
 *
 * Return: 1 if @address is that of a trampoline of this library in this
 * process, allocated or free; 0 if not.
 */
int trampfd_is_trampoline(const void *address);

/**
 * trampfd_free() - free a trampoline
 * @trampoline: Result of trampfd_alloc(); if NULL, nothing is done.
 *
 * A call of a freed trampoline jumps to address 0, until it is allocated again.  If
 * @trampoline is not a trampoline, or is free, the process is aborted (abort(3)).
 * errno is not changed.  When all trampolines of one mapping are free, their memory
 * is returned to the system, except that of small mappings and one reserve; the
 * mapping stays.
 */
void trampfd_free(void *trampoline);

typedef int trampfd_table_fn(void *table, size_t size, void *arg);

/**
 * trampfd_walk_tables() - enumerate memory with slots, for a garbage collector
 * @f: Called for each table; if it returns non-zero, the walk ends.
 * @arg: Passed to @f.
 *
 * Conservative collectors do not scan tables, because they are neither heap nor
 * data segments.  libtrampfd(7) has an example.  (The library registers tables with
 * LeakSanitizer itself.)
 *
 * Return: 0, or the non-zero result of @f.
 */
int trampfd_walk_tables(trampfd_table_fn *f, void *arg);

typedef void trampfd_frames_fn(void *frames);

/**
 * trampfd_set_unwinder() - register trampolines with an unwinder
 * @add: Called with unwind information, in the format of section .eh_frame, for all
 *	code that is mapped now or later: __register_frame().
 * @remove: Called with the same pointer before the code is unmapped:
 *	__deregister_frame().
 *
 * A trampoline has no frame, so unwinders meet one only if a signal interrupts it:
 * in profilers of the own process, and if a signal handler throws an exception.
 * Without this call the backtrace ends there.  libtrampfd(7) lists the unwinders that
 * have such functions.
 *
 * After this call, mapping code calls malloc(3) and @add: trampfd_alloc() and
 * trampfd_pool_create() are no longer async-signal-safe.  No other thread may destroy
 * a pool during this call.
 *
 * Return: 0, or -1 with errno:
 *
 * - EINVAL: @add or @remove is NULL
 * - EBUSY: an unwinder is set already
 * - EOPNOTSUPP: arm, whose unwinders have no such functions
 */
int trampfd_set_unwinder(trampfd_frames_fn *add, trampfd_frames_fn *remove);

/**
 * trampfd_nested_created() - make a trampoline for a nested function of GCC
 * @chain: The static chain.
 * @func: The function.
 * @dst: A void * in the frame of the enclosing function, which gets the trampoline.
 *
 * libtrampfd-gcc calls this instead of libgcc's __gcc_nested_func_ptr_created().
 * Aborts the process if no trampoline can be allocated.
 */
void trampfd_nested_created(void *chain, void *func, void *dst);

/**
 * trampfd_nested_deleted() - free a trampoline of the calling frame
 *
 * Frees the trampoline of the calling thread whose @dst is nearest above the stack
 * pointer.  Coroutines may therefore end in any order, in the thread in which they
 * began.  Trampolines of frames that longjmp() skipped are freed when the thread ends.
 */
void trampfd_nested_deleted(void);

#ifdef __cplusplus
}
#endif

#endif /* LIBTRAMPFD_TRAMPFD_H */
