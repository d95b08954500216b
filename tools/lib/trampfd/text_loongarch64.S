/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of loongarch64.  The address counts from its first
 * instruction.
 */
	.macro	trampoline_data data, scratch
	pcaddu18i \scratch, TABLE_OFFSET >> 18
	ld.d	\data, \scratch, 0
	ld.d	\scratch, \scratch, 8
	jr	\scratch
	.endm

	.macro	trampoline_slot data, scratch
	pcaddu18i \data, TABLE_OFFSET >> 18
	ld.d	\scratch, \data, 8
	jr	\scratch
	break	0
	.endm

	.macro	data n, size
	text	MODE_DATA, \n, 12, 16, \size, trampoline_data $r\n, $t0
	.endm

	text_begin 65536
	text	MODE_SLOT, 20, 12, 16, LARGE, trampoline_slot $t8, $t0
	text	MODE_SLOT, 12, 20, 16, LARGE, trampoline_slot $t0, $t8
	data	20, LARGE
	text	MODE_DATA, 12, 20, 16, LARGE, trampoline_data $t0, $t8
	data	4, SMALL
	data	5, SMALL
	data	6, SMALL
	data	7, SMALL
	data	8, SMALL
	data	9, SMALL
	data	10, SMALL
	data	11, SMALL
	text_end 65536
