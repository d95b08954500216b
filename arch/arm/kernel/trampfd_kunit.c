// SPDX-License-Identifier: GPL-2.0
/*
 * Whose instructions the KUnit tests of trampfd read on arm: trampfd_a32_kunit.c
 */
#include <kunit/trampfd.h>

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	return &trampfd_arm_decoder;
}
