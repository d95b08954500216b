/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trampfd: the interface between the KUnit tests and the architectures.
 *
 * The tests (fs/trampfd/tests/trampfd_kunit.c) generate the code of every geometry.
 * The architecture decodes each trampoline and follows it to its jump.  The tests then
 * compare the state at the jump with the mode's definition.
 */
#ifndef _KUNIT_TRAMPFD_H
#define _KUNIT_TRAMPFD_H

#include <linux/trampfd.h>
#include <linux/types.h>

#define TRAMPFD_OFFSET_NONE	U32_MAX	/* an address outside code and table */

/**
 * struct trampfd_value - the contents of a register
 * @kind: Unchanged, an address, or loaded from memory.
 * @offset: The address, or the address it was loaded from, in bytes from the start
 *	of the code; or %TRAMPFD_OFFSET_NONE.
 */
struct trampfd_value {
	enum trampfd_value_kind {
		TRAMPFD_UNCHANGED, TRAMPFD_ADDRESS, TRAMPFD_LOADED
	} kind;
	u32 offset;
};

/**
 * struct trampfd_machine - the state at the jump of a trampoline
 * @regs: Registers by their number in instructions.
 * @target: The destination of the jump.
 * @pushed: Bit n is set if register n was pushed unchanged.
 */
struct trampfd_machine {
	struct trampfd_value regs[32];
	struct trampfd_value target;
	u32 pushed;
};

/**
 * struct trampfd_decoder - the instructions of an ABI
 * @word_size: Size of each of the two words of a slot, in bytes.
 * @stack_pointer: Number of the stack pointer in &trampfd_machine.regs.
 * @follow: Follow the trampoline at @code + @start from an @m of zeroes.  Return
 *	NULL, or what is wrong: no landing pad although the ABI has them, an unknown
 *	instruction, or an instruction after the jump that does not trap.
 * @has_system_call: Return NULL, or what is wrong: the @size bytes at @code contain
 *	a system call instruction of a state in which they could be executed.
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
 * arch_trampfd_decoder() - get the decoder of an ABI
 * @abi: An ABI that arch_trampfd_abi() describes.
 */
const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi);

/* AArch32, shared by arm and arm64 */
extern const struct trampfd_decoder trampfd_arm_decoder;

#endif /* _KUNIT_TRAMPFD_H */
