/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of x86_64, as the kernel's (arch/x86/kernel/trampfd.c)
 */
#define TEXT_PAGE	4096
#define TEXT_TABLE	(8 * 8192)

#include "text_macros.S"

/* Displacements count from the next instruction. */
	.macro	trampoline_data reg
	endbr64
	mov	table - code - 11(%rip), %\reg
	jmp	*table - code - 9(%rip)
	.balign	32, 0xcc
	.endm

	.macro	trampoline_slot reg
	endbr64
	lea	table - code - 11(%rip), %\reg
	jmp	*8(%\reg)
	.balign	32, 0xcc
	.endm

	.macro	data reg, dwarf
	variant	TEXT_MODE_DATA, \dwarf, -1, 32, 16, trampoline_data \reg
	.endm

	.macro	slot reg, dwarf
	variant	TEXT_MODE_SLOT, \dwarf, -1, 32, 16, trampoline_slot \reg
	.endm

	text_begin
	data	r10, 10
	data	rdi, 5
	data	rsi, 4
	data	rdx, 1
	data	rcx, 2
	data	r8, 8
	data	r9, 9
	slot	r10, 10
	text_end

/* Indirect branch tracking and shadow stacks: AMD64 psABI, "Program Property" */
	.section .note.gnu.property, "a", %note
	.balign	8
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 3, 0
