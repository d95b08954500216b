// SPDX-License-Identifier: GPL-2.0
/*
 * riscv64: landing pads (Zicfilp), shadow stacks (Zicfiss), the padding of
 * trampolines, and riscv32 tasks, for which there are no trampolines.
 */
#include <linux/const.h>	/* for <linux/prctl.h> */
#include <linux/elf.h>
#include <linux/memfd.h>
#include <sys/prctl.h>

#include "padding.h"

/* Not in <linux/prctl.h> of older kernels */
#ifndef PR_SET_SHADOW_STACK_STATUS
#define PR_GET_SHADOW_STACK_STATUS	74
#define PR_SET_SHADOW_STACK_STATUS	75
#define PR_SHADOW_STACK_ENABLE		0x1
#define PR_LOCK_SHADOW_STACK_STATUS	76
#endif
#ifndef PR_SET_CFI
#define PR_GET_CFI			80
#define PR_SET_CFI			81
#define PR_CFI_BRANCH_LANDING_PADS	0
#define PR_CFI_ENABLE			0x1
#define PR_CFI_DISABLE			0x2
#define PR_CFI_LOCK			0x4
#endif

#define JR_MASK		0xfff07fff	/* all bits except the register */
#define JR		0x00000067

/* The offset of the end of a trampoline */
static uint32_t end_of(const struct instance *in, uint32_t i)
{
	const char *code = instance_trampoline(in, i);
	uint32_t offset, insn;

	for (offset = 0; offset < in->args.stride; offset += 4) {
		memcpy(&insn, code + offset, sizeof(insn));
		if ((insn & JR_MASK) == JR)
			break;
	}
	return offset + 4;
}

/* Each 2-byte parcel after a trampoline traps. */
TEST(padding_traps)
{
	static const struct padding padding = {
		.end = end_of, .step = 2, .signal = SIGILL,
	};

	expect_padding_traps(_metadata, &padding);
}

/*
 * Assembly, so that the tests do not depend on a compiler or C library with landing
 * pads and shadow stacks ("RISC-V Control-Flow Integrity"):
 *
 * - call_with_label() and jump_with_label() call, or branch to, their first argument
 *   with the second as the label in t2.
 * - pad(), no_pad() and labelled_pad() are targets that return 21, with a landing pad
 *   for any label, without one, and with one for LABEL only.
 * - nest() calls its first argument, which leads to nest() again, until the second
 *   argument has counted down to 0.  The innermost call returns the shadow stack
 *   pointer.
 * - change_return() returns with a return address other than the one on the shadow
 *   stack.
 */
extern char call_with_label[], jump_with_label[], pad[], no_pad[], labelled_pad[],
	    nest[], change_return[];

#define LABEL	0x12345

asm("	.pushsection .text\n"
"	.globl	call_with_label, jump_with_label, pad, no_pad, labelled_pad\n"
"	.globl	nest, change_return\n"
"	.option	push\n"
"	.option	norvc\n"
"	.macro	lpad label\n"
"	.4byte	0x00000017 | \\label << 12\n"
"	.endm\n"
"	.macro	sspush_ra\n"
"	.4byte	0xce104073\n"
"	.endm\n"
"	.macro	sspopchk_ra\n"
"	.4byte	0xcdc0c073\n"
"	.endm\n"
"	.balign	4\n"
"call_with_label:\n"
"	lpad	0\n"
"	addi	sp, sp, -16\n"
"	sd	ra, 0(sp)\n"
"	slli	t2, a1, 12\n"
"	jalr	a0\n"
"	ld	ra, 0(sp)\n"
"	addi	sp, sp, 16\n"
"	ret\n"
"jump_with_label:\n"
"	lpad	0\n"
"	slli	t2, a1, 12\n"
"	jr	a0\n"
"pad:\n"
"	lpad	0\n"
"no_pad:\n"
"	li	a0, 21\n"
"	ret\n"
"labelled_pad:\n"
"	lpad	0x12345\n"
"	li	a0, 21\n"
"	ret\n"
"nest:\n"
"	lpad	0\n"
"	sspush_ra\n"
"	addi	sp, sp, -16\n"
"	sd	ra, 0(sp)\n"
"	beqz	a1, 1f\n"
"	addi	a1, a1, -1\n"
"	jalr	a0\n"
"	j	2f\n"
"1:	csrr	a0, 0x011\n"		/* ssp */
"2:	ld	ra, 0(sp)\n"
"	addi	sp, sp, 16\n"
"	sspopchk_ra\n"
"	ret\n"
"change_return:\n"
"	lpad	0\n"
"	sspush_ra\n"
"	mv	t1, ra\n"
"	addi	ra, ra, 4\n"
"	sspopchk_ra\n"
"	mv	ra, t1\n"
"	ret\n"
"	.option	pop\n"
"	.popsection\n");

/* Inline, because a function that enables the shadow stack cannot return. */
static __always_inline long inline_prctl(int option, unsigned long arg2, unsigned long arg3)
{
	register long a0 asm("a0") = option;
	register long a1 asm("a1") = arg2;
	register long a2 asm("a2") = arg3;
	register long a3 asm("a3") = 0;
	register long a4 asm("a4") = 0;
	register long a7 asm("a7") = __NR_prctl;

	asm volatile("ecall"
		     : "+r" (a0)
		     : "r" (a1), "r" (a2), "r" (a3), "r" (a4), "r" (a7)
		     : "memory");
	return a0;
}

static __always_inline long set_landing_pads(unsigned long state)
{
	return inline_prctl(PR_SET_CFI, PR_CFI_BRANCH_LANDING_PADS, state);
}

/**
 * struct branch - an indirect branch
 * @metadata: The test.
 * @by: call_with_label() or jump_with_label().
 * @to: The destination.
 * @label: The label of the branch.
 */
struct branch {
	struct __test_metadata *metadata;
	const char *by;
	const void *to;
	unsigned long label;
};

/* Branch with landing pads enforced.  Return what the target returns. */
static unsigned long take(const struct branch *branch)
{
	unsigned long (*by)(const void *to, unsigned long label), ret;
	struct __test_metadata *_metadata = branch->metadata;
	long enabled, disabled;

	by = (void *)branch->by;
	enabled = set_landing_pads(PR_CFI_ENABLE);
	ret = by(branch->to, branch->label);
	disabled = set_landing_pads(PR_CFI_DISABLE);
	/* Not before: the C library may have no landing pads. */
	ASSERT_EQ(0, enabled);
	ASSERT_EQ(0, disabled);
	return ret;
}

static void take_in_child(void *branch)
{
	take(branch);
}

static const char * const ways[] = { call_with_label, jump_with_label };

FIXTURE(landing_pads) {
	struct instance in;
	struct slot *slot;
};

FIXTURE_VARIANT(landing_pads) {
	enum trampfd_mode mode;
};

FIXTURE_VARIANT_ADD(landing_pads, mode_data) { TRAMPFD_MODE_DATA };
FIXTURE_VARIANT_ADD(landing_pads, mode_slot) { TRAMPFD_MODE_SLOT };

FIXTURE_SETUP(landing_pads)
{
	unsigned long state;

	if (prctl(PR_GET_CFI, PR_CFI_BRANCH_LANDING_PADS, &state, 0, 0))
		SKIP(return, "no landing pads on this processor or kernel");
	self->in.args.mode = variant->mode;
	self->in.nr = several_pages();
	ASSERT_EQ(0, instance_open(&self->in));
	self->slot = instance_slot(&self->in, 1);
}

FIXTURE_TEARDOWN(landing_pads)
{
	instance_close(&self->in);
}

TEST_F(landing_pads, trampolines_can_be_entered)
{
	struct instance *in = &self->in;
	unsigned int way, wrong = 0;
	uint32_t i;

	for (i = 0; i < in->nr; i++) {
		*instance_slot(in, i) = (struct slot){ ~0UL - i, (unsigned long)abi_return_data };
		for (way = 0; way < ARRAY_SIZE(ways); way++) {
			struct branch branch = {
				_metadata, ways[way], instance_trampoline(in, i), 0
			};

			wrong += take(&branch) !=
				 (variant->mode == TRAMPFD_MODE_DATA ? ~0UL - i :
				  (unsigned long)instance_slot(in, i));
		}
	}
	EXPECT_EQ(0, wrong);
}

TEST_F(landing_pads, entries_are_landing_pads_only)
{
	unsigned int way;
	uint32_t offset;

	self->slot->code = (unsigned long)pad;
	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		for (offset = 0; offset < self->in.args.stride; offset += 2) {
			struct branch branch = {
				_metadata, ways[way],
				instance_trampoline(&self->in, 1) + offset, 0
			};

			EXPECT_EQ(offset ? SIGSEGV : 0, signal_of(take_in_child, &branch))
				TH_LOG("%s trampoline + %u", way ? "jump to" : "call of", offset);
		}
	}
}

TEST_F(landing_pads, target_needs_landing_pad)
{
	const struct abi_reg *scratch;

	for (scratch = abi_scratch_regs; scratch->name; scratch++) {
		struct instance in = { .nr = 1, .args = {
			.mode = variant->mode,
			.data_reg = TRAMPFD_REG(10),
			.scratch_reg = TRAMPFD_REG(scratch->dwarf),
		} };
		struct branch branch = { _metadata, call_with_label };

		ASSERT_EQ(0, instance_open(&in));
		branch.to = instance_trampoline(&in, 0);
		instance_slot(&in, 0)->code = (unsigned long)pad;
		EXPECT_EQ(21, take(&branch));
		instance_slot(&in, 0)->code = (unsigned long)no_pad;
		EXPECT_EQ(SIGSEGV, signal_of(take_in_child, &branch))
			TH_LOG("jump through %s", scratch->name);
		instance_close(&in);
	}
}

/*
 * The caller puts into t2 the label of the target's function type, or 0 if it does
 * not use labels (RISC-V psABI, "Label-based landing pads").
 */
TEST_F(landing_pads, label_reaches_target)
{
	static const unsigned long labels[] = { 0, 1, LABEL, LABEL ^ 1, 0xfffff };
	struct branch branch = { _metadata, .to = instance_trampoline(&self->in, 1) };
	unsigned int way, i;

	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		branch.by = ways[way];
		for (i = 0; i < ARRAY_SIZE(labels); i++) {
			branch.label = labels[i];
			self->slot->code = (unsigned long)pad;
			EXPECT_EQ(21, take(&branch));
			self->slot->code = (unsigned long)labelled_pad;
			EXPECT_EQ(labels[i] == LABEL ? 0 : SIGSEGV,
				  signal_of(take_in_child, &branch))
				TH_LOG("label %#lx", labels[i]);
		}
	}
}

FIXTURE(shadow_stack) {
	struct instance in;
};

FIXTURE_VARIANT(shadow_stack) {
	enum trampfd_mode mode;
	bool locked;		/* with landing pads, if the processor has them */
};

FIXTURE_VARIANT_ADD(shadow_stack, mode_data) { TRAMPFD_MODE_DATA, false };
FIXTURE_VARIANT_ADD(shadow_stack, mode_data_locked) { TRAMPFD_MODE_DATA, true };
FIXTURE_VARIANT_ADD(shadow_stack, mode_slot) { TRAMPFD_MODE_SLOT, false };
FIXTURE_VARIANT_ADD(shadow_stack, mode_slot_locked) { TRAMPFD_MODE_SLOT, true };

FIXTURE_SETUP(shadow_stack)
{
	unsigned long status;
	uint32_t i;

	if (prctl(PR_GET_SHADOW_STACK_STATUS, &status, 0, 0, 0))
		SKIP(return, "no shadow stacks on this processor or kernel");
	self->in.args.mode = variant->mode;
	self->in.nr = several_pages();
	ASSERT_EQ(0, instance_open(&self->in));
	for (i = 0; i < self->in.nr; i++)
		instance_slot(&self->in, i)->code = (unsigned long)nest;
}

FIXTURE_TEARDOWN(shadow_stack)
{
	instance_close(&self->in);
}

/* Return the number of system calls that did not have the expected result. */
static __always_inline unsigned int enable_shadow_stack(bool locked)
{
	unsigned int errors = 0;

	errors += !!inline_prctl(PR_SET_SHADOW_STACK_STATUS, PR_SHADOW_STACK_ENABLE, 0);
	if (locked) {
		set_landing_pads(PR_CFI_ENABLE | PR_CFI_LOCK);
		errors += !!inline_prctl(PR_LOCK_SHADOW_STACK_STATUS, 0, 0);
		errors += !inline_prctl(PR_SET_SHADOW_STACK_STATUS, 0, 0);
	}
	return errors;
}

static inline unsigned long shadow_stack_pointer(void)
{
	unsigned long ssp;

	asm volatile("csrr %0, 0x011" : "=r" (ssp) : : "memory");
	return ssp;
}

/* In shared memory, for the results of the child */
struct shadow_stack_args {
	const struct instance *in;
	bool locked;
	unsigned int errors, wrong;
};

/*
 * Does not return: the shadow stack lacks the address of its caller.  Does not print
 * failures: the C library may have no landing pads.
 */
static void nest_in_all(struct __test_metadata *_metadata, void *p)
{
	struct shadow_stack_args *args = p;
	unsigned long (*trampoline)(void *to, unsigned long depth);
	unsigned long start, depth;
	uint32_t i;

	args->errors = enable_shadow_stack(args->locked);
	start = shadow_stack_pointer();
	for (i = 0; i < args->in->nr; i++) {
		depth = i % 32;
		trampoline = instance_trampoline(args->in, i);
		args->wrong += trampoline(trampoline, depth) !=
			       start - (depth + 1) * sizeof(long);
		args->wrong += shadow_stack_pointer() != start;
	}
	_exit(0);
}

static void call_first(void *p)
{
	const struct shadow_stack_args *args = p;

	enable_shadow_stack(args->locked);
	instance_run(args->in, 0);
	_exit(0);
}

TEST_F(shadow_stack, trampoline_pushes_nothing)
{
	struct shadow_stack_args *args = shared_memory(sizeof(*args));

	args->in = &self->in;
	args->locked = variant->locked;
	in_child(_metadata, nest_in_all, args);
	EXPECT_EQ(0, args->errors);
	EXPECT_EQ(0, args->wrong);
	/* The stack is enabled: a changed return address faults. */
	instance_slot(&self->in, 0)->code = (unsigned long)change_return;
	EXPECT_EQ(SIGSEGV, signal_of(call_first, args));
	EXPECT_EQ(0, signal_of(call, instance_trampoline(&self->in, 0)));
}

#define RISCV32_ADDRESS		0x10000

/* A riscv32 program whose exit status is the negative result of trampfd_create() */
struct riscv32_file {
	struct elf32_hdr header;
	struct elf32_phdr segment;
	uint32_t code[8];
	struct trampfd_create_args args;
};

#define CODE_OFFSET		offsetof(struct riscv32_file, code)
#define ARGS_OFFSET		offsetof(struct riscv32_file, args)

/* Execute that program.  If this fails, exit with the errno. */
static void run_riscv32(void *args)
{
	struct riscv32_file file = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_RISCV, .e_version = EV_CURRENT,
			.e_entry = RISCV32_ADDRESS + CODE_OFFSET,
			.e_phoff = offsetof(struct riscv32_file, segment),
			.e_ehsize = sizeof(struct elf32_hdr),
			.e_phentsize = sizeof(struct elf32_phdr), .e_phnum = 1,
		},
		.segment = {
			.p_type = PT_LOAD, .p_vaddr = RISCV32_ADDRESS,
			.p_filesz = sizeof(file), .p_memsz = sizeof(file),
			.p_flags = PF_R | PF_W | PF_X, .p_align = 4096,
		},
		.code = {
			0x00000517,		/* auipc a0, 0 */
			0x00050513 | (ARGS_OFFSET - CODE_OFFSET) << 20,	/* addi a0, a0, ... */
			0x00000593 | sizeof(file.args) << 20,		/* li a1, ... */
			0x00000893 | __NR_trampfd_create << 20,		/* li a7, ... */
			0x00000073,		/* ecall */
			0x40a00533,		/* neg a0, a0 */
			0x00000893 | __NR_exit << 20,			/* li a7, ... */
			0x00000073,		/* ecall */
		},
		.args = *(struct trampfd_create_args *)args,
	};
	char * const none[] = { NULL };
	int fd = syscall(__NR_memfd_create, "riscv32", MFD_CLOEXEC);

	if (write(fd, &file, sizeof(file)) == sizeof(file))
		fexecve(fd, none, none);
	_exit(errno);
}

/* A riscv32 task can create trampolines of riscv64, but there are none of riscv32. */
TEST(riscv32_gets_riscv64_only)
{
	struct trampfd_create_args args = {};
	int status = status_of(run_riscv32, &args);

	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == ENOEXEC)
		SKIP(return, "no riscv32 on this kernel or processor");
	EXPECT_EQ(EOPNOTSUPP, WEXITSTATUS(status));
	args.abi = TRAMPFD_ABI_RISCV64;
	status = status_of(run_riscv32, &args);
	ASSERT_TRUE(WIFEXITED(status));
	/* The negative of a descriptor */
	EXPECT_LT(256 - 16, WEXITSTATUS(status));
	EXPECT_GT(256 - 2, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
