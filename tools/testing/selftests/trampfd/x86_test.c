// SPDX-License-Identifier: GPL-2.0
/*
 * x86: the ABI of each system call entry, i386 trampolines in a 64-bit process, and
 * the padding of trampolines.
 */
#include <sys/utsname.h>

#include "common.h"

/* The smallest stride of mode SLOT differs between the ABIs. */
#define X86_64_SLOT_STRIDE	16
#define I386_SLOT_STRIDE	32

#if defined(__x86_64__)

#define X32_SYSCALL_BIT		0x40000000

/* Memory that 32-bit pointers can address */
static void *low_memory(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}

/* trampfd_create() through the i386 entry.  Return a descriptor, or -errno. */
static int create_int80(struct trampfd_create_args *args)
{
	int ret;

	/* The system call number is the same on all architectures. */
	asm volatile("int $0x80"
		     : "=a" (ret)
		     : "a" (__NR_trampfd_create), "b" (args), "c" (sizeof(*args))
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

TEST(int80_gets_i386)
{
	struct trampfd_create_args i386 = { .abi = TRAMPFD_ABI_I386 };
	struct trampfd_create_args *args = low_memory(4096);
	int fd;

	ASSERT_NE(MAP_FAILED, args);
	args->mode = TRAMPFD_MODE_SLOT;
	fd = trampfd_create(&i386, sizeof(i386));
	if (fd < 0 && errno == EOPNOTSUPP)
		SKIP(return, "no i386 on this kernel");
	close(fd);
	fd = create_int80(args);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(TRAMPFD_ABI_I386, args->abi);
	EXPECT_EQ(I386_SLOT_STRIDE, args->stride);
	close(fd);
}

TEST(x32_gets_x86_64)
{
	struct trampfd_create_args args = { .mode = TRAMPFD_MODE_SLOT };
	int fd;

	if (syscall(__NR_getpid | X32_SYSCALL_BIT) != getpid())
		SKIP(return, "no x32 system calls on this kernel");
	fd = syscall(__NR_trampfd_create | X32_SYSCALL_BIT, &args, sizeof(args));
	ASSERT_GE(fd, 0);
	EXPECT_EQ(TRAMPFD_ABI_X86_64, args.abi);
	EXPECT_EQ(X86_64_SLOT_STRIDE, args.stride);
	close(fd);
}

/*
 * call32() switches to 32-bit code and to the stack in rsi, calls the function in
 * rdi, switches back, and returns eax.  The selectors are __USER32_CS, __USER_DS and
 * __USER_CS of the kernel.
 */
extern const char call32[], target32[], target32_push[];

asm("	.pushsection .text\n"
"	.globl	call32, target32, target32_push\n"
"call32:\n"
"	push	%rbx\n"
"	push	%rbp\n"
"	push	%r12\n"
"	push	%r13\n"
"	push	%r14\n"
"	push	%r15\n"
"	mov	%rsp, 1f(%rip)\n"
"	mov	$0x2b, %eax\n"
"	mov	%eax, %ds\n"
"	mov	%eax, %es\n"
"	mov	%rsi, %rsp\n"
"	ljmp	*4f(%rip)\n"
"	.code32\n"
"2:	call	*%edi\n"
"	ljmp	$0x33, $3f\n"
"	.code64\n"
"3:	mov	1f(%rip), %rsp\n"
"	mov	%eax, %eax\n"
"	pop	%r15\n"
"	pop	%r14\n"
"	pop	%r13\n"
"	pop	%r12\n"
"	pop	%rbp\n"
"	pop	%rbx\n"
"	ret\n"
"	.code32\n"
"target32:\n"
"	mov	%ecx, %eax\n"
"	ret\n"
"target32_push:\n"
"	add	$4, %esp\n"
"	ret\n"
"	.code64\n"
"	.popsection\n"
"	.pushsection .bss\n"
"1:	.skip	8\n"
"	.popsection\n"
"	.pushsection .rodata\n"
"4:	.long	2b\n"
"	.word	0x23\n"
"	.popsection\n");

FIXTURE(i386) {
	char *stack;
};

FIXTURE_VARIANT(i386) {
	enum trampfd_mode mode;
	uint32_t stride;
};

FIXTURE_VARIANT_ADD(i386, mode_data) { TRAMPFD_MODE_DATA, 0 };
FIXTURE_VARIANT_ADD(i386, mode_slot) { TRAMPFD_MODE_SLOT, 0 };
FIXTURE_VARIANT_ADD(i386, mode_push) { TRAMPFD_MODE_PUSH, 0 };
FIXTURE_VARIANT_ADD(i386, mode_data_64_bytes) { TRAMPFD_MODE_DATA, 64 };
FIXTURE_VARIANT_ADD(i386, mode_slot_64_bytes) { TRAMPFD_MODE_SLOT, 64 };
FIXTURE_VARIANT_ADD(i386, mode_slot_largest) { TRAMPFD_MODE_SLOT, TRAMPFD_STRIDE_MAX };

FIXTURE_SETUP(i386)
{
	self->stack = low_memory(65536);
	ASSERT_NE(MAP_FAILED, self->stack);
}

FIXTURE_TEARDOWN(i386)
{
	munmap(self->stack, 65536);
}

TEST_F(i386, runs_in_64_bit_process)
{
	struct instance in = { .args = {
		.abi = TRAMPFD_ABI_I386, .mode = variant->mode, .stride = variant->stride,
	} };
	unsigned int (*run32)(void *fn, void *stack) = (void *)call32;
	uintptr_t target = (uintptr_t)target32;
	uint32_t i, wrong = 0;

	if (variant->mode == TRAMPFD_MODE_PUSH)
		target = (uintptr_t)target32_push;

	in.fd = trampfd_create(&in.args, sizeof(in.args));
	if (in.fd < 0 && errno == EOPNOTSUPP)
		SKIP(return, "no i386 on this kernel");
	ASSERT_GE(in.fd, 0);
	in.size = in.args.table_size;
	in.nr = in.size / in.args.stride;
	ASSERT_EQ(0, instance_map(&in, MAP_32BIT));

	for (i = 0; i < in.nr; i++) {
		struct trampfd_slot32 *slot = (void *)instance_slot(&in, i);
		uint32_t want = (uintptr_t)slot;

		slot->data = 0x9e3779b9 * (i + 1);
		slot->code = target;
		if (variant->mode == TRAMPFD_MODE_DATA)
			want = slot->data;
		wrong += run32(instance_trampoline(&in, i),
			       self->stack + 65536 - 64) != want;
	}
	EXPECT_EQ(0, wrong);
	instance_close(&in);
}

#else

TEST(x86_64_needs_64_bit_kernel)
{
	struct trampfd_create_args args = {
		.abi = TRAMPFD_ABI_X86_64, .mode = TRAMPFD_MODE_SLOT,
	};
	int fd = trampfd_create(&args, sizeof(args));
	struct utsname name;

	ASSERT_EQ(0, uname(&name));
	if (!strcmp(name.machine, "x86_64")) {
		ASSERT_GE(fd, 0);
		EXPECT_EQ(X86_64_SLOT_STRIDE, args.stride);
	} else {
		EXPECT_EQ(-1, fd);
		EXPECT_EQ(EOPNOTSUPP, errno);
	}
}

#endif

#define INT3	0xcc

/*
 * The bytes after a trampoline trap.  Use the default data register: with r12, mode
 * SLOT of x86_64 leaves no byte of the smallest stride.
 */
TEST(padding_traps)
{
	static const uint32_t strides[] = { 0, 64 };
	const struct abi_mode *mode;
	unsigned char *code;
	uint32_t i, end, at;

	for (mode = abi_modes; mode->name; mode++) {
		for (i = 0; i < ARRAY_SIZE(strides); i++) {
			struct instance in = { .nr = 1, .args = {
				.mode = mode->mode, .stride = strides[i],
			} };

			ASSERT_EQ(0, instance_open(&in));
			code = instance_trampoline(&in, 1);
			for (end = in.args.stride; code[end - 1] == INT3; end--)
				;
			EXPECT_LT(end, in.args.stride);
			for (at = end; at < in.args.stride; at++)
				EXPECT_EQ(SIGTRAP, signal_of(call, code + at))
					TH_LOG("%s: trampoline + %u", mode->name, at);
			instance_close(&in);
		}
	}
}

TEST_HARNESS_MAIN
