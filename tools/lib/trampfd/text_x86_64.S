/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of x86_64.  Displacements are relative to the next
 * instruction.
 */
	.macro	trampoline_data reg
	endbr64
	mov	TABLE_OFFSET - 11(%rip), %\reg
	jmp	*TABLE_OFFSET - 9(%rip)
	.balign	32, 0xcc
	.endm

	.macro	trampoline_slot reg
	endbr64
	lea	TABLE_OFFSET - 11(%rip), %\reg
	jmp	*8(%\reg)
	.balign	16, 0xcc
	.endm

	text_begin 4096
	text	MODE_SLOT, 10, -1, 16, LARGE, trampoline_slot r10
	text	MODE_DATA, 10, -1, 32, LARGE, trampoline_data r10
	text	MODE_DATA, 5, -1, 32, SMALL, trampoline_data rdi
	text	MODE_DATA, 4, -1, 32, SMALL, trampoline_data rsi
	text	MODE_DATA, 1, -1, 32, SMALL, trampoline_data rdx
	text	MODE_DATA, 2, -1, 32, SMALL, trampoline_data rcx
	text	MODE_DATA, 8, -1, 32, SMALL, trampoline_data r8
	text	MODE_DATA, 9, -1, 32, SMALL, trampoline_data r9
	text_end 4096

/* Indirect branch tracking and shadow stacks: AMD64 psABI, "Program Property" */
	.section .note.gnu.property, "a", %note
	.balign	8
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 3, 0
