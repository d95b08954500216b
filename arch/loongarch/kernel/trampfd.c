// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of loongarch64.
 *
 * There are no landing pads.  The jump is not through ra, which would be a return
 * (LoongArch Reference Manual, volume 1, "JIRL"), and links nothing.
 */
#include <linux/align.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compat.h>
#include <linux/trampfd.h>
#include <linux/types.h>

#include <asm/inst.h>

/* What PCADDU18I adds is a multiple of this. */
#define PCADDU18I_SHIFT		18

static_assert(IS_ALIGNED(TRAMPFD_TABLE_OFFSET, BIT(PCADDU18I_SHIFT)));

/*
 * Emit
 *	pcaddu18i	scratch, slot		DATA
 *	ld.d		data, scratch, 0
 *	ld.d		scratch, scratch, 8
 *	jr		scratch
 * or
 *	pcaddu18i	data, slot		SLOT
 *	ld.d		scratch, data, 8
 *	jr		scratch
 */
static void trampfd_loongarch64_emit(void *code, u32 stride,
				     enum trampfd_mode mode, unsigned int data,
				     unsigned int scratch)
{
	unsigned int base = mode == TRAMPFD_MODE_DATA ? scratch : data;
	union loongarch_instruction *insn = code;
	u32 i;

	for (i = 0; i < stride / LOONGARCH_INSN_SIZE; i++)
		insn[i].word = INSN_BREAK;

	emit_pcaddu18i(insn++, base, TRAMPFD_TABLE_OFFSET >> PCADDU18I_SHIFT);
	if (mode == TRAMPFD_MODE_DATA)
		emit_ldd(insn++, data, base, 0);
	emit_ldd(insn++, scratch, base, sizeof(u64));
	emit_jirl(insn, LOONGARCH_GPR_ZERO, scratch, 0);
}

/*
 * By DWARF number, which is the register's (LoongArch ELF psABI): all but zero, ra,
 * tp, sp and u0, which is reserved.  t8 is GCC's static chain register, t0 is
 * what GCC's and libffi's trampolines overwrite; a PLT changes no more than t0 to t3.
 */
#define LOONGARCH64_MODE					\
{								\
	.min_stride = 16,					\
	.data_reg = LOONGARCH_GPR_T8,				\
	.data_regs = GENMASK(20, 4) | GENMASK(31, 22),		\
	.scratch_reg = LOONGARCH_GPR_T0,			\
	.scratch_regs = BIT(LOONGARCH_GPR_T0) | BIT(LOONGARCH_GPR_T8), \
}

static const struct trampfd_abi_desc trampfd_loongarch64 = {
	.name = "loongarch64",
	.modes = {
		[TRAMPFD_MODE_DATA] = LOONGARCH64_MODE,
		[TRAMPFD_MODE_SLOT] = LOONGARCH64_MODE,
	},
	.emit = trampfd_loongarch64_emit,
};

const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi)
{
	return abi == TRAMPFD_ABI_LOONGARCH64 ? &trampfd_loongarch64 : NULL;
}

/* There are no trampolines of loongarch32, nor 32-bit tasks on a 64-bit kernel. */
enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return in_compat_syscall() ? TRAMPFD_ABI_CALLER : TRAMPFD_ABI_LOONGARCH64;
}
