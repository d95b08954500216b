/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of arm
 */
	.syntax	unified
	.arm

	.macro	trampoline_data data
	add	\data, pc, #TABLE_OFFSET
	ldmdb	\data, {\data, pc}
	.endm

	.macro	trampoline_slot data
	add	\data, pc, #TABLE_OFFSET
	sub	\data, \data, #8
	ldr	pc, [\data, #4]
	.inst	0xe7f0def0	/* udf */
	.endm

	.macro	data n, size
	text	MODE_DATA, \n, -1, 8, \size, trampoline_data r\n
	.endm

	text_begin 65536
	text	MODE_SLOT, 12, -1, 16, LARGE, trampoline_slot r12
	data	12, LARGE
	data	0, SMALL
	data	1, SMALL
	data	2, SMALL
	data	3, SMALL
	text_end 65536
