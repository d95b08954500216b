/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines of i386, as the kernel's (arch/x86/kernel/trampfd.c).
 *
 * Slots are smaller than trampolines here, so that displacements differ.  They
 * begin with 0f in one trampoline of 32.  As some of these go on with 05 or 34,
 * which is a system call, a nop moves the pop, and so the displacement, by one.
 */
#define TEXT_PAGE	4096
#define TEXT_TABLE	(5 * 16384)

#include "text_macros.S"

/* \at: where the pop is in the trampoline, from where displacements count */
	.macro	program_counter reg, at
	.if	((table - code - \at) & 0xff) == 0x0f
	nop
	.set	disp, table - code - \at - 1
	.else
	.set	disp, table - code - \at
	.endif
	call	1f
1:	pop	%\reg
	.endm

	.macro	trampoline_data data, scratch
	endbr32
	program_counter \scratch, 9
	mov	disp(%\scratch), %\data
	jmp	*disp + 4(%\scratch)
	.balign	32, 0xcc
	.endm

	.macro	trampoline_slot data
	endbr32
	program_counter \data, 9
	lea	disp(%\data), %\data
	jmp	*4(%\data)
	.balign	32, 0xcc
	.endm

	.macro	trampoline_push data
	endbr32
	push	%\data
	program_counter \data, 10
	lea	disp(%\data), %\data
	jmp	*4(%\data)
	.balign	32, 0xcc
	.endm

	text_begin
	variant	TEXT_MODE_DATA, 1, 0, 32, 8, trampoline_data ecx, eax
	variant	TEXT_MODE_DATA, 0, 1, 32, 8, trampoline_data eax, ecx
	variant	TEXT_MODE_SLOT, 1, -1, 32, 8, trampoline_slot ecx
	variant	TEXT_MODE_SLOT, 0, -1, 32, 8, trampoline_slot eax
	variant	TEXT_MODE_PUSH, 0, -1, 32, 8, trampoline_push eax
	text_end

/* Indirect branch tracking and shadow stacks: i386 psABI, "Program Property" */
	.section .note.gnu.property, "a", %note
	.balign	4
	.long	4, 12, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 3
