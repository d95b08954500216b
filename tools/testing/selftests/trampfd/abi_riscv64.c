// SPDX-License-Identifier: GPL-2.0
/*
 * riscv64: registers, calling convention (LP64D) and DWARF numbers of the RISC-V
 * psABI.
 */
#ifndef NOLIBC
#include <assert.h>
#include <stddef.h>
#include <string.h>
#endif

#include "abi.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_RISCV64;
const enum trampfd_abi abi_of_machine[] = { TRAMPFD_ABI_RISCV64, 0 };
const char * const abi_name = "riscv64";

const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(28), TRAMPFD_REG(6), 0, 32 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(28), TRAMPFD_REG(6), 0, 32 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "t0", 5 }, { "t1", 6 }, { "t2", 7 }, { "s0", 8 }, { "s1", 9 },
	{ "a0", 10 }, { "a1", 11 }, { "a2", 12 }, { "a3", 13 }, { "a4", 14 },
	{ "a5", 15 }, { "a6", 16 }, { "a7", 17 }, { "s2", 18 }, { "s3", 19 },
	{ "s4", 20 }, { "s5", 21 }, { "s6", 22 }, { "s7", 23 }, { "s8", 24 },
	{ "s9", 25 }, { "s10", 26 }, { "s11", 27 }, { "t3", 28 }, { "t4", 29 },
	{ "t5", 30 }, { "t6", 31 },
	{}
};

const struct abi_reg abi_scratch_regs[] = {
	{ "t1", 6 }, { "t3", 28 }, { "t4", 29 }, { "t5", 30 }, { "t6", 31 }, {}
};

const int abi_stack_pointer = 2;
const int abi_link_register = 1;
const unsigned int abi_return_words;
const unsigned int abi_vec_bytes = 32 * 8;
/* zero, ra, sp, gp, tp, ft0, the alternate frame return column, a larger number */
const int abi_bad_regs[] = { 0, 1, 2, 3, 4, 32, 64, 0xfffe, -1 };

/* There are no condition flags; compare fcsr (rounding mode, exceptions) instead. */
const unsigned long abi_flags_mask = 0xff;
const int abi_return_regs[] = { 10, 11, -1 };
const int abi_preserved_regs[] = { 2, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, -1 };

/* LPAD with label 0, which accepts any label */
bool abi_is_landing_pad(const void *code)
{
	static const unsigned char lpad_0[] = { 0x17, 0x00, 0x00, 0x00 };

	return !memcmp(code, lpad_0, sizeof(lpad_0));
}

/* The first 2-byte parcel of ECALL; a branch can enter code at each parcel. */
bool abi_is_system_call(const unsigned char *bytes)
{
	return (uintptr_t)bytes % 2 == 0 && bytes[0] == 0x73 && bytes[1] == 0x00;
}

static_assert(offsetof(struct abi_state, flags) == 256 &&
	      offsetof(struct abi_state, stack) == 264 &&
	      offsetof(struct abi_state, below) == 344 &&
	      offsetof(struct abi_state, vec) == 600, "asm below");

asm("	.pushsection .text\n"
"	.macro	lpad\n"
"	.4byte	0x00000017\n"
"	.endm\n"
/* Load or store x5 to x31, except one, of the state at base. */
"	.macro	regs op, base, without\n"
"	.irp	n, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	.ifnc	\\n, \\without\n"
"	\\op	x\\n, 8*\\n(\\base)\n"
"	.endif\n"
"	.endr\n"
"	.endm\n"
/* Load or store all of f; the registers that return values come first. */
"	.macro	vecs op, base\n"
"	.set	offset, 600\n"
"	.irp	n, 10, 11, 12, 13, 14, 15, 16, 17, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
"	\\op	f\\n, offset(\\base)\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"
/* Save to the stack, or restore, the registers that a function must preserve. */
"	.macro	preserved op, fop\n"
"	\\op	ra, 0(sp)\n"
"	.set	offset, 8\n"
"	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
"	\\op	s\\n, offset(sp)\n"
"	\\fop	fs\\n, offset+8(sp)\n"
"	.set	offset, offset + 16\n"
"	.endr\n"
"	.endm\n"

"	.globl	abi_return_data, abi_return_push, abi_probe, abi_probe_target\n"
"	.balign	4\n"
"abi_return_data:\n"
"	lpad\n"
"	mv	a0, t3\n"
"	ret\n"
"abi_return_push:\n"
"	unimp\n"

"	.balign	4\n"
"abi_probe:\n"
"	lpad\n"
"	addi	sp, sp, -208\n"
"	preserved sd, fsd\n"
"	lla	ra, abi_probe_in\n"
"	lla	t0, abi_probe_saved_sp\n"
"	sd	sp, (t0)\n"
"	addi	sp, sp, -64\n"
"	.set	n, 0\n"
"	.rept	8\n"
"	ld	t0, 264+8*n(ra)\n"
"	sd	t0, 8*n(sp)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	lla	t0, 1f\n"
"	sd	t0, 8*1(ra)\n"
"	sd	sp, 8*2(ra)\n"
"	ld	t0, 256(ra)\n"
"	fscsr	t0\n"
"	li	t0, 0x5a5a5a5a5a5a5a5a\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	sd	t0, -8-8*n(sp)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	vecs	fld, ra\n"
"	regs	ld, ra\n"
"	lla	ra, abi_probe_entry\n"
"	ld	ra, (ra)\n"
"	jalr	ra\n"
"1:	lla	ra, abi_probe_back\n"
"	regs	sd, ra\n"
"	sd	sp, 8*2(ra)\n"
"	vecs	fsd, ra\n"
"	fscsr	zero\n"
"	lla	t0, abi_probe_saved_sp\n"
"	ld	sp, (t0)\n"
"	preserved ld, fld\n"
"	addi	sp, sp, 208\n"
"	ret\n"

/* Save t0 below the words that abi_probe_out.below records. */
"	.balign	4\n"
"abi_probe_target:\n"
"	lpad\n"
"	sd	t0, -512(sp)\n"
"	lla	t0, abi_probe_out\n"
"	regs	sd, t0, without=5\n"
"	sd	ra, 8*1(t0)\n"
"	sd	sp, 8*2(t0)\n"
"	ld	t1, -512(sp)\n"
"	sd	t1, 8*5(t0)\n"
"	frcsr	t1\n"
"	sd	t1, 256(t0)\n"
"	vecs	fsd, t0\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	ld	t1, -8-8*n(sp)\n"
"	sd	t1, 344+8*n(t0)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	.set	n, 0\n"
"	.rept	10\n"
"	ld	t1, 8*n(sp)\n"
"	sd	t1, 264+8*n(t0)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	lla	t0, abi_probe_ret\n"
"	ld	a0, 8*10(t0)\n"
"	ld	a1, 8*11(t0)\n"
"	fld	fa0, 600(t0)\n"
"	fld	fa1, 608(t0)\n"
"	fld	fa2, 616(t0)\n"
"	fld	fa3, 624(t0)\n"
"	ret\n"
"	.popsection\n");
