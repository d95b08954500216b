// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: annotations for race and leak detectors
 *
 * valgrind recognises an instruction sequence that is a no-op elsewhere.  The
 * sanitizers of compilers have functions, which are weak symbols here.
 */
#include <stddef.h>

/* Debian's package valgrind.  Without its headers, helgrind and drd report races. */
#if defined(__has_include)
#if __has_include("valgrind/drd.h") && __has_include("valgrind/helgrind.h")
#include <valgrind/drd.h>
#include <valgrind/helgrind.h>
#define HAS_VALGRIND
#endif
#endif

#include "internal.h"

bool trampfd_watch_is_on(void)
{
#ifdef HAS_VALGRIND
	char byte = 0;

	/* Only helgrind and drd answer these. */
	if (VALGRIND_HG_GET_ABITS(&byte, NULL, 1) == 1 || DRD_GET_VALGRIND_THREADID)
		return true;
#endif
	return __tsan_acquire && __tsan_release;
}

void trampfd_watch_ignore(const void *memory, size_t size)
{
#ifdef HAS_VALGRIND
	VALGRIND_HG_DISABLE_CHECKING(memory, size);
	VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_START_SUPPRESSION, memory, size, 0, 0, 0);
#else
	(void)memory;
	(void)size;
#endif
}

/* Whatever happened before this happens before the next allocation of @slot. */
void trampfd_watch_freed(const void *slot)
{
	if (__tsan_release)
		__tsan_release((void *)slot);
}

/* @slot is new memory, as from malloc().  drd supports this request of helgrind. */
void trampfd_watch_allocated(const void *slot, size_t size)
{
#ifdef HAS_VALGRIND
	VALGRIND_HG_CLEAN_MEMORY(slot, size);
#else
	(void)size;
#endif
	if (__tsan_acquire) {
		__tsan_acquire(instance_at(region_of(slot)));
		__tsan_acquire((void *)slot);
	}
}

void trampfd_watch_root(const void *table, size_t size, bool add)
{
	if (!__lsan_register_root_region || !__lsan_unregister_root_region)
		return;
	if (add)
		__lsan_register_root_region(table, size);
	else
		__lsan_unregister_root_region(table, size);
}
