// SPDX-License-Identifier: GPL-2.0
/*
 * arm64: registers and calling convention of AAPCS64, DWARF numbers of AADWARF64.
 */
#include "abi_aarch.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_ARM64;
const char * const abi_name = "arm64";

const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(17), TRAMPFD_REG(16), 0, 16 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(17), TRAMPFD_REG(16), 0, 16 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "x0", 0 }, { "x1", 1 }, { "x2", 2 }, { "x3", 3 }, { "x4", 4 },
	{ "x5", 5 }, { "x6", 6 }, { "x7", 7 }, { "x8", 8 }, { "x9", 9 },
	{ "x10", 10 }, { "x11", 11 }, { "x12", 12 }, { "x13", 13 }, { "x14", 14 },
	{ "x15", 15 }, { "x16", 16 }, { "x17", 17 }, { "x18", 18 }, { "x19", 19 },
	{ "x20", 20 }, { "x21", 21 }, { "x22", 22 }, { "x23", 23 }, { "x24", 24 },
	{ "x25", 25 }, { "x26", 26 }, { "x27", 27 }, { "x28", 28 }, { "x29", 29 },
	{}
};

const struct abi_reg abi_scratch_regs[] = { { "x16", 16 }, { "x17", 17 }, {} };

const int abi_stack_pointer = 31;
const int abi_link_register = 30;
const unsigned int abi_vec_bytes = 32 * 16;
/* x30, sp, pc, v0, a larger number */
const int abi_bad_regs[] = { 30, 31, 32, 64, 0xfffe, -1 };

/* NZCV */
const unsigned long abi_flags_mask = 0xf0000000;
const int abi_return_regs[] = { 0, 1, -1 };
const int abi_preserved_regs[] = { 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, -1 };

bool abi_is_landing_pad(const void *code)
{
	static const unsigned char bti_c[] = { 0x5f, 0x24, 0x03, 0xd5 };

	return !memcmp(code, bti_c, sizeof(bti_c));
}

static_assert(offsetof(struct abi_state, flags) == 256 &&
	      offsetof(struct abi_state, stack) == 264 &&
	      offsetof(struct abi_state, below) == 344 &&
	      offsetof(struct abi_state, vec) == 600, "asm below");

asm("	.pushsection .text\n"
/* Load or store x2 to x29 of the state at base. */
"	.macro	regs op, base\n"
"	\\op	x2, x3, [\\base, #16]\n"
"	\\op	x4, x5, [\\base, #32]\n"
"	\\op	x6, x7, [\\base, #48]\n"
"	\\op	x8, x9, [\\base, #64]\n"
"	\\op	x10, x11, [\\base, #80]\n"
"	\\op	x12, x13, [\\base, #96]\n"
"	\\op	x14, x15, [\\base, #112]\n"
"	\\op	x16, x17, [\\base, #128]\n"
"	\\op	x18, x19, [\\base, #144]\n"
"	\\op	x20, x21, [\\base, #160]\n"
"	\\op	x22, x23, [\\base, #176]\n"
"	\\op	x24, x25, [\\base, #192]\n"
"	\\op	x26, x27, [\\base, #208]\n"
"	\\op	x28, x29, [\\base, #224]\n"
"	.endm\n"
/* Load or store all vector registers at address x. */
"	.macro	vecs op, x\n"
"	\\op	q0, q1, [\\x, #0]\n"
"	\\op	q2, q3, [\\x, #32]\n"
"	\\op	q4, q5, [\\x, #64]\n"
"	\\op	q6, q7, [\\x, #96]\n"
"	\\op	q8, q9, [\\x, #128]\n"
"	\\op	q10, q11, [\\x, #160]\n"
"	\\op	q12, q13, [\\x, #192]\n"
"	\\op	q14, q15, [\\x, #224]\n"
"	\\op	q16, q17, [\\x, #256]\n"
"	\\op	q18, q19, [\\x, #288]\n"
"	\\op	q20, q21, [\\x, #320]\n"
"	\\op	q22, q23, [\\x, #352]\n"
"	\\op	q24, q25, [\\x, #384]\n"
"	\\op	q26, q27, [\\x, #416]\n"
"	\\op	q28, q29, [\\x, #448]\n"
"	\\op	q30, q31, [\\x, #480]\n"
"	.endm\n"
/* Save to the stack, or restore, the registers that a function must preserve. */
"	.macro	preserved op\n"
"	\\op	x19, x20, [sp, #16]\n"
"	\\op	x21, x22, [sp, #32]\n"
"	\\op	x23, x24, [sp, #48]\n"
"	\\op	x25, x26, [sp, #64]\n"
"	\\op	x27, x28, [sp, #80]\n"
"	\\op	d8, d9, [sp, #96]\n"
"	\\op	d10, d11, [sp, #112]\n"
"	\\op	d12, d13, [sp, #128]\n"
"	\\op	d14, d15, [sp, #144]\n"
"	.endm\n"
"	.macro	address x, symbol\n"
"	adrp	\\x, \\symbol\n"
"	add	\\x, \\x, :lo12:\\symbol\n"
"	.endm\n"

"	.globl	abi_return_data, abi_return_push, abi_probe, abi_probe_target\n"
"abi_return_data:\n"
"	hint	#34\n"			/* bti c */
"	mov	x0, x17\n"
"	ret\n"
"abi_return_push:\n"
"	udf	#0\n"

"abi_probe:\n"
"	hint	#34\n"
"	stp	x29, x30, [sp, #-160]!\n"
"	preserved stp\n"
"	address	x29, abi_probe_in\n"
"	address	x0, abi_probe_saved_sp\n"
"	mov	x1, sp\n"
"	str	x1, [x0]\n"
"	sub	sp, sp, #64\n"
"	.set	n, 0\n"
"	.rept	8\n"
"	ldr	x0, [x29, #264+8*n]\n"
"	str	x0, [sp, #8*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	adr	x0, 1f\n"
"	mov	x1, sp\n"
"	stp	x0, x1, [x29, #240]\n"
"	ldr	x0, [x29, #256]\n"
"	msr	nzcv, x0\n"
"	ldr	x0, =0x5a5a5a5a5a5a5a5a\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	stur	x0, [sp, #-8-8*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	add	x0, x29, #600\n"
"	vecs	ldp, x0\n"
"	address	x30, abi_probe_entry\n"
"	ldr	x30, [x30]\n"
"	ldp	x0, x1, [x29]\n"
"	regs	ldp, x29\n"
"	blr	x30\n"
"1:\n"
"	address	x30, abi_probe_back\n"
"	stp	x0, x1, [x30]\n"
"	regs	stp, x30\n"
"	mov	x0, sp\n"
"	str	x0, [x30, #248]\n"
"	add	x0, x30, #600\n"
"	vecs	stp, x0\n"
"	address	x0, abi_probe_saved_sp\n"
"	ldr	x0, [x0]\n"
"	mov	sp, x0\n"
"	preserved ldp\n"
"	ldp	x29, x30, [sp], #160\n"
"	ret\n"

/* Save x0 and x1 below the words that abi_probe_out.below records. */
"abi_probe_target:\n"
"	hint	#34\n"
"	stp	x0, x1, [sp, #-512]\n"
"	address	x0, abi_probe_out\n"
"	regs	stp, x0\n"
"	mov	x1, sp\n"
"	stp	x30, x1, [x0, #240]\n"
"	mrs	x1, nzcv\n"
"	str	x1, [x0, #256]\n"
"	ldp	x2, x3, [sp, #-512]\n"
"	stp	x2, x3, [x0]\n"
"	add	x1, x0, #600\n"
"	vecs	stp, x1\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	ldur	x1, [sp, #-8-8*n]\n"
"	str	x1, [x0, #344+8*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	.set	n, 0\n"
"	.rept	10\n"
"	ldr	x1, [sp, #8*n]\n"
"	str	x1, [x0, #264+8*n]\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	ldp	x2, x3, [x0, #16]\n"
"	address	x0, abi_probe_ret\n"
"	add	x1, x0, #600\n"
"	ldp	q0, q1, [x1]\n"
"	ldp	x0, x1, [x0]\n"
"	ret\n"
"	.ltorg\n"
"	.popsection\n");
