/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * trampfd - trampolines without executable memory of one's own
 *
 * A trampoline is a few instructions that load a data pointer and jump to
 * static code: how a C function pointer carries a context.  trampfd_create(2)
 * returns a file descriptor.  What is mapped from it is code that the kernel
 * generated, which nobody can write, and beside it a table, which nobody can
 * execute: one slot of {data, code} for each trampoline, filled in by the
 * process::
 *
 *	fd                          memory
 *	0            +-----------+  code            trampoline 0
 *	             |    r-x    |  code + stride   trampoline 1
 *	             |           |  ...
 *	table_offset +-----------+  table           slot 0 {data, code}
 *	             |    rw-    |  table + stride  slot 1 {data, code}
 *	             +-----------+  ...
 *
 * A complete use, in C, for one callback function target() that finds its
 * context in the register which the ABI uses for that (see "Registers")::
 *
 *	struct trampfd_create_args a = { .nr = 1 };
 *	int fd = syscall(__NR_trampfd_create, &a, sizeof(a));
 *	char *code = mmap(NULL, a.table_offset + a.table_size,
 *			  PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
 *	char *table = mmap(code + a.table_offset, a.table_size,
 *			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
 *			   fd, a.table_offset);
 *	close(fd);
 *
 *	struct trampfd_slot64 *slot = (void *)(table + i * a.table_stride);
 *	slot->data = (uintptr_t)&context;
 *	slot->code = (uintptr_t)target;
 *	callback = (void *)(code + i * a.code_stride);
 *
 * The first mmap() spans both areas, so that nothing can land between them;
 * the second puts the table at its one right distance from the code.
 */

#ifndef _UAPI_LINUX_TRAMPFD_H
#define _UAPI_LINUX_TRAMPFD_H

#include <linux/types.h>

/**
 * enum trampfd_abi - whose instructions, registers and word size
 *
 * @TRAMPFD_ABI_CALLER: The ABI of the system call itself: %TRAMPFD_ABI_I386
 *	for one made through the i386 entry, even by a 64-bit process;
 *	%TRAMPFD_ABI_X86_64 for one of x86_64 and of x32; %TRAMPFD_ABI_ARM64
 *	and %TRAMPFD_ABI_ARM for one of a 64-bit and of a 32-bit task;
 *	%TRAMPFD_ABI_RISCV64 for one of a 64-bit task (a 32-bit task of riscv
 *	is refused with EOPNOTSUPP).
 * @TRAMPFD_ABI_X86_64: 64-bit code of x86, which x32 is too; slots are
 *	&struct trampfd_slot64.
 * @TRAMPFD_ABI_I386: 32-bit code of x86; slots are &struct trampfd_slot32.
 * @TRAMPFD_ABI_ARM64: AArch64 code; slots are &struct trampfd_slot64.
 * @TRAMPFD_ABI_ARM: A32 code, which caller and target in T32 (Thumb) state can
 *	use as well as those in A32 state: bit 0 of slot.code says which state
 *	the target is in, as everywhere.  Slots are &struct trampfd_slot32; in
 *	mode SLOT, as many bytes behind each are the user's.
 * @TRAMPFD_ABI_RISCV64: 64-bit code of RISC-V; slots are &struct trampfd_slot64.
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
};

/**
 * enum trampfd_mode - what a trampoline does before it jumps to slot.code
 *
 * @TRAMPFD_MODE_DATA: data register = slot.data.
 * @TRAMPFD_MODE_SLOT: data register = address of the slot.
 * @TRAMPFD_MODE_PUSH: push the data register, then as %TRAMPFD_MODE_SLOT.  For
 *	calling conventions that leave no register free (regparm(3)): the
 *	target finds the caller's value of the register on top of the stack,
 *	above the return address, and takes it off.  Only %TRAMPFD_ABI_I386
 *	has it; EOPNOTSUPP elsewhere.
 *
 * Whatever the mode, every other register, the stack pointer (but for the one
 * word of PUSH), the return address and the flags are as the caller left them.
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
 * pointer and, on arm64, arm and riscv64, the link register, on arm64 and arm the
 * program counter, and on riscv64 the global and the thread pointer.
 * The scratch register is any of the same on i386; x16 or x17 on arm64, as a
 * landing pad lets no other jump arrive; and t1 or t3 to t6 on riscv64, as a jump
 * through t0 is a return and one through t2 asks for no landing pad.  The two
 * must differ.  The default of the scratch register is, if that is the data
 * register, the default of the data register.
 *
 * =======  ====  =======  =======  ============================================
 * ABI      mode  data     scratch  DWARF numbers
 *                default  default
 * =======  ====  =======  =======  ============================================
 * x86_64   DATA  r10      none     rax 0, rdx 1, rcx 2, rbx 3, rsi 4, rdi 5,
 *                                  rbp 6, r8 to r15: 8 to 15
 * x86_64   SLOT  r10      none     the same
 * i386     DATA  ecx      eax      eax 0, ecx 1, edx 2, ebx 3, ebp 5, esi 6,
 *                                  edi 7
 * i386     SLOT  ecx      none     the same
 * i386     PUSH  eax      none     the same
 * arm64    DATA  x17      x16      x0 to x29: 0 to 29
 * arm64    SLOT  x17      x16      the same
 * arm      DATA  r12      none     r0 to r12: 0 to 12
 * arm      SLOT  r12      none     the same
 * riscv64  DATA  t3       t1       x5 to x31: 5 to 31 (t0 to t2: 5 to 7,
 *                                  a0 to a7: 10 to 17, t3 to t6: 28 to 31)
 * riscv64  SLOT  t3       t1       the same
 * =======  ====  =======  =======  ============================================
 *
 * r10, ecx and r12 are the static chain registers of their ABIs, which a C
 * compiler uses for nested functions and for __builtin_call_with_static_chain.
 * On arm64, whose psABI has none, GCC uses x18, which can be asked for.  x16, x17
 * and r12 are those that a linker's veneer may change between a call and the
 * function, and so hold nothing there.  So are t1 and t3, by a PLT entry.  t3 is
 * the static chain register of riscv64 code with landing pads (Zicfilp), whose
 * callers may have the label of the target in t2; without them it is t2, which
 * can be asked for.
 */
#define TRAMPFD_REG(n)			((n) + 1)

/* The most trampolines that one file descriptor has. */
#define TRAMPFD_NR_MAX			32768

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
 * @nr: In: trampolines wanted, 1 to %TRAMPFD_NR_MAX.  Out: trampolines
 *	provided: @nr rounded up to a power of two that fills whole pages.
 * @code_stride: Out: bytes from one trampoline to the next.
 * @table_stride: Out: bytes from one slot to the next.  What is left of it
 *	behind the slot's two words belongs to the user.
 * @code_size: Out: bytes of code.  The code is at file offset 0.
 * @table_offset: Out: file offset of the table, and the distance in memory at
 *	which it must be mapped behind the code.  At least @code_size; what is
 *	between them, if anything, is never accessible (SIGBUS).
 * @table_size: Out: bytes of table.
 *
 * The layout is the same on every ABI.  Zero means the default everywhere, and
 * a structure that the kernel filled in can be passed again: the call then
 * returns another instance of the same geometry.  Later versions may append
 * fields; a caller passes the size that it was compiled with
 * (%TRAMPFD_CREATE_ARGS_SIZE_VER0 is the first) and gets that much back.
 *
 * ::
 *
 *	int trampfd_create(struct trampfd_create_args *args, size_t size);
 *
 * Returns a new file descriptor, always close-on-exec, or:
 *
 * - EINVAL: @flags, @abi or @mode unknown; @nr 0 or over %TRAMPFD_NR_MAX; a
 *   register that does not exist or cannot work, that is given where none is
 *   used, or that equals the other; size below version 0
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
 * - mmap() of the code, with or without what follows it: PROT_READ, PROT_EXEC
 *   or both; EACCES with PROT_WRITE, then and at a later mprotect().  Shared
 *   and private are the same.
 * - mmap() of the table, or a part of it: MAP_PRIVATE with PROT_READ,
 *   PROT_WRITE or both; EACCES with PROT_EXEC, then and at a later mprotect();
 *   EINVAL with MAP_SHARED (EACCES if that asks for PROT_WRITE too, as the file
 *   is not open for writing).  It begins as zeroes and is ordinary private
 *   memory: fork() gives the child its own copy.  (With the personality
 *   READ_IMPLIES_EXEC the mapping succeeds and is not executable.)
 * - mmap() past the end of the table: EINVAL.
 * - read(), pread(), lseek(): the code, then end of file.  fstat() has the size
 *   of what can be mapped, up to the end of the table.
 * - write(), ftruncate(), fallocate(), open() through /proc/self/fd: refused.
 * - close(): the mappings stay.
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
	__u32 nr;
	__u32 code_stride;
	__u32 table_stride;
	__aligned_u64 code_size;
	__aligned_u64 table_offset;
	__aligned_u64 table_size;
};

#define TRAMPFD_CREATE_ARGS_SIZE_VER0	56	/* sizeof the first version */

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
