// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of ppc64le.
 *
 * A function whose address is called finds that address in r12: ELFv2 ABI,
 * "Function Call Linkage Protocols", as functions derive their TOC pointer from
 * it.  That holds for whoever branches to a function that it can not know to be
 * of its own module: calls and tail calls by pointer, PLT call stubs (which load
 * the address into r12 to branch to it), the C library where it starts threads
 * and contexts, and the kernel where it calls a signal handler
 * (handle_rt_signal64()).  Code that does not can call no other function either.
 * So r12 is the trampoline's own address, and it finds its slot by that, as the
 * trampolines that GCC's library and libffi write find theirs.
 *
 * What a trampoline changes, r12 and CTR, is what its target asks for: r12 has
 * to be the address of the target, which only CTR can be branched to by
 * without touching the return address.  TOC pointer, stack and LR are left alone.
 *
 * The way without r12, BCL 20,31,.+4 with LR kept in r0, takes four instructions
 * more and would still have to set r12.  Prefixed instructions of Power10 take as
 * many bytes, and must not cross a boundary of 64.
 */
#include <linux/align.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compat.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/trampfd.h>
#include <linux/types.h>

#include <asm/ppc-opcode.h>

#define ENTRY_REG	12

/* One ADDIS reaches the slot, so that no low half is to be added. */
static_assert(IS_ALIGNED(TRAMPFD_TABLE_OFFSET, SZ_64K));

/*
 * Emit
 *	addis	r12, r12, high(slot)		DATA
 *	ld	data, 0(r12)
 *	ld	r12, 8(r12)
 *	mtctr	r12
 *	bctr
 * or
 *	addis	data, r12, high(slot)		SLOT
 *	ld	r12, 8(data)
 *	mtctr	r12
 *	bctr
 */
static void trampfd_ppc64le_emit(void *code, u32 stride, enum trampfd_mode mode,
				 unsigned int data, unsigned int scratch)
{
	unsigned int base = mode == TRAMPFD_MODE_DATA ? scratch : data;
	u32 *insn = code;

	/* All zeroes is illegal for good: Power ISA, "Illegal Instruction Class" */
	memset(code, 0, stride);

	*insn++ = PPC_RAW_ADDIS(base, ENTRY_REG, TRAMPFD_TABLE_OFFSET >> 16);
	if (mode == TRAMPFD_MODE_DATA)
		*insn++ = PPC_RAW_LD(data, base, 0);
	*insn++ = PPC_RAW_LD(scratch, base, sizeof(u64));
	*insn++ = PPC_RAW_MTCTR(scratch);
	*insn = PPC_RAW_BCTR();
}

/*
 * By DWARF number, which is the register's (ELFv2 ABI): all but r0, which is not
 * a register where an address is computed, r1, r2 and r13 (stack, TOC and thread
 * pointer), and r12.  r11 is the static chain register of the ABI ("environment
 * pointer").
 */
#define PPC64LE_MODE(stride)					\
{								\
	.min_stride = stride,					\
	.data_reg = 11,						\
	.data_regs = GENMASK(11, 3) | GENMASK(31, 14),		\
	.scratch_reg = ENTRY_REG,				\
	.scratch_regs = BIT(ENTRY_REG),				\
}

static const struct trampfd_abi_desc trampfd_ppc64le = {
	.name = "ppc64le",
	.modes = {
		[TRAMPFD_MODE_DATA] = PPC64LE_MODE(32),
		[TRAMPFD_MODE_SLOT] = PPC64LE_MODE(16),
	},
	.emit = trampfd_ppc64le_emit,
};

const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi)
{
	return abi == TRAMPFD_ABI_PPC64LE ? &trampfd_ppc64le : NULL;
}

/* There are no trampolines of 32-bit code. */
enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return in_compat_syscall() ? TRAMPFD_ABI_CALLER : TRAMPFD_ABI_PPC64LE;
}
