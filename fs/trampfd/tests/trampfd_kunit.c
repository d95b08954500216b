// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of trampfd: decode the code of every geometry, follow each trampoline to
 * its jump, and check the registers there; and test the lifetime of pages of code.
 */
#include <kunit/test.h>
#include <kunit/trampfd.h>
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/page-flags.h>
#include <linux/page_ref.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "../internal.h"

/* Return what is wrong with the state at the jump, or NULL, and set @data_reg. */
static const char *check_state(const struct trampfd_machine *m,
			       const struct trampfd_create_args *g,
			       const struct trampfd_decoder *decoder, u32 slot,
			       u32 *data_reg)
{
	bool loads = g->mode == TRAMPFD_MODE_DATA;
	u32 changed = 0, data = 0;
	int reg;

	if (m->target.kind != TRAMPFD_LOADED ||
	    m->target.offset != slot + decoder->word_size)
		return "the jump is not to slot.code";

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
		return "no register, or more than one, contains the data";
	if (changed & BIT(decoder->stack_pointer))
		return "stack pointer changed";
	if (hweight32(changed) != (g->scratch_reg ? 2 : 1))
		return "another register changed";
	if (m->pushed != (g->mode == TRAMPFD_MODE_PUSH ? data : 0))
		return "wrong words pushed";
	*data_reg = data;
	return NULL;
}

/* @code is two pages, because execution can run on from one page to the next. */
static void check_geometry(struct kunit *test, u8 *code,
			   const struct trampfd_create_args *g)
{
	const struct trampfd_decoder *decoder = arch_trampfd_decoder(g->abi);
	u32 i, first_reg = 0, data_reg = 0;
	const char *err;

	memset(code, 0, 2 * PAGE_SIZE);
	trampfd_generate(g, code);
	memcpy(code + PAGE_SIZE, code, PAGE_SIZE);

	err = decoder->has_system_call(code, 2 * PAGE_SIZE);
	for (i = 0; !err && i < PAGE_SIZE; i += g->stride) {
		struct trampfd_machine m = {};

		err = decoder->follow(&m, code, g, i) ?:
		      check_state(&m, g, decoder, i + g->table_offset, &data_reg);
		if (!err && i && data_reg != first_reg)
			err = "the data register differs between trampolines";
		first_reg = data_reg;
	}
	KUNIT_ASSERT_NULL_MSG(test, err, "%s: data_reg %u scratch_reg %u stride %u offset %u",
			      err, g->data_reg, g->scratch_reg, g->stride, i);
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
	{ TRAMPFD_ABI_PPC64LE, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_PPC64LE, TRAMPFD_MODE_SLOT },
	{ TRAMPFD_ABI_S390X, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_S390X, TRAMPFD_MODE_SLOT },
	{ TRAMPFD_ABI_LOONGARCH64, TRAMPFD_MODE_DATA },
	{ TRAMPFD_ABI_LOONGARCH64, TRAMPFD_MODE_SLOT },
};

static const char * const mode_names[] = { "DATA", "SLOT", "PUSH" };

/* The ABIs that this kernel has */
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

/* Advance @g, which starts as zeroes, to the next geometry of the mode. */
static bool next_geometry(const struct trampfd_param *param,
			  struct trampfd_create_args *g)
{
	const u32 regs = TRAMPFD_REG(40);
	u32 n = g->data_reg + regs * (g->scratch_reg + regs * ilog2(g->stride | 1));

	while (++n < regs * regs * (ilog2(TRAMPFD_STRIDE_MAX) + 1)) {
		*g = (struct trampfd_create_args){
			.abi = param->abi,
			.mode = param->mode,
			.data_reg = n % regs,
			.scratch_reg = n / regs % regs,
			.stride = 1U << n / regs / regs,
		};
		if (!trampfd_resolve(g) && g->data_reg == n % regs &&
		    g->scratch_reg == n / regs % regs)
			return true;
	}
	return false;
}

/*
 * Each trampoline reaches its own slot and changes no other register, the bytes after
 * it trap, and no bytes in the code are a system call instruction.
 */
static void reaches_own_slot(struct kunit *test)
{
	const struct trampfd_param *param = test->param_value;
	struct trampfd_create_args g = {};
	unsigned int geometries = 0;
	u8 *code = kunit_kmalloc(test, 2 * PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, code);
	while (next_geometry(param, &g)) {
		check_geometry(test, code, &g);
		geometries++;
	}
	KUNIT_EXPECT_GT(test, geometries, 0);
	kunit_info(test, "%u geometries\n", geometries);
}

static struct trampfd_code *get_code(struct kunit *test,
				     struct trampfd_create_args *g)
{
	struct trampfd_code *code;

	KUNIT_ASSERT_EQ(test, 0, trampfd_resolve(g));
	code = trampfd_get_code(g);
	KUNIT_ASSERT_NOT_NULL(test, code);
	return code;
}

/* Instances share a page if and only if they have the same geometry. */
static void geometry_has_one_page(struct kunit *test)
{
	const struct trampfd_param *param = test->param_value;
	struct trampfd_create_args g = {
		.abi = param->abi, .mode = param->mode, .stride = 1024,
	};
	struct trampfd_code *code = get_code(test, &g);

	KUNIT_EXPECT_PTR_EQ(test, code, get_code(test, &g));
	g.stride = 2048;
	KUNIT_EXPECT_PTR_NE(test, code->page, get_code(test, &g)->page);
}

/* Get a page, and expect a copy of the current page of @code. */
static struct page *get_another_page(struct kunit *test, struct trampfd_code *code)
{
	struct page *current_page = code->page, *page = trampfd_get_page(code);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_PTR_NE(test, current_page, page);
	KUNIT_EXPECT_MEMEQ(test, page_address(page), page_address(current_page), PAGE_SIZE);
	return page;
}

/* A page with TRAMPFD_MAX_PAGE_REFS references is not shared further. */
static void count_does_not_wrap(struct kunit *test)
{
	struct trampfd_create_args g = { .stride = 1024 };
	struct trampfd_code *code = get_code(test, &g);
	struct page *page, *shared = code->page;
	int refs = TRAMPFD_MAX_PAGE_REFS - page_ref_count(shared);

	page_ref_add(shared, refs);
	page = trampfd_get_page(code);
	KUNIT_EXPECT_PTR_EQ(test, shared, page);

	page = get_another_page(test, code);
	KUNIT_EXPECT_EQ(test, 1, page_ref_count(page));
	KUNIT_EXPECT_PTR_EQ(test, shared, code->page);
	put_page(page);

	put_page(shared);
	page_ref_sub(shared, refs);
	page = trampfd_get_page(code);
	KUNIT_EXPECT_PTR_EQ(test, shared, page);
	put_page(page);
}

static struct file *create_file(struct kunit *test,
				const struct trampfd_create_args *g)
{
	struct file *file = trampfd_create_file(g);

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	return file;
}

static void touch(struct kunit *test, unsigned long addr)
{
	u8 byte;

	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&byte, (u8 __user *)addr, 1));
}

/* Likewise for pages that are mapped around a fault */
static void count_does_not_wrap_around_faults(struct kunit *test)
{
	struct trampfd_create_args g = { .stride = 1024 };
	struct page *shared = get_code(test, &g)->page;
	struct file *file = create_file(test, &g);
	unsigned long addr;
	int refs;

	addr = kunit_vm_mmap(test, file, 0, TRAMPFD_TABLE_OFFSET, PROT_READ,
			     MAP_PRIVATE, 0);
	fput(file);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));

	refs = TRAMPFD_MAX_PAGE_REFS + 1 - page_ref_count(shared);
	page_ref_add(shared, refs);
	touch(test, addr);
	touch(test, addr + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, TRAMPFD_MAX_PAGE_REFS + 1, page_ref_count(shared));
	page_ref_sub(shared, refs);

	touch(test, addr + 4 * PAGE_SIZE);
	KUNIT_EXPECT_GT(test, page_ref_count(shared),
			TRAMPFD_MAX_PAGE_REFS + 1 - refs);
}

/* Likewise for fork(), which copies the page tables of mappings with guards */
static void count_does_not_wrap_at_fork(struct kunit *test)
{
	struct trampfd_create_args g = { .stride = 1024 };
	struct page *shared = get_code(test, &g)->page;
	struct vm_area_struct vma = {
		.vm_mm = &init_mm, .vm_file = create_file(test, &g),
	};
	int refs = TRAMPFD_MAX_PAGE_REFS + 1 - page_ref_count(shared);

	vma_set_flags(&vma, VMA_MAYBE_GUARD_BIT);
	trampfd_code_vm_ops.open(&vma);
	KUNIT_EXPECT_TRUE(test, vma_test(&vma, VMA_MAYBE_GUARD_BIT));

	page_ref_add(shared, refs);
	trampfd_code_vm_ops.open(&vma);
	KUNIT_EXPECT_FALSE(test, vma_test(&vma, VMA_MAYBE_GUARD_BIT));
	page_ref_sub(shared, refs);
	fput(vma.vm_file);
}

/* A page whose memory has failed is replaced once. */
static void failed_memory_is_replaced(struct kunit *test)
{
#ifdef CONFIG_MEMORY_FAILURE
	struct trampfd_create_args g = { .stride = 1024 };
	struct trampfd_code *code = get_code(test, &g);
	struct page *failed = code->page, *page;

	SetPageHWPoison(failed);
	page = get_another_page(test, code);
	KUNIT_EXPECT_PTR_EQ(test, code->page, page);
	KUNIT_EXPECT_EQ(test, 2, page_ref_count(page));
	put_page(page);
	ClearPageHWPoison(failed);
	put_page(failed);
#else
	kunit_skip(test, "no CONFIG_MEMORY_FAILURE");
#endif
}

static struct kunit_case trampfd_cases[] = {
	KUNIT_CASE_PARAM_ATTR(reaches_own_slot, next_param,
			      { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM(geometry_has_one_page, next_param),
	KUNIT_CASE(count_does_not_wrap),
	KUNIT_CASE(count_does_not_wrap_around_faults),
	KUNIT_CASE(count_does_not_wrap_at_fork),
	KUNIT_CASE(failed_memory_is_replaced),
	{}
};

static struct kunit_suite trampfd_suite = {
	.name = "trampfd",
	.test_cases = trampfd_cases,
};

kunit_test_suite(trampfd_suite);

MODULE_DESCRIPTION("KUnit tests of trampfd");
MODULE_LICENSE("GPL");
