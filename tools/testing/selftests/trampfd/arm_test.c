// SPDX-License-Identifier: GPL-2.0
/*
 * arm: callers and targets in A32 and T32 (Thumb) state, the padding of trampolines,
 * and arm programs on arm64 kernels.
 */
#include <sys/utsname.h>

#include "common.h"

/*
 * call_a32() and call_t32() call their argument from that state.  jump_a32() and
 * jump_t32() branch to it, as a tail call does.  target_a32() and target_t32() return
 * r12, and in r1 a number for the state.  Bit 0 of a T32 function's address is set.
 */
extern const char call_a32[], call_t32[], jump_a32[], jump_t32[], target_a32[],
		  target_t32[];

asm("	.pushsection .text\n"
"	.syntax	unified\n"
"	.globl	call_a32, call_t32, jump_a32, jump_t32, target_a32, target_t32\n"
"	.type	call_a32, %function\n"
"	.type	call_t32, %function\n"
"	.type	jump_a32, %function\n"
"	.type	jump_t32, %function\n"
"	.type	target_a32, %function\n"
"	.type	target_t32, %function\n"
"	.align	2\n"
"	.arm\n"
"call_a32:\n"
"	push	{r4, lr}\n"
"	blx	r0\n"
"	pop	{r4, pc}\n"
"jump_a32:\n"
"	bx	r0\n"
"target_a32:\n"
"	mov	r0, r12\n"
"	mov	r1, #32\n"
"	bx	lr\n"
"	.thumb\n"
"	.align	2\n"
"	.thumb_func\n"
"call_t32:\n"
"	push	{r4, lr}\n"
"	blx	r0\n"
"	pop	{r4, pc}\n"
"	.thumb_func\n"
"jump_t32:\n"
"	bx	r0\n"
"	.thumb_func\n"
"target_t32:\n"
"	mov	r0, r12\n"
"	movs	r1, #16\n"
"	bx	lr\n"
#ifndef __thumb__
"	.arm\n"
#endif
"	.popsection\n");

FIXTURE(interworking) {};

FIXTURE_VARIANT(interworking) {
	const char *enter;
	const char *target;
	unsigned long which;
};

FIXTURE_VARIANT_ADD(interworking, a32_calls_a32) { call_a32, target_a32, 32 };
FIXTURE_VARIANT_ADD(interworking, a32_calls_t32) { call_a32, target_t32, 16 };
FIXTURE_VARIANT_ADD(interworking, t32_calls_a32) { call_t32, target_a32, 32 };
FIXTURE_VARIANT_ADD(interworking, t32_calls_t32) { call_t32, target_t32, 16 };
FIXTURE_VARIANT_ADD(interworking, a32_jumps_to_t32) { jump_a32, target_t32, 16 };
FIXTURE_VARIANT_ADD(interworking, t32_jumps_to_a32) { jump_t32, target_a32, 32 };

FIXTURE_SETUP(interworking) {}
FIXTURE_TEARDOWN(interworking) {}

TEST_F(interworking, target_gets_its_slot)
{
	unsigned long long (*enter)(const void *fn);
	const struct abi_mode *mode;
	uint32_t i, wrong;

	enter = (void *)variant->enter;
	for (mode = abi_modes; mode->name; mode++) {
		struct instance in = { .nr = ALL, .args = { .mode = mode->mode } };

		ASSERT_EQ(0, instance_open(&in));
		for (i = 0, wrong = 0; i < in.nr; i++) {
			struct slot *slot = instance_slot(&in, i);
			unsigned long long got;

			*slot = (struct slot){ ~i, (unsigned long)variant->target };
			got = enter(instance_trampoline(&in, i));
			wrong += (uint32_t)got != (mode->mode == TRAMPFD_MODE_DATA ?
						   ~i : (unsigned long)slot) ||
				 got >> 32 != variant->which;
		}
		EXPECT_EQ(0, wrong) TH_LOG("%s", mode->name);
		instance_close(&in);
	}
}

/* The words after a trampoline are undefined in A32 state and in T32 state. */
TEST(padding_traps)
{
	static const uint32_t strides[] = { 0, 64 };
	const struct abi_mode *mode;
	uint32_t i, at;
	char *code;

	for (mode = abi_modes; mode->name; mode++) {
		for (i = 0; i < ARRAY_SIZE(strides); i++) {
			struct instance in = { .nr = 1, .args = {
				.mode = mode->mode, .stride = strides[i],
			} };

			ASSERT_EQ(0, instance_open(&in));
			code = instance_trampoline(&in, 1);
			at = mode->mode == TRAMPFD_MODE_DATA ? 2 : 3;
			for (at *= 4; at < in.args.stride; at += 4) {
				EXPECT_EQ(SIGILL, signal_of(call, code + at))
					TH_LOG("%s: trampoline + %u", mode->name, at);
				EXPECT_EQ(SIGILL, signal_of(call, code + at + 1))
					TH_LOG("%s: trampoline + %u in T32", mode->name, at);
			}
			instance_close(&in);
		}
	}
}

TEST(arm64_needs_arm64_kernel)
{
	struct trampfd_create_args args = { .abi = TRAMPFD_ABI_ARM64 };
	int fd = trampfd_create(&args, sizeof(args));
	struct utsname name;

	/* On arm64 kernels, the personality selects the machine that uname(2) returns. */
	ASSERT_EQ(0, uname(&name));
	if (!strncmp(name.machine, "aarch64", 7) || !strncmp(name.machine, "armv8", 5)) {
		ASSERT_GE(fd, 0);
		EXPECT_EQ(4 * sizeof(uint32_t), args.stride);
	} else {
		EXPECT_EQ(-1, fd);
		EXPECT_EQ(EOPNOTSUPP, errno);
	}
}

TEST_HARNESS_MAIN
