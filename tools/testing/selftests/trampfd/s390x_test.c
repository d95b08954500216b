// SPDX-License-Identifier: GPL-2.0
/*
 * s390x: code can be entered at each halfword, and r1 can only be a scratch register.
 */
#include "padding.h"

#define JUMP_MASK	0xfff0	/* all bits except the register */
#define JUMP		0x07f0

/* The offset of the end of a trampoline */
static uint32_t end_of(const struct instance *in, uint32_t i)
{
	const uint16_t *insn = instance_trampoline(in, i);
	uint32_t n = 0;

	while (n < in->args.stride / 2 && (insn[n] & JUMP_MASK) != JUMP)
		n++;
	return 2 * (n + 1);
}

TEST(padding_traps)
{
	static const struct padding padding = {
		.end = end_of, .step = 2, .signal = SIGILL,
	};

	expect_padding_traps(_metadata, &padding);
}

/* A jump through r0 is a no-operation, so no other scratch register is left. */
TEST(r1_cannot_be_the_data_register)
{
	const struct abi_mode *mode;

	for (mode = abi_modes; mode->name; mode++) {
		struct trampfd_create_args args = {
			.mode = mode->mode, .data_reg = TRAMPFD_REG(1),
		};

		EXPECT_EQ(-1, trampfd_create(&args, sizeof(args)));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_HARNESS_MAIN
