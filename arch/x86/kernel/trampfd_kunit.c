// SPDX-License-Identifier: GPL-2.0
/*
 * Follow a trampoline of x86 with the kernel's instruction decoder, for the KUnit
 * tests.
 */
#include <kunit/trampfd.h>
#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/text-patching.h>

#include <asm/insn.h>

#define REG_SP		4	/* as in ModRM and the opcodes of push and pop */

/* Return the offset of the memory operand, or TRAMPFD_OFFSET_NONE if unknown. */
static u32 operand(const struct trampfd_machine *m, struct insn *insn, u32 next)
{
	u8 mod = X86_MODRM_MOD(insn->modrm.value);
	u8 rm = X86_MODRM_RM(insn->modrm.value);

	if (insn_rip_relative(insn))
		return next + insn->displacement.value;
	if (rm == REG_SP) {	/* a SIB byte; 4 is no index */
		if (X86_SIB_INDEX(insn->sib.value) != 4 ||
		    X86_REX_X(insn->rex_prefix.value))
			return TRAMPFD_OFFSET_NONE;
		rm = X86_SIB_BASE(insn->sib.value);
	}
	if (X86_REX_B(insn->rex_prefix.value))
		rm |= 8;
	if ((mod == 1 || mod == 2) && rm != REG_SP &&
	    m->regs[rm].kind == TRAMPFD_ADDRESS)
		return m->regs[rm].offset + insn->displacement.value;
	return TRAMPFD_OFFSET_NONE;
}

/*
 * Follow one instruction; return what is wrong with it, or NULL.  @pushed is the
 * return address that a call pushed, until a pop removes it.
 */
static const char *step(struct trampfd_machine *m, u32 *pushed,
			struct insn *insn, u32 next)
{
	u8 op = insn->opcode.bytes[0];
	u8 reg = X86_MODRM_REG(insn->modrm.value) |
		 (X86_REX_R(insn->rex_prefix.value) ? 8 : 0);

	switch (op) {
	case 0x50 ... 0x57:
		m->pushed |= BIT(op & 7);
		return NULL;
	case 0x58 ... 0x5f:
		if (*pushed == TRAMPFD_OFFSET_NONE)
			return "pop without call";
		m->regs[op & 7] = (struct trampfd_value){
			TRAMPFD_ADDRESS, *pushed
		};
		*pushed = TRAMPFD_OFFSET_NONE;
		return NULL;
	case CALL_INSN_OPCODE:
		if (insn->immediate.value)
			return "call with a displacement";
		*pushed = next;
		return NULL;
	case 0x8b:
	case 0x8d:
		if (insn->x86_64 && !X86_REX_W(insn->rex_prefix.value))
			return "load of 32 bits";
		m->regs[reg] = (struct trampfd_value){
			op == 0x8b ? TRAMPFD_LOADED : TRAMPFD_ADDRESS,
			operand(m, insn, next)
		};
		return NULL;
	case 0xff:
		if (X86_MODRM_REG(insn->modrm.value) != 4)
			return "last instruction is not jmp";
		m->target = (struct trampfd_value){
			TRAMPFD_LOADED, operand(m, insn, next)
		};
		return NULL;
	}
	return "unknown instruction";
}

static const char *follow(struct trampfd_machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	bool x86_64 = g->abi == TRAMPFD_ABI_X86_64;
	u32 end = start + g->stride;
	u32 pushed = TRAMPFD_OFFSET_NONE;
	u32 p = start + 4;
	struct insn insn;

	/* By bytes: a constant would be an ENDBR in kernel text. */
	if (code[start] != 0xf3 || code[start + 1] != 0x0f ||
	    code[start + 2] != 0x1e || code[start + 3] != (x86_64 ? 0xfa : 0xfb))
		return "no landing pad";

	while (m->target.kind == TRAMPFD_UNCHANGED) {
		const char *err;

		if (insn_decode(&insn, code + p, end - p,
				x86_64 ? INSN_MODE_64 : INSN_MODE_32))
			return "undefined instruction";
		p += insn.length;
		err = step(m, &pushed, &insn, p);
		if (err)
			return err;
	}
	if (pushed != TRAMPFD_OFFSET_NONE)
		return "call without pop";
	for (; p < end; p++)
		if (code[p] != INT3_INSN_OPCODE)
			return "filler that does not trap";
	return NULL;
}

static const char *has_system_call(const u8 *code, u32 size)
{
	u32 i;

	for (i = 1; i < size; i++) {
		u16 bytes = code[i - 1] << 8 | code[i];

		if (bytes == 0x0f05 || bytes == 0x0f34 || bytes == 0xcd80)
			return "bytes of a system call";
	}
	return NULL;
}

#define X86_DECODER(word)				\
{							\
	.word_size = sizeof(word),			\
	.stack_pointer = REG_SP,			\
	.follow = follow,				\
	.has_system_call = has_system_call,		\
}

static const struct trampfd_decoder trampfd_x86_64_decoder = X86_DECODER(u64);
static const struct trampfd_decoder trampfd_i386_decoder = X86_DECODER(u32);

const struct trampfd_decoder *arch_trampfd_decoder(enum trampfd_abi abi)
{
	return abi == TRAMPFD_ABI_I386 ? &trampfd_i386_decoder :
					 &trampfd_x86_64_decoder;
}
