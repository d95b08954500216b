// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: unwind information of trampolines
 *
 * A trampoline has no frame, so an unwinder meets one only if a signal interrupts it.
 * The frame of its caller is then as at the entry of a function.  One description
 * (.eh_frame: LSB core specification, "Exception Frames"; DWARF 5, 6.4) therefore covers
 * all code of an instance.  i386 code uses the stack: its description computes the
 * number of words from the program counter, as that of a PLT does.
 *
 * Unwinders with a function to register code (__register_frame()) can use this.  They
 * allocate memory, and before GCC 13 take a lock for each exception.  So the program
 * has to request it, and passes the functions, because a process may have several
 * unwinders.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define DW_CFA_OFFSET(reg)	(0x80 | (reg))
#define DW_CFA_DEF_CFA		0x0c
#define DW_CFA_DEF_CFA_EXPR	0x0f
#define DW_CFA_VAL_OFFSET	0x14
#define DW_OP_DUP		0x12
#define DW_OP_SWAP		0x16
#define DW_OP_AND		0x1a
#define DW_OP_PLUS		0x22
#define DW_OP_SHL		0x24
#define DW_OP_EQ		0x29
#define DW_OP_GE		0x2a
#define DW_OP_LIT(n)		(0x30 + (n))
#define DW_OP_BREG(reg)		(0x70 + (reg))

/* The return address column, and the rules for the caller's frame and that address */
#if defined(__x86_64__)
#define COLUMN		16
static const uint8_t caller[] = { DW_CFA_DEF_CFA, 7, 8, DW_CFA_OFFSET(16), 1 };
#elif defined(__i386__)
#define COLUMN		8
#define HAS_PUSH
/*
 * The stack contains a word above the caller's frame at these offsets of the trampoline
 * (text_i386.S): at the pop, the return address of its own call; in mode PUSH also, from
 * the instruction after the push on, the pushed register.
 */
static const uint8_t caller[] = {
	DW_CFA_DEF_CFA_EXPR, 11, DW_OP_BREG(4), 4,
	DW_OP_BREG(8), 0, DW_OP_LIT(31), DW_OP_AND,
	DW_OP_LIT(9), DW_OP_EQ, DW_OP_LIT(2), DW_OP_SHL, DW_OP_PLUS,
	DW_CFA_OFFSET(8), 1
};

static const uint8_t caller_of_push[] = {
	DW_CFA_DEF_CFA_EXPR, 18, DW_OP_BREG(4), 4,
	DW_OP_BREG(8), 0, DW_OP_LIT(31), DW_OP_AND,
	DW_OP_DUP, DW_OP_LIT(5), DW_OP_GE, DW_OP_LIT(2), DW_OP_SHL, DW_OP_SWAP,
	DW_OP_LIT(10), DW_OP_EQ, DW_OP_LIT(2), DW_OP_SHL, DW_OP_PLUS, DW_OP_PLUS,
	DW_CFA_OFFSET(8), 1
};
#elif defined(__aarch64__)
#define COLUMN		30
static const uint8_t caller[] = { DW_CFA_DEF_CFA, 31, 0 };
#elif defined(__riscv)
#define COLUMN		1
static const uint8_t caller[] = { DW_CFA_DEF_CFA, 2, 0 };
#elif defined(__powerpc64__)
#define COLUMN		65	/* LR */
static const uint8_t caller[] = { DW_CFA_DEF_CFA, 1, 0 };
#elif defined(__s390x__)
#define COLUMN		14
/* A frame begins 160 bytes above the stack pointer of its caller: 20 words. */
static const uint8_t caller[] = {
	DW_CFA_DEF_CFA, 15, 0x80 | 160 % 128, 160 / 128, DW_CFA_VAL_OFFSET, 15, 20
};
#elif defined(__loongarch__)
#define COLUMN		1
static const uint8_t caller[] = { DW_CFA_DEF_CFA, 3, 0 };
#endif

#ifdef COLUMN

/**
 * struct cie - "Common Information Entry"
 * @length: Bytes that follow.
 * @id: 0.
 * @version: 1.
 * @augmentation: "zR": augmentation size and encoding of addresses follow.
 * @code_align: Not used, because no rule changes within the code.
 * @data_align: Factor of DW_CFA_offset, a signed LEB128.
 * @column: The return address column.
 * @augmentation_size: 1.
 * @encoding: 0: absolute addresses, as large as a pointer.
 * @rules: The rules of @caller; zeroes after them are DW_CFA_nop.
 */
struct cie {
	uint32_t length;
	uint32_t id;
	uint8_t version;
	char augmentation[3];
	uint8_t code_align;
	uint8_t data_align;
	uint8_t column;
	uint8_t augmentation_size;
	uint8_t encoding;
	uint8_t rules[31];
};

/**
 * struct fde - "Frame Description Entry"
 * @length: Bytes that follow.
 * @cie: Distance from here back to the CIE.
 * @begin: Address of the code.
 * @size: Bytes of code.
 * @augmentation_size: 0.
 * @rules: None.
 */
struct fde {
	uint32_t length;
	uint32_t cie;
	uintptr_t begin;
	uintptr_t size;
	uint8_t augmentation_size;
	uint8_t rules[sizeof(uintptr_t) - 1];
};

/* A section .eh_frame */
struct frames {
	struct cie cie;
	struct fde fde;
	uint32_t end;
};

static_assert(offsetof(struct cie, rules) == 17 && sizeof(struct cie) == 48 &&
	      sizeof(struct fde) == 8 + 3 * sizeof(uintptr_t), "no padding");

static const struct cie common = {
	.length = sizeof(common) - sizeof(common.length),
	.version = 1,
	.augmentation = "zR",
	.code_align = 1,
	.data_align = -sizeof(void *) & 0x7f,
	.column = COLUMN,
	.augmentation_size = 1,
};

static void describe(struct frames *frames, const struct instance *in)
{
	*frames = (struct frames) {
		.cie = common,
		.fde = {
			.length = sizeof(frames->fde) - sizeof(frames->fde.length),
			.cie = offsetof(struct frames, fde.cie),
			.begin = (uintptr_t)region_of(in),
			.size = in->size,
		},
	};
	memcpy(frames->cie.rules, caller, sizeof(caller));
#ifdef HAS_PUSH
	if (in->pool->attr.mode == TRAMPFD_MODE_PUSH)
		memcpy(frames->cie.rules, caller_of_push, sizeof(caller_of_push));
#endif
}

static int add_region(char *region, void *arg)
{
	(void)arg;
	trampfd_frames_add(instance_at(region));
	return 0;
}

/* Two threads may get here for the same instance: the one that stores it calls @add. */
void trampfd_frames_add(struct instance *in)
{
	trampfd_frames_fn *add = __atomic_load_n(&trampfd_globals.frames_add, __ATOMIC_SEQ_CST);
	void *none = NULL, *frames;
	int saved = errno;

	if (!add || __atomic_load_n(&in->frames, __ATOMIC_SEQ_CST))
		return;
	frames = malloc(sizeof(struct frames));
	if (frames) {
		describe(frames, in);
		if (replace(&in->frames, none, frames))
			add(frames);
		else
			free(frames);
	}
	errno = saved;
}

void trampfd_frames_remove(struct instance *in)
{
	if (!in->frames)
		return;
	trampfd_globals.frames_remove(in->frames);
	free(in->frames);
}

API int trampfd_set_unwinder(trampfd_frames_fn *add, trampfd_frames_fn *remove)
{
	trampfd_frames_fn *none = NULL;

	if (!add || !remove) {
		errno = EINVAL;
		return -1;
	}
	if (!replace(&trampfd_globals.frames_remove, none, remove)) {
		errno = EBUSY;
		return -1;
	}
	store(&trampfd_globals.frames_add, add);
	return trampfd_region_each(add_region, NULL);
}

#else

void trampfd_frames_add(struct instance *in)
{
	(void)in;
}

void trampfd_frames_remove(struct instance *in)
{
	(void)in;
}

API int trampfd_set_unwinder(trampfd_frames_fn *add, trampfd_frames_fn *remove)
{
	(void)add;
	(void)remove;
	errno = EOPNOTSUPP;
	return -1;
}

#endif
