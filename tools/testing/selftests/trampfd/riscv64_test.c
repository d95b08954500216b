// SPDX-License-Identifier: GPL-2.0
/*
 * What riscv64 alone has: instructions of 2 bytes, at each of which code can be
 * entered, and tasks of riscv32, for which there are no trampolines.
 */
#include <linux/elf.h>
#include <linux/memfd.h>

#include "common.h"

#define JR_MASK		0xfff07fff	/* all but the register */
#define JR		0x00000067

/* Where the jump of a trampoline is, from its start */
static uint32_t jump_of(const struct instance *in, uint32_t i)
{
	const char *code = instance_trampoline(in, i);
	uint32_t offset, insn;

	for (offset = 0; offset < in->args.code_stride; offset += 4) {
		memcpy(&insn, code + offset, sizeof(insn));
		if ((insn & JR_MASK) == JR)
			break;
	}
	return offset;
}

TEST(what_a_trampoline_leaves_of_its_stride_traps)
{
	const struct abi_mode *mode;
	uint32_t i, offset;
	char *entry;

	for (mode = abi_modes; mode->name; mode++) {
		struct instance in = { .args = { .mode = mode->mode, .nr = 1 } };

		ASSERT_EQ(0, instance_open(&in));
		/* Some of DATA are longer than others. */
		for (i = 0; i < in.args.nr; i += in.args.nr / 2) {
			entry = instance_trampoline(&in, i);
			offset = jump_of(&in, i) + 4;
			ASSERT_LT(offset, in.args.code_stride);
			for (; offset < in.args.code_stride; offset += 2)
				EXPECT_EQ(SIGILL, signal_of(call, entry + offset))
					TH_LOG("%s: trampoline %u + %u", mode->name, i, offset);
		}
		instance_close(&in);
	}
}

#define RISCV32_ADDRESS		0x10000

/*
 * The file of a program of riscv32 that ends with the negative of what
 * trampfd_create() returned
 */
struct riscv32_file {
	struct elf32_hdr header;
	struct elf32_phdr segment;
	uint32_t code[8];
	struct trampfd_create_args args;
};

#define CODE_OFFSET		offsetof(struct riscv32_file, code)
#define ARGS_OFFSET		offsetof(struct riscv32_file, args)

/* Become that program; returns if the kernel does not run riscv32. */
static int run_riscv32(void *args)
{
	struct riscv32_file file = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_RISCV, .e_version = EV_CURRENT,
			.e_entry = RISCV32_ADDRESS + CODE_OFFSET,
			.e_phoff = offsetof(struct riscv32_file, segment),
			.e_ehsize = sizeof(struct elf32_hdr),
			.e_phentsize = sizeof(struct elf32_phdr), .e_phnum = 1,
		},
		.segment = {
			.p_type = PT_LOAD, .p_vaddr = RISCV32_ADDRESS,
			.p_filesz = sizeof(file), .p_memsz = sizeof(file),
			.p_flags = PF_R | PF_W | PF_X, .p_align = 4096,
		},
		.code = {
			0x00000517,		/* auipc a0, 0 */
			0x00050513 | (ARGS_OFFSET - CODE_OFFSET) << 20,	/* addi a0, a0, ... */
			0x00000593 | sizeof(file.args) << 20,		/* li a1, ... */
			0x00000893 | __NR_trampfd_create << 20,		/* li a7, ... */
			0x00000073,		/* ecall */
			0x40a00533,		/* neg a0, a0 */
			0x00000893 | __NR_exit << 20,			/* li a7, ... */
			0x00000073,		/* ecall */
		},
		.args = *(struct trampfd_create_args *)args,
	};
	char * const none[] = { NULL };
	int fd = syscall(__NR_memfd_create, "riscv32", MFD_CLOEXEC);

	if (write(fd, &file, sizeof(file)) != sizeof(file))
		return 255;
	fexecve(fd, none, none);
	return errno == ENOEXEC ? 254 : 255;
}

TEST(riscv32_task_gets_trampolines_of_riscv64_alone)
{
	struct trampfd_create_args args = { .nr = 1 };
	int status = in_child(run_riscv32, &args);

	if (status == 254)
		SKIP(return, "no riscv32 on this kernel or processor");
	EXPECT_EQ(EOPNOTSUPP, status);
	/* Its own are refused, those of another ABI of the machine are not. */
	args.abi = TRAMPFD_ABI_RISCV64;
	status = in_child(run_riscv32, &args);
	EXPECT_LT(256 - 16, status);
	EXPECT_GT(256 - 2, status);
}

TEST_HARNESS_MAIN
