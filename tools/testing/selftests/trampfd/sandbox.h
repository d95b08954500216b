/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sandboxes: memory that cannot become executable, and system calls that fail.
 */
#ifndef TRAMPFD_SANDBOX_H
#define TRAMPFD_SANDBOX_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

/* Not in <linux/prctl.h> of older kernels */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE			65
#define PR_MDWE_REFUSE_EXEC_GAIN	1
#endif

/* Return 0, or -1 with errno, as the functions below. */
static inline int forbid_executable_memory(void)
{
	return prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
}

/* The offset of the lower half of an argument in struct seccomp_data */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOWER_HALF	sizeof(uint32_t)
#else
#define LOWER_HALF	0
#endif

/*
 * Install a seccomp filter for this thread: if system call @nr has an argument @arg
 * with (arg & @mask) == @bits, do @action.  @flags are those of seccomp(2).
 */
static inline int filter(int nr, int arg, unsigned int mask, unsigned int bits,
			 unsigned int action, unsigned int flags)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[arg]) + LOWER_HALF),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(struct sock_filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* Let system call @nr fail with @error. */
static inline int forbid(int nr, int error)
{
	return filter(nr, 0, 0, 0, SECCOMP_RET_ERRNO | error, 0);
}

#endif /* TRAMPFD_SANDBOX_H */
