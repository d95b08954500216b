// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: look up names of functions in the symbol tables of ELF files
 */
#include <linux/elf.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#if UINTPTR_MAX > UINT32_MAX
#define elf_header	elf64_hdr
#define elf_section	elf64_shdr
#define elf_symbol	elf64_sym
#else
#define elf_header	elf32_hdr
#define elf_section	elf32_shdr
#define elf_symbol	elf32_sym
#endif

/* An ELF file that is mapped */
struct elf {
	const char *begin;
	size_t size;
};

/*
 * The address of @symbol.  Bit 0 of a function's value marks Thumb code (AAELF32, "Symbol
 * Values").
 */
static uintptr_t address_of(const struct elf_symbol *symbol)
{
#if defined(__arm__)
	return symbol->st_value & ~1ul;
#else
	return symbol->st_value;
#endif
}

/* The contents of @section; NULL if they are not completely in the file */
static const char *contents(const struct elf *elf, const struct elf_section *section)
{
	if (section->sh_offset > elf->size || section->sh_size > elf->size - section->sh_offset)
		return NULL;
	return elf->begin + section->sh_offset;
}

static bool find_in_table(const struct elf *elf, const struct elf_section *table,
			  const struct elf_section *strings, uintptr_t address,
			  char *name, size_t length)
{
	const struct elf_symbol *symbol = (const void *)contents(elf, table);
	const char *text = contents(elf, strings);
	size_t i, size;

	for (i = 0; symbol && text && i < table->sh_size / sizeof(*symbol); i++, symbol++) {
		size = symbol->st_size ? symbol->st_size : 1;
		if (ELF_ST_TYPE(symbol->st_info) != STT_FUNC || !symbol->st_shndx ||
		    address - address_of(symbol) >= size || symbol->st_name >= strings->sh_size)
			continue;
		snprintf(name, length, "%.*s", (int)(strings->sh_size - symbol->st_name),
			 text + symbol->st_name);
		return true;
	}
	return false;
}

void trampfd_find_symbol(const void *map, size_t size, uintptr_t address, char *name,
			 size_t length)
{
	const struct elf elf = { map, size };
	const struct elf_header *header = map;
	const struct elf_section *sections, *table;
	size_t i, nr;

	if (size < sizeof(*header) || memcmp(map, ELFMAG, SELFMAG))
		return;
	nr = header->e_shnum;
	if (header->e_shoff > size || nr > (size - header->e_shoff) / sizeof(*table))
		return;
	sections = (const void *)(elf.begin + header->e_shoff);
	for (i = 0; i < nr; i++) {
		table = &sections[i];
		if (table->sh_type != SHT_SYMTAB && table->sh_type != SHT_DYNSYM)
			continue;
		if (table->sh_link < nr &&
		    find_in_table(&elf, table, &sections[table->sh_link], address, name, length))
			return;
	}
}
