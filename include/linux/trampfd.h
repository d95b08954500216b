/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trampfd: the interface between fs/trampfd and the architectures.
 *
 * An architecture describes each ABI that it can run as a constant, with a
 * function that emits one trampoline.  It knows instructions and no files;
 * fs/trampfd knows files and no instructions.
 */
#ifndef _LINUX_TRAMPFD_H
#define _LINUX_TRAMPFD_H

#include <linux/mm_types.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <uapi/linux/trampfd.h>

#define TRAMPFD_NR_ABIS		(TRAMPFD_ABI_LOONGARCH64 + 1)
#define TRAMPFD_NR_MODES	(TRAMPFD_MODE_PUSH + 1)

/*
 * The distance from a trampoline to its slot.  PC-relative instructions of every
 * ABI reach it: the shortest reach is that of LDR (literal) of arm64, 1 MiB.  A
 * power of two is an immediate of A32.  KUnit checks that no displacement spells
 * a system call.
 */
#define TRAMPFD_TABLE_OFFSET	SZ_512K

/**
 * struct trampfd_mode_desc - one mode of an ABI
 *
 * @min_stride: Bytes of a trampoline rounded up to a power of two, at least two
 *	words; 0: the ABI does not have the mode.
 * @data_reg: DWARF number of the default data register.
 * @scratch_reg: DWARF number of the default scratch register, if @scratch_regs.
 * @data_regs: Bit n: the register of DWARF number n can be the data register.
 * @scratch_regs: Likewise for the scratch register; 0: the mode uses none.
 */
struct trampfd_mode_desc {
	u8 min_stride;
	u8 data_reg;
	u8 scratch_reg;
	u32 data_regs;
	u32 scratch_regs;
};

/**
 * struct trampfd_abi_desc - one ABI
 *
 * @name: The name shown in /proc/PID/fdinfo.
 * @modes: Indexed by &enum trampfd_mode.
 * @emit: Write one trampoline of @stride bytes to @code.  Its slot is
 *	%TRAMPFD_TABLE_OFFSET bytes above it.  @data and @scratch are DWARF
 *	numbers; @scratch is undefined if the mode uses none.  Bytes after the
 *	last instruction must trap when executed.  The result depends on the
 *	arguments alone.
 * @code_vma_flags: Optional; VMA flags to add to a mapping of code on this
 *	machine, such as the guard that makes indirect branches check for a
 *	landing pad.
 */
struct trampfd_abi_desc {
	const char *name;
	struct trampfd_mode_desc modes[TRAMPFD_NR_MODES];
	void (*emit)(void *code, u32 stride, enum trampfd_mode mode,
		     unsigned int data, unsigned int scratch);
	vma_flags_t (*code_vma_flags)(void);
};

/* AArch32, shared by arm and arm64 */
extern const struct trampfd_abi_desc trampfd_arm;

/**
 * arch_trampfd_abi() - find an ABI
 * @abi: Any of &enum trampfd_abi.
 *
 * Return: Its description, or NULL if this kernel does not run its code, and for
 * %TRAMPFD_ABI_CALLER.
 */
const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi);

/**
 * arch_trampfd_caller_abi() - the ABI of the current system call
 *
 * Return: An &enum trampfd_abi for which arch_trampfd_abi() has a description,
 * or %TRAMPFD_ABI_CALLER if there are no trampolines of that ABI.
 */
enum trampfd_abi arch_trampfd_caller_abi(void);

#endif /* _LINUX_TRAMPFD_H */
