/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd-gcc: functions that code of GCC calls, as libgcc declares them
 */
#ifndef LIBTRAMPFD_GCC_H
#define LIBTRAMPFD_GCC_H

/* @dst is a void **, which gets the trampoline. */
void __gcc_nested_func_ptr_created(void *chain, void *func, void *dst);
void __gcc_nested_func_ptr_deleted(void);

#endif /* LIBTRAMPFD_GCC_H */
