// SPDX-License-Identifier: GPL-2.0
/*
 * Calls: each trampoline reaches its own slot, and a call changes no register, flag
 * or stack word except those that the documentation names.
 */
#include <pthread.h>

#include "common.h"

FIXTURE(code) {
	struct instance in;
};

FIXTURE_VARIANT(code) {
	int mode;		/* index in abi_modes */
	uint32_t stride;
};

FIXTURE_VARIANT_ADD(code, data_smallest) { .mode = 0 };
FIXTURE_VARIANT_ADD(code, data_64) { .mode = 0, .stride = 64 };
FIXTURE_VARIANT_ADD(code, data_largest) { .mode = 0, .stride = TRAMPFD_STRIDE_MAX };
FIXTURE_VARIANT_ADD(code, slot_smallest) { .mode = 1 };
FIXTURE_VARIANT_ADD(code, slot_64) { .mode = 1, .stride = 64 };
FIXTURE_VARIANT_ADD(code, slot_largest) { .mode = 1, .stride = TRAMPFD_STRIDE_MAX };
#ifdef __i386	/* Only i386 has mode PUSH. */
FIXTURE_VARIANT_ADD(code, push_smallest) { .mode = 2 };
FIXTURE_VARIANT_ADD(code, push_64) { .mode = 2, .stride = 64 };
FIXTURE_VARIANT_ADD(code, push_largest) { .mode = 2, .stride = TRAMPFD_STRIDE_MAX };
#endif

FIXTURE_SETUP(code)
{
	self->in.args.mode = abi_modes[variant->mode].mode;
	self->in.args.stride = variant->stride;
	self->in.nr = ALL;
	ASSERT_EQ(0, instance_open(&self->in));
}

FIXTURE_TEARDOWN(code)
{
	instance_close(&self->in);
}

#ifdef ABI_HAS_LANDING_PADS
TEST_F(code, entries_are_landing_pads)
{
	uint32_t i, wrong = 0;

	for (i = 0; i < self->in.nr; i++)
		wrong += !abi_is_landing_pad(instance_trampoline(&self->in, i));
	EXPECT_EQ(0, wrong);
}
#endif

TEST_F(code, contains_no_system_call)
{
	const unsigned char *code = (void *)self->in.code;
	size_t i, found = 0;

	for (i = 0; i + 1 < self->in.size; i++)
		found += abi_is_system_call(code + i);
	EXPECT_EQ(0, found);
}

/* Fills the bytes of a slot that belong to the program */
#define USER_BYTE	0x5c

/* Whether slot @i still contains @head and the program's bytes */
static bool slot_is_as_filled(const struct instance *in, uint32_t i,
			      const struct slot *head)
{
	const unsigned char *bytes = (void *)instance_slot(in, i);
	size_t n;

	if (memcmp(bytes, head, sizeof(*head)))
		return false;
	for (n = sizeof(*head); n < in->args.stride; n++)
		if (bytes[n] != USER_BYTE)
			return false;
	return true;
}

/*
 * Fill every slot and call every trampoline.  Return how many load another slot or
 * change their own.
 */
static uint32_t wrong_slots(struct __test_metadata *_metadata, const struct instance *in)
{
	struct slot head = { .code = (unsigned long)abi_return_data };
	uint32_t i, wrong = 0;

	if (in->args.mode == TRAMPFD_MODE_PUSH)
		head.code = (unsigned long)abi_return_push;
	memset(in->table, USER_BYTE, in->size);
	for (i = 0; i < in->nr; i++) {
		head.data = 0x9e3779b9UL * (i + 1);
		*instance_slot(in, i) = head;
	}
	for (i = 0; i < in->nr; i++) {
		unsigned long got = instance_run(in, i);
		unsigned long want = (unsigned long)instance_slot(in, i);

		head.data = 0x9e3779b9UL * (i + 1);
		if (in->args.mode == TRAMPFD_MODE_DATA)
			want = head.data;
		if (got != want && !wrong++)
			TH_LOG("trampoline %u: got %#lx, want %#lx", i, got, want);
		if (!slot_is_as_filled(in, i, &head) && !wrong++)
			TH_LOG("slot %u changed", i);
	}
	return wrong;
}

TEST(each_trampoline_loads_its_own_slot)
{
	const struct abi_mode *mode;
	uint32_t stride;

	for (mode = abi_modes; mode->name; mode++) {
		for (stride = mode->min_stride; stride <= TRAMPFD_STRIDE_MAX; stride *= 2) {
			struct instance in = {
				.args = { .mode = mode->mode, .stride = stride },
				.nr = ALL,
			};

			ASSERT_EQ(0, instance_open(&in));
			EXPECT_EQ(in.args.table_size, in.size);
			EXPECT_EQ(in.args.table_size / stride, in.nr);
			EXPECT_EQ(0, wrong_slots(_metadata, &in))
				TH_LOG("%s, stride %u", mode->name, stride);
			instance_close(&in);
		}
	}
}

/* The register of the first argument of a C function */
#if defined(__x86_64__)
#define ARGUMENT_REG	TRAMPFD_REG(5)	/* rdi */
#define ARGUMENT_CALL
#elif defined(__i386__)
#define ARGUMENT_REG	TRAMPFD_REG(1)	/* ecx */
#define ARGUMENT_CALL	__attribute__((fastcall))
#elif defined(__riscv)
#define ARGUMENT_REG	TRAMPFD_REG(10)	/* a0 */
#define ARGUMENT_CALL
#elif defined(__powerpc64__)
#define ARGUMENT_REG	TRAMPFD_REG(3)	/* r3 */
#define ARGUMENT_CALL
#elif defined(__s390x__)
#define ARGUMENT_REG	TRAMPFD_REG(2)	/* r2 */
#define ARGUMENT_CALL
#elif defined(__loongarch__)
#define ARGUMENT_REG	TRAMPFD_REG(4)	/* a0 */
#define ARGUMENT_CALL
#else
#define ARGUMENT_REG	TRAMPFD_REG(0)	/* x0, r0 */
#define ARGUMENT_CALL
#endif

struct counter {
	struct slot slot;
	unsigned long calls, step;
};

static ARGUMENT_CALL unsigned long count(struct counter *counter)
{
	return counter->calls += counter->step;
}

TEST(slot_is_argument_of_c_function)
{
	uint32_t stride, i;

	for (stride = 32; stride <= TRAMPFD_STRIDE_MAX; stride *= 2) {
		struct instance in = {
			.args = {
				.mode = TRAMPFD_MODE_SLOT,
				.data_reg = ARGUMENT_REG, .stride = stride,
			},
			.nr = ALL,
		};
		struct counter *counter;

		ASSERT_LE(sizeof(*counter), stride);
		ASSERT_EQ(0, instance_open(&in));
		for (i = 0; i < in.nr; i++) {
			counter = (void *)instance_slot(&in, i);
			counter->slot.code = (unsigned long)count;
			counter->step = i + 1;
		}
		for (i = 0; i < in.nr; i += in.nr / 16 - 1) {
			EXPECT_EQ(i + 1, instance_run(&in, i));
			EXPECT_EQ(2 * (i + 1), instance_run(&in, i));
		}
		instance_close(&in);
	}
}

/* Fill a state with bytes that depend on their offset and on @seed. */
static void fill(struct abi_state *state, unsigned char seed)
{
	unsigned char *bytes = (void *)state;
	size_t i;

	for (i = 0; i < sizeof(*state); i++)
		bytes[i] = seed + i * 29 + (i >> 8) * 7;
}

static bool listed(const int *regs, int reg)
{
	while (*regs >= 0)
		if (*regs++ == reg)
			return true;
	return false;
}

/*
 * Call trampoline @i with a known state.  Return how many registers, stack words or
 * flags differ from those of the caller, or on return from those of the target.
 */
static int probe(struct __test_metadata *_metadata, const struct instance *in,
		 const struct abi_mode *mode, uint32_t i, unsigned long flags)
{
	struct slot *slot = instance_slot(in, i);
	int data = in->args.data_reg - TRAMPFD_REG(0);
	int scratch = in->args.scratch_reg - TRAMPFD_REG(0);
	int push = mode->mode == TRAMPFD_MODE_PUSH;
	const struct abi_reg *r;
	unsigned long want;
	int wrong = 0, n;

	*slot = (struct slot){ 0xdeadbeefUL + i, (unsigned long)abi_probe_target };
	fill(&abi_probe_in, 3);
	fill(&abi_probe_ret, 111);
	fill(&abi_probe_out, 0);
	fill(&abi_probe_back, 0);
	abi_probe_in.flags = flags;
	abi_probe_entry = (unsigned long)instance_trampoline(in, i);
	abi_probe_drop = push;
	abi_probe();

#define SAME(got, expected, ...) do {					\
	if ((got) != (expected)) {					\
		TH_LOG(__VA_ARGS__);					\
		wrong++;						\
	}								\
} while (0)

	for (r = abi_regs; r->name; r++) {
		if (r->dwarf == scratch)
			continue;
		want = abi_probe_in.regs[r->dwarf];
		if (r->dwarf == data)
			want = mode->mode == TRAMPFD_MODE_DATA ? slot->data :
			       (unsigned long)slot;
		SAME(abi_probe_out.regs[r->dwarf], want,
		     "%s: %#lx, want %#lx", r->name,
		     abi_probe_out.regs[r->dwarf], want);
	}
	SAME(abi_probe_out.flags & abi_flags_mask, flags & abi_flags_mask,
	     "flags: %#lx, want %#lx", abi_probe_out.flags, flags);
	if (abi_link_register >= 0)
		SAME(abi_probe_out.regs[abi_link_register],
		     abi_probe_in.regs[abi_link_register],
		     "return address: %#lx, want %#lx",
		     abi_probe_out.regs[abi_link_register],
		     abi_probe_in.regs[abi_link_register]);
	SAME(memcmp(abi_probe_out.vec, abi_probe_in.vec, abi_vec_bytes), 0,
	     "vector registers changed");

	/* The word that PUSH pushes, the return address, the arguments */
	n = push + abi_return_words;
	SAME(abi_probe_out.regs[abi_stack_pointer],
	     abi_probe_in.regs[abi_stack_pointer] - n * sizeof(long),
	     "stack pointer: %#lx, before the call %#lx",
	     abi_probe_out.regs[abi_stack_pointer],
	     abi_probe_in.regs[abi_stack_pointer]);
	if (push)
		SAME(abi_probe_out.stack[0], abi_probe_in.regs[data],
		     "pushed %#lx", abi_probe_out.stack[0]);
	SAME(memcmp(&abi_probe_out.stack[n], abi_probe_in.stack,
		    ABI_STACK_ARGS * sizeof(long)), 0, "stack arguments changed");
	for (n = mode->stack_words; n < ABI_BELOW; n++) {
		unsigned long pattern;

		memset(&pattern, ABI_BELOW_PATTERN, sizeof(pattern));
		SAME(abi_probe_out.below[n], pattern,
		     "word %d below the stack pointer written", n);
	}

	/* After the return */
	for (n = 0; abi_return_regs[n] >= 0; n++)
		SAME(abi_probe_back.regs[abi_return_regs[n]],
		     abi_probe_ret.regs[abi_return_regs[n]],
		     "return register %d changed", abi_return_regs[n]);
	SAME(memcmp(abi_probe_back.vec, abi_probe_ret.vec, 32), 0,
	     "returned vector changed");
	for (r = abi_regs; r->name; r++) {
		if (r->dwarf != data && r->dwarf != scratch &&
		    listed(abi_preserved_regs, r->dwarf))
			SAME(abi_probe_back.regs[r->dwarf],
			     abi_probe_in.regs[r->dwarf],
			     "preserved register %s changed", r->name);
	}
	SAME(abi_probe_back.regs[abi_stack_pointer],
	     abi_probe_in.regs[abi_stack_pointer], "stack pointer not restored");
#undef SAME
	if (wrong)
		TH_LOG("in mode %s, data register %d, scratch register %d, trampoline %u",
		       mode->name, data, scratch, i);
	return wrong;
}

/*
 * Close the file, but leave the code mapped until the test ends: if the next
 * instance had other code at the same address, an emulator might execute the old
 * code (stress_stale.c).
 */
static void keep_mapped(struct instance *in)
{
	close(in->fd);
}

/* Each mode with each pair of data and scratch register */
TEST(register_pairs_change_nothing_else)
{
	const struct abi_mode *mode;
	int pairs = 0;

	for (mode = abi_modes; mode->name; mode++) {
		static const struct abi_reg none;
		const struct abi_reg *data, *scratch;

		for (data = abi_regs; data->name; data++) {
			scratch = mode->scratch_reg ? abi_scratch_regs : &none;
			for (;; scratch++) {
				struct instance in = {
					.args = {
						.mode = mode->mode,
						.data_reg = TRAMPFD_REG(data->dwarf),
					},
					.nr = 1,
				};

				if (mode->scratch_reg) {
					if (!scratch->name)
						break;
					if (scratch->dwarf == data->dwarf)
						continue;
					in.args.scratch_reg = TRAMPFD_REG(scratch->dwarf);
				}
				ASSERT_EQ(0, instance_open(&in))
					TH_LOG("%s %s %s: %s", mode->name, data->name,
					       scratch->name ?: "", strerror(errno));
				EXPECT_EQ(0, probe(_metadata, &in, mode, 0, 0));
				EXPECT_EQ(0, probe(_metadata, &in, mode,
						   in.nr - 1, abi_flags_mask));
				keep_mapped(&in);
				pairs++;
				if (!mode->scratch_reg)
					break;
			}
		}
	}
	EXPECT_GT(pairs, 0);
}

TEST(flags_are_preserved)
{
	const struct abi_mode *mode;
	unsigned long flag;

	for (mode = abi_modes; mode->name; mode++) {
		struct instance in = { .args = { .mode = mode->mode }, .nr = 2 };

		ASSERT_EQ(0, instance_open(&in));
		for (flag = abi_flags_mask; flag; flag &= flag - 1)
			EXPECT_EQ(0, probe(_metadata, &in, mode, 1, flag & -flag));
		instance_close(&in);
	}
}

TEST(trampolines_of_whole_file_change_nothing_else)
{
	const struct abi_mode *mode;

	for (mode = abi_modes; mode->name; mode++) {
		struct instance in = { .args = { .mode = mode->mode }, .nr = ALL };
		int wrong = 0;
		uint32_t i;

		ASSERT_EQ(0, instance_open(&in));
		for (i = 0; !wrong && i < in.nr; i += 61)
			wrong = probe(_metadata, &in, mode, i, abi_flags_mask);
		EXPECT_EQ(0, wrong);
		keep_mapped(&in);
	}
}

TEST(data_is_any_value)
{
	static const unsigned long values[] = {
		0, 1, -1UL, 1UL << (sizeof(long) * 8 - 1), -1UL >> 1,
		-1UL / 3, 0xa5a5a5a5UL
	};
	struct instance in = { .nr = ARRAY_SIZE(values) };
	size_t i;

	ASSERT_EQ(0, instance_open(&in));
	for (i = 0; i < ARRAY_SIZE(values); i++)
		EXPECT_EQ(values[i], instance_call(&in, i, values[i]));
	instance_close(&in);
}

static void call_first(void *in)
{
	call(instance_trampoline(in, 0));
}

TEST(empty_slot_jumps_to_0)
{
	struct instance in = { .nr = 1 };

	ASSERT_EQ(0, instance_open(&in));
	EXPECT_EQ(SIGSEGV, signal_of(call_first, &in));
	instance_close(&in);
}

#define THREADS		8
#define ROUNDS		20000

struct worker {
	pthread_t thread;
	const struct instance *in;
	uint32_t index;
	unsigned long wrong;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	for (i = 0; i < ROUNDS; i++) {
		uint32_t slot = w->index + THREADS * (i % 16);

		w->wrong += instance_call(w->in, slot, i + w->index) != i + w->index;
	}
	return NULL;
}

TEST(threads_refill_slots_concurrently)
{
	struct instance in = { .nr = THREADS * 16 };
	struct worker workers[THREADS];
	int i;

	ASSERT_EQ(0, instance_open(&in));
	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .in = &in, .index = i };
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));
		EXPECT_EQ(0, workers[i].wrong);
	}
	instance_close(&in);
}

TEST(mappings_outlive_the_file)
{
	struct instance in = { .nr = 1000 };

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(0, close(in.fd));
	EXPECT_EQ(0, instance_call_all(&in));
	EXPECT_EQ(0, munmap(in.code, instance_span(&in)));
}

TEST_HARNESS_MAIN
