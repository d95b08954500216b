// SPDX-License-Identifier: GPL-2.0
/*
 * The peers of a program: those over libffi in one for each libffi, the others in that
 * of libffi's static trampolines. NATIVE: not those that need trampfd, or make the
 * same code as another.
 */
#include "bench.h"

const struct peer *const peers[] = {
#ifdef FFI_STATIC
	&peer_plain,
	&peer_rwx,
#ifndef NATIVE
	&peer_toggle_each,
	&peer_toggle_page,
#endif
	&peer_memfd,
	&peer_text,
#ifndef NATIVE
	&peer_data,
	&peer_data_folios,
	&peer_slot,
#ifdef ABI_i386
	&peer_push,
#endif
	&peer_kernel,
#endif
	&peer_library,
	&peer_ffcall,
#endif
	&peer_ffi,
	NULL
};
