// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: geometries.
 *
 * A geometry is everything that generated code depends on: ABI, mode, registers
 * and stride.  It is kept as a resolved &struct trampfd_create_args.  Nothing
 * here allocates, sleeps or knows of files.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/string.h>

#include "internal.h"

/*
 * Resolve a register: 0 becomes the default.  @allowed is 0 if the mode uses no
 * such register.
 */
static int resolve_reg(__u16 *reg, u32 allowed, u8 reg_default)
{
	if (!allowed)
		return *reg ? -EINVAL : 0;
	if (!*reg)
		*reg = TRAMPFD_REG(reg_default);
	if (*reg > TRAMPFD_REG(31) || !(allowed & BIT(*reg - TRAMPFD_REG(0))))
		return -EINVAL;
	return 0;
}

static bool is_zero_or(u64 value, u64 resolved)
{
	return !value || value == resolved;
}

/**
 * trampfd_resolve() - turn a request into a geometry
 * @args: The request.  On success, every output field is set.  Resolving a
 *	resolved request changes nothing.
 *
 * Return: 0, -EINVAL if the request is wrong on every kernel, -EOPNOTSUPP if this
 * kernel does not have the ABI or the ABI does not have the mode.
 */
int trampfd_resolve(struct trampfd_create_args *args)
{
	const struct trampfd_abi_desc *abi;
	const struct trampfd_mode_desc *mode;
	int err;

	if (args->flags || args->abi >= TRAMPFD_NR_ABIS ||
	    args->mode >= TRAMPFD_NR_MODES || args->stride > TRAMPFD_STRIDE_MAX ||
	    (args->stride && !is_power_of_2(args->stride)) ||
	    !is_zero_or(args->table_offset, TRAMPFD_TABLE_OFFSET) ||
	    !is_zero_or(args->table_size, TRAMPFD_TABLE_OFFSET))
		return -EINVAL;
	if (args->abi == TRAMPFD_ABI_CALLER)
		args->abi = arch_trampfd_caller_abi();
	abi = arch_trampfd_abi(args->abi);
	if (!abi)
		return -EOPNOTSUPP;
	mode = &abi->modes[array_index_nospec(args->mode, TRAMPFD_NR_MODES)];
	if (!mode->min_stride)
		return -EOPNOTSUPP;

	if (!args->stride)
		args->stride = mode->min_stride;
	if (args->stride < mode->min_stride)
		return -EINVAL;

	err = resolve_reg(&args->data_reg, mode->data_regs, mode->data_reg);
	if (err)
		return err;
	/*
	 * If the caller chose the default scratch register for data, scratch
	 * falls back to the default data register.
	 */
	err = resolve_reg(&args->scratch_reg, mode->scratch_regs,
			  args->data_reg == TRAMPFD_REG(mode->scratch_reg) ?
			  mode->data_reg : mode->scratch_reg);
	if (err)
		return err;
	if (args->data_reg == args->scratch_reg)
		return -EINVAL;

	args->table_offset = TRAMPFD_TABLE_OFFSET;
	args->table_size = TRAMPFD_TABLE_OFFSET;
	return 0;
}

/**
 * trampfd_generate() - write the page of code of a geometry
 * @geometry: A resolved request.
 * @page: Where to write to, %PAGE_SIZE bytes.
 *
 * All trampolines of a geometry are the same instructions.
 */
void trampfd_generate(const struct trampfd_create_args *geometry, void *page)
{
	const struct trampfd_abi_desc *abi = arch_trampfd_abi(geometry->abi);
	size_t size = geometry->stride;

	abi->emit(page, size, geometry->mode,
		  geometry->data_reg - TRAMPFD_REG(0),
		  geometry->scratch_reg - TRAMPFD_REG(0));
	for (; size < PAGE_SIZE; size *= 2)
		memcpy(page + size, page, size);
}
