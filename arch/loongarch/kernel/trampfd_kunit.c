// SPDX-License-Identifier: GPL-2.0
/*
 * What the instructions of a trampoline of loongarch64 do, for the KUnit tests.
 */
#include <kunit/trampfd.h>
#include <linux/bitops.h>
#include <linux/types.h>

#include <asm/inst.h>

/* What <asm/inst.h> does not have: "SYSCALL" */
#define SYSCALL_OP	0x56

static const char *follow(struct trampfd_machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	u32 end = start + g->stride;
	u32 p = start;

	for (; m->target.kind == TRAMPFD_UNCHANGED; p += LOONGARCH_INSN_SIZE) {
		union loongarch_instruction insn;
		u32 rj, imm;

		if (p >= end)
			return "no jump";
		insn.word = *(const u32 *)(code + p);
		if (insn.reg1i20_format.opcode == pcaddu18i_op) {
			imm = insn.reg1i20_format.immediate << 18;
			m->regs[insn.reg1i20_format.rd] = (struct trampfd_value){
				TRAMPFD_ADDRESS, p + imm
			};
			continue;
		}
		/* The others take what a register holds. */
		rj = insn.reg2_format.rj;
		if (m->regs[rj].kind == TRAMPFD_UNCHANGED)
			return "use of the caller's value";
		if (insn.reg2i16_format.opcode == jirl_op) {
			if (insn.reg2i16_format.rd)
				return "call";
			if (rj == LOONGARCH_GPR_RA)
				return "jump that is a return";
			if (insn.reg2i16_format.immediate)
				return "jump to behind the target";
			m->target = m->regs[rj];
			continue;
		}
		if (insn.reg2i12_format.opcode != ldd_op)
			return "unknown instruction";
		if (m->regs[rj].kind != TRAMPFD_ADDRESS)
			return "use of what was loaded";
		imm = sign_extend32(insn.reg2i12_format.immediate, 11);
		m->regs[insn.reg2i12_format.rd] = (struct trampfd_value){
			TRAMPFD_LOADED, m->regs[rj].offset + imm
		};
	}
	/* Instructions are on their boundary, or trap. */
	for (; p < end; p += LOONGARCH_INSN_SIZE) {
		union loongarch_instruction insn = { *(const u32 *)(code + p) };

		if (!is_break_ins(&insn))
			return "filler that does not trap";
	}
	return NULL;
}

static const char *has_system_call(const u8 *code, u32 size)
{
	u32 i;

	for (i = 0; i < size; i += LOONGARCH_INSN_SIZE) {
		union loongarch_instruction insn = { *(const u32 *)(code + i) };

		if (insn.reg0i15_format.opcode == SYSCALL_OP)
			return "a system call";
	}
	return NULL;
}

static const struct trampfd_decoder trampfd_loongarch64_decoder = {
	.word_size = sizeof(u64),
	.stack_pointer = LOONGARCH_GPR_SP,
	.follow = follow,
	.has_system_call = has_system_call,
};

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	return &trampfd_loongarch64_decoder;
}
