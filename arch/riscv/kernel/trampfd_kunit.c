// SPDX-License-Identifier: GPL-2.0
/*
 * Follow a trampoline of riscv64, for the KUnit tests.
 */
#include <kunit/trampfd.h>
#include <linux/bits.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include <asm/insn.h>

/* Encodings that are not in <asm/insn.h>: unprivileged ISA, "RV64I"; Zicfilp */
#define ADDI_OR_LD_MASK		(RV_INSN_FUNCT3_MASK | RV_INSN_OPCODE_MASK)
#define ADDI			0x00000013
#define LD			0x00003003
#define LPAD_0			0x00000017
#define ECALL			0x00000073

/* A jump through these registers requires no LPAD at its target. */
#define UNGUARDED		(BIT(1) | BIT(5) | BIT(7))

static const char *follow(struct trampfd_machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	u32 end = start + g->stride;
	u32 p = start;

	if (get_unaligned_le32(code + p) != LPAD_0)
		return "no landing pad";

	while (m->target.kind == TRAMPFD_UNCHANGED) {
		u32 insn, rd, rs1, imm;

		p += 4;
		if (p >= end)
			return "no jump";
		insn = get_unaligned_le32(code + p);
		rd = RV_EXTRACT_RD_REG(insn);
		rs1 = RV_EXTRACT_RS1_REG(insn);
		imm = RV_EXTRACT_ITYPE_IMM(insn);
		if (riscv_insn_is_auipc(insn)) {
			m->regs[rd] = (struct trampfd_value){
				TRAMPFD_ADDRESS, p + RV_EXTRACT_UTYPE_IMM(insn)
			};
			continue;
		}
		/* All others read rs1. */
		if (m->regs[rs1].kind == TRAMPFD_UNCHANGED)
			return "use of a register of the caller";
		if (riscv_insn_is_jalr(insn)) {
			if (rd)
				return "call";
			if (imm)
				return "jump with an offset";
			if (BIT(rs1) & UNGUARDED)
				return "jump that requires no landing pad";
			m->target = m->regs[rs1];
			continue;
		}
		if (m->regs[rs1].kind != TRAMPFD_ADDRESS)
			return "use of a loaded value as an address";
		if ((insn & ADDI_OR_LD_MASK) == ADDI)
			m->regs[rd] = (struct trampfd_value){
				TRAMPFD_ADDRESS, m->regs[rs1].offset + imm
			};
		else if ((insn & ADDI_OR_LD_MASK) == LD)
			m->regs[rd] = (struct trampfd_value){
				TRAMPFD_LOADED, m->regs[rs1].offset + imm
			};
		else
			return "unknown instruction";
	}
	/* Code can be entered at each 2-byte parcel; a parcel of zeroes traps. */
	for (p += 4; p < end; p++)
		if (code[p])
			return "filler that does not trap";
	return NULL;
}

static const char *has_system_call(const u8 *code, u32 size)
{
	u32 i;

	for (i = 0; i + 4 <= size; i += 2)
		if (get_unaligned_le32(code + i) == ECALL)
			return "a system call";
	return NULL;
}

static const struct trampfd_decoder trampfd_riscv64_decoder = {
	.word_size = sizeof(u64),
	.stack_pointer = 2,
	.follow = follow,
	.has_system_call = has_system_call,
};

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	return &trampfd_riscv64_decoder;
}
