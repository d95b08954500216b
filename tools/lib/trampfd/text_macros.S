/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: how a text_*.S lists its trampolines, between text_begin and
 * text_end: with one variant for each mode and its registers.  It says TEXT_PAGE,
 * the largest page that there is, and TEXT_TABLE.
 */
#include "text.h"

/* Where the trampoline being assembled is, and its slot */
	.set	code, 0
	.set	table, TEXT_TABLE

	.macro	text_begin
	.section .note.GNU-stack, "", %progbits
	.section .rodata.trampfd_text, "a", %progbits
	.balign	4
	.globl	trampfd_text_variants
	.hidden	trampfd_text_variants
	.type	trampfd_text_variants, %object
trampfd_text_variants:
	.section .text.trampfd_text, "ax", %progbits
	.balign	TEXT_PAGE
	.globl	trampfd_text, trampfd_text_tables, trampfd_text_end
	.hidden	trampfd_text, trampfd_text_tables, trampfd_text_end
trampfd_text:
	.endm

/*
 * The trampolines of a variant, by a macro that assembles one.  Registers are
 * DWARF numbers, -1 if there is none.  Each row is a struct text_variant; the
 * first of a mode has the registers that are the default.
 */
	.macro	variant mode, data_reg, scratch_reg, code_stride, table_stride, trampoline:vararg
	.section .rodata.trampfd_text
	.long	\mode
	.short	\data_reg + 1, \scratch_reg + 1
	.long	TEXT_TABLE_SIZE / \table_stride, \code_stride, \table_stride, code, table
	.section .text.trampfd_text
	.rept	TEXT_TABLE_SIZE / \table_stride
	\trampoline
	.set	code, code + \code_stride
	.set	table, table + \table_stride
	.endr
	.endm

	.macro	text_end
	.section .rodata.trampfd_text
	.fill	7, 4, 0
	.size	trampfd_text_variants, . - trampfd_text_variants
	.section .text.trampfd_text
	.if	code > TEXT_TABLE
	.error	"more code than there is room for: TEXT_TABLE must be larger"
	.endif
	.org	trampfd_text + TEXT_TABLE, 0
trampfd_text_tables:
	.org	trampfd_text + table, 0
	.balign	TEXT_PAGE, 0
trampfd_text_end:
	.endm
