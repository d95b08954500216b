// SPDX-License-Identifier: GPL-2.0
/*
 * loongarch64: padding is a breakpoint.
 */
#include "padding.h"

#define JUMP_MASK	0xfffffc1f	/* all bits except the register */
#define JUMP		0x4c000000

/* The offset of the end of a trampoline */
static uint32_t end_of(const struct instance *in, uint32_t i)
{
	const uint32_t *insn = instance_trampoline(in, i);
	uint32_t n = 0;

	while (n < in->args.stride / 4 && (insn[n] & JUMP_MASK) != JUMP)
		n++;
	return 4 * (n + 1);
}

TEST(padding_traps)
{
	static const struct padding padding = {
		.end = end_of, .step = 4, .signal = SIGTRAP, .can_be_empty = true,
	};

	expect_padding_traps(_metadata, &padding);
}

TEST_HARNESS_MAIN
