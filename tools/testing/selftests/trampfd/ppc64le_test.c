// SPDX-License-Identifier: GPL-2.0
/*
 * ppc64le: a trampoline relies on r12, in which callers pass the address that they
 * call (ELFv2 ABI).  The tests enter trampolines as compilers, the linker, the C
 * library and the kernel do.
 */
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include "padding.h"

#define JUMP	0x4e800420	/* bctr */

/* The offset of the end of a trampoline */
static uint32_t end_of(const struct instance *in, uint32_t i)
{
	const uint32_t *insn = instance_trampoline(in, i);
	uint32_t n = 0;

	while (n < in->args.stride / 4 && insn[n] != JUMP)
		n++;
	return 4 * (n + 1);
}

TEST(padding_traps)
{
	static const struct padding padding = {
		.end = end_of, .step = 4, .signal = SIGILL, .can_be_empty = true,
	};

	expect_padding_traps(_metadata, &padding);
}

/* r12 contains the address of the trampoline, then that of the target. */
TEST(r12_cannot_be_the_data_register)
{
	const struct abi_mode *mode;

	for (mode = abi_modes; mode->name; mode++) {
		struct trampfd_create_args args = {
			.mode = mode->mode, .data_reg = TRAMPFD_REG(12),
		};

		EXPECT_EQ(-1, trampfd_create(&args, sizeof(args)));
		EXPECT_EQ(EINVAL, errno);
	}
}

/*
 * r12_at_entry(): return the value of r12 at entry.
 * call_with_r12(): call the first argument with the second in r12.
 */
extern char r12_at_entry[], call_with_r12[];

asm("	.pushsection .text\n"
"	.globl	r12_at_entry, call_with_r12\n"
"	.type	r12_at_entry, @function\n"
"	.balign	16\n"
"r12_at_entry:\n"
"	mr	3, 12\n"
"	blr\n"
"	.type	call_with_r12, @function\n"
"	.balign	16\n"
"call_with_r12:\n"
"	mflr	0\n"
"	std	0, 16(1)\n"
"	stdu	1, -32(1)\n"
"	mtctr	3\n"
"	mr	12, 4\n"
"	bctrl\n"
"	addi	1, 1, 32\n"
"	ld	0, 16(1)\n"
"	mtlr	0\n"
"	blr\n"
"	.popsection\n");

static unsigned long call_with(void *function, unsigned long r12)
{
	return ((unsigned long (*)(void *, unsigned long))call_with_r12)(function, r12);
}

static void call_astray(void *function)
{
	call_with(function, 0);
}

FIXTURE(entered) {
	struct instance in;
	void *trampoline;
};

FIXTURE_VARIANT(entered) {
	enum trampfd_mode mode;
};

FIXTURE_VARIANT_ADD(entered, mode_data) { TRAMPFD_MODE_DATA };
FIXTURE_VARIANT_ADD(entered, mode_slot) { TRAMPFD_MODE_SLOT };

FIXTURE_SETUP(entered)
{
	self->in.nr = several_pages();
	self->in.args.mode = variant->mode;
	ASSERT_EQ(0, instance_open(&self->in));
	self->trampoline = instance_trampoline(&self->in, self->in.nr - 1);
	instance_slot(&self->in, self->in.nr - 1)->code = (unsigned long)r12_at_entry;
}

FIXTURE_TEARDOWN(entered)
{
	instance_close(&self->in);
}

TEST_F(entered, target_finds_its_own_address)
{
	EXPECT_EQ((unsigned long)r12_at_entry, instance_run(&self->in, self->in.nr - 1));
	EXPECT_EQ((unsigned long)r12_at_entry,
		  call_with(self->trampoline, (unsigned long)self->trampoline));
	/* Whoever calls otherwise calls something else, if the ABI allowed it. */
	EXPECT_NE(0, signal_of(call_astray, self->trampoline));
}

static __attribute__((noipa)) unsigned long tail_call(unsigned long (*function)(void))
{
	asm volatile("li 12, 0" ::: "r12");
	return function();
}

TEST_F(entered, by_a_tail_call)
{
	EXPECT_EQ((unsigned long)r12_at_entry, tail_call(self->trampoline));
}

/* The PLT call stub of a static program's IFUNC branches as those of others do. */
static unsigned long (*resolve_plt_called(void))(void)
{
	return (unsigned long (*)(void))r12_at_entry;
}

unsigned long plt_called(void) __attribute__((ifunc("resolve_plt_called")));

TEST(plt_call_stub_leaves_the_address_in_r12)
{
	EXPECT_EQ((unsigned long)r12_at_entry, plt_called());
}

static unsigned int entries;

static void count_entry(void)
{
	entries++;
}

TEST_F(entered, by_the_kernel_as_a_signal_handler)
{
	struct sigaction action = { .sa_handler = self->trampoline };

	instance_slot(&self->in, self->in.nr - 1)->code = (unsigned long)count_entry;
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	action.sa_flags = SA_SIGINFO;
	ASSERT_EQ(0, sigaction(SIGUSR2, &action, NULL));
	entries = 0;
	raise(SIGUSR1);
	raise(SIGUSR2);
	/* The C library says of raise() that it calls nothing in here. */
	EXPECT_EQ(2, __atomic_load_n(&entries, __ATOMIC_RELAXED));
}

static int compare_nothing(const void *a, const void *b)
{
	(void)a;
	(void)b;
	entries++;
	return 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

TEST_F(entered, by_the_c_library)
{
	struct slot *slot = instance_slot(&self->in, self->in.nr - 1);
	static char stack[65536];
	static ucontext_t here, there;
	int items[2] = {};
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, self->trampoline, NULL));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ((void *)r12_at_entry, ret);

	slot->code = (unsigned long)count_entry;
	entries = 0;
	ASSERT_EQ(0, pthread_once(&once, self->trampoline));
	EXPECT_EQ(1, entries);

	ASSERT_EQ(0, getcontext(&there));
	there.uc_stack = (stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) };
	there.uc_link = &here;
	makecontext(&there, self->trampoline, 0);
	ASSERT_EQ(0, swapcontext(&here, &there));
	EXPECT_EQ(2, entries);

	slot->code = (unsigned long)compare_nothing;
	qsort(items, 2, sizeof(items[0]), self->trampoline);
	EXPECT_EQ(3, entries);
}

TEST_HARNESS_MAIN
