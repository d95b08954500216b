// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of arm, for tasks of arm kernels and for AArch32 tasks of
 * arm64 kernels.  Both build this file.
 *
 * They are A32 code.  The address of a trampoline has bit 0 clear, so BLX or BX
 * from a caller in T32 state switches to A32 state.  The load to pc at the end
 * selects the state by bit 0 of slot.code, from ARMv5T on (Arm ARM, DDI 0406,
 * "Changing between Thumb state and ARM state").
 *
 * pc reads as the instruction's address + 8, so the first instruction computes
 * the address 8 bytes above the start of the slot.
 */
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/string.h>
#include <linux/trampfd.h>
#include <linux/types.h>

#ifdef CONFIG_ARM
#include <asm/opcodes.h>
#else
#include <asm/byteorder.h>
#define __opcode_to_mem_arm(insn)	((__force u32)cpu_to_le32(insn))
#endif

/* Encodings: Arm ARM, DDI 0406, "Alphabetical list of instructions", all AL */
#define A32_ADD_PC(rd, imm12)	(0xe28f0000 | (rd) << 12 | (imm12))
#define A32_SUB(rd, rn, imm12)	(0xe2400000 | (rn) << 16 | (rd) << 12 | (imm12))
#define A32_LDR_PC(rn, imm12)	(0xe590f000 | (rn) << 16 | (imm12))
#define A32_LDMDB(rn, list)	(0xe9100000 | (rn) << 16 | (list))
/* Undefined in A32 state; its first halfword is undefined in T32 state. */
#define A32_UDF			0xe7f0def0

#define A32_PC			15

/* TRAMPFD_TABLE_OFFSET as an immediate value: 2, rotated right by 2 * 7 */
#define A32_IMM_OFFSET		(7 << 8 | 2)
static_assert(2 << (32 - 2 * 7) == TRAMPFD_TABLE_OFFSET);

/*
 * Emit
 *	add	data, pc, #TRAMPFD_TABLE_OFFSET
 *	ldmdb	data, {data, pc}		DATA
 * or
 *	add	data, pc, #TRAMPFD_TABLE_OFFSET
 *	sub	data, data, #8			SLOT
 *	ldr	pc, [data, #4]
 */
static void trampfd_arm_emit(void *code, u32 stride, enum trampfd_mode mode,
			     unsigned int data, unsigned int scratch)
{
	u32 *insn = code;

	memset32(code, __opcode_to_mem_arm(A32_UDF), stride / sizeof(*insn));

	*insn++ = __opcode_to_mem_arm(A32_ADD_PC(data, A32_IMM_OFFSET));
	if (mode == TRAMPFD_MODE_DATA) {
		*insn = __opcode_to_mem_arm(A32_LDMDB(data, BIT(data) | BIT(A32_PC)));
		return;
	}
	*insn++ = __opcode_to_mem_arm(A32_SUB(data, data, sizeof(struct trampfd_slot32)));
	*insn = __opcode_to_mem_arm(A32_LDR_PC(data, sizeof(u32)));
}

/* By DWARF number, which is the register's (AADWARF32): all but sp, lr and pc */
#define ARM_REGS		GENMASK(12, 0)
#define ARM_DATA_REG		12

const struct trampfd_abi_desc trampfd_arm = {
	.name = "arm",
	.modes = {
		[TRAMPFD_MODE_DATA] = {
			.min_stride = 8,
			.data_reg = ARM_DATA_REG,
			.data_regs = ARM_REGS,
		},
		[TRAMPFD_MODE_SLOT] = {
			.min_stride = 16,
			.data_reg = ARM_DATA_REG,
			.data_regs = ARM_REGS,
		},
	},
	.emit = trampfd_arm_emit,
};
