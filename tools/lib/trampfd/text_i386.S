/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of i386.  Displacements are relative to the pop.
 */
	.macro	trampoline_data data, scratch
	endbr32
	call	1f
1:	pop	%\scratch
	mov	TABLE_OFFSET - 9(%\scratch), %\data
	jmp	*TABLE_OFFSET - 5(%\scratch)
	.balign	32, 0xcc
	.endm

	.macro	trampoline_slot data
	endbr32
	call	1f
1:	pop	%\data
	lea	TABLE_OFFSET - 9(%\data), %\data
	jmp	*4(%\data)
	.balign	32, 0xcc
	.endm

	.macro	trampoline_push data
	endbr32
	push	%\data
	call	1f
1:	pop	%\data
	lea	TABLE_OFFSET - 10(%\data), %\data
	jmp	*4(%\data)
	.balign	32, 0xcc
	.endm

	text_begin 4096
	text	MODE_PUSH, 0, -1, 32, LARGE, trampoline_push eax
	text	MODE_DATA, 1, 0, 32, LARGE, trampoline_data ecx, eax
	text	MODE_DATA, 0, 1, 32, SMALL, trampoline_data eax, ecx
	text	MODE_SLOT, 1, -1, 32, SMALL, trampoline_slot ecx
	text	MODE_SLOT, 0, -1, 32, SMALL, trampoline_slot eax
	text_end 4096

/* Indirect branch tracking and shadow stacks: i386 psABI, "Program Property" */
	.section .note.gnu.property, "a", %note
	.balign	4
	.long	4, 12, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 3
