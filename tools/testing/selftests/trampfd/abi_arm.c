// SPDX-License-Identifier: GPL-2.0
/*
 * arm: registers and calling convention of AAPCS32 with hard float, DWARF numbers
 * of AADWARF32.  The code here is A32; arm_test.c has callers and targets in both
 * states.
 */
#include "abi_aarch.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_ARM;
const char * const abi_name = "arm";

const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(12), 0, 0, 8 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(12), 0, 0, 16 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "r0", 0 }, { "r1", 1 }, { "r2", 2 }, { "r3", 3 }, { "r4", 4 },
	{ "r5", 5 }, { "r6", 6 }, { "r7", 7 }, { "r8", 8 }, { "r9", 9 },
	{ "r10", 10 }, { "r11", 11 }, { "r12", 12 },
	{}
};

const struct abi_reg abi_scratch_regs[] = { {} };

const int abi_stack_pointer = 13;
const int abi_link_register = 14;
const unsigned int abi_vec_bytes = 16 * 16;
/* sp, lr, pc, s0, a larger number */
const int abi_bad_regs[] = { 13, 14, 15, 64, 0xfffe, -1 };

/* NZCVQ and GE */
const unsigned long abi_flags_mask = 0xf80f0000;
const int abi_return_regs[] = { 0, 1, -1 };
const int abi_preserved_regs[] = { 4, 5, 6, 7, 8, 9, 10, 11, 13, -1 };

static_assert(offsetof(struct abi_state, flags) == 128 &&
	      offsetof(struct abi_state, stack) == 132 &&
	      offsetof(struct abi_state, below) == 172 &&
	      offsetof(struct abi_state, vec) == 300, "asm below");

asm("	.pushsection .text\n"
"	.syntax	unified\n"
"	.arch	armv7-a\n"
"	.fpu	neon\n"
"	.arm\n"
"	.globl	abi_return_data, abi_return_push, abi_probe, abi_probe_target\n"
"	.type	abi_return_data, %function\n"
"	.type	abi_return_push, %function\n"
"	.type	abi_probe, %function\n"
"	.type	abi_probe_target, %function\n"
"	.align	2\n"
"abi_return_data:\n"
"	mov	r0, r12\n"
"	bx	lr\n"
"abi_return_push:\n"
"	udf	#0\n"

"	.macro	address reg, symbol\n"
"	movw	\\reg, #:lower16:\\symbol\n"
"	movt	\\reg, #:upper16:\\symbol\n"
"	.endm\n"

"abi_probe:\n"
"	push	{r4-r11, lr}\n"
"	vpush	{d8-d15}\n"
"	address	r0, abi_probe_saved_sp\n"
"	str	sp, [r0]\n"
"	bic	sp, sp, #7\n"
"	sub	sp, sp, #32\n"
"	address	lr, abi_probe_in\n"
"	.set	n, 0\n"
"	.rept	8\n"
"	ldr	r0, [lr, #132+4*n]\n"
"	str	r0, [sp, #4*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	str	sp, [lr, #52]\n"
"	adr	r0, 1f\n"
"	str	r0, [lr, #56]\n"
"	ldr	r0, [lr, #128]\n"
"	msr	APSR_nzcvqg, r0\n"
"	movw	r0, #0x5a5a\n"
"	movt	r0, #0x5a5a\n"
"	.set	n, 0\n"
"	.rept	40\n"
"	str	r0, [sp, #-4-4*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	add	r0, lr, #300\n"
"	vldmia	r0!, {d0-d15}\n"
"	vldmia	r0, {d16-d31}\n"
"	ldmia	lr, {r0-r12}\n"
"	address	lr, abi_probe_entry\n"
"	ldr	lr, [lr]\n"
"	blx	lr\n"
"1:	address	lr, abi_probe_back\n"
"	stmia	lr, {r0-r12}\n"
"	str	sp, [lr, #52]\n"
"	add	r0, lr, #300\n"
"	vstmia	r0!, {d0-d15}\n"
"	vstmia	r0, {d16-d31}\n"
"	address	r0, abi_probe_saved_sp\n"
"	ldr	sp, [r0]\n"
"	vpop	{d8-d15}\n"
"	pop	{r4-r11, pc}\n"

/* Save r0 below the words that abi_probe_out.below records. */
"abi_probe_target:\n"
"	str	r0, [sp, #-512]\n"
"	address	r0, abi_probe_out\n"
"	stmia	r0, {r0-r12}\n"
"	str	sp, [r0, #52]\n"
"	str	lr, [r0, #56]\n"
"	ldr	r1, [sp, #-512]\n"
"	str	r1, [r0]\n"
"	mrs	r1, CPSR\n"
"	str	r1, [r0, #128]\n"
"	add	r1, r0, #300\n"
"	vstmia	r1!, {d0-d15}\n"
"	vstmia	r1, {d16-d31}\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	ldr	r1, [sp, #-4-4*n]\n"
"	str	r1, [r0, #172+4*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	.set	n, 0\n"
"	.rept	10\n"
"	ldr	r1, [sp, #4*n]\n"
"	str	r1, [r0, #132+4*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	address	r1, abi_probe_ret\n"
"	add	r0, r1, #300\n"
"	vldmia	r0, {d0-d3}\n"
"	ldmia	r1, {r0, r1}\n"
"	bx	lr\n"
"	.ltorg\n"
#ifdef __thumb__
"	.thumb\n"
#endif
"	.popsection\n");
