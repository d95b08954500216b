/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions of the benchmark that depend on the ABI: instructions() reads a clock, which
 * counts instructions in a guest with -icount shift=0; jit() writes a trampoline with
 * data and target in its instructions, as compilers and libraries do.
 */
#ifndef TRAMPFD_BENCH_ABI_H
#define TRAMPFD_BENCH_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline char *put(char *p, unsigned long long value, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value <<= 8 * (sizeof(value) - size);
#endif
	memcpy(p, &value, size);
	return p + size;
}

#if defined(ABI_x86_64) || defined(ABI_i386)
static inline unsigned long long instructions(void)
{
	return __builtin_ia32_rdtsc();
}
#elif defined(ABI_arm64)
static inline unsigned long long instructions(void)
{
	unsigned long long count, frequency;

	asm volatile("mrs %0, cntvct_el0" : "=r" (count));
	asm volatile("mrs %0, cntfrq_el0" : "=r" (frequency));
	return count * (1000000000 / frequency);
}
#elif defined(ABI_arm)
static inline unsigned long long instructions(void)
{
	unsigned long long count;
	unsigned int frequency;

	asm volatile("mrrc p15, 1, %Q0, %R0, c14" : "=r" (count));
	asm volatile("mrc p15, 0, %0, c14, c0, 0" : "=r" (frequency));
	return count * (1000000000 / frequency);
}
#elif defined(ABI_riscv64)
static inline unsigned long long instructions(void)
{
	unsigned long long count;

	asm volatile("rdtime %0" : "=r" (count));
	return count * (1000000000 / 10000000);	/* the frequency of QEMU's */
}
#elif defined(ABI_ppc64le)
static inline unsigned long long instructions(void)
{
	unsigned long long count;

	asm volatile("mfspr %0, 268" : "=r" (count));
	return count * 1000 / 512;	/* the frequency of QEMU's, 512 MHz */
}
#elif defined(ABI_s390x)
static inline unsigned long long instructions(void)
{
	unsigned long long count;

	asm volatile("stckf %0" : "=Q" (count) : : "cc");
	/* in units of 2^-12 microseconds; the highest bits do not change */
	return (count & ((1ULL << 56) - 1)) * 125 / 512;
}
#elif defined(ABI_loongarch64)
static inline unsigned long long instructions(void)
{
	unsigned long long count;

	asm volatile("rdtime.d %0, $zero" : "=r" (count));
	return count * (1000000000 / 100000000);	/* the frequency of QEMU's */
}
#endif

/* The trampoline of GCC's nested functions */
#if defined(ABI_x86_64)
#define JIT_STRIDE	32
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0xfa1e0ff3, 4);			/* endbr64 */
	p = put(p, 0xba49, 2);			/* movabs $data, %r10 */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, 0xbb49, 2);			/* movabs $code, %r11 */
	p = put(p, (uintptr_t)code, sizeof(void *));
	p = put(p, 0xcce3ff41, 4);			/* jmp *%r11; int3 */
}
#elif defined(ABI_i386)
#define JIT_STRIDE	16
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0xfb1e0ff3, 4);			/* endbr32 */
	p = put(p, 0xb9, 1);				/* mov $data, %ecx */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, 0xe9, 1);				/* jmp code */
	put(p, (char *)code - (p + 4), 4);
}
#elif defined(ABI_arm64)
#define JIT_STRIDE	32
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0xd503245f, 4);			/* bti c */
	p = put(p, 0x58000071, 4);			/* ldr x17, data */
	p = put(p, 0x58000090, 4);			/* ldr x16, code */
	p = put(p, 0xd61f0200, 4);			/* br x16 */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, (uintptr_t)code, sizeof(void *));
}
#elif defined(ABI_arm)
#define JIT_STRIDE	16
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0xe59fc000, 4);			/* ldr ip, data */
	p = put(p, 0xe59ff000, 4);			/* ldr pc, code */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, (uintptr_t)code, sizeof(void *));
}
#elif defined(ABI_riscv64)
#define JIT_STRIDE	32
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0x00000317, 4);			/* auipc t1, 0 */
	p = put(p, 0x01033e03, 4);			/* ld t3, 16(t1) */
	p = put(p, 0x01833303, 4);			/* ld t1, 24(t1) */
	p = put(p, 0x00030067, 4);			/* jr t1 */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, (uintptr_t)code, sizeof(void *));
}
#elif defined(ABI_ppc64le)
#define JIT_STRIDE	32
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0xe96c0010, 4);			/* ld r11, 16(r12) */
	p = put(p, 0xe98c0018, 4);			/* ld r12, 24(r12) */
	p = put(p, 0x7d8903a6, 4);			/* mtctr r12 */
	p = put(p, 0x4e800420, 4);			/* bctr */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, (uintptr_t)code, sizeof(void *));
}
#elif defined(ABI_s390x)
#define JIT_STRIDE	32
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0x0d10, 2);				/* basr %r1, 0 */
	p = put(p, 0xeb01100e0004, 6);		/* lmg %r0, %r1, 14(%r1) */
	p = put(p, 0x07f1000000000000, 8);		/* br %r1 */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, (uintptr_t)code, sizeof(void *));
}
#elif defined(ABI_loongarch64)
#define JIT_STRIDE	32
static inline void jit(char *p, void *code, void *data)
{
	p = put(p, 0x1800000c, 4);			/* pcaddi $t0, 0 */
	p = put(p, 0x28c04194, 4);			/* ld.d $t8, $t0, 16 */
	p = put(p, 0x28c0618c, 4);			/* ld.d $t0, $t0, 24 */
	p = put(p, 0x4c000180, 4);			/* jr $t0 */
	p = put(p, (uintptr_t)data, sizeof(void *));
	p = put(p, (uintptr_t)code, sizeof(void *));
}
#endif

/*
 * A closure as in libffi: a trampoline, followed by the context.  The trampoline passes
 * the address of the closure to its target.
 */
#define CONTEXT_OFFSET	JIT_STRIDE	/* also in targets.S */
#define CLOSURE_SIZE	(2 * JIT_STRIDE)

struct context {
	void *cif, *function, *data;
};

static inline struct context *context_of(char *closure)
{
	return (struct context *)(closure + CONTEXT_OFFSET);
}

static inline void jit_closure(char *closure, void *code)
{
#ifdef ABI_x86_64
	char *p = closure;

	p = put(p, 0xfa1e0ff3, 4);			/* endbr64 */
	p = put(p, 0xfff5158d4c, 5);			/* lea closure(%rip), %r10 */
	p = put(p, 0xffff, 2);
	p = put(p, 0x0725ff, 6);			/* jmp *closure + 24(%rip) */
	p = put(p, 0x801f0f, 7);			/* nopl 0(%rax) */
	put(p, (uintptr_t)code, sizeof(void *));
#else
	jit(closure, code, closure);
#endif
}

#endif
