// SPDX-License-Identifier: GPL-2.0
/*
 * arm64: guarded pages (BTI), signed return addresses (PAC), guarded control stacks
 * (GCS), tagged pointers (top byte ignore, MTE), the padding of trampolines, and
 * trampolines of arm.
 */
#include <alloca.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include <asm/hwcap.h>
#include <asm/mman.h>

#include "common.h"

/* Not in the headers of older kernels */
#ifndef HWCAP_GCS
#define HWCAP_GCS			0x100000000UL
#endif
#ifndef PR_SET_SHADOW_STACK_STATUS
#define PR_SET_SHADOW_STACK_STATUS	75
#define PR_SHADOW_STACK_ENABLE		0x1
#define PR_LOCK_SHADOW_STACK_STATUS	76
#endif

/* The bytes after a trampoline trap.  The smallest stride has none. */
TEST(padding_traps)
{
	const struct abi_mode *mode;
	uint32_t offset;
	char *entry;

	for (mode = abi_modes; mode->name; mode++) {
		struct instance in = { .nr = 1, .args = {
			.mode = mode->mode, .stride = 4 * mode->min_stride,
		} };

		ASSERT_EQ(0, instance_open(&in));
		entry = instance_trampoline(&in, 1);
		for (offset = mode->min_stride; offset < in.args.stride; offset += 4)
			EXPECT_EQ(SIGILL, signal_of(call, entry + offset))
				TH_LOG("%s: trampoline + %u", mode->name, offset);
		instance_close(&in);
	}
}

static bool has_bti(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_BTI;
}

/*
 * In a page of their own, aligned for the largest page size, that the tests guard:
 *
 * - jump_through_x2(), jump_through_x16() and jump_through_x17() branch to their
 *   argument through that register, as a tail call does; call_through_x2() calls it.
 *   The type of a branch is only checked if it comes from a guarded page.
 * - pad() and no_pad() are targets with and without a landing pad.
 *
 * In other pages:
 *
 * - sign_and_jump() signs the return address and branches to its argument through
 *   x16.
 * - authenticate() returns the bits in which the signed return address differs from
 *   the authenticated one.
 * - load_from_x17() returns the word at x17.
 */
extern char guarded_page[], jump_through_x2[], jump_through_x16[],
	    jump_through_x17[], call_through_x2[], pad[], no_pad[],
	    sign_and_jump[], authenticate[], load_from_x17[];

#define GUARDED_PAGE_SIZE	65536

asm("	.pushsection .text\n"
"	.globl	guarded_page, jump_through_x2, jump_through_x16, jump_through_x17\n"
"	.globl	call_through_x2, pad, no_pad\n"
"	.balign	65536\n"
"guarded_page:\n"
"	.irp	n, 2, 16, 17\n"
"jump_through_x\\n:\n"
"	hint	#34\n"			/* bti c */
"	mov	x\\n, x0\n"
"	br	x\\n\n"
"	.endr\n"
"call_through_x2:\n"
"	hint	#34\n"
"	stp	x29, x30, [sp, #-16]!\n"
"	mov	x2, x0\n"
"	blr	x2\n"
"	ldp	x29, x30, [sp], #16\n"
"	ret\n"
"pad:\n"
"	hint	#34\n"
"no_pad:\n"
"	mov	x0, #21\n"
"	ret\n"
"	.balign	65536\n"

"	.globl	sign_and_jump, authenticate, load_from_x17\n"
"sign_and_jump:\n"
"	hint	#25\n"			/* paciasp */
"	mov	x16, x0\n"
"	br	x16\n"
"authenticate:\n"
"	hint	#34\n"
"	mov	x0, x30\n"
"	hint	#29\n"			/* autiasp */
"	eor	x0, x0, x30\n"
"	ret\n"
"load_from_x17:\n"
"	hint	#34\n"
"	ldr	x0, [x17]\n"
"	ret\n"
"	.popsection\n");

/* Call one of these functions with an argument. */
static unsigned long enter(const char *function, const void *to)
{
	unsigned long (*fn)(const void *to);

	fn = (void *)function;
	return fn(to);
}

/* Return 0, or -1 with errno. */
static int guard_page(int guard)
{
	return mprotect(guarded_page, GUARDED_PAGE_SIZE,
			PROT_READ | PROT_EXEC | guard);
}

static void jump_x2(void *to)
{
	enter(jump_through_x2, to);
}

static void jump_x16(void *to)
{
	enter(jump_through_x16, to);
}

static void call_x2(void *to)
{
	enter(call_through_x2, to);
}

/* Expect that indirect branches can enter the code only at its landing pads. */
static void expect_guarded(struct __test_metadata *_metadata,
			   const struct instance *in)
{
	char *entry = instance_trampoline(in, 1);
	uint32_t offset;

	EXPECT_EQ(7, instance_call(in, 1, 7));
	EXPECT_EQ(7, enter(call_through_x2, entry));
	EXPECT_EQ(7, enter(jump_through_x16, entry));
	EXPECT_EQ(7, enter(jump_through_x17, entry));
	EXPECT_EQ(SIGILL, signal_of(jump_x2, entry));
	for (offset = 4; offset < in->args.stride; offset += 4) {
		EXPECT_EQ(SIGILL, signal_of(jump_x2, entry + offset))
			TH_LOG("jump to trampoline + %u", offset);
		EXPECT_EQ(SIGILL, signal_of(call_x2, entry + offset))
			TH_LOG("call of trampoline + %u", offset);
		EXPECT_EQ(SIGILL, signal_of(jump_x16, entry + offset))
			TH_LOG("jump through x16 to trampoline + %u", offset);
	}
}

FIXTURE(bti) {
	struct instance in;
};

FIXTURE_VARIANT(bti) {
	int prot;
	int flags;
};

FIXTURE_VARIANT_ADD(bti, not_requested) { 0, MAP_PRIVATE };
FIXTURE_VARIANT_ADD(bti, requested) { PROT_BTI, MAP_PRIVATE };
FIXTURE_VARIANT_ADD(bti, shared_mapping) { 0, MAP_SHARED };

FIXTURE_SETUP(bti)
{
	struct instance *in = &self->in;

	if (!has_bti())
		SKIP(return, "no BTI on this processor");
	ASSERT_EQ(0, guard_page(PROT_BTI));
	in->fd = trampfd_create(&in->args, sizeof(in->args));
	ASSERT_GE(in->fd, 0);
	in->size = 4 * page_size();
	in->nr = in->size / in->args.stride;
	ASSERT_EQ(0, instance_map_code(in, variant->prot, variant->flags));
}

FIXTURE_TEARDOWN(bti)
{
	instance_close(&self->in);
}

TEST_F(bti, entries_are_landing_pads_only)
{
	expect_guarded(_metadata, &self->in);
}

TEST_F(bti, mremap_keeps_guard)
{
	ASSERT_EQ(0, instance_move(&self->in));
	expect_guarded(_metadata, &self->in);
}

TEST_F(bti, mprotect_with_prot_bti_keeps_guard)
{
	struct instance *in = &self->in;
	size_t page = page_size();

	ASSERT_EQ(0, mprotect(in->code, page, PROT_NONE));
	ASSERT_EQ(0, mprotect(in->code, page, PROT_READ | PROT_EXEC | PROT_BTI));
	expect_guarded(_metadata, in);
	EXPECT_EQ(-1, mprotect(in->code, page, PROT_READ | PROT_WRITE | PROT_BTI));
	EXPECT_EQ(EACCES, errno);
}

/* If the page of the target is guarded, the target must be a landing pad. */
TEST(guarded_target_needs_landing_pad)
{
	const struct abi_mode *mode;
	const struct abi_reg *scratch;

	if (!has_bti())
		SKIP(return, "no BTI on this processor");
	ASSERT_EQ(0, guard_page(PROT_BTI));
	for (mode = abi_modes; mode->name; mode++) {
		for (scratch = abi_scratch_regs; scratch->name; scratch++) {
			struct instance in = { .nr = 1, .args = {
				.mode = mode->mode,
				.data_reg = TRAMPFD_REG(0),
				.scratch_reg = TRAMPFD_REG(scratch->dwarf),
			} };

			ASSERT_EQ(0, instance_open(&in));
			instance_slot(&in, 0)->code = (unsigned long)pad;
			EXPECT_EQ(21, instance_run(&in, 0));
			instance_slot(&in, 0)->code = (unsigned long)no_pad;
			EXPECT_EQ(SIGILL, signal_of(call, instance_trampoline(&in, 0)));
			instance_close(&in);
		}
	}
}

/* Change the stack pointer, from which the signature is computed, then sign. */
static unsigned long sign_deeper(unsigned int depth, const void *to)
{
	char *room = alloca(16 * depth);
	unsigned long difference;

	scribble(room);
	difference = enter(sign_and_jump, to);
	touch(room);
	return difference;
}

/* If a trampoline changed the signed address, authenticate() would fault. */
TEST(signed_return_address_is_preserved)
{
	unsigned int depth = 0, differ = 0;
	const struct abi_mode *mode;
	const struct abi_reg *r;
	uint32_t i;

	if (!(getauxval(AT_HWCAP) & HWCAP_PACA))
		SKIP(return, "no pointer authentication on this processor");
	for (mode = abi_modes; mode->name; mode++) {
		for (r = abi_regs; r->name; r++) {
			struct instance in = { .nr = 1, .args = {
				.mode = mode->mode,
				.data_reg = TRAMPFD_REG(r->dwarf),
			} };

			/* C code needs these registers preserved. */
			if (r->dwarf > 18)
				continue;
			ASSERT_EQ(0, instance_open(&in));
			for (i = 0; i < in.nr; i += 37) {
				instance_slot(&in, i)->code = (unsigned long)authenticate;
				differ += !!sign_deeper(++depth,
							instance_trampoline(&in, i));
			}
			instance_close(&in);
		}
	}
	/* A signature has few bits and can equal the bits that it replaces. */
	EXPECT_GT(differ, depth / 4)
		TH_LOG("signed: %u of %u", differ, depth);
}

/*
 * nest() calls its first argument, which leads to nest() again, until the second
 * argument has counted down to 0.  The innermost call returns the guarded control
 * stack pointer.
 *
 * change_return() returns to an address other than its return address.
 */
extern char nest[], change_return[];

asm("	.pushsection .text\n"
"	.globl	nest, change_return\n"
"	.balign	4\n"
"nest:\n"
"	hint	#34\n"			/* bti c */
"	stp	x29, x30, [sp, #-16]!\n"
"	cbz	x1, 1f\n"
"	sub	x1, x1, #1\n"
"	blr	x0\n"
"	b	2f\n"
"1:	mrs	x0, S3_3_C2_C5_1\n"	/* gcspr_el0 */
"2:	ldp	x29, x30, [sp], #16\n"
"	ret\n"
"change_return:\n"
"	hint	#34\n"
"	mov	x0, x30\n"
"	adr	x30, 1f\n"
"	ret\n"
"1:	mov	x30, x0\n"
"	ret\n"
"	.popsection\n");

FIXTURE(gcs) {
	struct instance in;
};

FIXTURE_VARIANT(gcs) {
	enum trampfd_mode mode;
	bool locked;
};

FIXTURE_VARIANT_ADD(gcs, mode_data) { TRAMPFD_MODE_DATA, false };
FIXTURE_VARIANT_ADD(gcs, mode_data_locked) { TRAMPFD_MODE_DATA, true };
FIXTURE_VARIANT_ADD(gcs, mode_slot) { TRAMPFD_MODE_SLOT, false };
FIXTURE_VARIANT_ADD(gcs, mode_slot_locked) { TRAMPFD_MODE_SLOT, true };

FIXTURE_SETUP(gcs)
{
	uint32_t i;

	if (!(getauxval(AT_HWCAP) & HWCAP_GCS))
		SKIP(return, "no guarded control stacks on this processor or kernel");
	self->in.args.mode = variant->mode;
	self->in.nr = several_pages();
	ASSERT_EQ(0, instance_open(&self->in));
	for (i = 0; i < self->in.nr; i++)
		instance_slot(&self->in, i)->code = (unsigned long)nest;
}

FIXTURE_TEARDOWN(gcs)
{
	instance_close(&self->in);
}

/* Inline, because a function that enables the stack cannot return. */
static __always_inline long inline_prctl(int option, unsigned long arg2)
{
	register long x0 asm("x0") = option;
	register long x1 asm("x1") = arg2;
	register long x2 asm("x2") = 0;
	register long x3 asm("x3") = 0;
	register long x4 asm("x4") = 0;
	register long x8 asm("x8") = __NR_prctl;

	asm volatile("svc #0"
		     : "+r" (x0)
		     : "r" (x1), "r" (x2), "r" (x3), "r" (x4), "r" (x8)
		     : "memory");
	return x0;
}

static __always_inline void enable_gcs(struct __test_metadata *_metadata, bool locked)
{
	ASSERT_EQ(0, inline_prctl(PR_SET_SHADOW_STACK_STATUS, PR_SHADOW_STACK_ENABLE));
	if (locked) {
		ASSERT_EQ(0, inline_prctl(PR_LOCK_SHADOW_STACK_STATUS, ~0UL));
		ASSERT_NE(0, inline_prctl(PR_SET_SHADOW_STACK_STATUS, 0));
	}
}

static inline unsigned long gcs_pointer(void)
{
	unsigned long gcspr;

	asm volatile("mrs %0, S3_3_C2_C5_1" : "=r" (gcspr) : : "memory");
	return gcspr;
}

struct gcs_args {
	struct __test_metadata *metadata;
	const struct instance *in;
	bool locked;
};

/* Does not return: the guarded control stack lacks the address of its caller. */
static void nest_in_all(struct __test_metadata *_metadata, void *p)
{
	const struct gcs_args *args = p;
	unsigned long (*trampoline)(void *to, unsigned long depth);
	unsigned long start, depth;
	uint32_t i, wrong = 0;

	enable_gcs(_metadata, args->locked);
	start = gcs_pointer();
	for (i = 0; i < args->in->nr; i++) {
		depth = i % 32;
		trampoline = instance_trampoline(args->in, i);
		wrong += trampoline(trampoline, depth) !=
			 start - (depth + 1) * sizeof(long);
		wrong += gcs_pointer() != start;
	}
	EXPECT_EQ(0, wrong);
	_exit(_metadata->exit_code);
}

static void call_first(void *p)
{
	const struct gcs_args *args = p;

	enable_gcs(args->metadata, args->locked);
	instance_run(args->in, 0);
	_exit(0);
}

TEST_F(gcs, trampoline_pushes_nothing)
{
	struct gcs_args args = { _metadata, &self->in, variant->locked };

	in_child(_metadata, nest_in_all, &args);
	/* The stack is enabled: a changed return address faults. */
	instance_slot(&self->in, 0)->code = (unsigned long)change_return;
	EXPECT_EQ(SIGSEGV, signal_of(call_first, &args));
	EXPECT_EQ(0, signal_of(call, instance_trampoline(&self->in, 0)));
}

/* The guarded control stack contains return addresses before they are signed. */
static void sign_in_all(struct __test_metadata *_metadata, void *p)
{
	const struct gcs_args *args = p;
	uint32_t i;

	enable_gcs(_metadata, args->locked);
	for (i = 0; i < args->in->nr; i++)
		enter(sign_and_jump, instance_trampoline(args->in, i));
	_exit(_metadata->exit_code);
}

TEST_F(gcs, signed_return_address_is_preserved)
{
	struct gcs_args args = { _metadata, &self->in, variant->locked };
	uint32_t i;

	if (!(getauxval(AT_HWCAP) & HWCAP_PACA))
		SKIP(return, "no pointer authentication on this processor");
	for (i = 0; i < self->in.nr; i++)
		instance_slot(&self->in, i)->code = (unsigned long)authenticate;
	in_child(_metadata, sign_in_all, &args);
}

/* The hardware ignores the top byte of a pointer, in loads and in branches. */
TEST(tagged_pointer_is_preserved)
{
	static const unsigned long value = 1234;
	struct instance in = { .nr = 1 };
	unsigned long tagged;
	unsigned int tag;

	ASSERT_EQ(0, instance_open(&in));
	for (tag = 0; tag < 256; tag++) {
		tagged = (unsigned long)&value | (unsigned long)tag << 56;
		EXPECT_EQ(tagged, instance_call(&in, tag % in.nr, tagged));
		instance_slot(&in, 0)->data = tagged;
		instance_slot(&in, 0)->code = (unsigned long)load_from_x17 |
					      (unsigned long)tag << 56;
		EXPECT_EQ(1234, instance_run(&in, 0));
	}
	instance_close(&in);
}

static void run_first(void *in)
{
	instance_run(in, 0);
}

FIXTURE(mte) {
	size_t page;
	unsigned long *memory;
};

FIXTURE_SETUP(mte)
{
	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE))
		SKIP(return, "no memory tagging on this processor");
	/* IRG generates tags 1 to 15; a tag check fault is a synchronous signal. */
	ASSERT_EQ(0, prctl(PR_SET_TAGGED_ADDR_CTRL,
			   PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC |
			   0xfffeUL << PR_MTE_TAG_SHIFT, 0, 0, 0));
	self->page = page_size();
	self->memory = mmap(NULL, self->page, PROT_READ | PROT_WRITE | PROT_MTE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
}

FIXTURE_TEARDOWN(mte)
{
	munmap(self->memory, self->page);
}

/* Give the 16 bytes at @p a random tag, and return a pointer with that tag. */
static unsigned long *tag(unsigned long *p)
{
	asm volatile(".arch armv8.5-a+memtag\n"
		     "irg	%0, %0\n"
		     "stg	%0, [%0]\n"
		     : "+r" (p) : : "memory");
	return p;
}

TEST_F(mte, tag_of_data_is_preserved)
{
	unsigned long *tagged = tag(self->memory);
	struct instance in = { .nr = 1 };
	struct slot *slot;

	ASSERT_NE(tagged, self->memory);
	*tagged = 4321;
	ASSERT_EQ(0, instance_open(&in));
	slot = instance_slot(&in, 0);
	*slot = (struct slot){ (unsigned long)tagged, (unsigned long)load_from_x17 };
	EXPECT_EQ(4321, instance_run(&in, 0));
	/* Without the tag, or with another, the target faults. */
	slot->data = (unsigned long)self->memory;
	EXPECT_EQ(SIGSEGV, signal_of(run_first, &in));
	slot->data = (unsigned long)tagged ^ 1UL << 56;
	EXPECT_EQ(SIGSEGV, signal_of(run_first, &in));
	instance_close(&in);
}

TEST_F(mte, tag_checks_do_not_affect_trampolines)
{
	const struct abi_mode *mode;
	uint32_t i, wrong = 0;

	for (mode = abi_modes; mode->name; mode++) {
		struct instance in = { .nr = 1, .args = { .mode = mode->mode } };

		ASSERT_EQ(0, instance_open(&in));
		for (i = 0; i < in.nr; i++)
			instance_slot(&in, i)->code = (unsigned long)abi_return_data;
		for (i = 0; i < in.nr; i++)
			wrong += instance_run(&in, i) !=
				 (mode->mode == TRAMPFD_MODE_DATA ? 0 :
				  (unsigned long)instance_slot(&in, i));
		EXPECT_EQ(0, wrong);
		instance_close(&in);
	}
}

TEST(arm_needs_compat)
{
	struct trampfd_create_args args = { .abi = TRAMPFD_ABI_ARM };
	int was = personality(PER_LINUX32);
	int fd = trampfd_create(&args, sizeof(args));

	/* personality() fails if the processor has no AArch32 state. */
	if (was < 0) {
		EXPECT_EQ(-1, fd);
		EXPECT_EQ(EOPNOTSUPP, errno);
		return;
	}
	if (fd < 0 && errno == EOPNOTSUPP)
		SKIP(return, "a kernel without CONFIG_COMPAT?");
	ASSERT_GE(fd, 0);
	EXPECT_EQ(2 * sizeof(uint32_t), args.stride);
	EXPECT_EQ(TRAMPFD_REG(12), args.data_reg);
	EXPECT_EQ(0, args.scratch_reg);
	close(fd);
}

TEST_HARNESS_MAIN
