/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bytes of a stride after the trampoline, for the tests of each ABI
 */
#ifndef TRAMPFD_PADDING_H
#define TRAMPFD_PADDING_H

#include "common.h"

/**
 * struct padding - how code ends, and what follows
 * @end: Return the offset at which trampoline @i ends.
 * @step: Bytes between two places at which code can be entered.
 * @signal: The signal that the padding causes.
 * @can_be_empty: A trampoline can fill the smallest stride.
 */
struct padding {
	uint32_t (*end)(const struct instance *in, uint32_t i);
	uint32_t step;
	int signal;
	bool can_be_empty;
};

/* Expect that padding traps wherever it is entered. */
static inline void expect_padding_traps(struct __test_metadata *_metadata,
					const struct padding *padding)
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
			offset = padding->end(&in, 1);
			if (strides[i] || !padding->can_be_empty)
				ASSERT_LT(offset, in.args.stride);
			for (; offset < in.args.stride; offset += padding->step)
				EXPECT_EQ(padding->signal, signal_of(call, entry + offset))
					TH_LOG("%s: trampoline + %u", mode->name, offset);
			instance_close(&in);
		}
	}
}

#endif /* TRAMPFD_PADDING_H */
