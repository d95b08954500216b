/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common to arm64 and arm.
 */
#ifndef NOLIBC
#include <assert.h>
#include <stddef.h>
#include <string.h>
#endif

#include "abi.h"

const enum trampfd_abi abi_of_machine[] = { TRAMPFD_ABI_ARM64, TRAMPFD_ABI_ARM, 0 };

const unsigned int abi_return_words;

/*
 * SVC of A64, A32 and T32: a process of either kind can map the code and jump to it
 * in its own state.  Instructions are little-endian on all kernels.
 */
bool abi_is_system_call(const unsigned char *bytes)
{
	uintptr_t address = (uintptr_t)bytes;

	if (address % 4 == 2 && (bytes[1] == 0xd4 || (bytes[1] & 0xf) == 0xf))
		return true;
	return address % 2 == 0 && bytes[1] == 0xdf;
}
