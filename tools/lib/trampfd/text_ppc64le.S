/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of ppc64le.  At each, r12 is its address.
 */
	.abiversion 2

	.macro	trampoline_data data
	addis	12, 12, TABLE_OFFSET >> 16
	ld	\data, 0(12)
	ld	12, 8(12)
	mtctr	12
	bctr
	.balign	32, 0
	.endm

	.macro	trampoline_slot data
	addis	\data, 12, TABLE_OFFSET >> 16
	ld	12, 8(\data)
	mtctr	12
	bctr
	.endm

	.macro	data n, size
	text	MODE_DATA, \n, 12, 32, \size, trampoline_data \n
	.endm

	text_begin 65536
	text	MODE_SLOT, 11, 12, 16, LARGE, trampoline_slot 11
	data	11, LARGE
	data	3, SMALL
	data	4, SMALL
	data	5, SMALL
	data	6, SMALL
	data	7, SMALL
	data	8, SMALL
	data	9, SMALL
	data	10, SMALL
	text_end 65536
