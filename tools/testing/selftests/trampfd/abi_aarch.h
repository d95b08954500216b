/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What arm64 and arm have in common.
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
 * svc of A64, A32 and T32: code of one can be jumped to in the state of
 * another, if only in another process.  Instructions are little-endian.
 */
bool abi_is_system_call(const unsigned char *bytes)
{
	uintptr_t address = (uintptr_t)bytes;

	if (address % 4 == 2 && (bytes[1] == 0xd4 || (bytes[1] & 0xf) == 0xf))
		return true;
	return address % 2 == 0 && bytes[1] == 0xdf;
}
