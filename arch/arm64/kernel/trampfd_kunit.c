// SPDX-License-Identifier: GPL-2.0
/*
 * Follow a trampoline of arm64 with the kernel's instruction decoder, for the
 * KUnit tests.
 */
#include <kunit/trampfd.h>
#include <linux/bitops.h>

#include <asm/byteorder.h>
#include <asm/insn.h>

#define BTI_C		0xd503245f
#define SVC_MASK	0xffe0001f	/* all but the immediate value */
#define SVC		0xd4000001

static u32 instruction(const u8 *code)
{
	return le32_to_cpup((const __le32 *)code);
}

/* The address that the instruction at @p names, by an immediate times @scale */
static u32 relative(u32 p, u32 insn, enum aarch64_insn_imm_type type,
		    unsigned int bits, unsigned int scale)
{
	s64 imm = sign_extend64(aarch64_insn_decode_immediate(type, insn), bits - 1);

	return p + imm * scale;
}

static const char *follow(struct trampfd_machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	u32 end = start + g->stride;
	u32 p = start;

	if (instruction(code + p) != BTI_C)
		return "no landing pad";

	while (m->target.kind == TRAMPFD_UNCHANGED) {
		u32 insn, rd, rn;

		p += AARCH64_INSN_SIZE;
		if (p >= end)
			return "no jump";
		insn = instruction(code + p);
		rd = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RD, insn);
		rn = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RN, insn);
		if (aarch64_insn_is_ldr_lit(insn)) {
			if (!(insn & BIT(30)))
				return "load of 32 bits";
			m->regs[rd] = (struct trampfd_value){
				TRAMPFD_LOADED,
				relative(p, insn, AARCH64_INSN_IMM_19, 19, 4)
			};
		} else if (aarch64_insn_is_adr(insn)) {
			m->regs[rd] = (struct trampfd_value){
				TRAMPFD_ADDRESS,
				relative(p, insn, AARCH64_INSN_IMM_ADR, 21, 1)
			};
		} else if (aarch64_insn_is_br(insn)) {
			/* BTI C accepts no other jump. */
			if (rn != 16 && rn != 17)
				return "jump that BTI C refuses";
			m->target = m->regs[rn];
			if (m->target.kind == TRAMPFD_UNCHANGED)
				return "jump through a register of the caller";
		} else {
			return "unknown instruction";
		}
	}
	for (p += AARCH64_INSN_SIZE; p < end; p += AARCH64_INSN_SIZE)
		if (instruction(code + p) >> 16)
			return "filler that does not trap";	/* not UDF */
	return NULL;
}

static const char *has_system_call(const u8 *code, u32 size)
{
	u32 i;

	for (i = 0; i < size; i += AARCH64_INSN_SIZE)
		if ((instruction(code + i) & SVC_MASK) == SVC)
			return "a system call";
	return NULL;
}

static const struct trampfd_decoder trampfd_arm64_decoder = {
	.word_size = sizeof(u64),
	.stack_pointer = AARCH64_INSN_REG_SP,
	.follow = follow,
	.has_system_call = has_system_call,
};

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	if (IS_ENABLED(CONFIG_COMPAT) && abi == TRAMPFD_ABI_ARM)
		return &trampfd_arm_decoder;
	return &trampfd_arm64_decoder;
}
