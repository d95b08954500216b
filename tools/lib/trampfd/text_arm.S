/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of arm, as the kernel's (arch/arm/kernel/trampfd_a32.c).
 * TEXT_TABLE is a power of two, for add to have it as an immediate value.
 */
#define TEXT_PAGE	65536
#define TEXT_TABLE	65536

#include "text_macros.S"

	.syntax	unified
	.arm

	.macro	trampoline_data data
	add	\data, pc, #TEXT_TABLE
	ldmdb	\data, {\data, pc}
	.endm

	.macro	trampoline_slot data
	add	\data, pc, #TEXT_TABLE
	sub	\data, \data, #8
	ldr	pc, [\data, #4]
	.inst	0xe7f0def0	/* udf */
	.endm

	.macro	data n
	variant	TEXT_MODE_DATA, \n, -1, 8, 8, trampoline_data r\n
	.endm

	.macro	slot n
	variant	TEXT_MODE_SLOT, \n, -1, 16, 16, trampoline_slot r\n
	.endm

	text_begin
	data	12
	data	0
	data	1
	data	2
	data	3
	slot	12
	text_end
