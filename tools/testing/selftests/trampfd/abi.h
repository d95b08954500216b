/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Properties of the ABI that the tests are compiled for.  Each ABI defines them in
 * its own abi_*.c.
 */
#ifndef TRAMPFD_ABI_H
#define TRAMPFD_ABI_H

#include <linux/trampfd.h>
#include <stdbool.h>
#include <stdint.h>

#define ABI_MAX_REGS		32
#define ABI_STACK_ARGS		8	/* words */
#define ABI_BELOW		32	/* words below the stack pointer */
#define ABI_VEC_WORDS		(32 * 16 / sizeof(long))	/* maximum of all ABIs */

/**
 * struct abi_mode - a mode of the ABI and its documented defaults
 * @name: For messages.
 * @mode: The mode.
 * @data_reg: Default data register, as TRAMPFD_REG().
 * @scratch_reg: Default scratch register, as TRAMPFD_REG(); 0 if the mode uses none.
 * @stack_words: Number of words below the stack pointer that a call overwrites.
 * @min_stride: Smallest stride in bytes.
 */
struct abi_mode {
	const char *name;
	enum trampfd_mode mode;
	uint16_t data_reg;
	uint16_t scratch_reg;
	unsigned int stack_words;
	uint32_t min_stride;
};

/**
 * struct abi_reg - a register that a request can name
 * @name: For messages.
 * @dwarf: DWARF number, which is also the index in &struct abi_state.regs.
 */
struct abi_reg {
	const char *name;
	int dwarf;
};

extern const enum trampfd_abi abi_native;
extern const char * const abi_name;
extern const struct abi_mode abi_modes[];	/* ends with a NULL name */
extern const struct abi_reg abi_regs[];		/* ends with a NULL name */
/* The registers that a request can name as scratch register */
extern const struct abi_reg abi_scratch_regs[];	/* ends with a NULL name */
extern const int abi_stack_pointer;		/* DWARF number */
extern const int abi_link_register;	/* likewise; -1 if calls push the return address */
extern const unsigned int abi_vec_bytes;	/* size of all vector registers */
extern const int abi_bad_regs[];		/* DWARF numbers, ends with -1 */
/* The ABIs of the kernels that run this program; ends with 0 */
extern const enum trampfd_abi abi_of_machine[];

#define ABI_LAST		TRAMPFD_ABI_LOONGARCH64	/* of enum trampfd_abi */

/* Whether @abi is valid, but no kernel that runs this program has it */
bool abi_is_foreign(enum trampfd_abi abi);

/* The ABI has landing pads, and so abi_is_landing_pad(). */
#if !defined(__arm__) && !defined(__powerpc__) && !defined(__s390__) && !defined(__loongarch__)
#define ABI_HAS_LANDING_PADS
#endif

/* Whether an indirect branch to @code is permitted if landing pads are enforced */
bool abi_is_landing_pad(const void *code);

/*
 * Whether @bytes begin with the first two bytes of a system call instruction, at
 * an address where a processor can execute one in any of its states
 */
bool abi_is_system_call(const unsigned char *bytes);

/* Targets that return the default data register of DATA and SLOT, and of PUSH */
unsigned long abi_return_data(void);
unsigned long abi_return_push(void);

/**
 * struct abi_state - the state that a caller passes to its callee
 *
 * @regs: General registers by DWARF number; the stack pointer as output only.
 * @flags: Condition flags.
 * @stack: Words from the stack pointer upwards.  As input the arguments only; as
 *	output the return address first, if calls push it.
 * @below: Words from the stack pointer downwards.
 * @vec: Vector registers.
 */
struct abi_state {
	unsigned long regs[ABI_MAX_REGS];
	unsigned long flags;
	unsigned long stack[ABI_STACK_ARGS + 2];
	unsigned long below[ABI_BELOW];
	unsigned long vec[ABI_VEC_WORDS];
};

/* abi_probe() fills the words below the stack pointer with this byte. */
#define ABI_BELOW_PATTERN	0x5a

/*
 * abi_probe() loads the state abi_probe_in and calls abi_probe_entry.
 * abi_probe_target() stores the state that it receives in abi_probe_out, drops
 * abi_probe_drop words from the stack, loads the registers that return values from
 * abi_probe_ret, and returns.  abi_probe() then stores the state in abi_probe_back.
 * It sets the stack pointer and the link register of abi_probe_in, and saves its own
 * stack pointer in abi_probe_saved_sp.  Only one thread at a time may call it.
 */
void abi_probe(void);
void abi_probe_target(void);
extern unsigned long abi_probe_entry, abi_probe_drop, abi_probe_saved_sp;
extern struct abi_state abi_probe_in, abi_probe_out, abi_probe_ret, abi_probe_back;

/* What to compare after a call */
extern const unsigned long abi_flags_mask;
extern const unsigned int abi_return_words;	/* words that a call pushes */
extern const int abi_return_regs[];	/* DWARF numbers, ends with -1 */
extern const int abi_preserved_regs[];	/* likewise */

#endif /* TRAMPFD_ABI_H */
