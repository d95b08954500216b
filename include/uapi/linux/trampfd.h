/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * trampfd - trampolines without executable memory of one's own
 *
 * A trampoline is a few instructions that load a data pointer and jump to
 * static code: how a C function pointer carries a context.  trampfd_create(2)
 * returns a file descriptor.  Mapping it gives code that the kernel generated,
 * which nobody can write, and a table, which nobody can execute.  The table has
 * one slot for each trampoline, which begins with {data, code} and is filled in
 * by the process::
 *
 *	fd                          memory
 *	0            +-----------+  code            trampoline 0
 *	             |    r-x    |  code + stride   trampoline 1
 *	             |           |  ...
 *	table_offset +-----------+  table           slot 0 {data, code, ...}
 *	             |    rw-    |  table + stride  slot 1 {data, code, ...}
 *	             +-----------+  ...
 *
 * There is one rule: trampoline i is at code + i * stride, and its slot is
 * table_offset above it.
 *
 * A complete use, in C, for callbacks to target(), which finds its context in
 * the register that the ABI uses for that (see "Registers"); size is the bytes
 * of code and of table to map, a multiple of the page size, at most
 * table_size::
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
 * The first mmap() reserves both areas, so that nothing else can be mapped
 * between them; the second puts the table at its distance from the code.
 *
 * To carry a context in the slot itself, ask for %TRAMPFD_MODE_SLOT and a stride
 * of at least two words and the context: target() gets the address of the slot.
 */

#ifndef _UAPI_LINUX_TRAMPFD_H
#define _UAPI_LINUX_TRAMPFD_H

#include <linux/types.h>

/**
 * enum trampfd_abi - instructions, registers and word size
 *
 * @TRAMPFD_ABI_CALLER: The ABI of the system call itself: %TRAMPFD_ABI_I386
 *	for one made through the i386 entry, even by a 64-bit process;
 *	%TRAMPFD_ABI_X86_64 for one of x86_64 and of x32; %TRAMPFD_ABI_ARM64
 *	and %TRAMPFD_ABI_ARM for one of a 64-bit and of a 32-bit task;
 *	%TRAMPFD_ABI_RISCV64, %TRAMPFD_ABI_PPC64LE, %TRAMPFD_ABI_S390X and
 *	%TRAMPFD_ABI_LOONGARCH64 for one of a 64-bit task (a 32-bit task of
 *	these is refused with EOPNOTSUPP).
 * @TRAMPFD_ABI_X86_64: 64-bit code of x86, which x32 is too; slots are
 *	&struct trampfd_slot64.
 * @TRAMPFD_ABI_I386: 32-bit code of x86; slots are &struct trampfd_slot32.
 * @TRAMPFD_ABI_ARM64: AArch64 code; slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_ARM: A32 code, for callers and targets in A32 and in T32 (Thumb)
 *	state: bit 0 of slot.code is the state of the target.  Slots are
 *	&struct trampfd_slot32.
 * @TRAMPFD_ABI_RISCV64: 64-bit code of RISC-V; slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_PPC64LE: 64-bit little-endian code of Power, with the ELFv2 ABI: a
 *	trampoline relies on r12, in which the ABI has a caller leave the address
 *	that it calls, and leaves there that of the target.  Slots are
 *	&struct trampfd_slot64.
 * @TRAMPFD_ABI_S390X: 64-bit code of s390; slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_LOONGARCH64: 64-bit code of LoongArch; slots are
 *	&struct trampfd_slot64.
 *
 * An ABI that the running kernel has no trampolines for is refused with
 * EOPNOTSUPP.
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
 * enum trampfd_mode - what a trampoline does before it jumps to slot.code
 *
 * @TRAMPFD_MODE_DATA: data register = slot.data.
 * @TRAMPFD_MODE_SLOT: data register = address of the slot; slot.data is not
 *	read.
 * @TRAMPFD_MODE_PUSH: push the data register, then as %TRAMPFD_MODE_SLOT.  For
 *	calling conventions that leave no register free (regparm(3)): the
 *	target finds the caller's value of the register on top of the stack,
 *	above the return address, and takes it off.  Only %TRAMPFD_ABI_I386
 *	has it; EOPNOTSUPP elsewhere.
 *
 * Whatever the mode, every other register, the stack pointer (but for the one
 * word of PUSH), the return address and the flags are as the caller left them,
 * but for CTR of ppc64le, by which each call through a pointer is made.
 * No memory is written, but for i386, whose way to learn its own address
 * (call, pop) writes the one word below the stack pointer.
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
 * Registers: any general register works as data register, except the stack
 * pointer, the link register, the program counter, what an ABI reserves (global,
 * thread and TOC pointer, u0 of loongarch64), r0 and r12 of ppc64le, and r1 of
 * s390x.
 * The scratch register is any of the same on i386; x16 or x17 on arm64, as a
 * landing pad lets no other jump arrive; t1 or t3 to t6 on riscv64, as a jump
 * through t0 is a return and one through t2 asks for no landing pad; r12 on
 * ppc64le, which is to hold the address of the target; r1 on s390x, where r0 can
 * not be jumped through; t0 or t8 on loongarch64.  The two must differ.  The
 * default of the scratch register is, if that is the data register, the default
 * of the data register.
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
 * ABIs, which a C compiler uses for nested functions and for
 * __builtin_call_with_static_chain.
 * On arm64, whose psABI has none, GCC uses x18, which can be asked for.  x16, x17
 * and r12 are those that a linker's veneer may change between a call and the
 * function, and so hold nothing there.  So are t1 and t3, by a PLT entry.  t3 is
 * the static chain register of riscv64 code with landing pads (Zicfilp), whose
 * callers may have the label of the target in t2; without them it is t2, which
 * can be asked for.
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
 *	trampoline may overwrite, where it needs one.  Out: resolved; 0 if none
 *	is used.
 * @stride: In: bytes from one trampoline to the next, and from one slot to the
 *	next: a power of two, at least the smallest stride below, at most
 *	%TRAMPFD_STRIDE_MAX; 0 for the smallest.  Out: resolved.  The bytes of a
 *	slot after its two words belong to the user.
 * @table_offset: In: 0, or the answer of an earlier call.  Out: bytes from a
 *	trampoline to its slot; also the file offset of the table, and the most
 *	bytes of code.
 * @table_size: In: likewise.  Out: the most bytes of table.
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
 * (%TRAMPFD_CREATE_ARGS_SIZE_VER0 is the first) and gets that much back.
 *
 * ::
 *
 *	int trampfd_create(struct trampfd_create_args *args, size_t size);
 *
 * Returns a new file descriptor, always close-on-exec, or:
 *
 * - EINVAL: @flags, @abi or @mode unknown; @stride not a power of two, too small
 *   for the ABI and mode, or over %TRAMPFD_STRIDE_MAX; a register that does not
 *   exist, cannot work, is given where none is used, or equals the other;
 *   @table_offset or @table_size neither 0 nor what the kernel answers; size
 *   below version 0
 * - E2BIG: size beyond what the kernel knows, with a non-zero byte there; or
 *   beyond a page
 * - EFAULT: args not readable or not writable; no descriptor is left behind
 * - EOPNOTSUPP: the ABI exists but not on this kernel, or not in this mode
 * - EMFILE, ENFILE, ENOMEM: as for any file
 * - EACCES: a security module refused it
 * - ENOSYS: this kernel has no trampfd
 *
 * What the descriptor answers:
 *
 * - mmap() of any part of the code: PROT_READ, PROT_EXEC or both; EACCES with
 *   PROT_WRITE, then and at a later mprotect().  Shared and private are the same.
 *   A mapping that begins in the code may extend over the table's range, where
 *   an access is SIGBUS until the table is mapped there.
 * - mmap() of any part of the table: MAP_PRIVATE with PROT_READ, PROT_WRITE or
 *   both; EACCES with PROT_EXEC, then and at a later mprotect(); EINVAL with
 *   MAP_SHARED (EACCES if that asks for PROT_WRITE too, as the file is not open
 *   for writing).  It begins as zeroes and is ordinary private memory: fork()
 *   gives the child its own copy.  (With the personality READ_IMPLIES_EXEC the
 *   mapping succeeds and is not executable.)
 * - mmap() past the end of the table: EINVAL.
 * - read(), pread(), lseek(): one page of code, then end of file.  Every page of
 *   the code range is this one.  fstat() has the size of what can be mapped,
 *   @table_offset + @table_size.
 * - write(), ftruncate(), fallocate(), splice(), open() through /proc/self/fd:
 *   refused.
 * - close(): the mappings stay.
 *
 * Code and table can be mapped in any amount, and as often as wanted.  Where
 * limits do not allow a range of @table_offset and more (RLIMIT_AS, RLIMIT_MEMLOCK
 * with MCL_FUTURE), map one page of table anywhere, then one page of code
 * @table_offset below it, with MAP_FIXED_NOREPLACE; if that is not free, try
 * again elsewhere.
 *
 * Where the processor checks landing pads by page (BTI of arm64), the code is
 * mapped with that guard, asked for (PROT_BTI) or not.  A later mprotect() sets
 * it as PROT_BTI says, as for any mapping.
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
 * @data: Any value; what %TRAMPFD_MODE_DATA loads.
 * @code: Where the trampoline jumps to: a landing pad, where the processor
 *	checks that (endbr, bti c, lpad), as it is an indirect jump.
 *
 * The two words are loaded separately: a slot that a running thread may be
 * using is not to be changed.  Calling a trampoline whose slot was never
 * filled jumps to address 0.
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
