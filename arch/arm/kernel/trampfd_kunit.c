// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder of arm kernels for the KUnit tests of trampfd.  trampfd_a32_kunit.c
 * has the implementation.
 */
#include <kunit/trampfd.h>

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	return &trampfd_arm_decoder;
}
