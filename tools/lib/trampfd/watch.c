// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: what checkers of data races and of leaks are told
 *
 * Those of valgrind are asked by an instruction sequence that does nothing
 * elsewhere; those of compilers, if the program has them, by their functions.
 */
#include <stddef.h>

/* Debian's package valgrind; under helgrind and drd, its headers are needed. */
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

	/* What other tools do not answer */
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

/* What mapped and freed it was before what comes after its allocation. */
void trampfd_watch_freed(const void *slot)
{
	if (__tsan_release)
		__tsan_release((void *)slot);
}

/* As of malloc(); drd knows this request of helgrind's. */
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

void trampfd_watch_root(const void *table, size_t size, bool is_there)
{
	if (!__lsan_register_root_region || !__lsan_unregister_root_region)
		return;
	if (is_there)
		__lsan_register_root_region(table, size);
	else
		__lsan_unregister_root_region(table, size);
}
