// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of arm64.  AArch32 tasks use those of arm.
 *
 * Each begins with BTI C.  If Branch Target Identification is on, BTI C accepts
 * calls and jumps through x16 or x17; otherwise it is a no-op (Arm ARM, DDI 0487,
 * "BTI").  The target begins with BTI C too, so the trampoline jumps to it through
 * x16 or x17.  x30 is not touched: the return address in it may be signed.
 */
#include <linux/bits.h>
#include <linux/compat.h>
#include <linux/cpufeature.h>
#include <linux/kconfig.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/trampfd.h>

#include <asm/byteorder.h>
#include <asm/insn.h>

/*
 * Emit
 *	bti	c
 *	ldr	data, slot.data			DATA
 *	adr	data, slot			SLOT
 *	ldr	scratch, slot.code
 *	br	scratch
 *
 * PC-relative loads are not tag-checked (MTE).
 */
static void trampfd_arm64_emit(void *code, u32 stride, enum trampfd_mode mode,
			       unsigned int data, unsigned int scratch)
{
	const u32 slot = TRAMPFD_TABLE_OFFSET;
	__le32 *insn = code;
	u32 load;

	if (mode == TRAMPFD_MODE_DATA)
		load = aarch64_insn_gen_load_literal(4, slot, data, true);
	else
		load = aarch64_insn_gen_adr(4, slot, data,
					    AARCH64_INSN_ADR_TYPE_ADR);

	memset(code, 0, stride); /* UDF #0 */

	/* Instructions are little-endian, also on a big-endian kernel. */
	insn[0] = cpu_to_le32(aarch64_insn_gen_hint(AARCH64_INSN_HINT_BTIC));
	insn[1] = cpu_to_le32(load);
	insn[2] = cpu_to_le32(aarch64_insn_gen_load_literal(8, slot + sizeof(u64),
							    scratch, true));
	insn[3] = cpu_to_le32(aarch64_insn_gen_branch_reg(scratch,
							  AARCH64_INSN_BRANCH_NOLINK));
}

/* The flag that PROT_BTI sets: enforce BTI in these pages. */
static vma_flags_t trampfd_arm64_code_vma_flags(void)
{
	return system_supports_bti() ? mk_vma_flags(VMA_ARM64_BTI_BIT) :
				       EMPTY_VMA_FLAGS;
}

/* By DWARF number, which is the register's (AADWARF64): all but x30 and sp. */
#define ARM64_MODE						\
{								\
	.min_stride = 4 * AARCH64_INSN_SIZE,			\
	.data_reg = 17,						\
	.data_regs = GENMASK(29, 0),				\
	.scratch_reg = 16,					\
	.scratch_regs = BIT(16) | BIT(17),			\
}

static const struct trampfd_abi_desc trampfd_arm64 = {
	.name = "arm64",
	.modes = {
		[TRAMPFD_MODE_DATA] = ARM64_MODE,
		[TRAMPFD_MODE_SLOT] = ARM64_MODE,
	},
	.emit = trampfd_arm64_emit,
	.code_vma_flags = trampfd_arm64_code_vma_flags,
};

const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi)
{
	switch (abi) {
	case TRAMPFD_ABI_ARM64:
		return &trampfd_arm64;
	case TRAMPFD_ABI_ARM:
		return IS_ENABLED(CONFIG_COMPAT) && system_supports_32bit_el0() ?
		       &trampfd_arm : NULL;
	default:
		return NULL;
	}
}

/* A task makes system calls of its own execution state only. */
enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return in_compat_syscall() ? TRAMPFD_ABI_ARM : TRAMPFD_ABI_ARM64;
}
