// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the trampolines of x86: each one of every geometry is decoded
 * with the kernel's instruction decoder and followed, instruction by
 * instruction, to what it leaves in the registers and where it jumps to.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/trampfd.h>

#include <asm/insn.h>
#include <asm/text-patching.h>

#define REG_SP		4	/* as in ModRM and the opcodes of push and pop */
#define OFFSET_NONE	U32_MAX

/* What a register holds, as offsets from the start of the code. */
struct value {
	enum { UNCHANGED, ADDRESS, LOADED } kind;
	u32 offset;	/* the address, or where it was loaded from */
};

struct machine {
	struct value regs[16];
	struct value target;	/* of the jump */
	u32 return_address;	/* pushed by a call and not popped, or OFFSET_NONE */
	u32 pushed;		/* bit n: register n was pushed */
};

/* The memory that ModRM names, as an offset; OFFSET_NONE if it is unknown. */
static u32 operand(const struct machine *m, struct insn *insn, u32 next)
{
	u8 mod = X86_MODRM_MOD(insn->modrm.value);
	u8 rm = X86_MODRM_RM(insn->modrm.value);

	if (insn_rip_relative(insn))
		return next + insn->displacement.value;
	if ((mod == 1 || mod == 2) && rm != REG_SP &&
	    m->regs[rm].kind == ADDRESS)
		return m->regs[rm].offset + insn->displacement.value;
	return OFFSET_NONE;
}

/* Follow one instruction; what is wrong with it, or NULL. */
static const char *step(struct machine *m, struct insn *insn, u32 next)
{
	u8 op = insn->opcode.bytes[0];
	u8 reg = X86_MODRM_REG(insn->modrm.value) |
		 (X86_REX_R(insn->rex_prefix.value) ? 8 : 0);

	switch (op) {
	case 0x50 ... 0x57:
		m->pushed |= BIT(op & 7);
		return NULL;
	case 0x58 ... 0x5f:
		if (m->return_address == OFFSET_NONE)
			return "pop of what was not pushed";
		m->regs[op & 7] = (struct value){ ADDRESS, m->return_address };
		m->return_address = OFFSET_NONE;
		return NULL;
	case 0x90:
		return NULL;
	case CALL_INSN_OPCODE:
		if (insn->immediate.value)
			return "call with a displacement";
		m->return_address = next;
		return NULL;
	case 0x8b:
	case 0x8d:
		if (insn->x86_64 && !X86_REX_W(insn->rex_prefix.value))
			return "load of half a register";
		m->regs[reg] = (struct value){
			op == 0x8b ? LOADED : ADDRESS, operand(m, insn, next)
		};
		return NULL;
	case 0xff:
		if (X86_MODRM_REG(insn->modrm.value) != 4)
			return "not a jump";
		m->target = (struct value){ LOADED, operand(m, insn, next) };
		return NULL;
	}
	return "unknown instruction";
}

/* Follow a trampoline to its jump; what is wrong, or NULL. */
static const char *follow(struct machine *m, const u8 *code,
			  const struct trampfd_create_args *g, u32 start)
{
	bool x86_64 = g->abi == TRAMPFD_ABI_X86_64;
	u32 end = start + g->code_stride;
	u32 p = start + 4;
	struct insn insn;

	*m = (struct machine){ .return_address = OFFSET_NONE };

	/* Byte by byte, not to be an ENDBR of the kernel's own. */
	if (code[start] != 0xf3 || code[start + 1] != 0x0f ||
	    code[start + 2] != 0x1e || code[start + 3] != (x86_64 ? 0xfa : 0xfb))
		return "no landing pad";

	while (m->target.kind == UNCHANGED) {
		const char *err;

		if (insn_decode(&insn, code + p, end - p,
				x86_64 ? INSN_MODE_64 : INSN_MODE_32))
			return "no instruction";
		p += insn.length;
		err = step(m, &insn, p);
		if (err)
			return err;
	}
	if (m->return_address != OFFSET_NONE)
		return "call without pop";
	for (; p < end; p++)
		if (code[p] != INT3_INSN_OPCODE)
			return "filler that does not trap";
	return NULL;
}

/* Whether a followed trampoline did what its mode promises, and no more. */
static const char *judge(const struct machine *m,
			 const struct trampfd_create_args *g, u32 slot,
			 u32 *data_reg)
{
	u32 word = g->table_stride / 2;
	u32 changed = 0, data = 0;
	int reg;

	if (m->target.offset != slot + word)
		return "jump not through slot.code";

	for (reg = 0; reg < 16; reg++) {
		const struct value *v = &m->regs[reg];

		if (v->kind == UNCHANGED)
			continue;
		changed |= BIT(reg);
		if (v->offset == slot &&
		    v->kind == (g->mode == TRAMPFD_MODE_DATA ? LOADED : ADDRESS))
			data |= BIT(reg);
	}
	if (hweight32(data) != 1)
		return "data register does not hold what it should";
	if (changed & BIT(REG_SP))
		return "stack pointer changed";
	if (hweight32(changed) != (g->scratch_reg ? 2 : 1))
		return "another register changed";
	if (m->pushed != (g->mode == TRAMPFD_MODE_PUSH ? data : 0))
		return "pushed what should not be";
	*data_reg = data;
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

static void check_geometry(struct kunit *test, u8 *code,
			   const struct trampfd_create_args *g)
{
	const char *err;
	u32 i, first_reg = 0, data_reg = 0;

	memset(code, 0, g->code_size);
	for (i = 0; i < g->code_size; i += PAGE_SIZE)
		trampfd_generate(g, i, code + i, PAGE_SIZE);

	err = has_system_call(code, g->code_size);
	for (i = 0; !err && i < g->nr; i++) {
		struct machine m;

		err = follow(&m, code, g, i * g->code_stride) ?:
		      judge(&m, g, g->table_offset + i * g->table_stride,
			    &data_reg);
		if (!err && i && data_reg != first_reg)
			err = "not the data register of the others";
		first_reg = data_reg;
	}
	KUNIT_ASSERT_NULL_MSG(test, err, "%s: data_reg %u scratch_reg %u nr %u trampoline %u",
			      err, g->data_reg, g->scratch_reg, g->nr, i - 1);
	KUNIT_ASSERT_GE(test, g->table_offset, g->code_size);
	cond_resched();
}

struct trampfd_param {
	const char *name;
	enum trampfd_abi abi;
	enum trampfd_mode mode;
};

static const struct trampfd_param params[] = {
	{ "x86_64 DATA", TRAMPFD_ABI_X86_64, TRAMPFD_MODE_DATA },
	{ "x86_64 SLOT", TRAMPFD_ABI_X86_64, TRAMPFD_MODE_SLOT },
	{ "i386 DATA", TRAMPFD_ABI_I386, TRAMPFD_MODE_DATA },
	{ "i386 SLOT", TRAMPFD_ABI_I386, TRAMPFD_MODE_SLOT },
	{ "i386 PUSH", TRAMPFD_ABI_I386, TRAMPFD_MODE_PUSH },
};

static void param_name(const struct trampfd_param *param, char *desc)
{
	strscpy(desc, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(trampfd, params, param_name);

static void free_code(void *code)
{
	kvfree(code);
}

/*
 * Each trampoline of each size that an instance can have, with each pair of
 * registers that can be asked for, reaches its own slot, changes nothing else,
 * traps where it ends, and lends no system call.
 */
static void each_trampoline_reaches_its_own_slot(struct kunit *test)
{
	const struct trampfd_param *param = test->param_value;
	unsigned int geometries = 0;
	u16 data, scratch;
	u32 nr;
	u8 *code;

	if (!arch_trampfd_abi(param->abi))
		kunit_skip(test, "this kernel does not run %s", param->name);

	code = kvmalloc(TRAMPFD_NR_MAX * 32, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, code);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_code, code));

	for (nr = 1; nr <= TRAMPFD_NR_MAX; nr *= 2) {
		for (data = 0; data < 40; data++) {
			for (scratch = 0; scratch < 40; scratch++) {
				struct trampfd_create_args g = {
					.abi = param->abi,
					.mode = param->mode,
					.data_reg = data,
					.scratch_reg = scratch,
					.nr = nr,
				};

				/* Refused, or the same as one with more of them */
				if (trampfd_resolve(&g) || g.nr != nr)
					continue;
				KUNIT_ASSERT_LE(test, g.code_size,
						TRAMPFD_NR_MAX * 32);
				check_geometry(test, code, &g);
				geometries++;
			}
		}
	}
	KUNIT_EXPECT_GT(test, geometries, 0);
	kunit_info(test, "%s: %u geometries\n", param->name, geometries);
}

/* A page is the same whether it is generated alone or among others. */
static void a_page_generated_again_is_the_same(struct kunit *test)
{
	const struct trampfd_param *param = test->param_value;
	struct trampfd_create_args g = {
		.abi = param->abi, .mode = param->mode, .nr = TRAMPFD_NR_MAX,
	};
	u8 *code, *page;
	u32 i;

	if (!arch_trampfd_abi(param->abi))
		kunit_skip(test, "this kernel does not run %s", param->name);
	KUNIT_ASSERT_EQ(test, 0, trampfd_resolve(&g));

	code = kvmalloc(g.code_size + PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, code);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_code, code));
	page = code + g.code_size;

	trampfd_generate(&g, 0, code, g.code_size);
	for (i = 0; i < g.code_size; i += PAGE_SIZE) {
		trampfd_generate(&g, i, page, PAGE_SIZE);
		KUNIT_ASSERT_MEMEQ(test, code + i, page, PAGE_SIZE);
	}
}

static struct kunit_case trampfd_x86_cases[] = {
	KUNIT_CASE_PARAM_ATTR(each_trampoline_reaches_its_own_slot,
			      trampfd_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM(a_page_generated_again_is_the_same, trampfd_gen_params),
	{}
};

static struct kunit_suite trampfd_x86_suite = {
	.name = "trampfd_x86",
	.test_cases = trampfd_x86_cases,
};

kunit_test_suite(trampfd_x86_suite);

MODULE_DESCRIPTION("KUnit tests of the trampolines of x86");
MODULE_LICENSE("GPL");
