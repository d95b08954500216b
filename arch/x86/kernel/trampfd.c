// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of x86_64 and i386.
 *
 * Each begins with ENDBR, a landing pad for indirect branches where Indirect
 * Branch Tracking is on and a no-op elsewhere (Intel SDM volume 1, chapter
 * "Control-flow Enforcement Technology").
 *
 * No byte sequence in the code, at any offset, is a system call instruction
 * (KUnit checks that): a compromised program could jump there to get past a
 * filter that allows system calls from known addresses only.
 */
#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/kconfig.h>
#include <linux/string.h>
#include <linux/text-patching.h>
#include <linux/thread_info.h>
#include <linux/trampfd.h>
#include <linux/unaligned.h>

#include <asm/ia32.h>

/* ModRM byte and REX prefix: Intel SDM volume 2, section 2.1 and 2.2.1 */
#define MODRM(mod, reg, rm)	((mod) << 6 | ((reg) & 7) << 3 | ((rm) & 7))
#define MODRM_RIP_REL		5	/* mod 0: disp32(%rip) */
#define MODRM_SIB		4	/* mod 0 to 2: a SIB byte follows */
#define SIB_BASE(reg)		(MODRM_SIB << 3 | ((reg) & 7))	/* no index */
#define REX_B			0x41
#define REX_W(reg)		(0x48 | ((reg) >> 3) << 2)

#define OP_PUSH(reg)		(0x50 + (reg))
#define OP_POP(reg)		(0x58 + (reg))
#define OP_MOV			0x8b	/* mov r/m, reg */
#define OP_LEA			0x8d	/* lea m, reg */
#define OP_GRP5			0xff
#define OP_GRP5_JMP		4	/* jmp *r/m */

/*
 * Hide the constant from the compiler: an instruction with it as an immediate
 * would contain an ENDBR in kernel text (see gen_endbr()).
 */
static u8 *emit_endbr(u8 *p, u8 last)
{
	u32 endbr = ~0x001e0ff3;

	OPTIMIZER_HIDE_VAR(endbr);
	put_unaligned_le32(~endbr | (u32)last << 24, p);
	return p + 4;
}

static u8 *emit_le32(u8 *p, u32 value)
{
	put_unaligned_le32(value, p);
	return p + 4;
}

/* Emit the displacement from the next instruction to the offset @to of @code. */
static u8 *emit_disp(u8 *p, const u8 *code, u32 to)
{
	return emit_le32(p, to - (p + 4 - code));
}

/* jmp *disp8(%reg) */
static u8 *emit_jmp_disp8(u8 *p, u8 reg, u8 disp)
{
	if (reg & 8)
		*p++ = REX_B;
	*p++ = OP_GRP5;
	*p++ = MODRM(1, OP_GRP5_JMP, reg);
	if ((reg & 7) == MODRM_SIB)
		*p++ = SIB_BASE(reg);
	*p++ = disp;
	return p;
}

/*
 * Emit
 *	endbr64
 *	mov	slot.data(%rip), %data		DATA
 *	jmp	*slot.code(%rip)
 * or
 *	endbr64
 *	lea	slot(%rip), %data		SLOT
 *	jmp	*8(%data)
 */
static void trampfd_x86_64_emit(void *code, u32 stride, enum trampfd_mode mode,
				unsigned int data, unsigned int scratch)
{
	/* By DWARF number: AMD64 psABI, "DWARF Register Number Mapping" */
	static const u8 regs[16] = {
		0, 2, 1, 3, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15
	};
	u8 reg = regs[data & 15];
	u8 *p = code;

	memset(code, INT3_INSN_OPCODE, stride);

	p = emit_endbr(p, 0xfa);
	*p++ = REX_W(reg);
	*p++ = mode == TRAMPFD_MODE_DATA ? OP_MOV : OP_LEA;
	*p++ = MODRM(0, reg, MODRM_RIP_REL);
	p = emit_disp(p, code, TRAMPFD_TABLE_OFFSET);
	if (mode == TRAMPFD_MODE_DATA) {
		*p++ = OP_GRP5;
		*p++ = MODRM(0, OP_GRP5_JMP, MODRM_RIP_REL);
		emit_disp(p, code, TRAMPFD_TABLE_OFFSET + sizeof(u64));
	} else {
		emit_jmp_disp8(p, reg, sizeof(u64));
	}
}

/* All but rsp */
#define X86_64_REGS	(GENMASK(15, 0) & ~BIT(7))

static const struct trampfd_abi_desc trampfd_x86_64 = {
	.name = "x86_64",
	.modes = {
		[TRAMPFD_MODE_DATA] = {
			.min_stride = 32,
			.data_reg = 10,
			.data_regs = X86_64_REGS,
		},
		[TRAMPFD_MODE_SLOT] = {
			.min_stride = 16,
			.data_reg = 10,
			.data_regs = X86_64_REGS,
		},
	},
	.emit = trampfd_x86_64_emit,
};

/*
 * Emit
 *	endbr32
 *	push	%data				PUSH only
 *	call	1f
 * 1:	pop	%base
 *	mov	slot.data - 1b(%base), %data	DATA, base is scratch
 *	jmp	*slot.code - 1b(%base)
 * or
 *	lea	slot - 1b(%base), %data		SLOT and PUSH, base is data
 *	jmp	*4(%data)
 *
 * Position independent i386 code learns its address by a call with displacement
 * 0.  Processors recognise it, and push its return address neither onto the
 * return stack buffer nor onto the shadow stack (Intel SDM volume 1, "Shadow
 * Stack").
 */
static void trampfd_i386_emit(void *code, u32 stride, enum trampfd_mode mode,
			      unsigned int data, unsigned int scratch)
{
	/* DWARF numbers are those of the hardware. */
	u8 base = mode == TRAMPFD_MODE_DATA ? scratch : data;
	u8 *p = code;
	u32 disp;

	memset(code, INT3_INSN_OPCODE, stride);

	p = emit_endbr(p, 0xfb);
	if (mode == TRAMPFD_MODE_PUSH)
		*p++ = OP_PUSH(data);
	*p++ = CALL_INSN_OPCODE;
	p = emit_le32(p, 0);

	disp = TRAMPFD_TABLE_OFFSET - (p - (u8 *)code);
	*p++ = OP_POP(base);
	*p++ = mode == TRAMPFD_MODE_DATA ? OP_MOV : OP_LEA;
	*p++ = MODRM(2, data, base);
	p = emit_le32(p, disp);
	if (mode == TRAMPFD_MODE_DATA) {
		*p++ = OP_GRP5;
		*p++ = MODRM(2, OP_GRP5_JMP, base);
		emit_le32(p, disp + sizeof(u32));
	} else {
		emit_jmp_disp8(p, data, sizeof(u32));
	}
}

/* All but esp */
#define I386_REGS	(GENMASK(7, 0) & ~BIT(4))

#define I386_MODE						\
	.min_stride = 32,					\
	.data_regs = I386_REGS

static const struct trampfd_abi_desc trampfd_i386 = {
	.name = "i386",
	.modes = {
		[TRAMPFD_MODE_DATA] = {
			I386_MODE,
			.data_reg = 1,
			.scratch_reg = 0,
			.scratch_regs = I386_REGS,
		},
		[TRAMPFD_MODE_SLOT] = { I386_MODE, .data_reg = 1 },
		[TRAMPFD_MODE_PUSH] = { I386_MODE, .data_reg = 0 },
	},
	.emit = trampfd_i386_emit,
};

const struct trampfd_abi_desc *arch_trampfd_abi(enum trampfd_abi abi)
{
	switch (abi) {
	case TRAMPFD_ABI_X86_64:
		return IS_ENABLED(CONFIG_X86_64) ? &trampfd_x86_64 : NULL;
	case TRAMPFD_ABI_I386:
		return ia32_enabled() ? &trampfd_i386 : NULL;
	default:
		return NULL;
	}
}

/*
 * Decide by the syscall entry: a 64-bit task may use int $0x80.  x32 is 64-bit
 * code.
 */
enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return in_ia32_syscall() ? TRAMPFD_ABI_I386 : TRAMPFD_ABI_X86_64;
}
