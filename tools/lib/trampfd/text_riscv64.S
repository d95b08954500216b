/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of riscv64, as the kernel's (arch/riscv/kernel/trampfd.c
 * says why), but for an addi.
 *
 * Slots are smaller than trampolines here, so that distances differ.  For one slot
 * in 256 the two words are on both sides of what one auipc reaches: there DATA has
 * an addi too.
 */
#define TEXT_PAGE	4096
#define TEXT_TABLE	(11 * 8192)

#include "text_macros.S"

/* Instructions of 4 bytes, and none that the linker may make shorter */
	.option	norvc
	.option	norelax

/*
 * The beginning of a trampoline: high and low are the two parts of how far the
 * slot is from the auipc, the second as 12 bits with a sign.
 */
	.macro	slot_from base
	.set	high, (table - code - 4 + 0x800) >> 12
	.set	low, table - code - 4 - (high << 12)
	.4byte	0x00000017	/* lpad 0 */
	auipc	\base, high
	.endm

	.macro	trampoline_data data, scratch
	slot_from \scratch
	.if	low + 8 > 0x7ff
	addi	\scratch, \scratch, low
	.set	low, 0
	.endif
	ld	\data, low(\scratch)
	ld	\scratch, low + 8(\scratch)
	jr	\scratch
	.balign	32, 0
	.endm

	.macro	trampoline_slot data, scratch
	slot_from \data
	addi	\data, \data, low
	ld	\scratch, 8(\data)
	jr	\scratch
	.balign	32, 0
	.endm

	.macro	data n
	variant	TEXT_MODE_DATA, \n, 6, 32, 16, trampoline_data x\n, x6
	.endm

	.macro	slot n
	variant	TEXT_MODE_SLOT, \n, 6, 32, 16, trampoline_slot x\n, x6
	.endm

	text_begin
	data	28
	data	7
	data	10
	data	11
	data	12
	data	13
	data	14
	data	15
	data	16
	data	17
	slot	28
	text_end

/*
 * No program property says that there are landing pads (RISC-V psABI, "Program
 * Property"): linkers that do not know it, like Debian 12's, would warn.
 */
