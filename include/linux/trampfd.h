/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trampfd: what an architecture tells the file system of its trampolines.
 *
 * An architecture describes each ABI whose code it runs as a constant and emits
 * one trampoline at a time.  It knows instructions and no files; fs/trampfd
 * knows files and no instructions.
 */
#ifndef _LINUX_TRAMPFD_H
#define _LINUX_TRAMPFD_H

#include <linux/mm_types.h>
#include <linux/types.h>
#include <uapi/linux/trampfd.h>

#define TRAMPFD_NR_ABIS		(TRAMPFD_ABI_RISCV64 + 1)
#define TRAMPFD_NR_MODES	(TRAMPFD_MODE_PUSH + 1)

/**
 * struct trampfd_mode_desc - one mode of an ABI
 *
 * @code_stride: Bytes of a trampoline, a power of two; 0: the ABI does not have
 *	the mode.
 * @table_stride: Bytes of a slot, a power of two, at least two words.
 * @data_reg: DWARF number of the default data register.
 * @scratch_reg: DWARF number of the default scratch register, if @scratch_regs.
 * @data_regs: Bit n: the register of DWARF number n can be the data register.
 * @scratch_regs: Likewise for the scratch register; 0: none is used.
 */
struct trampfd_mode_desc {
	u8 code_stride;
	u8 table_stride;
	u8 data_reg;
	u8 scratch_reg;
	u32 data_regs;
	u32 scratch_regs;
};

/**
 * struct trampfd_abi_desc - one ABI
 *
 * @name: As in /proc/PID/fdinfo.
 * @modes: Indexed by &enum trampfd_mode.
 * @table_offset: Optional; the distance from the code to the table for these
 *	sizes in bytes, a multiple of the page size, at least @code_size, which
 *	is the distance without it.
 * @emit: Write one trampoline to @code, all of its stride: what the
 *	instructions leave of it must trap when executed.  @data and @scratch
 *	are DWARF numbers (@scratch is undefined where the mode uses none),
 *	@disp is the distance in bytes from the trampoline to its slot.  Pure:
 *	the bytes follow from the arguments alone.
 * @code_vma_flags: Optional; the VMA flags that a mapping of the code gets on this
 *	machine without being asked for, such as a guard against jumps to
 *	what is no landing pad.
 */
struct trampfd_abi_desc {
	const char *name;
	struct trampfd_mode_desc modes[TRAMPFD_NR_MODES];
	u32 (*table_offset)(u32 code_size, u32 table_size);
	void (*emit)(void *code, enum trampfd_mode mode, unsigned int data,
		     unsigned int scratch, u32 disp);
	vma_flags_t (*code_vma_flags)(void);
};

/* AArch32, which arm and arm64 have in common */
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
 * arch_trampfd_caller_abi() - the ABI through which the current system call was
 * made
 *
 * Return: An &enum trampfd_abi for which arch_trampfd_abi() has a description,
 * or %TRAMPFD_ABI_CALLER if there are no trampolines of that ABI.
 */
enum trampfd_abi arch_trampfd_caller_abi(void);

int trampfd_resolve(struct trampfd_create_args *args);
void trampfd_generate(const struct trampfd_create_args *geometry, u32 offset,
		      void *code, u32 size);

#endif /* _LINUX_TRAMPFD_H */
