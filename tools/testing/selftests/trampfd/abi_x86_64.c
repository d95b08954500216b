// SPDX-License-Identifier: GPL-2.0
/*
 * x86_64: registers and calling convention of the System V psABI.
 */
#include "abi_x86.h"

const enum trampfd_abi abi_native = TRAMPFD_ABI_X86_64;
const char * const abi_name = "x86_64";

const struct abi_mode abi_modes[] = {
	{ "DATA", TRAMPFD_MODE_DATA, TRAMPFD_REG(10), 0, 0, 32 },
	{ "SLOT", TRAMPFD_MODE_SLOT, TRAMPFD_REG(10), 0, 0, 16 },
	{}
};

const struct abi_reg abi_regs[] = {
	{ "rax", 0 }, { "rdx", 1 }, { "rcx", 2 }, { "rbx", 3 }, { "rsi", 4 },
	{ "rdi", 5 }, { "rbp", 6 }, { "r8", 8 }, { "r9", 9 }, { "r10", 10 },
	{ "r11", 11 }, { "r12", 12 }, { "r13", 13 }, { "r14", 14 }, { "r15", 15 },
	{}
};

const struct abi_reg abi_scratch_regs[] = { {} };

const int abi_stack_pointer = 7;
const unsigned int abi_vec_bytes = 16 * 16;
/* rsp, the return address column (rip), xmm0, two larger numbers */
const int abi_bad_regs[] = { 7, 16, 17, 126, 0xfffe, -1 };

const int abi_return_regs[] = { 0, 1, -1 };
const int abi_preserved_regs[] = { 3, 6, 7, 12, 13, 14, 15, -1 };

bool abi_is_landing_pad(const void *code)
{
	static const unsigned char endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	return !memcmp(code, endbr64, sizeof(endbr64));
}

static_assert(offsetof(struct abi_state, flags) == 256 &&
	      offsetof(struct abi_state, stack) == 264 &&
	      offsetof(struct abi_state, below) == 344 &&
	      offsetof(struct abi_state, vec) == 600, "asm below");

asm("	.pushsection .text\n"
"	.globl	abi_return_data, abi_return_push, abi_probe, abi_probe_target\n"
"abi_return_data:\n"
"	mov	%r10, %rax\n"
"	ret\n"
"abi_return_push:\n"
"	ud2\n"

/* Store or load the registers of a state, in the order of their DWARF numbers. */
"	.macro	store_regs state\n"
"	.set	offset, 0\n"
"	.irp	reg, rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15\n"
"	mov	%\\reg, \\state+offset(%rip)\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"
"	.macro	load_regs state\n"
"	.set	offset, 0\n"
"	.irp	reg, rax, rdx, rcx, rbx, rsi, rdi, rbp, skip, r8, r9, r10, r11, r12, r13, r14, r15\n"
"	.ifnc	\\reg, skip\n"
"	mov	\\state+offset(%rip), %\\reg\n"
"	.endif\n"
"	.set	offset, offset + 8\n"
"	.endr\n"
"	.endm\n"
"	.macro	vecs state, store\n"
"	.set	offset, 600\n"
"	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	.if	\\store\n"
"	movdqu	%xmm\\n, \\state+offset(%rip)\n"
"	.else\n"
"	movdqu	\\state+offset(%rip), %xmm\\n\n"
"	.endif\n"
"	.set	offset, offset + 16\n"
"	.endr\n"
"	.endm\n"

"abi_probe:\n"
"	push	%rbx\n"
"	push	%rbp\n"
"	push	%r12\n"
"	push	%r13\n"
"	push	%r14\n"
"	push	%r15\n"
"	mov	%rsp, abi_probe_saved_sp(%rip)\n"
"	sub	$8, %rsp\n"
"	.set	n, 7\n"
"	.rept	8\n"
"	push	abi_probe_in+264+8*n(%rip)\n"
"	.set	n, n - 1\n"
"	.endr\n"
"	mov	%rsp, abi_probe_in+56(%rip)\n"
"	push	abi_probe_in+256(%rip)\n"
"	popf\n"
"	movabs	$0x5a5a5a5a5a5a5a5a, %rax\n"
"	.set	n, 0\n"
"	.rept	40\n"
"	mov	%rax, -8-8*n(%rsp)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	vecs	abi_probe_in, 0\n"
"	load_regs abi_probe_in\n"
"	call	*abi_probe_entry(%rip)\n"
"	store_regs abi_probe_back\n"
"	vecs	abi_probe_back, 1\n"
"	cld\n"
"	mov	abi_probe_saved_sp(%rip), %rsp\n"
"	pop	%r15\n"
"	pop	%r14\n"
"	pop	%r13\n"
"	pop	%r12\n"
"	pop	%rbp\n"
"	pop	%rbx\n"
"	ret\n"

"abi_probe_target:\n"
"	store_regs abi_probe_out\n"
"	vecs	abi_probe_out, 1\n"
"	.set	n, 0\n"
"	.rept	32\n"
"	mov	-8-8*n(%rsp), %rax\n"
"	mov	%rax, abi_probe_out+344+8*n(%rip)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	.set	n, 0\n"
"	.rept	10\n"
"	mov	8*n(%rsp), %rax\n"
"	mov	%rax, abi_probe_out+264+8*n(%rip)\n"
"	.set	n, n + 1\n"
"	.endr\n"
"	pushf\n"
"	pop	abi_probe_out+256(%rip)\n"
"	mov	abi_probe_drop(%rip), %rax\n"
"	lea	(%rsp,%rax,8), %rsp\n"
"	mov	abi_probe_ret(%rip), %rax\n"
"	mov	abi_probe_ret+8(%rip), %rdx\n"
"	movdqu	abi_probe_ret+600(%rip), %xmm0\n"
"	movdqu	abi_probe_ret+600+16(%rip), %xmm1\n"
"	ret\n"
"	.popsection\n");
