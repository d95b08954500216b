/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common to x86_64 and i386.
 */
#ifndef NOLIBC
#include <assert.h>
#include <stddef.h>
#include <string.h>
#endif

#include "abi.h"

const enum trampfd_abi abi_of_machine[] = { TRAMPFD_ABI_X86_64, TRAMPFD_ABI_I386, 0 };

/* CF, PF, AF, ZF, SF, DF, OF */
const unsigned long abi_flags_mask = 0xcd5;
const unsigned int abi_return_words = 1;
const int abi_link_register = -1;

/* syscall, sysenter, int $0x80 */
bool abi_is_system_call(const unsigned char *bytes)
{
	return (bytes[0] == 0x0f && (bytes[1] == 0x05 || bytes[1] == 0x34)) ||
	       (bytes[0] == 0xcd && bytes[1] == 0x80);
}
