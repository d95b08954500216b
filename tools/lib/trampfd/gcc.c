// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd-gcc: GCC's nested functions on trampolines of libtrampfd
 *
 * With -ftrampoline-impl=heap, GCC 14 and later call these two functions where a
 * nested function's address is taken and where that function's frame ends,
 * instead of writing code to the stack; libgcc has them too, with memory that is
 * writable and executable.  A program that links this archive gets these.
 */
#include "gcc.h"
#include "trampfd.h"

void __gcc_nested_func_ptr_created(void *chain, void *func, void *dst)
{
	trampfd_nested_created(chain, func, dst);
}

void __gcc_nested_func_ptr_deleted(void)
{
	trampfd_nested_deleted();
}
