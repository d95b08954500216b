/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: trampolines in the library's text, for text.c and the text*.S
 *
 * All code comes first; TEXT_TABLE bytes behind its start follow the tables,
 * one of TEXT_TABLE_SIZE for each variant, a mode and its registers.  In the
 * file they are zeroes, of which memory takes the place.  Both begin at a page,
 * whatever size of them the architecture has.
 */
#ifndef LIBTRAMPFD_TEXT_H
#define LIBTRAMPFD_TEXT_H

#define TEXT_MODE_DATA		0
#define TEXT_MODE_SLOT		1
#define TEXT_MODE_PUSH		2

#define TEXT_TABLE_SIZE		4096	/* of a variant: the smallest page */

#ifndef __ASSEMBLER__

#include <stdint.h>

/**
 * struct text_variant - what trampfd_text has for a mode and its registers
 *
 * @mode: An &enum trampfd_mode.
 * @data_reg: As TRAMPFD_REG().
 * @scratch_reg: As TRAMPFD_REG(), 0 if none is used.
 * @nr: Trampolines; 0 ends the list.
 * @code_stride: Bytes from one to the next.
 * @table_stride: Bytes from one slot to the next.
 * @code: Where the first trampoline is.
 * @table: Where its slot is.
 */
struct text_variant {
	uint32_t mode;
	uint16_t data_reg;
	uint16_t scratch_reg;
	uint32_t nr;
	uint32_t code_stride;
	uint32_t table_stride;
	uint32_t code;
	uint32_t table;
};

#define TEXT_VARIANTS_MAX	16

#define HIDDEN			__attribute__((visibility("hidden")))

extern const struct text_variant trampfd_text_variants[] HIDDEN;
extern char trampfd_text[] HIDDEN, trampfd_text_tables[] HIDDEN, trampfd_text_end[] HIDDEN;

#endif /* !__ASSEMBLER__ */

#endif /* LIBTRAMPFD_TEXT_H */
