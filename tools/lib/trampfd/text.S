/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines in the library's own text, for the registers that trampfd.h
 * lists.  The instructions are those of the kernel; arch/ARCH/kernel/trampfd*.c
 * explains them.
 *
 * Each text_ABI.S has macros that assemble one trampoline, TABLE_OFFSET below its
 * slot, and a list: text_begin, then "text" for each mode and its registers, the
 * largest first, then text_end.  The distance between trampolines is the minimum
 * stride; a larger stride uses every second, fourth and so on.  The argument of
 * text_begin and text_end is the largest page size of the architecture.
 */
#define TABLE_OFFSET	0x80000

#define MODE_DATA	0
#define MODE_SLOT	1
#define MODE_PUSH	2

#define LARGE		65536	/* for the defaults and the registers of libffi and GCC */
#define SMALL		4096

	.section .note.GNU-stack, "", %progbits

	.macro	text_begin page
	.section .rodata.trampfd_texts, "a", %progbits
	.balign	4
	.globl	trampfd_texts
	.hidden	trampfd_texts
	.type	trampfd_texts, %object
trampfd_texts:
	.section .text.trampfd_text, "ax", %progbits
	.balign	\page
	.globl	trampfd_text
	.hidden	trampfd_text
trampfd_text:
	.endm

/* Registers are DWARF numbers, -1 if there is none.  Each row is a struct text. */
	.macro	text mode, data_reg, scratch_reg, stride, size, trampoline:vararg
	.section .rodata.trampfd_texts
	.long	\mode
	.short	\data_reg + 1, \scratch_reg + 1
	.long	\stride, \size
	.section .text.trampfd_text
	.rept	\size / \stride
	\trampoline
	.endr
	.endm

	.macro	text_end page
	.section .rodata.trampfd_texts
	.fill	4, 4, 0
	.size	trampfd_texts, . - trampfd_texts
	.section .text.trampfd_text
	.balign	\page, 0
	.globl	trampfd_text_end
	.hidden	trampfd_text_end
trampfd_text_end:
	.endm

#if defined(__x86_64__) && !defined(__ILP32__)
#include "text_x86_64.S"
#elif defined(__i386__)
#include "text_i386.S"
#elif defined(__aarch64__) && !defined(__ILP32__)
#include "text_arm64.S"
#elif defined(__arm__)
#include "text_arm.S"
#elif defined(__riscv) && __riscv_xlen == 64
#include "text_riscv64.S"
#elif defined(__powerpc64__) && _CALL_ELF == 2 && defined(__LITTLE_ENDIAN__)
#include "text_ppc64le.S"
#elif defined(__s390x__)
#include "text_s390x.S"
#elif defined(__loongarch64)
#include "text_loongarch64.S"
#else
#error "this ABI has no text_ABI.S"
#endif
