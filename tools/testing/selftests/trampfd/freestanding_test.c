// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd without a C library.  This test also covers ABIs for which distributions
 * have none: on big-endian arm64 and arm, slots are big-endian while instructions
 * are little-endian.
 */
#include <linux/trampfd.h>

#include "../kselftest.h"
#include "abi.h"

struct instance {
	struct trampfd_create_args args;
	unsigned int nr;
	int fd;
	char *code;
	char *table;
};

/* Create the file for @in->args and map all of it.  Return 0, or the errno. */
static int instance_open(struct instance *in)
{
	in->fd = syscall(__NR_trampfd_create, &in->args, sizeof(in->args));
	if (in->fd < 0)
		return errno;
	in->code = mmap(NULL, in->args.table_offset + in->args.table_size,
			PROT_READ | PROT_EXEC, MAP_PRIVATE, in->fd, 0);
	if (in->code == MAP_FAILED)
		return errno;
	in->table = mmap(in->code + in->args.table_offset, in->args.table_size,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
			 in->fd, in->args.table_offset);
	/* A division of arm is a function of libgcc, which is little-endian only. */
	in->nr = in->args.table_size >> __builtin_ctz(in->args.stride);
	return in->table == MAP_FAILED ? errno : 0;
}

static void instance_close(struct instance *in)
{
	munmap(in->code, in->args.table_offset + in->args.table_size);
	close(in->fd);
}

/* Call every trampoline.  Return how many load another slot, or -errno. */
static int call_all(const struct abi_mode *mode, unsigned int stride)
{
	struct instance in = { .args = { .mode = mode->mode, .stride = stride } };
	int err = instance_open(&in), wrong = 0;
	unsigned long *slot;
	unsigned int i;

	if (err)
		return -err;
	for (i = 0; i < in.nr; i++) {
		slot = (void *)(in.table + i * in.args.stride);
		slot[0] = ~0UL / 3 - i;
		slot[1] = mode->mode == TRAMPFD_MODE_PUSH ?
			  (unsigned long)abi_return_push :
			  (unsigned long)abi_return_data;
	}
	for (i = 0; i < in.nr; i++) {
		unsigned long (*trampoline)(void);

		trampoline = (void *)(in.code + i * in.args.stride);
		slot = (void *)(in.table + i * in.args.stride);
		wrong += trampoline() != (mode->mode == TRAMPFD_MODE_DATA ?
					  slot[0] : (unsigned long)slot);
	}
	instance_close(&in);
	return wrong;
}

/*
 * Call the last trampoline of a file with known registers.  Return how many arrive
 * changed at the target, or -errno.
 */
static int probe(const struct abi_mode *mode, int data)
{
	struct instance in = { .args = {
		.mode = mode->mode, .data_reg = TRAMPFD_REG(data),
	} };
	int err = instance_open(&in), wrong = 0;
	const struct abi_reg *r;
	unsigned long *slot, want;

	if (err)
		return -err;
	slot = (void *)(in.table + in.args.table_size - in.args.stride);
	slot[0] = ~0UL / 5;
	slot[1] = (unsigned long)abi_probe_target;
	for (r = abi_regs; r->name; r++)
		abi_probe_in.regs[r->dwarf] = ~0UL / 7 + r->dwarf;
	abi_probe_entry = (unsigned long)slot - in.args.table_offset;
	abi_probe_drop = mode->mode == TRAMPFD_MODE_PUSH;
	abi_probe();

	for (r = abi_regs; r->name; r++) {
		want = abi_probe_in.regs[r->dwarf];
		if (r->dwarf == data)
			want = mode->mode == TRAMPFD_MODE_DATA ? slot[0] :
			       (unsigned long)slot;
		else if (TRAMPFD_REG(r->dwarf) == in.args.scratch_reg)
			continue;
		wrong += abi_probe_out.regs[r->dwarf] != want;
	}
	/* Leave it mapped: an emulator may execute unmapped code (stress_stale.c). */
	close(in.fd);
	return wrong;
}

static int probe_all(const struct abi_mode *mode)
{
	const struct abi_reg *r;
	int wrong = 0;

	for (r = abi_regs; !wrong && r->name; r++)
		wrong = probe(mode, r->dwarf);
	return wrong;
}

/* Whether the first instruction is little-endian */
static int code_is_in_order(void)
{
	struct instance in = {};
	int in_order;

	if (instance_open(&in))
		return 0;
#if defined(__arm__)
	in_order = in.code[3] == 0xe2;		/* add, always */
#elif defined(__powerpc64__)
	in_order = in.code[3] >> 2 == 15;	/* addis */
#elif defined(__s390x__)
	in_order = in.code[1] == 0x08;		/* lgrl r0 */
#elif defined(__loongarch__)
	in_order = in.code[3] == 0x1e;		/* pcaddu18i */
#else
	in_order = abi_is_landing_pad(in.code);
#endif
	instance_close(&in);
	return in_order;
}

int main(void)
{
	const struct abi_mode *mode;
	unsigned int modes = 0;

	for (mode = abi_modes; mode->name; mode++)
		modes++;
	ksft_print_header();
	ksft_set_plan(4 * modes + 1);

	ksft_test_result(code_is_in_order(), "%s: instructions are little-endian\n", abi_name);
	for (mode = abi_modes; mode->name; mode++) {
		ksft_test_result(!call_all(mode, 0),
				 "%s: trampolines of the smallest stride\n", mode->name);
		ksft_test_result(!call_all(mode, 64),
				 "%s: trampolines of stride 64\n", mode->name);
		ksft_test_result(!call_all(mode, TRAMPFD_STRIDE_MAX),
				 "%s: trampolines of the largest stride\n", mode->name);
		ksft_test_result(!probe_all(mode),
				 "%s: each data register\n", mode->name);
	}
	ksft_finished();
}
