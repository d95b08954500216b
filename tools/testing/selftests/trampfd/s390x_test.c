// SPDX-License-Identifier: GPL-2.0
/*
 * What s390x alone has: instructions of 2, 4 and 6 bytes, at each halfword of which
 * code can be entered, and a register that works as scratch register alone.
 */
#include "common.h"

#define JUMP_MASK	0xfff0	/* all but the register */
#define JUMP		0x07f0

/* Where a trampoline ends, from its start */
static uint32_t end_of(const struct instance *in, uint32_t i)
{
	const uint16_t *insn = instance_trampoline(in, i);
	uint32_t n = 0;

	while (n < in->args.stride / 2 && (insn[n] & JUMP_MASK) != JUMP)
		n++;
	return 2 * (n + 1);
}

TEST(what_a_trampoline_leaves_of_its_stride_traps)
{
	static const uint32_t strides[] = { 0, 64 };
	const struct abi_mode *mode;
	uint32_t i, offset;
	char *entry;

	for (mode = abi_modes; mode->name; mode++) {
		for (i = 0; i < ARRAY_SIZE(strides); i++) {
			struct instance in = { .nr = 1, .args = {
				.mode = mode->mode, .stride = strides[i],
			} };

			ASSERT_EQ(0, instance_open(&in));
			entry = instance_trampoline(&in, 1);
			offset = end_of(&in, 1);
			ASSERT_LT(offset, in.args.stride);
			for (; offset < in.args.stride; offset += 2)
				EXPECT_EQ(SIGILL, signal_of(call, entry + offset))
					TH_LOG("%s: trampoline + %u", mode->name, offset);
			instance_close(&in);
		}
	}
}

/* There is no register left to jump through. */
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
