/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of riscv64.  Distances count from the auipc.
 */
	/* No compressed instructions, also not by linker relaxation */
	.option	norvc
	.option	norelax

	.macro	trampoline_data data
	.4byte	0x00000017	/* lpad 0 */
	auipc	t1, TABLE_OFFSET >> 12
	ld	\data, -4(t1)
	ld	t1, 4(t1)
	jr	t1
	.balign	32, 0
	.endm

	.macro	trampoline_slot data
	.4byte	0x00000017
	auipc	\data, TABLE_OFFSET >> 12
	addi	\data, \data, -4
	ld	t1, 8(\data)
	jr	t1
	.balign	32, 0
	.endm

	.macro	data n, size
	text	MODE_DATA, \n, 6, 32, \size, trampoline_data x\n
	.endm

	text_begin 4096
	text	MODE_SLOT, 28, 6, 32, LARGE, trampoline_slot x28
	data	28, LARGE
	data	7, LARGE
	data	10, SMALL
	data	11, SMALL
	data	12, SMALL
	data	13, SMALL
	data	14, SMALL
	data	15, SMALL
	data	16, SMALL
	data	17, SMALL
	text_end 4096

/*
 * No program property for landing pads (RISC-V psABI, "Program Property"): linkers that
 * do not know it, such as that of Debian 12, warn.
 */
