// SPDX-License-Identifier: GPL-2.0
/*
 * What loongarch64 alone has: filler that is a breakpoint.
 */
#include "common.h"

#define JUMP_MASK	0xfffffc1f	/* all but the register */
#define JUMP		0x4c000000

/* Where a trampoline ends, from its start */
static uint32_t end_of(const struct instance *in, uint32_t i)
{
	const uint32_t *insn = instance_trampoline(in, i);
	uint32_t n = 0;

	while (n < in->args.stride / 4 && (insn[n] & JUMP_MASK) != JUMP)
		n++;
	return 4 * (n + 1);
}

TEST(what_a_trampoline_leaves_of_its_stride_traps)
{
	static const uint32_t strides[] = { 0, 64 };
	const struct abi_mode *mode;
	uint32_t i, offset, trapped = 0;
	char *entry;

	for (mode = abi_modes; mode->name; mode++) {
		for (i = 0; i < ARRAY_SIZE(strides); i++) {
			struct instance in = { .nr = 1, .args = {
				.mode = mode->mode, .stride = strides[i],
			} };

			ASSERT_EQ(0, instance_open(&in));
			entry = instance_trampoline(&in, 1);
			for (offset = end_of(&in, 1); offset < in.args.stride; offset += 4) {
				EXPECT_EQ(SIGTRAP, signal_of(call, entry + offset))
					TH_LOG("%s: trampoline + %u", mode->name, offset);
				trapped++;
			}
			instance_close(&in);
		}
	}
	EXPECT_LT(0, trapped);
}

TEST_HARNESS_MAIN
