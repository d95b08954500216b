// SPDX-License-Identifier: GPL-2.0
/*
 * What the instructions of a trampoline of ppc64le do, for the KUnit tests.
 */
#include <kunit/trampfd.h>
#include <linux/bitops.h>
#include <linux/types.h>

#include <asm/disassemble.h>
#include <asm/ppc-opcode.h>

/* Power ISA, book I: primary opcodes, and of LD the bits that tell it apart */
#define OP_ADDIS	15
#define OP_SC		17	/* SC and SCV */
#define OP_LD		58
#define LD_XO		0x3

#define MTCTR_MASK	0xfc1fffff	/* all but the register */

/* Holds the address of the function that is called (ELFv2 ABI) */
#define ENTRY_REG	12

static u32 insn_at(const u8 *code, u32 offset)
{
	return *(const u32 *)(code + offset);
}

static const char *follow(struct trampfd_machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	const struct trampfd_value *entry = &m->regs[ENTRY_REG];
	struct trampfd_value ctr = {};
	u32 end = start + g->stride;
	u32 p = start;

	m->regs[ENTRY_REG] = (struct trampfd_value){ TRAMPFD_ADDRESS, start };

	for (; m->target.kind == TRAMPFD_UNCHANGED; p += sizeof(u32)) {
		struct trampfd_value *rt, *ra;
		u32 insn;

		if (p >= end)
			return "no jump";
		insn = insn_at(code, p);
		rt = &m->regs[get_rt(insn)];
		ra = &m->regs[get_ra(insn)];
		if ((insn & MTCTR_MASK) == PPC_RAW_MTCTR(0)) {
			ctr = *rt;
			continue;
		}
		if (insn == PPC_RAW_BCTR()) {
			if (ctr.kind != TRAMPFD_LOADED)
				return "jump to what was not loaded";
			if (entry->kind != ctr.kind || entry->offset != ctr.offset)
				return "r12 is not the address of the target";
			m->target = ctr;
			continue;
		}
		/* The others compute an address, for which r0 counts as zero. */
		if (!get_ra(insn) || ra->kind != TRAMPFD_ADDRESS)
			return "use of what is no address";
		if (get_op(insn) == OP_ADDIS)
			*rt = (struct trampfd_value){
				TRAMPFD_ADDRESS, ra->offset + (get_d(insn) << 16)
			};
		else if (get_op(insn) == OP_LD && !(insn & LD_XO))
			*rt = (struct trampfd_value){
				TRAMPFD_LOADED, ra->offset + sign_extend32(get_d(insn), 15)
			};
		else
			return "unknown instruction";
	}
	/* Instructions are on their boundary: of an address the last bits are none. */
	for (; p < end; p += sizeof(u32))
		if (insn_at(code, p))
			return "filler that does not trap";
	return NULL;
}

static const char *has_system_call(const u8 *code, u32 size)
{
	u32 i;

	for (i = 0; i < size; i += sizeof(u32))
		if (get_op(insn_at(code, i)) == OP_SC)
			return "a system call";
	return NULL;
}

static const struct trampfd_decoder trampfd_ppc64le_decoder = {
	.word_size = sizeof(u64),
	.stack_pointer = 1,
	.follow = follow,
	.has_system_call = has_system_call,
};

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	return &trampfd_ppc64le_decoder;
}
