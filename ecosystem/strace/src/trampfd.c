/*
 * Copyright (c) 2026 The strace developers.
 * All rights reserved.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "defs.h"

#include <linux/trampfd.h>

#include "xlat/trampfd_abis.h"
#include "xlat/trampfd_modes.h"

static void
print_registers_and_stride(const struct trampfd_create_args *const args)
{
	tprint_struct_next();
	PRINT_FIELD_U(*args, data_reg);
	tprint_struct_next();
	PRINT_FIELD_U(*args, scratch_reg);
	tprint_struct_next();
	PRINT_FIELD_U(*args, stride);
}

SYS_FUNC(trampfd_create)
{
	const kernel_ulong_t addr = tcp->u_arg[0];
	const kernel_ulong_t size = tcp->u_arg[1];
	struct trampfd_create_args args;

	if (entering(tcp)) {
		/* args */
		tprints_arg_name("args");
		if (size < TRAMPFD_CREATE_ARGS_SIZE_VER0) {
			printaddr(addr);
			goto print_size;
		}
		if (umove_or_printaddr(tcp, addr, &args))
			goto print_size;

		tprint_struct_begin();
		if (args.flags) {
			PRINT_FIELD_X(args, flags);
			tprint_struct_next();
		}
		PRINT_FIELD_XVAL(args, abi, trampfd_abis, "TRAMPFD_ABI_???");
		tprint_struct_next();
		PRINT_FIELD_XVAL(args, mode, trampfd_modes, "TRAMPFD_MODE_???");
		print_registers_and_stride(&args);
		if (size > sizeof(args))
			print_nonzero_bytes(tcp, tprint_struct_next, addr,
					    sizeof(args),
					    MIN(size, get_pagesize()),
					    QUOTE_FORCE_HEX);
		tprint_struct_end();
		return 0;
	}

	/* The fields that the kernel has set */
	if (!syserror(tcp) && !umove(tcp, addr, &args)) {
		tprint_value_changed();
		tprint_struct_begin();
		PRINT_FIELD_XVAL(args, abi, trampfd_abis, "TRAMPFD_ABI_???");
		print_registers_and_stride(&args);
		tprint_struct_next();
		PRINT_FIELD_X(args, table_offset);
		tprint_struct_next();
		PRINT_FIELD_X(args, table_size);
		tprint_struct_end();
	}

print_size:
	/* size */
	tprints_arg_next_name("size");
	PRINT_VAL_U(size);

	return RVAL_DECODED | RVAL_FD;
}
