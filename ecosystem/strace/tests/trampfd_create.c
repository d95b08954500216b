/*
 * Check decoding of trampfd_create syscall.
 *
 * Copyright (c) 2026 The strace developers.
 * All rights reserved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tests.h"
#include "scno.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/trampfd.h>

#ifndef RETVAL_INJECTED
# define RETVAL_INJECTED 0
#endif
#if RETVAL_INJECTED
# define INJ_STR " (INJECTED)\n"
#else
# define INJ_STR "\n"
#endif

static const char *errstr;

static long
sys_trampfd_create(const void *args, kernel_ulong_t size)
{
	static const kernel_ulong_t bad =
		(kernel_ulong_t) 0xbadc0dedbadc0dedULL;
	const long rc = syscall(__NR_trampfd_create, args, size,
				bad, bad, bad, bad);

	errstr = sprintrc(rc);
	return rc;
}

/* Print the output fields; with an injected return value, they are unchanged. */
static void
print_result(const struct trampfd_create_args *args, const char *abi,
	     kernel_ulong_t size, long rc)
{
	if (rc >= 0)
		printf(" => {abi=%s, data_reg=%u, scratch_reg=%u, stride=%u"
		       ", table_offset=%#llx, table_size=%#llx}",
		       abi, args->data_reg, args->scratch_reg, args->stride,
		       (unsigned long long) args->table_offset,
		       (unsigned long long) args->table_size);
	printf(", %llu) = %s" INJ_STR, (unsigned long long) size, errstr);
}

int
main(void)
{
	TAIL_ALLOC_OBJECT_VAR_PTR(struct trampfd_create_args, args);
	struct {
		struct trampfd_create_args args;
		uint64_t more;
	} *const large = tail_alloc(sizeof(*large));
	long rc;

	/* NULL, a size that is too small, and an unreadable structure */
	sys_trampfd_create(NULL, sizeof(*args));
	printf("trampfd_create(NULL, %zu) = %s" INJ_STR,
	       sizeof(*args), errstr);
	sys_trampfd_create(args, 39);
	printf("trampfd_create(%p, 39) = %s" INJ_STR, args, errstr);
	sys_trampfd_create(args + 1, sizeof(*args));
	printf("trampfd_create(%p, %zu) = %s" INJ_STR,
	       args + 1, sizeof(*args), errstr);

	/* Values without a name */
	fill_memory(args, sizeof(*args));
	args->flags = 0xfacefeeddeadbeefULL;
	args->abi = 6;
	args->mode = 3;
	args->data_reg = 65535;
	args->scratch_reg = 1;
	args->stride = 0xdecaffed;
	rc = sys_trampfd_create(args, sizeof(*args));
	printf("trampfd_create({flags=0xfacefeeddeadbeef"
	       ", abi=0x6 /* TRAMPFD_ABI_??? */"
	       ", mode=0x3 /* TRAMPFD_MODE_??? */"
	       ", data_reg=65535, scratch_reg=1, stride=3737845741}");
	print_result(args, "0x6 /* TRAMPFD_ABI_??? */", sizeof(*args), rc);

	/* A valid request.  If it succeeds, the kernel sets the ABI. */
	static const char * const abis[] = {
		"TRAMPFD_ABI_CALLER", "TRAMPFD_ABI_X86_64", "TRAMPFD_ABI_I386",
		"TRAMPFD_ABI_ARM64", "TRAMPFD_ABI_ARM", "TRAMPFD_ABI_RISCV64"
	};
	memset(args, 0, sizeof(*args));
	args->mode = TRAMPFD_MODE_SLOT;
	args->stride = 64;
	rc = sys_trampfd_create(args, sizeof(*args));
	printf("trampfd_create({abi=TRAMPFD_ABI_CALLER, mode=TRAMPFD_MODE_SLOT"
	       ", data_reg=0, scratch_reg=0, stride=64}");
	print_result(args, args->abi < ARRAY_SIZE(abis) ? abis[args->abi] : "?",
		     sizeof(*args), rc);

	/* A structure of a later version */
	memset(large, 0, sizeof(*large));
	large->args.abi = TRAMPFD_ABI_ARM;
	large->args.mode = TRAMPFD_MODE_PUSH;
	memset(&large->more, 0x5a, sizeof(large->more));
	rc = sys_trampfd_create(large, sizeof(*large));
	printf("trampfd_create({abi=TRAMPFD_ABI_ARM, mode=TRAMPFD_MODE_PUSH"
	       ", data_reg=0, scratch_reg=0, stride=0"
	       ", /* bytes 40..47 */ \"\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\"}");
	print_result(&large->args, "TRAMPFD_ABI_ARM", sizeof(*large), rc);

	puts("+++ exited with 0 +++");
	return 0;
}
