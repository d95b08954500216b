// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd-gcc: GCC's nested functions with trampolines of libtrampfd
 *
 * With -ftrampoline-impl=heap, GCC 14 and later do not write code to the stack.  They
 * call the first function here when the address of a nested function is taken, and the
 * second when the enclosing function returns.  libgcc also has these functions, and
 * writes code to heap memory.  A program that links this archive uses these instead.
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
