/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trampfd: what an architecture tells the KUnit tests of its trampolines.
 *
 * The tests (fs/trampfd/trampfd_kunit.c) generate the code of every geometry; an
 * architecture decodes a trampoline and follows it, instruction by instruction,
 * to its jump.  It says what each instruction does, the tests say whether that
 * is what was promised.
 */
#ifndef _KUNIT_TRAMPFD_H
#define _KUNIT_TRAMPFD_H

#include <linux/trampfd.h>
#include <linux/types.h>

#define TRAMPFD_OFFSET_NONE	U32_MAX	/* of what is not in code or table */

/**
 * struct trampfd_value - what is known of the contents of a register
 * @kind: As the caller left it; an address; or loaded from memory.
 * @offset: The address, or where it was loaded from, in bytes from the start of
 *	the code; or %TRAMPFD_OFFSET_NONE.
 */
struct trampfd_value {
	enum trampfd_value_kind {
		TRAMPFD_UNCHANGED, TRAMPFD_ADDRESS, TRAMPFD_LOADED
	} kind;
	u32 offset;
};

/**
 * struct trampfd_machine - what a trampoline leaves behind at its jump
 * @regs: By the number that the instructions have for the register.
 * @target: Where the jump goes to; unchanged before it.
 * @pushed: Bit n: register n was pushed, as the caller left it.
 */
struct trampfd_machine {
	struct trampfd_value regs[32];
	struct trampfd_value target;
	u32 pushed;
};

/**
 * struct trampfd_decoder - how to read the instructions of an ABI
 * @word_size: Of each of a slot's two words, in bytes.
 * @stack_pointer: Its number in &trampfd_machine.regs.
 * @follow: Follow the trampoline that begins @start bytes behind @code, from an
 *	@m of zeroes; what is wrong with it, or NULL.  Wrong is: no landing pad
 *	where the ABI has them, an instruction that it does not know, and one
 *	after the jump that does not trap.
 * @has_system_call: What is wrong if these @size bytes hold a system call in a
 *	state in which they could be executed, or NULL.
 */
struct trampfd_decoder {
	unsigned int word_size;
	unsigned int stack_pointer;
	const char *(*follow)(struct trampfd_machine *m, const u8 *code,
			      const struct trampfd_create_args *geometry,
			      u32 start);
	const char *(*has_system_call)(const u8 *code, u32 size);
};

/**
 * arch_trampfd_decoder() - the decoder of an ABI
 * @abi: One for which arch_trampfd_abi() has a description.
 */
const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi);

/* AArch32, which arm and arm64 have in common */
extern const struct trampfd_decoder trampfd_arm_decoder;

#endif /* _KUNIT_TRAMPFD_H */
