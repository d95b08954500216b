// SPDX-License-Identifier: GPL-2.0
/*
 * What the instructions of a trampoline of s390x do, for the KUnit tests.
 */
#include <kunit/trampfd.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include <asm/dis.h>

/* Principles of Operation, appendix B: all of these but the registers */
#define RIL_MASK	0xff0f
#define LARL		0xc000
#define LGRL		0xc408
#define BR_MASK		0xfff0
#define BR		0x07f0
#define SVC		0x0a	/* the first byte */

#define RETURN_ADDRESS	14

static const char *follow(struct trampfd_machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	u32 end = start + g->stride;
	u32 p = start;

	while (m->target.kind == TRAMPFD_UNCHANGED) {
		u32 operand, length = insn_length(code[p]);
		u16 insn = get_unaligned_be16(code + p);
		u8 r1 = insn >> 4 & 0xf;

		if (p + length > end)
			return "no jump";
		if ((insn & BR_MASK) == BR) {
			u8 r2 = insn & 0xf;

			if (!r2)
				return "jump through r0, which is none";
			if (r2 == RETURN_ADDRESS)
				return "jump that is a return";
			if (m->regs[r2].kind == TRAMPFD_UNCHANGED)
				return "use of the caller's value";
			m->target = m->regs[r2];
			p += length;
			break;
		}
		operand = p + 2 * get_unaligned_be32(code + p + 2);
		if ((insn & RIL_MASK) == LARL) {
			m->regs[r1] = (struct trampfd_value){ TRAMPFD_ADDRESS, operand };
		} else if ((insn & RIL_MASK) == LGRL) {
			if (operand % sizeof(u64))
				return "operand of LGRL is not on its boundary";
			m->regs[r1] = (struct trampfd_value){ TRAMPFD_LOADED, operand };
		} else {
			return "unknown instruction";
		}
		p += length;
	}
	/* Code can be entered at each halfword, each of zeroes traps. */
	for (; p < end; p++)
		if (code[p])
			return "filler that does not trap";
	return NULL;
}

static const char *has_system_call(const u8 *code, u32 size)
{
	u32 i;

	for (i = 0; i < size; i += 2)
		if (code[i] == SVC)
			return "a system call";
	return NULL;
}

static const struct trampfd_decoder trampfd_s390x_decoder = {
	.word_size = sizeof(u64),
	.stack_pointer = 15,
	.follow = follow,
	.has_system_call = has_system_call,
};

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	return &trampfd_s390x_decoder;
}
