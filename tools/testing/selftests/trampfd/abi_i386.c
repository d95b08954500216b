// SPDX-License-Identifier: GPL-2.0
/*
 * i386: registers and calling convention of the System V psABI.
 */
#include "abi_x86.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_I386;
const char * const abi_name = "i386";

/*
 * The CALL that reads eip overwrites one word below the stack pointer.  PUSH pushes
 * a word first, so its CALL also overwrites one word below the new stack pointer.
 */
const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(1), TRAMPFD_REG(0), 1, 32 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(1), 0, 1, 32 },
	{ "PUSH", TRAMPFD_MODE_PUSH, TRAMPFD_REG(0), 0, 1, 32 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "eax", 0 }, { "ecx", 1 }, { "edx", 2 }, { "ebx", 3 }, { "ebp", 5 },
	{ "esi", 6 }, { "edi", 7 },
	{}
};

const struct abi_reg abi_scratch_regs[] = {
	{ "eax", 0 }, { "ecx", 1 }, { "edx", 2 }, { "ebx", 3 }, { "ebp", 5 },
	{ "esi", 6 }, { "edi", 7 },
	{}
};

const int abi_stack_pointer = 4;
const unsigned int abi_vec_bytes = 8 * 16;
/* esp, the return address column (eip), eflags, two larger numbers */
const int abi_bad_regs[] = { 4, 8, 9, 94, 0xfffe, -1 };

const int abi_return_regs[] = { 0, 2, -1 };
const int abi_preserved_regs[] = { 3, 4, 5, 6, 7, -1 };

bool abi_is_landing_pad(const void *code)
{
	static const unsigned char endbr32[] = { 0xf3, 0x0f, 0x1e, 0xfb };

	return !memcmp(code, endbr32, sizeof(endbr32));
}

static_assert(offsetof(struct abi_state, flags) == 128 &&
	      offsetof(struct abi_state, stack) == 132 &&
	      offsetof(struct abi_state, below) == 172 &&
	      offsetof(struct abi_state, vec) == 300, "asm below");

asm("	.pushsection .text\n"
"	.globl	abi_return_data, abi_return_push, abi_probe, abi_probe_target\n"
"abi_return_data:\n"
"	mov	%ecx, %eax\n"
"	ret\n"
/* eax is the address of the slot; the caller's eax is on top of the stack. */
"abi_return_push:\n"
"	add	$4, %esp\n"
"	ret\n"

"	.macro	store_regs state\n"
"	.set	offset, 0\n"
"	.irp	reg, eax, ecx, edx, ebx, esp, ebp, esi, edi\n"
"	mov	%\\reg, \\state+offset\n"
"	.set	offset, offset + 4\n"
"	.endr\n"
"	.endm\n"
"	.macro	load_regs state\n"
"	.set	offset, 0\n"
"	.irp	reg, eax, ecx, edx, ebx, skip, ebp, esi, edi\n"
"	.ifnc	\\reg, skip\n"
"	mov	\\state+offset, %\\reg\n"
"	.endif\n"
"	.set	offset, offset + 4\n"
"	.endr\n"
"	.endm\n"
"	.macro	vecs state, store\n"
"	.set	offset, 300\n"
"	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7\n"
"	.if	\\store\n"
"	movdqu	%xmm\\n, \\state+offset\n"
"	.else\n"
"	movdqu	\\state+offset, %xmm\\n\n"
"	.endif\n"
"	.set	offset, offset + 16\n"
"	.endr\n"
"	.endm\n"

"abi_probe:\n"
"	push	%ebx\n"
"	push	%ebp\n"
"	push	%esi\n"
"	push	%edi\n"
"	mov	%esp, abi_probe_saved_sp\n"
"	and	$-16, %esp\n"
"	.set	n, 7\n"
"	.rept	8\n"
"	push	abi_probe_in+132+4*n\n"
"	.set	n, n - 1\n"
"	.endr\n"
"	mov	%esp, abi_probe_in+16\n"
"	push	abi_probe_in+128\n"
"	popf\n"
"	mov	$0x5a5a5a5a, %eax\n"
"	.set	n, 0\n"
"	.rept	40\n"
"	mov	%eax, -4-4*n(%esp)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	vecs	abi_probe_in, 0\n"
"	load_regs abi_probe_in\n"
"	call	*abi_probe_entry\n"
"	store_regs abi_probe_back\n"
"	vecs	abi_probe_back, 1\n"
"	cld\n"
"	mov	abi_probe_saved_sp, %esp\n"
"	pop	%edi\n"
"	pop	%esi\n"
"	pop	%ebp\n"
"	pop	%ebx\n"
"	ret\n"

"abi_probe_target:\n"
"	store_regs abi_probe_out\n"
"	vecs	abi_probe_out, 1\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	mov	-4-4*n(%esp), %eax\n"
"	mov	%eax, abi_probe_out+172+4*n\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	.set	n, 0\n"
"	.rept	10\n"
"	mov	4*n(%esp), %eax\n"
"	mov	%eax, abi_probe_out+132+4*n\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	pushf\n"
"	pop	abi_probe_out+128\n"
"	mov	abi_probe_drop, %eax\n"
"	lea	(%esp,%eax,4), %esp\n"
"	mov	abi_probe_ret, %eax\n"
"	mov	abi_probe_ret+8, %edx\n"
"	movdqu	abi_probe_ret+300, %xmm0\n"
"	movdqu	abi_probe_ret+300+16, %xmm1\n"
"	ret\n"
"	.popsection\n");
