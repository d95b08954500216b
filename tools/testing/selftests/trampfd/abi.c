// SPDX-License-Identifier: GPL-2.0
/*
 * Selects the abi_*.c of the ABI that the tests are compiled for.
 */
#include "abi.h"

struct abi_state abi_probe_in, abi_probe_out, abi_probe_ret, abi_probe_back;
unsigned long abi_probe_entry, abi_probe_drop, abi_probe_saved_sp;

#if defined(__x86_64__)
#include "abi_x86_64.c"
#elif defined(__i386__)
#include "abi_i386.c"
#elif defined(__aarch64__)
#include "abi_arm64.c"
#elif defined(__arm__)
#include "abi_arm.c"
#elif defined(__riscv) && __riscv_xlen == 64
#include "abi_riscv64.c"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#include "abi_ppc64le.c"
#elif defined(__s390x__)
#include "abi_s390x.c"
#elif defined(__loongarch64)
#include "abi_loongarch64.c"
#else
#error "This ABI has no abi_*.c: see abi.h."
#endif

bool abi_is_foreign(enum trampfd_abi abi)
{
	const enum trampfd_abi *own;

	for (own = abi_of_machine; *own; own++)
		if (*own == abi)
			return false;
	return abi != TRAMPFD_ABI_CALLER && abi <= ABI_LAST;
}
