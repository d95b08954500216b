// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines of x86_64 and i386.
 *
 * Each begins with ENDBR, a landing pad for indirect branches where Indirect
 * Branch Tracking is on and a no-op elsewhere (Intel SDM volume 1, chapter
 * "Control-flow Enforcement Technology").
 *
 * No page of them contains, at any offset, the bytes of a system call
 * instruction: code with which a compromised program could reach the kernel,
 * past a filter that allows system calls from known addresses only.  These are
 * 0f 05 (SYSCALL), 0f 34 (SYSENTER) and cd 80 (INT 0x80).  What could hold them
 * is a displacement; the comments below say how each is kept clear of them.
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

#define TRAMPFD_X86_STRIDE	32

/* ModRM byte and REX prefix: Intel SDM volume 2, section 2.1 and 2.2.1 */
#define MODRM(mod, reg, rm)	((mod) << 6 | ((reg) & 7) << 3 | ((rm) & 7))
#define MODRM_RIP_REL		5	/* mod 0: disp32(%rip) */
#define REX_W(reg)		(0x48 | ((reg) >> 3) << 2)

#define OP_PUSH(reg)		(0x50 + (reg))
#define OP_POP(reg)		(0x58 + (reg))
#define OP_MOV			0x8b	/* mov r/m, reg */
#define OP_LEA			0x8d	/* lea m, reg */
#define OP_NOP			0x90
#define OP_GRP5			0xff
#define OP_GRP5_JMP		4	/* jmp *r/m */

/*
 * Not as one constant: the compiler would put it into an instruction, as an
 * ENDBR that is not meant to be one (see gen_endbr()).
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

/*
 * Displacements run from table_offset down, by the difference of the strides,
 * which is from @code_size down to @table_size where the table follows the code
 * immediately.  Those of 0x050fXX hold a SYSCALL in their second and third
 * byte; that of a SYSENTER there, or an INT 0x80, is too far away to occur.
 * Where the range includes them, a larger distance moves it above them.
 */
static u32 trampfd_x86_table_offset(u32 code_size, u32 table_size)
{
	if (table_size < 0x051000 && code_size > 0x050f00)
		return 2 * code_size;
	return code_size;
}

/*
 * Emit
 *	endbr64
 *	mov	slot.data(%rip), %data		DATA
 *	lea	slot(%rip), %data		SLOT
 *	jmp	*slot.code(%rip)
 *
 * The displacements count from the next instruction, at 11 and 17: with slots
 * of 16 bytes they are 5 and 7 modulo 16, and never begin with 0f or cd.
 */
static void trampfd_x86_64_emit(void *code, enum trampfd_mode mode,
				unsigned int data, unsigned int scratch,
				u32 disp)
{
	/* By DWARF number: AMD64 psABI, "DWARF Register Number Mapping" */
	static const u8 regs[16] = {
		0, 2, 1, 3, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15
	};
	u8 reg = regs[data & 15];
	u8 *p = code;

	memset(code, INT3_INSN_OPCODE, TRAMPFD_X86_STRIDE);

	p = emit_endbr(p, 0xfa);
	*p++ = REX_W(reg);
	*p++ = mode == TRAMPFD_MODE_DATA ? OP_MOV : OP_LEA;
	*p++ = MODRM(0, reg, MODRM_RIP_REL);
	p = emit_le32(p, disp - (p + 4 - (u8 *)code));
	*p++ = OP_GRP5;
	*p++ = MODRM(0, OP_GRP5_JMP, MODRM_RIP_REL);
	emit_le32(p, disp + sizeof(u64) - (p + 4 - (u8 *)code));
}

/* All but rsp */
#define X86_64_REGS	(GENMASK(15, 0) & ~BIT(7))

#define X86_64_MODE						\
{								\
	.code_stride = TRAMPFD_X86_STRIDE,			\
	.table_stride = sizeof(struct trampfd_slot64),		\
	.data_reg = 10,						\
	.data_regs = X86_64_REGS,				\
}

static const struct trampfd_abi_desc trampfd_x86_64 = {
	.name = "x86_64",
	.modes = {
		[TRAMPFD_MODE_DATA] = X86_64_MODE,
		[TRAMPFD_MODE_SLOT] = X86_64_MODE,
	},
	.table_offset = trampfd_x86_table_offset,
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
 * A call with displacement 0 is how position independent i386 code learns its
 * address.  Processors know it and push nothing onto their return predictor
 * (Intel SDM volume 1, "Shadow Stack": onto the shadow stack neither).
 *
 * Displacements count from 1b, which is at 9 (PUSH: at 10): with slots of 8
 * bytes they are 7 (PUSH: 6) modulo 8, and begin with 0f in one trampoline of
 * 32.  As some are then followed by 05 or 34, a nop moves 1b, and so the
 * displacement, on by one.
 */
static void trampfd_i386_emit(void *code, enum trampfd_mode mode,
			      unsigned int data, unsigned int scratch, u32 disp)
{
	/* DWARF numbers are those of the hardware. */
	u8 base = mode == TRAMPFD_MODE_DATA ? scratch : data;
	u8 *p = code;

	memset(code, INT3_INSN_OPCODE, TRAMPFD_X86_STRIDE);

	p = emit_endbr(p, 0xfb);
	if (mode == TRAMPFD_MODE_PUSH)
		*p++ = OP_PUSH(data);
	else if (((disp - (p + CALL_INSN_SIZE - (u8 *)code)) & 0xff) == 0x0f)
		*p++ = OP_NOP;
	*p++ = CALL_INSN_OPCODE;
	p = emit_le32(p, 0);

	disp -= p - (u8 *)code;
	*p++ = OP_POP(base);
	*p++ = mode == TRAMPFD_MODE_DATA ? OP_MOV : OP_LEA;
	*p++ = MODRM(2, data, base);
	p = emit_le32(p, disp);
	*p++ = OP_GRP5;
	if (mode == TRAMPFD_MODE_DATA) {
		*p++ = MODRM(2, OP_GRP5_JMP, base);
		emit_le32(p, disp + sizeof(u32));
	} else {
		*p++ = MODRM(1, OP_GRP5_JMP, data);
		*p++ = sizeof(u32);
	}
}

/* All but esp */
#define I386_REGS	(GENMASK(7, 0) & ~BIT(4))

#define I386_MODE						\
	.code_stride = TRAMPFD_X86_STRIDE,			\
	.table_stride = sizeof(struct trampfd_slot32),		\
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
	.table_offset = trampfd_x86_table_offset,
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
 * Not a matter of the task, as a 64-bit one can make a system call of i386, but
 * of the call.  One of x32 is of 64-bit code.
 */
enum trampfd_abi arch_trampfd_caller_abi(void)
{
	return in_ia32_syscall() ? TRAMPFD_ABI_I386 : TRAMPFD_ABI_X86_64;
}
