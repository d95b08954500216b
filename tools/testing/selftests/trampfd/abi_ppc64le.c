// SPDX-License-Identifier: GPL-2.0
/*
 * ppc64le: registers and calling convention of the ELFv2 ABI; DWARF numbers of the
 * same.  The return address is in LR, which has none below 32: the states have it
 * in the place of r0.
 */
#ifndef NOLIBC
#include <assert.h>
#include <stddef.h>
#endif

#include "abi.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_PPC64LE;
const enum trampfd_abi abi_of_machine[] = { TRAMPFD_ABI_PPC64LE, 0 };
const char * const abi_name = "ppc64le";

const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(11), TRAMPFD_REG(12), 0, 32 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(11), TRAMPFD_REG(12), 0, 16 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "r3", 3 }, { "r4", 4 }, { "r5", 5 }, { "r6", 6 }, { "r7", 7 },
	{ "r8", 8 }, { "r9", 9 }, { "r10", 10 }, { "r11", 11 }, { "r14", 14 },
	{ "r15", 15 }, { "r16", 16 }, { "r17", 17 }, { "r18", 18 }, { "r19", 19 },
	{ "r20", 20 }, { "r21", 21 }, { "r22", 22 }, { "r23", 23 }, { "r24", 24 },
	{ "r25", 25 }, { "r26", 26 }, { "r27", 27 }, { "r28", 28 }, { "r29", 29 },
	{ "r30", 30 }, { "r31", 31 },
	{}
};

const struct abi_reg abi_scratch_regs[] = { { "r12", 12 }, {} };

const int abi_stack_pointer = 1;
const int abi_link_register;	/* see above */
const unsigned int abi_return_words;
const unsigned int abi_vec_bytes = 32 * 8;
/* r0, stack, TOC and thread pointer, f0, LR, CTR, past the last */
const int abi_bad_regs[] = { 0, 1, 2, 13, 32, 65, 66, 0xfffe, -1 };

/* CR */
const unsigned long abi_flags_mask = 0xffffffff;
const int abi_return_regs[] = { 3, 4, -1 };
const int abi_preserved_regs[] = { 1, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
	26, 27, 28, 29, 30, 31, -1 };

/* The upper half of sc or scv: its first 6 bits.  Instructions are aligned. */
bool abi_is_system_call(const unsigned char *bytes)
{
	return (uintptr_t)bytes % 4 == 2 && bytes[1] >> 2 == 17;
}

static_assert(offsetof(struct abi_state, flags) == 256 &&
	      offsetof(struct abi_state, stack) == 264 &&
	      offsetof(struct abi_state, below) == 344 &&
	      offsetof(struct abi_state, vec) == 600, "asm below");

/*
 * The TOC pointer is that of the callers, and still is when a trampoline has
 * jumped here.
 */
asm("	.pushsection .text\n"
/* All that can be chosen, to or from the state at base */
"	.macro	regs op, base\n"
"	.irp	n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	\\op	\\n, 8*\\n(\\base)\n"
"	.endr\n"
"	.endm\n"
/* All of f, those first that return values */
"	.macro	vecs op, base\n"
"	.set	offset, 600\n"
"	.irp	n, 1, 2, 3, 4, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	\\op	\\n, offset(\\base)\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"
/* What a function must preserve, to or from the stack */
"	.macro	preserved op, fop\n"
"	.irp	n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	\\op	\\n, 8*(\\n-14)+128(1)\n"
"	\\fop	\\n, 8*(\\n-14)+272(1)\n"
"	.endr\n"
"	.endm\n"
"	.macro	address reg, symbol\n"
"	addis	\\reg, 2, \\symbol@toc@ha\n"
"	addi	\\reg, \\reg, \\symbol@toc@l\n"
"	.endm\n"
"	.macro	function name\n"
"	.globl	\\name\n"
"	.type	\\name, @function\n"
"	.balign	16\n"
"\\name:\n"
"	.endm\n"

"	function abi_return_data\n"
"	mr	3, 11\n"
"	blr\n"
"	function abi_return_push\n"
"	trap\n"

"	function abi_probe\n"
"	mflr	0\n"
"	std	0, 16(1)\n"
"	mfcr	0\n"
"	std	0, 8(1)\n"
"	stdu	1, -416(1)\n"
"	preserved std, stfd\n"
"	address	12, abi_probe_in\n"
"	address	3, abi_probe_saved_sp\n"
"	std	1, 0(3)\n"
"	.set	n, 0\n"
"	.rept	8\n"
"	ld	0, 264+8*n(12)\n"
"	std	0, 8*n(1)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	address	3, 1f\n"
"	std	3, 0(12)\n"
"	std	1, 8*1(12)\n"
"	lis	0, 0x5a5a\n"
"	ori	0, 0, 0x5a5a\n"
"	rldimi	0, 0, 32, 0\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	std	0, -8-8*n(1)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	vecs	lfd, 12\n"
"	ld	0, 256(12)\n"
"	mtcr	0\n"
"	address	3, abi_probe_entry\n"
"	ld	3, 0(3)\n"
"	mtctr	3\n"
"	regs	ld, 12\n"
"	mfctr	12\n"
"	bctrl\n"
"1:	address	12, abi_probe_back\n"
"	regs	std, 12\n"
"	std	1, 8*1(12)\n"
"	vecs	stfd, 12\n"
"	address	3, abi_probe_saved_sp\n"
"	ld	1, 0(3)\n"
"	preserved ld, lfd\n"
"	addi	1, 1, 416\n"
"	ld	0, 8(1)\n"
"	mtcr	0\n"
"	ld	0, 16(1)\n"
"	mtlr	0\n"
"	blr\n"

"	function abi_probe_target\n"
"	address	12, abi_probe_out\n"
"	regs	std, 12\n"
"	mflr	0\n"
"	std	0, 0(12)\n"
"	std	1, 8*1(12)\n"
"	mfcr	0\n"
"	std	0, 256(12)\n"
"	vecs	stfd, 12\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	ld	0, -8-8*n(1)\n"
"	std	0, 344+8*n(12)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	.set	n, 0\n"
"	.rept	10\n"
"	ld	0, 8*n(1)\n"
"	std	0, 264+8*n(12)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	address	12, abi_probe_ret\n"
"	ld	3, 8*3(12)\n"
"	ld	4, 8*4(12)\n"
"	lfd	1, 600(12)\n"
"	lfd	2, 608(12)\n"
"	lfd	3, 616(12)\n"
"	lfd	4, 624(12)\n"
"	blr\n"
"	.popsection\n");
