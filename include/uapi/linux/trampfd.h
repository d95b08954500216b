/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * trampfd - trampolines that the kernel generates
 *
 * A trampoline is a few instructions that load a data pointer and jump to
 * static code.  It gives a C function pointer a context.  trampfd_create(2)
 * returns a file descriptor.  Mapping it gives code, which the kernel generated
 * and no process can write, and a table, which no process can execute.  The
 * table has one slot for each trampoline.  A slot begins with {data, code}; the
 * process fills it in::
 *
 *	fd                          memory
 *	0            +-----------+  code            trampoline 0
 *	             |    r-x    |  code + stride   trampoline 1
 *	             |           |  ...
 *	table_offset +-----------+  table           slot 0 {data, code, ...}
 *	             |    rw-    |  table + stride  slot 1 {data, code, ...}
 *	             +-----------+  ...
 *
 * Trampoline i is at code + i * stride, and its slot is table_offset above it.
 *
 * A complete example in C.  target() finds its context in the ABI's default data
 * register (see "Registers").  size is the number of bytes of code and of table
 * to map, a multiple of the page size and at most table_size::
 *
 *	struct trampfd_create_args a = {};
 *	int fd = syscall(__NR_trampfd_create, &a, sizeof(a));
 *	char *code = mmap(NULL, a.table_offset + size,
 *			  PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
 *	char *table = mmap(code + a.table_offset, size,
 *			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
 *			   fd, a.table_offset);
 *	close(fd);
 *
 *	struct trampfd_slot64 *slot = (void *)(table + i * a.stride);
 *	slot->data = (uintptr_t)&context;
 *	slot->code = (uintptr_t)target;
 *	callback = (void *)(code + i * a.stride);
 *
 * The first mmap() reserves both ranges, the second maps the table at its
 * distance from the code.
 *
 * To keep the context in the slot itself, use %TRAMPFD_MODE_SLOT and a stride of
 * at least two words plus the context: target() gets the address of the slot.
 */

#ifndef _UAPI_LINUX_TRAMPFD_H
#define _UAPI_LINUX_TRAMPFD_H

#include <linux/types.h>

/**
 * enum trampfd_abi - instructions, registers and word size
 *
 * @TRAMPFD_ABI_CALLER: The ABI of the system call: %TRAMPFD_ABI_I386 if it
 *	was made through the i386 entry, even by a 64-bit process;
 *	%TRAMPFD_ABI_X86_64 if through the entry of x86_64 or x32;
 *	%TRAMPFD_ABI_ARM64 in a 64-bit task and %TRAMPFD_ABI_ARM in a 32-bit
 *	task; %TRAMPFD_ABI_RISCV64, %TRAMPFD_ABI_PPC64LE, %TRAMPFD_ABI_S390X
 *	and %TRAMPFD_ABI_LOONGARCH64 in a 64-bit task.  A 32-bit task of these
 *	four architectures gets EOPNOTSUPP.
 * @TRAMPFD_ABI_X86_64: 64-bit code of x86, also for x32; slots are
 *	&struct trampfd_slot64.
 * @TRAMPFD_ABI_I386: 32-bit code of x86; slots are &struct trampfd_slot32.
 * @TRAMPFD_ABI_ARM64: AArch64 code; slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_ARM: A32 code.  Callers and targets may be in A32 or T32 (Thumb)
 *	state: bit 0 of slot.code selects the state of the target.  Slots are
 *	&struct trampfd_slot32.
 * @TRAMPFD_ABI_RISCV64: 64-bit code of RISC-V; slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_PPC64LE: 64-bit little-endian code of Power, ELFv2 ABI.  The ABI
 *	requires the caller to put the address of the function that it calls into
 *	r12.  A trampoline reads its own address from r12, and leaves the
 *	target's address there.  Slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_S390X: 64-bit code of s390; slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_LOONGARCH64: 64-bit code of LoongArch; slots are
 *	&struct trampfd_slot64.
 *
 * The error for an ABI that the running kernel does not support is EOPNOTSUPP.
 */
enum trampfd_abi {
	TRAMPFD_ABI_CALLER,
	TRAMPFD_ABI_X86_64,
	TRAMPFD_ABI_I386,
	TRAMPFD_ABI_ARM64,
	TRAMPFD_ABI_ARM,
	TRAMPFD_ABI_RISCV64,
	TRAMPFD_ABI_PPC64LE,
	TRAMPFD_ABI_S390X,
	TRAMPFD_ABI_LOONGARCH64,
};

/**
 * enum trampfd_mode - the data that a trampoline passes to slot.code
 *
 * @TRAMPFD_MODE_DATA: data register = slot.data.
 * @TRAMPFD_MODE_SLOT: data register = address of the slot; slot.data is not
 *	read.
 * @TRAMPFD_MODE_PUSH: push the data register, then as %TRAMPFD_MODE_SLOT.  For
 *	calling conventions that leave no register free (regparm(3)): the
 *	caller's value of the register is on top of the stack, and the return
 *	address is the word after it.  The target must pop it.
 *	%TRAMPFD_ABI_I386 only; EOPNOTSUPP elsewhere.
 *
 * A trampoline changes the data register and the scratch register.  All other
 * registers, the stack pointer, the return address and the flags are unchanged,
 * except: PUSH pushes one word, and ppc64le changes CTR, as every indirect call
 * does.  No memory is written, except: i386 overwrites the word below esp,
 * because it learns its own address by call and pop.
 */
enum trampfd_mode {
	TRAMPFD_MODE_DATA,
	TRAMPFD_MODE_SLOT,
	TRAMPFD_MODE_PUSH,
};

/**
 * TRAMPFD_REG() - name a register in &struct trampfd_create_args
 * @n: The register's DWARF number in the psABI of the chosen ABI.
 *
 * Registers: any general register can be the data register, except the stack
 * pointer, the link register, the program counter, registers that an ABI reserves
 * (global, thread and TOC pointer, u0 of loongarch64), r0 and r12 of ppc64le, and
 * r1 of s390x.
 *
 * The scratch register can be any of these on i386; x16 or x17 on arm64, because
 * BTI C accepts jumps through these only; t1 or t3 to t6 on riscv64, because a
 * jump through t0 is a return, and one through t2 requires no landing pad; r12 on
 * ppc64le, which must hold the target's address; r1 on s390x, because no jump goes
 * through r0; t0 or t8 on loongarch64.
 *
 * The two must differ.  If the caller chose the default scratch register for data,
 * scratch falls back to the default data register.
 *
 * ===========  ====  =======  =======  ========================================
 * ABI          mode  data     scratch  DWARF numbers
 *                    default  default
 * ===========  ====  =======  =======  ========================================
 * x86_64       DATA  r10      none     rax 0, rdx 1, rcx 2, rbx 3, rsi 4,
 *                                      rdi 5, rbp 6, r8 to r15: 8 to 15
 * x86_64       SLOT  r10      none     the same
 * i386         DATA  ecx      eax      eax 0, ecx 1, edx 2, ebx 3, ebp 5,
 *                                      esi 6, edi 7
 * i386         SLOT  ecx      none     the same
 * i386         PUSH  eax      none     the same
 * arm64        DATA  x17      x16      x0 to x29: 0 to 29
 * arm64        SLOT  x17      x16      the same
 * arm          DATA  r12      none     r0 to r12: 0 to 12
 * arm          SLOT  r12      none     the same
 * riscv64      DATA  t3       t1       x5 to x31: 5 to 31 (t0 to t2: 5 to 7,
 *                                      a0 to a7: 10 to 17, t3 to t6: 28 to 31)
 * riscv64      SLOT  t3       t1       the same
 * ppc64le      DATA  r11      r12      r3 to r31: 3 to 31
 * ppc64le      SLOT  r11      r12      the same
 * s390x        DATA  r0       r1       r0 to r13: 0 to 13
 * s390x        SLOT  r0       r1       the same
 * loongarch64  DATA  t8       t0       a0 to a7: 4 to 11, t0 to t8: 12 to 20,
 *                                      fp 22, s0 to s8: 23 to 31
 * loongarch64  SLOT  t8       t0       the same
 * ===========  ====  =======  =======  ========================================
 *
 * r10, ecx, r12 of arm, r11, r0 and t8 are the static chain registers of their
 * ABIs: compilers use them for nested functions and for
 * __builtin_call_with_static_chain.  The psABI of arm64 has none; GCC uses x18,
 * which can be requested.
 *
 * x16, x17 and r12 of arm hold no argument at the entry of a function: a
 * linker's veneer may change them.  The same is true of t1 and t3, which PLT
 * entries change.  t3 is the static chain register of riscv64 code with landing
 * pads (Zicfilp), in which t2 may hold the label of the target.  Without landing
 * pads it is t2, which can be requested.
 */
#define TRAMPFD_REG(n)			((n) + 1)

/* The largest stride, in bytes */
#define TRAMPFD_STRIDE_MAX		4096

/**
 * struct trampfd_create_args - argument of trampfd_create(2)
 *
 * @flags: In: must be 0.
 * @abi: In: an &enum trampfd_abi.  Out: the same, %TRAMPFD_ABI_CALLER resolved.
 * @mode: In: an &enum trampfd_mode.
 * @data_reg: In: 0 for the default, or TRAMPFD_REG() of the register that gets
 *	the data or the slot's address.  Out: resolved.
 * @scratch_reg: In: 0 for the default, or TRAMPFD_REG() of a register that the
 *	trampoline may overwrite, if it needs one.  Out: resolved; 0 if none
 *	is used.
 * @stride: In: bytes from one trampoline to the next, and from one slot to the
 *	next: a power of two from the minimum below up to %TRAMPFD_STRIDE_MAX;
 *	0 for the minimum.  Out: resolved.  The bytes of a slot after its first
 *	two words are the process's.
 * @table_offset: In: 0, or the output of an earlier call.  Out: bytes from a
 *	trampoline to its slot; also the file offset of the table, and the
 *	maximum number of bytes of code.
 * @table_size: In: 0, or the output of an earlier call.  Out: the maximum number
 *	of bytes of table.
 *
 * The minimum of @stride:
 *
 * ====  ======  ====  =====  ===  =======  =======  =====  ===========
 * mode  x86_64  i386  arm64  arm  riscv64  ppc64le  s390x  loongarch64
 * ====  ======  ====  =====  ===  =======  =======  =====  ===========
 * DATA  32      32    16     8    32       32       16     16
 * SLOT  16      32    16     16   32       16       16     16
 * PUSH  -       32    -      -    -        -        -      -
 * ====  ======  ====  =====  ===  =======  =======  =====  ===========
 *
 * The layout is the same on every ABI.  Zero means the default everywhere: a
 * structure of zeroes is a complete request.  A structure that the kernel filled
 * in can be passed again: the call then returns another instance of the same
 * geometry (ABI, mode, registers and stride).  Later versions may append
 * fields; a caller passes the size that it was compiled with
 * (%TRAMPFD_CREATE_ARGS_SIZE_VER0 is the first), and the kernel writes back
 * that many bytes.
 *
 * ::
 *
 *	int trampfd_create(struct trampfd_create_args *args, size_t size);
 *
 * Returns a new file descriptor, always close-on-exec, or:
 *
 * - EINVAL: @flags, @abi or @mode unknown; @stride not a power of two, too small
 *   for the ABI and mode, or over %TRAMPFD_STRIDE_MAX; a register that does not
 *   exist, that the ABI does not allow, that the mode does not use, or that is
 *   both @data_reg and @scratch_reg; @table_offset or @table_size neither 0 nor
 *   the kernel's own value; size below version 0
 * - E2BIG: a non-zero byte beyond the fields that the kernel knows; or size
 *   larger than a page
 * - EFAULT: args not readable or not writable; no descriptor is created
 * - EOPNOTSUPP: this kernel does not support the ABI, or the ABI not the mode
 * - EMFILE, ENFILE, ENOMEM: as for any file
 * - EACCES: a security module refused it
 * - ENOSYS: this kernel has no trampfd
 *
 * Operations on the descriptor:
 *
 * - mmap() of any part of the code: PROT_READ, PROT_EXEC or both.  PROT_WRITE is
 *   EACCES, also in a later mprotect().  MAP_SHARED and MAP_PRIVATE are the same.
 *   A mapping that begins in the code may extend over the table's range, where
 *   an access is SIGBUS until the table is mapped there.
 * - mmap() of any part of the table: MAP_PRIVATE with PROT_READ, PROT_WRITE or
 *   both.  PROT_EXEC is EACCES, also in a later mprotect().  (With the personality
 *   READ_IMPLIES_EXEC the mapping succeeds and is not executable.)  MAP_SHARED
 *   is EINVAL; with PROT_WRITE it is EACCES, because the file is not open for
 *   writing.  The table starts as zeroes and is ordinary private memory: fork()
 *   gives the child its own copy.
 * - mmap() past the end of the table: EINVAL.
 * - read(), pread(), lseek(): one page of code, then end of file.  Every page of
 *   the code range has these contents.  fstat() reports the size that can be
 *   mapped, @table_offset + @table_size.
 * - write(), ftruncate(), fallocate(), splice(), open() through /proc/self/fd:
 *   refused.
 * - close(): the mappings stay.
 *
 * Code and table can be mapped in any amount, any number of times.  If limits do
 * not allow a mapping of more than @table_offset (RLIMIT_AS, RLIMIT_MEMLOCK with
 * MCL_FUTURE), map one page of table anywhere, then one page of code
 * @table_offset below it with MAP_FIXED_NOREPLACE.  If that fails with EEXIST, try
 * again elsewhere.
 *
 * If the processor checks landing pads by page (BTI of arm64), code is mapped with
 * PROT_BTI, requested or not.  A later mprotect() sets or clears it, as for any
 * mapping.
 *
 * /proc/PID/fdinfo shows the fields of this structure.  Moving code and table
 * by the same distance (mremap()) keeps the trampolines working.
 */
struct trampfd_create_args {
	__aligned_u64 flags;
	__u32 abi;
	__u32 mode;
	__u16 data_reg;
	__u16 scratch_reg;
	__u32 stride;
	__aligned_u64 table_offset;
	__aligned_u64 table_size;
};

#define TRAMPFD_CREATE_ARGS_SIZE_VER0	40	/* sizeof the first version */

/**
 * struct trampfd_slot64 - head of a slot of a 64-bit ABI, in its byte order
 *
 * @data: Any value; %TRAMPFD_MODE_DATA loads it into the data register.
 * @code: The address that the trampoline jumps to.  If the processor checks
 *	indirect jumps, a landing pad (endbr, bti c, lpad) must be there.
 *
 * The two words are loaded separately: do not change a slot while a thread may
 * call its trampoline.  Calling a trampoline whose slot was never filled in
 * jumps to address 0.
 */
struct trampfd_slot64 {
	__u64 data;
	__u64 code;
};

/**
 * struct trampfd_slot32 - head of a slot of a 32-bit ABI, in its byte order
 *
 * @data: As in &struct trampfd_slot64.
 * @code: As in &struct trampfd_slot64.
 */
struct trampfd_slot32 {
	__u32 data;
	__u32 code;
};

#endif /* _UAPI_LINUX_TRAMPFD_H */
