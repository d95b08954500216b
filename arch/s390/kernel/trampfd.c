// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of s390x.
 *
 * There are no landing pads.  The jump is not through r14, which would be a
 * return (s390x ELF ABI, "Function Return Sequence"), and can not be through r0,
 * with which BCR does not branch (Principles of Operation, "BRANCH ON
 * CONDITION").  Of the two registers that hold nothing between a call and the
 * function, that leaves r1 to jump through and r0 for the data.
 *
 * Addresses are 64-bit: the addressing mode is the caller's, and the kernel runs
 * no 31-bit tasks (6.12 does, and refuses them).
 */
#include <linux/bits.h>
#include <linux/compat.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/trampfd.h>
#include <linux/types.h>

/* Principles of Operation, appendix B; LGRL is of the z10 and later */
#define INSN_LARL	0xc000
#define INSN_LGRL	0xc408
#define INSN_BR		0x07f0

/* Format RIL: the distance is from the instruction, in halfwords. */
struct insn_ril {
	u16 opcode;
	s32 halfwords;
} __packed;

struct trampoline {
	struct insn_ril get_data;
	struct insn_ril get_code;
	u16 jump;
} __packed;

static struct insn_ril ril(u16 opcode, unsigned int r1, u32 distance)
{
	return (struct insn_ril){ opcode | r1 << 4, distance / 2 };
}

/*
 * Emit
 *	lgrl	data, slot.data			DATA
 *	larl	data, slot			SLOT
 *	lgrl	scratch, slot.code
 *	br	scratch
 *
 * LGRL requires a doubleword on its boundary, as slots are.  SLOT loads the
 * target likewise, which does not wait for LARL.
 */
static void trampfd_s390x_emit(void *code, u32 stride, enum trampfd_mode mode,
			       unsigned int data, unsigned int scratch)
{
	const u32 from = offsetof(struct trampoline, get_code);
	const u32 slot = TRAMPFD_TABLE_OFFSET;
	struct trampoline *insn = code;

	/* An opcode of zeroes is invalid, at each halfword. */
	memset(code, 0, stride);

	insn->get_data = ril(mode == TRAMPFD_MODE_DATA ? INSN_LGRL : INSN_LARL,
			     data, slot);
	insn->get_code = ril(INSN_LGRL, scratch, slot + sizeof(u64) - from);
	insn->jump = INSN_BR | scratch;
}

/*
 * By DWARF number, which is the register's (s390x ELF ABI): all but r14, the return
 * address, and r15, the stack pointer.  r1 can not be the data register, as no other
 * register is free to jump through.  r0 is the static chain register of the ABI.
 */
#define S390X_MODE						\
{								\
	.min_stride = 16,					\
	.data_reg = 0,						\
	.data_regs = GENMASK(13, 2) | BIT(0),			\
	.scratch_reg = 1,					\
	.scratch_regs = BIT(1),					\
}

static const struct trampfd_abi_desc trampfd_s390x = {
	.name = "s390x",
	.modes = {
		[TRAMPFD_MODE_DATA] = S390X_MODE,
		[TRAMPFD_MODE_SLOT] = S390X_MODE,
	},
	.emit = trampfd_s390x_emit,
};

const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi)
{
	return abi == TRAMPFD_ABI_S390X ? &trampfd_s390x : NULL;
}

/* There are no trampolines of 31-bit code. */
enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return in_compat_syscall() ? TRAMPFD_ABI_CALLER : TRAMPFD_ABI_S390X;
}
