// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: the ABIs of an arm kernel.  trampfd_a32.c has the instructions.
 */
#include <linux/trampfd.h>

const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi)
{
	return abi == TRAMPFD_ABI_ARM ? &trampfd_arm : NULL;
}

enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return TRAMPFD_ABI_ARM;
}
