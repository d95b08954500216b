// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * Nested functions of GCC, also in coroutines.
 */

/* The DWARF number of GCC's static chain register */
static int chain_reg(void)
{
	switch (abi_native) {
	case TRAMPFD_ABI_ARM64:
		return 18;
	case TRAMPFD_ABI_RISCV64:
		return 7;
	default:
		return abi_modes[0].data_reg - TRAMPFD_REG(0);
	}
}

#define NESTED		3000

/* frames[] stands for stack frames: a lower address is a deeper frame. */
TEST_F(backend, nested_functions)
{
	bool is_default = TRAMPFD_REG(chain_reg()) == abi_modes[0].data_reg;
	void *frames[NESTED + 2], **inner = frames + 1, **outer = frames + NESTED + 1;
	unsigned long wrong = 0;
	int i;

	/* A frame with one nested function, then NESTED deeper frames */
	__gcc_nested_func_ptr_created((void *)1, abi_return_data, outer);
	for (i = NESTED; i--;)
		__gcc_nested_func_ptr_created((void *)(long)i, abi_return_data, &inner[i]);
	for (i = 0; i < NESTED; i++)
		wrong += slot_of(inner[i])->data != (void *)(long)i;
	for (i = 0; is_default && i < NESTED; i++)
		wrong += run(inner[i]) != i;
	EXPECT_EQ(0, wrong);
	for (i = 0; i < NESTED; i++) {
		__gcc_nested_func_ptr_deleted();
		wrong += !!slot_of(inner[i])->code;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ((void *)abi_return_data, slot_of(*outer)->code);
	__gcc_nested_func_ptr_created((void *)7, abi_probe_target, frames);
	memset(&abi_probe_out, 0, sizeof(abi_probe_out));
	abi_probe_entry = (unsigned long)*frames;
	abi_probe_drop = 0;
	abi_probe();
	EXPECT_EQ(7, abi_probe_out.regs[chain_reg()]);
	__gcc_nested_func_ptr_deleted();
	EXPECT_EQ(NULL, slot_of(*frames)->code);
	__gcc_nested_func_ptr_deleted();
	EXPECT_EQ(NULL, slot_of(*outer)->code);
	EXPECT_EQ(SIGABRT, signal_of((void (*)(void *))__gcc_nested_func_ptr_deleted, NULL));
}

/* The context of the thread, two coroutines, and their trampolines */
static ucontext_t thread_context, coroutines[2];
static void *coroutine_t[2];

static void coroutine(int i)
{
	void *dst;

	__gcc_nested_func_ptr_created((void *)(long)i, abi_return_data, &dst);
	coroutine_t[i] = dst;
	swapcontext(&coroutines[i], &thread_context);
	__gcc_nested_func_ptr_deleted();
}

FIXTURE(coroutines) {
	int unused;
};

/* The coroutine whose stack has higher addresses, and the one that ends first */
FIXTURE_VARIANT(coroutines) {
	int high, first;
};

FIXTURE_VARIANT_ADD(coroutines, first_is_high_ends_first) { 0, 0 };
FIXTURE_VARIANT_ADD(coroutines, first_is_high_ends_last) { 0, 1 };
FIXTURE_VARIANT_ADD(coroutines, first_is_low_ends_first) { 1, 0 };
FIXTURE_VARIANT_ADD(coroutines, first_is_low_ends_last) { 1, 1 };

FIXTURE_SETUP(coroutines)
{
}

FIXTURE_TEARDOWN(coroutines)
{
}

TEST_F(coroutines, nested_functions_end_in_any_order)
{
	static char stacks[2][0x10000];
	int i, first = variant->first;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, getcontext(&coroutines[i]));
		coroutines[i].uc_stack.ss_sp = stacks[i != variant->high ? 0 : 1];
		coroutines[i].uc_stack.ss_size = sizeof(stacks[0]);
		coroutines[i].uc_link = &thread_context;
		makecontext(&coroutines[i], (void (*)(void))coroutine, 1, i);
		ASSERT_EQ(0, swapcontext(&thread_context, &coroutines[i]));
	}
	ASSERT_EQ(0, swapcontext(&thread_context, &coroutines[first]));
	EXPECT_EQ(NULL, slot_of(coroutine_t[first])->code);
	EXPECT_EQ((void *)abi_return_data, slot_of(coroutine_t[!first])->code);
	ASSERT_EQ(0, swapcontext(&thread_context, &coroutines[!first]));
	EXPECT_EQ(NULL, slot_of(coroutine_t[!first])->code);
}

/* Make trampolines and end without deleting them. */
static void *leave_nested(void *arg)
{
	int i;

	for (i = 0; i < NESTED; i++)
		__gcc_nested_func_ptr_created(NULL, abi_return_data, arg);
	return NULL;
}

TEST_F(backend, end_of_thread_frees_nested)
{
	pthread_t thread;
	long memory = 0;
	int i, n = 0;
	void *last;

	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, leave_nested, &last));
		pthread_join(thread, NULL);
		if (i == 5) {
			n = mappings("x");
			memory = read_field("/proc/self/status", "VmData");
		}
	}
	EXPECT_EQ(n, mappings("x"));
	/* In kB: leaked lists of these threads would take at least twice as much. */
	EXPECT_LE(read_field("/proc/self/status", "VmData") - memory, 256);
}
