/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests need to know of the ABI that they are compiled for; each has
 * it in an abi_*.c of its own.
 */
#ifndef TRAMPFD_ABI_H
#define TRAMPFD_ABI_H

#include <linux/trampfd.h>
#include <stdbool.h>
#include <stdint.h>

#define ABI_MAX_REGS		32
#define ABI_STACK_ARGS		8	/* words */
#define ABI_BELOW		32	/* words below the stack pointer */
#define ABI_VEC_WORDS		(32 * 16 / sizeof(long))	/* at most */

/**
 * struct abi_mode - a mode that the ABI has, and its documented defaults
 */
struct abi_mode {
	const char *name;
	enum trampfd_mode mode;
	uint16_t data_reg;		/* as TRAMPFD_REG() */
	uint16_t scratch_reg;		/* likewise, 0 if the mode uses none */
	unsigned int stack_words;	/* below the stack pointer, written to */
	uint32_t min_stride;		/* bytes */
};

/**
 * struct abi_reg - a register that may be chosen
 */
struct abi_reg {
	const char *name;
	int dwarf;	/* also its index in &struct abi_state.regs */
};

extern const enum trampfd_abi abi_native;
extern const char * const abi_name;
extern const struct abi_mode abi_modes[];	/* ends with a NULL name */
extern const struct abi_reg abi_regs[];		/* likewise */
/* Those that can be scratch register too, where a mode has one */
extern const struct abi_reg abi_scratch_regs[];	/* likewise */
extern const int abi_stack_pointer;		/* DWARF numbers */
extern const int abi_link_register;	/* -1: the return address is on the stack */
extern const unsigned int abi_vec_bytes;	/* of the vector registers */
extern const int abi_bad_regs[];		/* likewise, ends with -1 */
/* Those that a kernel may have on which this program runs; 0 ends them */
extern const enum trampfd_abi abi_of_machine[];

#define ABI_LAST		TRAMPFD_ABI_RISCV64	/* of enum trampfd_abi */

/* Whether it exists, but on no kernel on which this program runs. */
bool abi_is_foreign(enum trampfd_abi abi);

/* Whether a processor with landing pads lets an indirect branch arrive here. */
bool abi_is_landing_pad(const void *code);

/*
 * Whether the first two bytes of a system call instruction are at @bytes, where
 * the processor may take them for one, in whatever state it is.
 */
bool abi_is_system_call(const unsigned char *bytes);

/* Targets: return the default data register of DATA and SLOT, and of PUSH. */
unsigned long abi_return_data(void);
unsigned long abi_return_push(void);

/**
 * struct abi_state - all that a caller and its callee share
 *
 * @regs: General registers by DWARF number; the stack pointer only where it is
 *	an output.
 * @flags: Condition flags.
 * @stack: From the stack pointer upwards, the return address first where the
 *	ABI has it there; as input the arguments alone.
 * @below: From the stack pointer downwards.
 * @vec: Vector registers.
 */
struct abi_state {
	unsigned long regs[ABI_MAX_REGS];
	unsigned long flags;
	unsigned long stack[ABI_STACK_ARGS + 2];
	unsigned long below[ABI_BELOW];
	unsigned long vec[ABI_VEC_WORDS];
};

/* What is filled into the words below the stack pointer before the call. */
#define ABI_BELOW_PATTERN	0x5a

/*
 * abi_probe() calls abi_probe_entry with the state abi_probe_in; what arrives
 * at abi_probe_target is kept in abi_probe_out, which drops abi_probe_drop
 * words from the stack and returns with the registers that return values and
 * vector results are in set from abi_probe_ret; abi_probe_back has what arrives
 * back at the caller.  abi_probe() itself sets the stack pointer and the link
 * register of abi_probe_in, and keeps its own stack pointer in
 * abi_probe_saved_sp.
 * Not for several threads.
 */
void abi_probe(void);
void abi_probe_target(void);
extern unsigned long abi_probe_entry, abi_probe_drop, abi_probe_saved_sp;
extern struct abi_state abi_probe_in, abi_probe_out, abi_probe_ret, abi_probe_back;

/* Which flags, return registers and preserved registers to compare. */
extern const unsigned long abi_flags_mask;
extern const unsigned int abi_return_words;	/* that a call puts on the stack */
extern const int abi_return_regs[];	/* DWARF numbers, -1 ends them */
extern const int abi_preserved_regs[];	/* likewise */

#endif /* TRAMPFD_ABI_H */
