// SPDX-License-Identifier: GPL-2.0
/*
 * Follow a trampoline of arm, for the KUnit tests of arm and of arm64.  Encodings:
 * Arm ARM, DDI 0406, "Alphabetical list of instructions".
 */
#include <kunit/trampfd.h>
#include <linux/bitmap.h>
#include <linux/bits.h>

#ifdef CONFIG_ARM
#include <asm/opcodes.h>
#else
#include <asm/byteorder.h>
#define __mem_to_opcode_arm(mem)	le32_to_cpu((__force __le32)(mem))
#endif

#define REG_SP		13
#define REG_PC		15
#define PC_AHEAD	8	/* pc reads as the instruction's address + 8 */

static u32 instruction(const u8 *code)
{
	return __mem_to_opcode_arm(*(const u32 *)code);
}

static u32 field(u32 insn, unsigned int low, unsigned int bits)
{
	return insn >> low & GENMASK(bits - 1, 0);
}

/* An immediate value of 12 bits: 8, rotated right by an even number */
static u32 rotated(u32 insn)
{
	return ror32(field(insn, 0, 8), 2 * field(insn, 8, 4));
}

static void load(struct trampfd_machine *m, unsigned int reg, u32 offset)
{
	struct trampfd_value v = { TRAMPFD_LOADED, offset };

	if (reg == REG_PC)
		m->target = v;
	else
		m->regs[reg] = v;
}

/* LDMDB without write-back: the lowest register from the lowest address */
static void load_multiple(struct trampfd_machine *m, u32 base, unsigned long list)
{
	u32 offset = base - sizeof(u32) * hweight16(list);
	unsigned int reg;

	for_each_set_bit(reg, &list, 16) {
		load(m, reg, offset);
		offset += sizeof(u32);
	}
}

/* Follow the instruction at @p; return what is wrong with it, or NULL. */
static const char *step(struct trampfd_machine *m, u32 insn, u32 p)
{
	unsigned int rn = field(insn, 16, 4), rd = field(insn, 12, 4);
	u32 base = rn == REG_PC ? p + PC_AHEAD : m->regs[rn].offset;

	if (rn != REG_PC && m->regs[rn].kind != TRAMPFD_ADDRESS)
		return "use of a register of the caller";

	switch (insn & 0xfff00000) {
	case 0xe2800000:	/* add rd, rn, #value */
		m->regs[rd] = (struct trampfd_value){
			TRAMPFD_ADDRESS, base + rotated(insn)
		};
		return NULL;
	case 0xe2400000:	/* sub rd, rn, #value */
		m->regs[rd] = (struct trampfd_value){
			TRAMPFD_ADDRESS, base - rotated(insn)
		};
		return NULL;
	case 0xe5900000:	/* ldr rd, [rn, #value] */
		load(m, rd, base + field(insn, 0, 12));
		return NULL;
	case 0xe9100000:	/* ldmdb rn, {list} */
		load_multiple(m, base, field(insn, 0, 16));
		return NULL;
	}
	return "unknown instruction";
}

/* UDF of A32, with UDF of T32 as its first halfword */
static bool traps(u32 insn)
{
	return (insn & 0xfff0fff0) == 0xe7f0def0;
}

static const char *follow(struct trampfd_machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	u32 end = start + g->stride;
	u32 p;

	for (p = start; m->target.kind == TRAMPFD_UNCHANGED; p += sizeof(u32)) {
		const char *err;

		if (p >= end)
			return "no jump";
		err = step(m, instruction(code + p), p);
		if (err)
			return err;
	}
	for (; p < end; p += sizeof(u32))
		if (!traps(instruction(code + p)))
			return "filler that does not trap";
	return NULL;
}

/* SVC of A32, or of T32: code can be entered in either state. */
static const char *has_system_call(const u8 *code, u32 size)
{
	u32 i;

	for (i = 0; i < size; i += sizeof(u32)) {
		u32 insn = instruction(code + i);

		if (field(insn, 24, 4) == 0xf || field(insn, 24, 8) == 0xdf ||
		    field(insn, 8, 8) == 0xdf)
			return "a system call";
	}
	return NULL;
}

const struct trampfd_decoder trampfd_arm_decoder = {
	.word_size = sizeof(u32),
	.stack_pointer = REG_SP,
	.follow = follow,
	.has_system_call = has_system_call,
};
