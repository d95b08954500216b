// SPDX-License-Identifier: GPL-2.0
/*
 * The methods of a program.  There is a program for each build of libffi; the one with
 * static trampolines (FFI_STATIC) also has the methods without libffi.  NATIVE: without
 * methods that need trampfd in the kernel, or whose code equals that of another.  EXACT:
 * only the methods that exact.sh checks.
 */
#include "bench.h"

const struct method *const methods[] = {
#ifdef FFI_STATIC
	&method_plain,
#endif
#if defined(EXACT) || defined(FFI_STATIC)
	&method_rwx,
#endif
#ifdef FFI_STATIC
#ifndef NATIVE
	&method_toggle_each,
	&method_toggle_page,
#endif
	&method_memfd,
	&method_text,
#endif
#if defined(EXACT) || defined(FFI_STATIC)
	&method_data,
#if !defined(EXACT) && !defined(NATIVE)
	&method_data_folios,
#endif
	&method_slot,
#ifdef ABI_i386
	&method_push,
#endif
	&method_closure_rwx,
#ifndef EXACT
	&method_closure_malloc,
#endif
	&method_closure_slot,
#endif
#ifdef FFI_STATIC
#ifndef NATIVE
	&method_kernel,
#endif
	&method_library,
	&method_ffcall,
#endif
#ifndef EXACT
	&method_ffi,
#endif
	NULL
};
