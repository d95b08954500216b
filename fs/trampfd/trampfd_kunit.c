// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the trampolines: each one of every geometry is decoded and
 * followed to what it leaves in the registers and where it jumps to.
 */
#include <kunit/test.h>
#include <kunit/trampfd.h>
#include <linux/bitops.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/trampfd.h>

/* Whether a followed trampoline did what its mode promises, and no more. */
static const char *judge(const struct trampfd_machine *m,
			 const struct trampfd_create_args *g,
			 const struct trampfd_decoder *decoder, u32 slot,
			 u32 *data_reg)
{
	bool loads = g->mode == TRAMPFD_MODE_DATA;
	u32 changed = 0, data = 0;
	int reg;

	if (m->target.kind != TRAMPFD_LOADED ||
	    m->target.offset != slot + decoder->word_size)
		return "jump not through slot.code";

	for (reg = 0; reg < ARRAY_SIZE(m->regs); reg++) {
		const struct trampfd_value *v = &m->regs[reg];

		if (v->kind == TRAMPFD_UNCHANGED)
			continue;
		changed |= BIT(reg);
		if (v->offset == slot &&
		    v->kind == (loads ? TRAMPFD_LOADED : TRAMPFD_ADDRESS))
			data |= BIT(reg);
	}
	if (hweight32(data) != 1)
		return "data register does not hold what it should";
	if (changed & BIT(decoder->stack_pointer))
		return "stack pointer changed";
	if (hweight32(changed) != (g->scratch_reg ? 2 : 1))
		return "another register changed";
	if (m->pushed != (g->mode == TRAMPFD_MODE_PUSH ? data : 0))
		return "pushed what should not be";
	*data_reg = data;
	return NULL;
}

static void check_geometry(struct kunit *test, u8 *code,
			   const struct trampfd_create_args *g)
{
	const struct trampfd_decoder *decoder = arch_trampfd_decoder(g->abi);
	u32 i, first_reg = 0, data_reg = 0;
	const char *err;

	memset(code, 0, g->code_size);
	for (i = 0; i < g->code_size; i += PAGE_SIZE)
		trampfd_generate(g, i, code + i, PAGE_SIZE);

	err = decoder->has_system_call(code, g->code_size);
	for (i = 0; !err && i < g->nr; i++) {
		struct trampfd_machine m = {};

		err = decoder->follow(&m, code, g, i * g->code_stride) ?:
		      judge(&m, g, decoder,
			    g->table_offset + i * g->table_stride, &data_reg);
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
	enum trampfd_abi abi;
	enum trampfd_mode mode;
};

static const struct trampfd_param params[] = {
	{ TRAMPFD_ABI_X86_64, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_X86_64, TRAMPFD_MODE_SLOT },
	{ TRAMPFD_ABI_I386, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_I386, TRAMPFD_MODE_SLOT },
	{ TRAMPFD_ABI_I386, TRAMPFD_MODE_PUSH },
	{ TRAMPFD_ABI_ARM64, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_ARM64, TRAMPFD_MODE_SLOT },
	{ TRAMPFD_ABI_ARM, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_ARM, TRAMPFD_MODE_SLOT },
	{ TRAMPFD_ABI_RISCV64, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_RISCV64, TRAMPFD_MODE_SLOT },
};

static const char * const mode_names[] = { "DATA", "SLOT", "PUSH" };

/* Those that this kernel has */
static const void *next_param(struct kunit *test, const void *prev,
			      char *desc)
{
	const struct trampfd_param *p = prev ? prev + sizeof(*p) : params;

	for (; p < params + ARRAY_SIZE(params); p++) {
		const struct trampfd_abi_desc *abi = arch_trampfd_abi(p->abi);

		if (!abi)
			continue;
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s %s", abi->name,
			 mode_names[p->mode]);
		return p;
	}
	return NULL;
}

static void free_code(void *code)
{
	kvfree(code);
}

static u8 *alloc_code(struct kunit *test, size_t size)
{
	u8 *code = kvmalloc(size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, code);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_code, code));
	return code;
}

/*
 * Each trampoline of each size that an instance can have, with each pair of
 * registers that can be asked for, reaches its own slot, changes nothing else,
 * traps where it ends, and lends no system call.
 */
static void each_trampoline_reaches_its_own_slot(struct kunit *test)
{
	const struct trampfd_param *param = test->param_value;
	struct trampfd_create_args largest = {
		.abi = param->abi, .mode = param->mode, .nr = TRAMPFD_NR_MAX,
	};
	unsigned int geometries = 0;
	u16 data, scratch;
	u32 nr;
	u8 *code;

	KUNIT_ASSERT_EQ(test, 0, trampfd_resolve(&largest));
	code = alloc_code(test, largest.code_size);

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
				KUNIT_ASSERT_LE(test, g.code_size, largest.code_size);
				check_geometry(test, code, &g);
				geometries++;
			}
		}
	}
	KUNIT_EXPECT_GT(test, geometries, 0);
	kunit_info(test, "%u geometries\n", geometries);
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

	KUNIT_ASSERT_EQ(test, 0, trampfd_resolve(&g));
	code = alloc_code(test, g.code_size + PAGE_SIZE);
	page = code + g.code_size;

	trampfd_generate(&g, 0, code, g.code_size);
	for (i = 0; i < g.code_size; i += PAGE_SIZE) {
		trampfd_generate(&g, i, page, PAGE_SIZE);
		KUNIT_ASSERT_MEMEQ(test, code + i, page, PAGE_SIZE);
	}
}

static struct kunit_case trampfd_cases[] = {
	KUNIT_CASE_PARAM_ATTR(each_trampoline_reaches_its_own_slot,
			      next_param, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM(a_page_generated_again_is_the_same, next_param),
	{}
};

static struct kunit_suite trampfd_suite = {
	.name = "trampfd",
	.test_cases = trampfd_cases,
};

kunit_test_suite(trampfd_suite);

MODULE_DESCRIPTION("KUnit tests of the trampolines");
MODULE_LICENSE("GPL");
