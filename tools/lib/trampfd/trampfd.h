/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines, for callbacks that carry a context
 *
 * A trampoline is a few instructions that load a data pointer and jump to a
 * function: how a C function pointer carries a context.  This library hands
 * them out one by one, like malloc() does memory, and never has memory that is
 * both writable and executable::
 *
 *	void *callback = trampfd_alloc(NULL, function, context);
 *
 *	qsort(array, nr, size, callback);
 *	trampfd_free(callback);
 *
 * A *pool* says what its trampolines do (&struct trampfd_pool_attr); NULL is the
 * default pool, whose trampolines load the ABI's default register, see
 * "Registers" in linux/trampfd.h.  Each trampoline has a *slot*, which begins with
 * {data, code} and can carry the context of the callback; each is found from the
 * other by adding a constant.  libtrampfd(7) says where all of this lies in memory.
 *
 * Code comes from one of two *backends*, which behave the same:
 *
 * - the kernel: trampfd_create(2);
 * - the library: the same instructions, assembled into the library's own text
 *   for the registers that are of most use.
 *
 * Unless one is asked for, the kernel is asked first, and the library takes its
 * place where the kernel does not have trampolines or may not give them (ENOSYS,
 * EPERM, EACCES, EOPNOTSUPP).  ENOSYS is remembered, and the kernel not asked again.
 * A program that is to make no system call that its seccomp filter may not know
 * calls trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY) first.
 *
 * Errors: a function that returns a pointer returns NULL, one that returns an
 * int -1, and errno says why.  What failed for lack of something (ENOMEM, EAGAIN,
 * EMFILE, ENFILE) may be tried again.
 *
 * Threads: any function may be called by any thread at any time, but for the
 * same trampoline, or for a pool that is being destroyed, as for memory of
 * malloc().  There are no locks: a thread that is stopped, cancelled or has a lower
 * priority holds up no other.  No function is a cancellation point.
 *
 * Signal handlers and fork(): all functions are async-signal-safe, but that the
 * first to be called by a program reads its environment.  The child of a fork(),
 * by whichever call, has all trampolines, with slots of its own, and may use the
 * library as its parent may.
 */
#ifndef LIBTRAMPFD_TRAMPFD_H
#define LIBTRAMPFD_TRAMPFD_H

#include <stddef.h>

#include <linux/trampfd.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum trampfd_backend - who provides the code of trampolines
 *
 * @TRAMPFD_BACKEND_AUTO: The kernel if it can, else the library.
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
 * @scratch_reg: 0 for the default, or TRAMPFD_REG() of the register that may be
 *	overwritten, where the mode needs one.
 * @backend: An &enum trampfd_backend; %TRAMPFD_BACKEND_AUTO leaves it to
 *	trampfd_set_backend() and the environment.
 * @context_size: Bytes of context in each slot, which follow its two words; at
 *	most %TRAMPFD_STRIDE_MAX with them.  A slot then takes the next power of two,
 *	and 32 bytes at least; without a context, what the mode needs (``stride`` of
 *	&struct trampfd_create_args).
 * @reserved: Must be 0.
 *
 * Zero means the default everywhere.  The library backend has
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
 *              SLOT  t8                                t0
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
 * struct trampfd_slot - what a trampoline reads
 *
 * @data: Of trampfd_alloc() or trampfd_set().  In %TRAMPFD_MODE_SLOT and
 *	%TRAMPFD_MODE_PUSH, where the data register points to the slot, no
 *	trampoline reads it.
 * @code: Likewise; NULL if the trampoline is free.
 *
 * The context follows.  A structure for it begins with these two words, and is
 * aligned as a slot is, to its size up to the next power of two.
 */
struct trampfd_slot {
	void *data;
	void *code;
};

struct trampfd_pool;

/**
 * trampfd_pool_create() - make a pool
 * @attr: What its trampolines do; NULL is as a structure of zeroes.
 *
 * The first trampolines are made at once, so that a request that can not be
 * fulfilled fails here.
 *
 * Return: A pool for trampfd_alloc(), or NULL with errno:
 *
 * - EINVAL: the mode, a register or the backend does not exist, the context is too
 *   large, or @reserved is not 0
 * - EOPNOTSUPP: the ABI does not have this mode; or the library does not have
 *   these registers, and the kernel has no trampolines
 * - ENOMEM, EMFILE, ENFILE: memory, address space, mappings or descriptors are
 *   exhausted
 * - EAGAIN: memory may not be locked (RLIMIT_MEMLOCK), as mlockall(MCL_FUTURE) wants
 * - any other error of trampfd_create(2): the kernel's answer, where the library
 *   can not take its place
 * - EACCES, ESTALE, or an error of open(2) or mmap(2), if the library was asked for
 *   and Linux is older than 5.13: its file can not be found, is another now, or may
 *   be written by others
 */
struct trampfd_pool *trampfd_pool_create(const struct trampfd_pool_attr *attr);

/**
 * trampfd_pool_destroy() - end a pool and all of its trampolines
 * @pool: The pool, or NULL, which does nothing: the default pool stays.
 *
 * No trampoline of the pool may be in use.
 */
void trampfd_pool_destroy(struct trampfd_pool *pool);

/**
 * trampfd_pool_backend() - who provides the code of a pool
 * @pool: The pool, or NULL for the default pool.
 *
 * A pool that has to grow may come to have instances of both, if the kernel's
 * answer changes in between (a sandbox was entered); the newest counts.
 *
 * Return: %TRAMPFD_BACKEND_KERNEL or %TRAMPFD_BACKEND_LIBRARY, or -1 with errno
 * as of trampfd_pool_create(), if the default pool has to be set up first.
 */
int trampfd_pool_backend(struct trampfd_pool *pool);

/**
 * trampfd_set_backend() - say who is to provide the code
 * @backend: For what is made from now on by pools with %TRAMPFD_BACKEND_AUTO.
 *
 * Takes the place of the environment variable TRAMPFD_BACKEND, which has one of
 * the words "auto", "kernel" and "library", is looked at once, and is ignored
 * in a program that runs with more privileges than its caller
 * (secure_getenv(3)).
 *
 * Return: 0, or -1 with errno EINVAL.
 */
int trampfd_set_backend(enum trampfd_backend backend);

/**
 * trampfd_alloc() - allocate a trampoline
 * @pool: Where from, or NULL for the default pool.
 * @code: Where it jumps to, a function or any other landing pad; not NULL.
 * @data: Any value.
 *
 * What the context in its slot contains is not defined, as with malloc().
 *
 * Return: The trampoline's address, to be called as the function that the
 * caller expects; or NULL with errno, EINVAL if @code is NULL, or as of
 * trampfd_pool_create().
 */
void *trampfd_alloc(struct trampfd_pool *pool, void *code, void *data);

/**
 * trampfd_set() - give a trampoline another code and data
 * @trampoline: Of trampfd_alloc().
 * @code: As there.
 * @data: As there.
 *
 * The two are stored one after the other: nobody may call the trampoline at the
 * same time.
 *
 * Return: 0, or -1 with errno EINVAL, if @trampoline is none or @code is NULL.
 */
int trampfd_set(void *trampoline, void *code, void *data);

/**
 * trampfd_slot() - the slot of a trampoline
 * @trampoline: Of trampfd_alloc().
 *
 * Adds a constant, and checks nothing.
 *
 * Return: The slot, a &struct trampfd_slot and the context.  It may be read and
 * changed as by trampfd_set(); its code must not become NULL.
 */
void *trampfd_slot(const void *trampoline);

/**
 * trampfd_trampoline() - the trampoline of a slot
 * @slot: Of trampfd_slot(), or what %TRAMPFD_MODE_SLOT leaves in the data register.
 *
 * Return: The trampoline.  Likewise.
 */
void *trampfd_trampoline(const void *slot);

/**
 * trampfd_is_trampoline() - whether an address is one of a trampoline
 * @address: Any value.
 *
 * Return: 1 if @address is that of a trampoline of this library in this
 * process, allocated or not; 0 if not.
 */
int trampfd_is_trampoline(const void *address);

/**
 * trampfd_free() - give a trampoline back
 * @trampoline: Of trampfd_alloc(), or NULL, which does nothing.
 *
 * Calling it afterwards jumps to address 0, until it is allocated again or its
 * memory is returned to the system.  What is no trampoline, or is free already,
 * ends the process (abort(3)).  errno stays as it is.  Memory is returned when all
 * trampolines that were mapped at once are free, except for small amounts and one
 * reserve; it stays mapped.
 */
void trampfd_free(void *trampoline);

typedef int trampfd_table_fn(void *table, size_t size, void *arg);

/**
 * trampfd_walk_tables() - tell a garbage collector where contexts are
 * @f: Called with the memory that has the slots of some trampolines, and @arg; if
 *	it does not return 0, that ends it.
 * @arg: Any value.
 *
 * Pointers in slots are in no memory that a conservative collector scans by itself.
 * libtrampfd(7) has an example.  (LeakSanitizer is told by the library.)
 *
 * Return: 0, or what @f returned.
 */
int trampfd_walk_tables(trampfd_table_fn *f, void *arg);

typedef void trampfd_frames_fn(void *frames);

/**
 * trampfd_set_unwinder() - let an unwinder pass through trampolines
 * @add: Called with unwind information, a section .eh_frame, for all code that there
 *	is and, when more is mapped, for that: __register_frame().
 * @remove: Called with the same before the code is unmapped: __deregister_frame().
 *
 * A trampoline makes no frame, so that unwinders need this only for a signal that
 * interrupts one: for profilers in the process, and for exceptions out of signal
 * handlers.  Otherwise they end there.  libtrampfd(7) says which unwinders have
 * such functions.
 *
 * From then on malloc(3) and @add are called where code is mapped: trampfd_alloc() and
 * trampfd_pool_create() are no longer async-signal-safe.  No pool may be destroyed
 * at the same time.
 *
 * Return: 0, or -1 with errno:
 *
 * - EINVAL: @add or @remove is NULL
 * - EBUSY: an unwinder was set before
 * - EOPNOTSUPP: arm, whose unwinders are told of no code but that of files
 */
int trampfd_set_unwinder(trampfd_frames_fn *add, trampfd_frames_fn *remove);

/**
 * trampfd_nested_created() - make a trampoline for a nested function of GCC
 * @chain: The frame that the function belongs to.
 * @func: The function.
 * @dst: A void * in that frame, which gets the trampoline.
 *
 * What libtrampfd-gcc calls in the place of libgcc's
 * __gcc_nested_func_ptr_created().  Ends the process if there is none.
 */
void trampfd_nested_created(void *chain, void *func, void *dst);

/**
 * trampfd_nested_deleted() - free a trampoline of the calling frame
 *
 * That of the calling thread whose @dst is nearest above the stack pointer, so that
 * coroutines may end in any order, in the thread in which they began.  What
 * longjmp() leaves behind stays until the thread ends.
 */
void trampfd_nested_deleted(void);

#ifdef __cplusplus
}
#endif

#endif /* LIBTRAMPFD_TRAMPFD_H */
