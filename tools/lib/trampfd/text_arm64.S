/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of arm64
 */
	.macro	trampoline_data data
	hint	#34		/* bti c */
	ldr	\data, . + TABLE_OFFSET - 4
	ldr	x16, . + TABLE_OFFSET
	br	x16
	.endm

	.macro	trampoline_slot data
	hint	#34
	adr	\data, . + TABLE_OFFSET - 4
	ldr	x16, . + TABLE_OFFSET
	br	x16
	.endm

	.macro	data n, size
	text	MODE_DATA, \n, 16, 16, \size, trampoline_data x\n
	.endm

	.macro	slot n, size
	text	MODE_SLOT, \n, 16, 16, \size, trampoline_slot x\n
	.endm

	text_begin 65536
	slot	17, LARGE
	data	17, LARGE
	data	18, LARGE
	slot	18, SMALL
	data	0, SMALL
	data	1, SMALL
	data	2, SMALL
	data	3, SMALL
	data	4, SMALL
	data	5, SMALL
	data	6, SMALL
	data	7, SMALL
	text_end 65536

/* BTI and PAC: AAELF64, "Program Property" */
	.section .note.gnu.property, "a", %note
	.balign	8
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, 3, 0
