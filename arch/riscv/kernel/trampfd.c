// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of riscv64.
 *
 * Each begins with LPAD.  If landing pads are on, the target of an indirect jump
 * or call must be an LPAD; otherwise it is AUIPC to x0, a no-op (RISC-V
 * Control-Flow Integrity, "Landing Pad", Zicfilp).  Label 0 accepts every caller.
 * A caller that uses labels puts the target's label into x7; the trampoline leaves
 * it there, and the LPAD of the target checks it.
 *
 * The jump at the end requires an LPAD at the target.  Jumps through x7 are exempt
 * from that, and so are returns, jumps through x1 or x5.  A return would also pop
 * the processor's return-address stack (unprivileged ISA, "Unconditional Jumps").
 *
 * All instructions have 4 bytes: the processor may not have the C extension.
 */
#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/compat.h>
#include <linux/string.h>
#include <linux/trampfd.h>

#include <asm/byteorder.h>
#include <asm/insn.h>

/* Encodings that are not in <asm/insn.h>: unprivileged ISA, "RV64I" */
#define RVG_MATCH_ADDI		0x00000013
#define RVG_MATCH_LD		0x00003003

#define RVG_INSN_SIZE		4

static __le32 u_type(u32 insn, unsigned int rd, u32 imm)
{
	return cpu_to_le32(insn | rd << RVG_RD_OPOFF | imm);
}

static __le32 i_type(u32 insn, unsigned int rd, unsigned int rs1, s32 imm)
{
	return cpu_to_le32(insn | rd << RVG_RD_OPOFF | rs1 << RVG_RS1_OPOFF |
			   (u32)imm << RV_I_IMM_11_0_OPOFF);
}

/*
 * Emit
 *	lpad	0
 *	auipc	scratch, high(slot)		DATA
 *	ld	data, low(slot.data)(scratch)
 *	ld	scratch, low(slot.code)(scratch)
 *	jr	scratch
 * or
 *	lpad	0
 *	auipc	data, high(slot)		SLOT
 *	addi	data, data, low(slot)
 *	ld	scratch, 8(data)
 *	jr	scratch
 */
static void trampfd_riscv64_emit(void *code, u32 stride, enum trampfd_mode mode,
				 unsigned int data, unsigned int scratch)
{
	unsigned int base = mode == TRAMPFD_MODE_DATA ? scratch : data;
	const s32 distance = TRAMPFD_TABLE_OFFSET - RVG_INSN_SIZE; /* from AUIPC */
	const s32 low = sign_extend32(distance, 11);
	__le32 *insn = code;

	/* Zeroes are an illegal instruction, in 2 bytes and in 4. */
	memset(code, 0, stride);

	*insn++ = u_type(RVG_MATCH_AUIPC, 0, 0);
	*insn++ = u_type(RVG_MATCH_AUIPC, base, distance - low);
	if (mode == TRAMPFD_MODE_DATA) {
		*insn++ = i_type(RVG_MATCH_LD, data, base, low);
		*insn++ = i_type(RVG_MATCH_LD, scratch, base, low + sizeof(u64));
	} else {
		*insn++ = i_type(RVG_MATCH_ADDI, base, base, low);
		*insn++ = i_type(RVG_MATCH_LD, scratch, base, sizeof(u64));
	}
	*insn = i_type(RVG_MATCH_JALR, 0, scratch, 0);
}

/*
 * By DWARF number, which is the register's (RISC-V psABI).  Data: all but x0, ra,
 * sp, gp and tp.  Scratch: the temporary registers except t0 and t2, see above.
 * The defaults are t3 and t1: PLT entries change these, so they hold no argument.
 */
#define RISCV64_MODE						\
{								\
	.min_stride = 32,					\
	.data_reg = 28,						\
	.data_regs = GENMASK(31, 5),				\
	.scratch_reg = 6,					\
	.scratch_regs = BIT(6) | GENMASK(31, 28),		\
}

static const struct trampfd_abi_desc trampfd_riscv64 = {
	.name = "riscv64",
	.modes = {
		[TRAMPFD_MODE_DATA] = RISCV64_MODE,
		[TRAMPFD_MODE_SLOT] = RISCV64_MODE,
	},
	.emit = trampfd_riscv64_emit,
};

const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi)
{
	return abi == TRAMPFD_ABI_RISCV64 ? &trampfd_riscv64 : NULL;
}

/* riscv32 is not supported. */
enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return in_compat_syscall() ? TRAMPFD_ABI_CALLER : TRAMPFD_ABI_RISCV64;
}
