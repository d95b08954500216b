// SPDX-License-Identifier: GPL-2.0
/*
 * s390x: registers and calling convention of the s390x ELF ABI; DWARF numbers of
 * the same.
 */
#ifndef NOLIBC
#include <assert.h>
#include <stddef.h>
#endif

#include "abi.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_S390X;
const enum trampfd_abi abi_of_machine[] = { TRAMPFD_ABI_S390X, 0 };
const char * const abi_name = "s390x";

const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(0), TRAMPFD_REG(1), 0, 16 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(0), TRAMPFD_REG(1), 0, 16 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "r0", 0 }, { "r2", 2 }, { "r3", 3 }, { "r4", 4 }, { "r5", 5 },
	{ "r6", 6 }, { "r7", 7 }, { "r8", 8 }, { "r9", 9 }, { "r10", 10 },
	{ "r11", 11 }, { "r12", 12 }, { "r13", 13 },
	{}
};

const struct abi_reg abi_scratch_regs[] = { { "r1", 1 }, {} };

const int abi_stack_pointer = 15;
const int abi_link_register = 14;
const unsigned int abi_return_words;
const unsigned int abi_vec_bytes = 16 * 8;
/* r14, r15, f0, the mask and the address of the PSW, past the last */
const int abi_bad_regs[] = { 14, 15, 16, 64, 65, 0xfffe, -1 };

/* The condition code, as IPM and SPM have it */
const unsigned long abi_flags_mask = 0x30000000;
const int abi_return_regs[] = { 2, -1 };
const int abi_preserved_regs[] = { 6, 7, 8, 9, 10, 11, 12, 13, 15, -1 };

/* svc; code can be entered at each halfword. */
bool abi_is_system_call(const unsigned char *bytes)
{
	return (uintptr_t)bytes % 2 == 0 && bytes[0] == 0x0a;
}

static_assert(offsetof(struct abi_state, flags) == 256 &&
	      offsetof(struct abi_state, stack) == 264 &&
	      offsetof(struct abi_state, below) == 344 &&
	      offsetof(struct abi_state, vec) == 600, "asm below");

asm("	.pushsection .text\n"
/* All of f, those first that have arguments and results */
"	.macro	vecs op, base\n"
"	.set	offset, 600\n"
"	.irp	n, 0, 2, 4, 6, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	\\op	%f\\n, offset(\\base)\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"
/* Those that a function must preserve, to or from the stack */
"	.macro	preserved op\n"
"	.set	offset, 160\n"
"	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	\\op	%f\\n, offset(%r15)\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"

"	.globl	abi_return_data, abi_return_push, abi_probe, abi_probe_target\n"
"	.balign	8\n"
"abi_return_data:\n"
"	lgr	%r2, %r0\n"
"	br	%r14\n"
"abi_return_push:\n"
"	.short	0\n"

/* Nothing between SPM and the call changes the condition code. */
"	.balign	8\n"
"abi_probe:\n"
"	stmg	%r6, %r15, 48(%r15)\n"
"	lay	%r15, -224(%r15)\n"
"	preserved std\n"
"	larl	%r1, abi_probe_in\n"
"	larl	%r2, abi_probe_saved_sp\n"
"	stg	%r15, 0(%r2)\n"
"	mvc	0(64, %r15), 264(%r1)\n"
"	larl	%r2, 1f\n"
"	stg	%r2, 8*14(%r1)\n"
"	stg	%r15, 8*15(%r1)\n"
"	lay	%r2, -256(%r15)\n"
"	mvi	0(%r2), 0x5a\n"
"	mvc	1(255, %r2), 0(%r2)\n"
"	vecs	ld, %r1\n"
"	lg	%r2, 256(%r1)\n"
"	spm	%r2\n"
"	larl	%r14, abi_probe_entry\n"
"	lg	%r14, 0(%r14)\n"
"	lmg	%r0, %r13, 0(%r1)\n"
"	basr	%r14, %r14\n"
"1:	larl	%r14, abi_probe_back\n"
"	stmg	%r0, %r13, 0(%r14)\n"
"	stg	%r15, 8*15(%r14)\n"
"	vecs	std, %r14\n"
"	larl	%r1, abi_probe_saved_sp\n"
"	lg	%r15, 0(%r1)\n"
"	preserved ld\n"
"	lmg	%r6, %r15, 224+48(%r15)\n"
"	br	%r14\n"

/* r1 and r2 are first kept far below what is looked at there. */
"	.balign	8\n"
"abi_probe_target:\n"
"	stmg	%r1, %r2, -512(%r15)\n"
"	larl	%r1, abi_probe_out\n"
"	ipm	%r2\n"
"	stg	%r2, 256(%r1)\n"
"	lg	%r2, -504(%r15)\n"
"	stmg	%r0, %r15, 0(%r1)\n"
"	lg	%r2, -512(%r15)\n"
"	stg	%r2, 8*1(%r1)\n"
"	vecs	std, %r1\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	lg	%r2, -8-8*n(%r15)\n"
"	stg	%r2, 344+8*n(%r1)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	mvc	264(80, %r1), 0(%r15)\n"
"	larl	%r1, abi_probe_ret\n"
"	lg	%r2, 8*2(%r1)\n"
"	ld	%f0, 600(%r1)\n"
"	ld	%f2, 608(%r1)\n"
"	ld	%f4, 616(%r1)\n"
"	ld	%f6, 624(%r1)\n"
"	br	%r14\n"
"	.popsection\n");
