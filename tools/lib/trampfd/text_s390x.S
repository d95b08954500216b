/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of s390x.  Distances count from the instruction.
 */
	.machine push
	.machine z10	/* lgrl */

	.macro	trampoline_data data
	lgrl	\data, . + TABLE_OFFSET
	lgrl	%r1, . + TABLE_OFFSET + 2
	br	%r1
	.balign	16, 0
	.endm

	.macro	trampoline_slot data
	larl	\data, . + TABLE_OFFSET
	lgrl	%r1, . + TABLE_OFFSET + 2
	br	%r1
	.balign	16, 0
	.endm

	.macro	data n, size
	text	MODE_DATA, \n, 1, 16, \size, trampoline_data %r\n
	.endm

	text_begin 4096
	text	MODE_SLOT, 0, 1, 16, LARGE, trampoline_slot %r0
	data	0, LARGE
	data	2, SMALL
	data	3, SMALL
	data	4, SMALL
	data	5, SMALL
	data	6, SMALL
	text_end 4096

	.machine pop
