/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of arm64, as the kernel's (arch/arm64/kernel/trampfd.c)
 */
#define TEXT_PAGE	65536
#define TEXT_TABLE	65536

#include "text_macros.S"

	.macro	trampoline_data data, scratch
	hint	#34		/* bti c */
	ldr	\data, . + TEXT_TABLE - 4
	ldr	\scratch, . + TEXT_TABLE
	br	\scratch
	.endm

	.macro	trampoline_slot data, scratch
	hint	#34
	adr	\data, . + TEXT_TABLE - 4
	ldr	\scratch, . + TEXT_TABLE
	br	\scratch
	.endm

	.macro	data n
	variant	TEXT_MODE_DATA, \n, 16, 16, 16, trampoline_data x\n, x16
	.endm

	.macro	slot n
	variant	TEXT_MODE_SLOT, \n, 16, 16, 16, trampoline_slot x\n, x16
	.endm

	text_begin
	data	17
	data	18
	data	0
	data	1
	data	2
	data	3
	data	4
	data	5
	data	6
	data	7
	slot	17
	slot	18
	text_end

/* BTI and PAC: AAELF64, "Program Property" */
	.section .note.gnu.property, "a", %note
	.balign	8
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, 3, 0
