// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: the geometry of an instance.
 *
 * A geometry is everything that the generated code depends on: ABI, mode,
 * registers, and the number of trampolines.  It is kept as the resolved
 * &struct trampfd_create_args, of which each field outside of these follows.
 * Nothing here allocates, sleeps or knows of files.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/trampfd.h>

/*
 * A register's number as user space names it: TRAMPFD_REG(n), or 0 for the
 * default.  @allowed is 0 where the mode uses no such register.
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

/**
 * trampfd_resolve() - turn a request into a geometry
 * @args: What the caller asked for; on success, each field that is documented
 *	as output is set.  Resolving a resolved one changes nothing.
 *
 * Return: 0, -EINVAL for a request that is wrong on every kernel, -EOPNOTSUPP
 * for an ABI, or a mode of it, that this kernel does not have.
 */
int trampfd_resolve(struct trampfd_create_args *args)
{
	const struct trampfd_abi_desc *abi;
	const struct trampfd_mode_desc *mode;
	int err;

	if (args->flags || args->abi >= TRAMPFD_NR_ABIS ||
	    args->mode >= TRAMPFD_NR_MODES ||
	    !args->nr || args->nr > TRAMPFD_NR_MAX)
		return -EINVAL;

	if (args->abi == TRAMPFD_ABI_CALLER)
		args->abi = arch_trampfd_caller_abi();
	abi = arch_trampfd_abi(args->abi);
	if (!abi)
		return -EOPNOTSUPP;
	mode = &abi->modes[array_index_nospec(args->mode, TRAMPFD_NR_MODES)];
	if (!mode->code_stride)
		return -EOPNOTSUPP;

	err = resolve_reg(&args->data_reg, mode->data_regs, mode->data_reg);
	if (err)
		return err;
	/* Who asked for the one default as data register gets the other. */
	err = resolve_reg(&args->scratch_reg, mode->scratch_regs,
			  args->data_reg == TRAMPFD_REG(mode->scratch_reg) ?
			  mode->data_reg : mode->scratch_reg);
	if (err)
		return err;
	if (args->data_reg == args->scratch_reg)
		return -EINVAL;

	args->code_stride = mode->code_stride;
	args->table_stride = mode->table_stride;
	/* No page of code or table is shared with what is not ours. */
	args->nr = max_t(u32, BIT(fls(args->nr - 1)),
			 PAGE_SIZE / min(mode->code_stride, mode->table_stride));
	args->code_size = args->nr * mode->code_stride;
	args->table_size = args->nr * mode->table_stride;
	args->table_offset = args->code_size;
	if (abi->table_offset)
		args->table_offset = abi->table_offset(args->code_size,
						       args->table_size);
	return 0;
}

/**
 * trampfd_generate() - write the code of a geometry
 * @geometry: A resolved one.
 * @offset: Where in the code to begin, in bytes, at a trampoline.
 * @code: Where to write to.
 * @size: How much to write, in bytes, whole trampolines.
 */
void trampfd_generate(const struct trampfd_create_args *geometry, u32 offset,
		      void *code, u32 size)
{
	const struct trampfd_abi_desc *abi = arch_trampfd_abi(geometry->abi);
	u32 slot = geometry->table_offset +
		   offset / geometry->code_stride * geometry->table_stride;
	u32 end = offset + size;

	while (offset < end) {
		abi->emit(code, geometry->mode,
			  geometry->data_reg - TRAMPFD_REG(0),
			  geometry->scratch_reg - TRAMPFD_REG(0),
			  slot - offset);
		code += geometry->code_stride;
		offset += geometry->code_stride;
		slot += geometry->table_stride;
	}
}
