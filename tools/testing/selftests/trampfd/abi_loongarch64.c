// SPDX-License-Identifier: GPL-2.0
/*
 * loongarch64: registers and calling convention of the LoongArch ELF psABI, LP64D;
 * DWARF numbers of the same.
 */
#ifndef NOLIBC
#include <assert.h>
#include <stddef.h>
#endif

#include "abi.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_LOONGARCH64;
const enum trampfd_abi abi_of_machine[] = { TRAMPFD_ABI_LOONGARCH64, 0 };
const char * const abi_name = "loongarch64";

const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(20), TRAMPFD_REG(12), 0, 16 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(20), TRAMPFD_REG(12), 0, 16 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "a0", 4 }, { "a1", 5 }, { "a2", 6 }, { "a3", 7 }, { "a4", 8 },
	{ "a5", 9 }, { "a6", 10 }, { "a7", 11 }, { "t0", 12 }, { "t1", 13 },
	{ "t2", 14 }, { "t3", 15 }, { "t4", 16 }, { "t5", 17 }, { "t6", 18 },
	{ "t7", 19 }, { "t8", 20 }, { "fp", 22 }, { "s0", 23 }, { "s1", 24 },
	{ "s2", 25 }, { "s3", 26 }, { "s4", 27 }, { "s5", 28 }, { "s6", 29 },
	{ "s7", 30 }, { "s8", 31 },
	{}
};

const struct abi_reg abi_scratch_regs[] = { { "t0", 12 }, { "t8", 20 }, {} };

const int abi_stack_pointer = 3;
const int abi_link_register = 1;
const unsigned int abi_return_words;
const unsigned int abi_vec_bytes = 32 * 8;
/* zero, ra, tp, sp, u0, fa0, past the last */
const int abi_bad_regs[] = { 0, 1, 2, 3, 21, 32, 64, 0xfffe, -1 };

/* Of fcsr0: rounding mode, and the exceptions that there were */
const unsigned long abi_flags_mask = 0x001f0300;
const int abi_return_regs[] = { 4, 5, -1 };
const int abi_preserved_regs[] = { 3, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, -1 };

/* The upper half of syscall: the lower is its code.  Instructions are aligned. */
bool abi_is_system_call(const unsigned char *bytes)
{
	return (uintptr_t)bytes % 4 == 2 && bytes[0] == 0x2b && bytes[1] == 0x00;
}

static_assert(offsetof(struct abi_state, flags) == 256 &&
	      offsetof(struct abi_state, stack) == 264 &&
	      offsetof(struct abi_state, below) == 344 &&
	      offsetof(struct abi_state, vec) == 600, "asm below");

asm("	.pushsection .text\n"
/* All that can be chosen but those left out, to or from the state at base */
"	.macro	regs op, base, without\n"
"	.irp	n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	.ifnc	\\n, \\without\n"
"	\\op	$r\\n, \\base, 8*\\n\n"
"	.endif\n"
"	.endr\n"
"	.endm\n"
/* All of f */
"	.macro	vecs op, base\n"
"	.set	offset, 600\n"
"	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	\\op	$f\\n, \\base, offset\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"
/* What a function must preserve, to or from the stack */
"	.macro	preserved op, fop\n"
"	.set	offset, 0\n"
"	.irp	n, 1, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	\\op	$r\\n, $sp, offset\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.irp	n, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	\\fop	$f\\n, $sp, offset\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"

"	.globl	abi_return_data, abi_return_push, abi_probe, abi_probe_target\n"
"	.balign	4\n"
"abi_return_data:\n"
"	move	$a0, $t8\n"
"	jr	$ra\n"
"abi_return_push:\n"
"	break	0\n"

"	.balign	4\n"
"abi_probe:\n"
"	addi.d	$sp, $sp, -160\n"
"	preserved st.d, fst.d\n"
"	la.local $ra, abi_probe_in\n"
"	la.local $t0, abi_probe_saved_sp\n"
"	st.d	$sp, $t0, 0\n"
"	addi.d	$sp, $sp, -64\n"
"	.set	n, 0\n"
"	.rept	8\n"
"	ld.d	$t0, $ra, 264+8*n\n"
"	st.d	$t0, $sp, 8*n\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	la.local $t0, 1f\n"
"	st.d	$t0, $ra, 8*1\n"
"	st.d	$sp, $ra, 8*3\n"
"	ld.d	$t0, $ra, 256\n"
"	movgr2fcsr $fcsr0, $t0\n"
"	li.d	$t0, 0x5a5a5a5a5a5a5a5a\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	st.d	$t0, $sp, -8-8*n\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	vecs	fld.d, $ra\n"
"	regs	ld.d, $ra\n"
"	la.local $ra, abi_probe_entry\n"
"	ld.d	$ra, $ra, 0\n"
"	jirl	$ra, $ra, 0\n"
"1:	la.local $ra, abi_probe_back\n"
"	regs	st.d, $ra\n"
"	st.d	$sp, $ra, 8*3\n"
"	vecs	fst.d, $ra\n"
"	movgr2fcsr $fcsr0, $zero\n"
"	la.local $t0, abi_probe_saved_sp\n"
"	ld.d	$sp, $t0, 0\n"
"	preserved ld.d, fld.d\n"
"	addi.d	$sp, $sp, 160\n"
"	jr	$ra\n"

/* t0 is first kept far below what is looked at there. */
"	.balign	4\n"
"abi_probe_target:\n"
"	st.d	$t0, $sp, -512\n"
"	la.local $t0, abi_probe_out\n"
"	regs	st.d, $t0, 12\n"
"	st.d	$ra, $t0, 8*1\n"
"	st.d	$sp, $t0, 8*3\n"
"	ld.d	$t1, $sp, -512\n"
"	st.d	$t1, $t0, 8*12\n"
"	movfcsr2gr $t1, $fcsr0\n"
"	st.d	$t1, $t0, 256\n"
"	vecs	fst.d, $t0\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	ld.d	$t1, $sp, -8-8*n\n"
"	st.d	$t1, $t0, 344+8*n\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	.set	n, 0\n"
"	.rept	10\n"
"	ld.d	$t1, $sp, 8*n\n"
"	st.d	$t1, $t0, 264+8*n\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	la.local $t0, abi_probe_ret\n"
"	ld.d	$a0, $t0, 8*4\n"
"	ld.d	$a1, $t0, 8*5\n"
"	fld.d	$fa0, $t0, 600\n"
"	fld.d	$fa1, $t0, 608\n"
"	fld.d	$fa2, $t0, 616\n"
"	fld.d	$fa3, $t0, 624\n"
"	jr	$ra\n"
"	.popsection\n");
