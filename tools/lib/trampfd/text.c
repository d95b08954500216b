// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: trampolines of the library's own text (text.h)
 *
 * The first instance of each variant is the text where it is: memory takes the
 * place of the zeroes where the tables are, which needs neither a file nor
 * /proc.  For another, the file that the text is from is mapped again, and
 * memory is mapped over its tables.  That file may be another by now (the
 * library was upgraded), or not what it seems: before it is mapped, the code in
 * it is compared with that in the text.  Like all code that a process maps from a file, it
 * can be changed afterwards by who may write to the file.
 */
#include <asm/unistd.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "text.h"

static_assert(TEXT_MODE_DATA == TRAMPFD_MODE_DATA && TEXT_MODE_SLOT == TRAMPFD_MODE_SLOT &&
	      TEXT_MODE_PUSH == TRAMPFD_MODE_PUSH, "text.h");

/* Which variants' text is in use in its place, and whether tables are there. */
static bool in_use[TEXT_VARIANTS_MAX];
static bool tables_mapped;

static int find_variant(const struct trampfd_pool_attr *attr)
{
	const struct text_variant *v;
	int i;

	for (i = 0; i < TEXT_VARIANTS_MAX; i++) {
		v = &trampfd_text_variants[i];
		if (!v->nr)
			break;
		if (v->mode == attr->mode &&
		    (!attr->data_reg || v->data_reg == attr->data_reg) &&
		    (!attr->scratch_reg || v->scratch_reg == attr->scratch_reg))
			return i;
	}
	errno = attr->mode > TRAMPFD_MODE_PUSH ? EINVAL : EOPNOTSUPP;
	return -1;
}

#ifdef __NR_mmap2	/* __NR_mmap is another call, then. */
#define NR_MMAP		__NR_mmap2
#else
#define NR_MMAP		__NR_mmap
#endif

/*
 * Memory for the tables of all variants, as pages may be larger than theirs.
 * Not with mmap(): a program under ThreadSanitizer gets one that cannot do this,
 * as no account is kept of text.
 */
static int map_tables(void)
{
	size_t size = trampfd_text_end - trampfd_text_tables;

#ifdef __SANITIZE_THREAD__	/* of the library: it would write to that account */
	return -1;
#endif
	if (!tables_mapped)
		tables_mapped = syscall(NR_MMAP, trampfd_text_tables, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != -1;
	return tables_mapped ? 0 : -1;
}

/* The text in its place; false if it is in use, or there is no memory */
static bool claim(struct instance *in, int variant)
{
	const struct text_variant *v = &trampfd_text_variants[variant];
	bool ours = false;

	memory_lock();
	if (!in_use[variant] && !map_tables()) {
		in_use[variant] = true;
		ours = true;
	}
	memory_unlock();
	if (!ours)
		return false;
	in->map = NULL;
	in->code = trampfd_text + v->code;
	in->table = trampfd_text + v->table;
	return true;
}

static void disclaim(const struct instance *in)
{
	int i = 0;

	memset(in->table, 0, TEXT_TABLE_SIZE);
	while (trampfd_text + trampfd_text_variants[i].code != in->code)
		i++;
	memory_lock();
	in_use[i] = false;
	memory_unlock();
}

void text_unmap(struct instance *in)
{
	if (in->map)
		unmap_keeping_errno(in->map, in->map_size);
	else
		disclaim(in);
}

/*
 * struct origin - where the text is from
 *
 * @name: A file's; empty for the program itself.
 * @offset: Of the text in it.
 */
struct origin {
	const char *name;
	off_t offset;
};

static int find_origin(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct origin *origin = arg;
	uintptr_t offset;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		typeof(info->dlpi_phdr) p = &info->dlpi_phdr[i];

		offset = (uintptr_t)trampfd_text - (info->dlpi_addr + p->p_vaddr);
		if (p->p_type == PT_LOAD && offset < p->p_filesz) {
			origin->name = info->dlpi_name;
			origin->offset = p->p_offset + offset;
			return 1;
		}
	}
	return 0;
}

/*
 * What /proc/self/maps calls the file at the text, an absolute path, in @line,
 * which is longer than any; NULL if it can not be told.
 */
static const char *name_in_maps(char *line, size_t size)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	const char *found = NULL;
	size_t used = 0, len;
	uintptr_t start, end;
	char *newline, *p;
	ssize_t n;

	while (fd >= 0 && !found) {
		n = read(fd, line + used, size - used);
		if (n <= 0)
			break;
		used += n;
		while ((newline = memchr(line, '\n', used))) {
			*newline = '\0';
			start = strtoul(line, &p, 16);
			end = strtoul(p + 1, NULL, 16);
			if (start <= (uintptr_t)trampfd_text && (uintptr_t)trampfd_text < end) {
				found = strchr(line, '/');
				break;
			}
			len = newline + 1 - line;
			used -= len;
			memmove(line, newline + 1, used);
		}
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* Whether the file has, from @offset on, what is at @text. */
static bool has_text(int fd, off_t offset, const char *text, size_t size)
{
	char buffer[4096];
	size_t len;

	for (; size; size -= len, text += len, offset += len) {
		len = sizeof(buffer);
		if (len > size)
			len = size;
		if (pread(fd, buffer, len, offset) != (ssize_t)len ||
		    memcmp(buffer, text, len))
			return false;
	}
	return true;
}

static size_t code_size(const struct text_variant *v)
{
	return (size_t)v->nr * v->code_stride;
}

/* The file, if it is the right one as to the variant's code; -1 with errno */
static int open_origin(const char *name, off_t offset, const struct text_variant *v)
{
	int fd;

	if (!name || !*name) {
		errno = ENOENT;
		return -1;
	}
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !has_text(fd, offset + v->code, trampfd_text + v->code, code_size(v))) {
		close(fd);
		errno = ESTALE;
		return -1;
	}
	return fd;
}

/*
 * By all the names there are: a library may have been given a relative one, and
 * the program may be run by the dynamic linker as its argument.
 */
static int find_file(const struct text_variant *v, off_t *offset)
{
	struct origin origin = { NULL, 0 };
	char line[PATH_MAX + 256];
	int fd;

	dl_iterate_phdr(find_origin, &origin);
	*offset = origin.offset;
	if (!origin.name || !*origin.name)
		origin.name = "/proc/self/exe";
	fd = open_origin(origin.name, *offset, v);
	if (fd < 0 && errno != EMFILE && errno != ENFILE)
		fd = open_origin(name_in_maps(line, sizeof(line)), *offset, v);
	if (fd < 0 && errno != EMFILE && errno != ENFILE)
		fd = open_origin((const char *)getauxval(AT_EXECFN), *offset, v);
	return fd;
}

static int code_protection(void)
{
#ifdef __aarch64__
	if (getauxval(AT_HWCAP2) & HWCAP2_BTI)
		return PROT_READ | PROT_EXEC | PROT_BTI;
#endif
	return PROT_READ | PROT_EXEC;
}

static int map_file(struct instance *in, const struct text_variant *v)
{
	size_t page = sysconf(_SC_PAGESIZE), start, table, end;
	off_t offset;
	char *map;
	int fd;

	fd = find_file(v, &offset);
	if (fd < 0)
		return -1;

	start = v->code & ~(page - 1);
	table = v->table & ~(page - 1);
	end = (v->table + TEXT_TABLE_SIZE + page - 1) & ~(page - 1);
	in->map_size = end - start;
	map = mmap(NULL, in->map_size, code_protection(), MAP_PRIVATE, fd, offset + start);
	close_keeping_errno(fd);
	if (map == MAP_FAILED)
		return -1;
	if (mmap(map + table - start, end - table, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		unmap_keeping_errno(map, in->map_size);
		return -1;
	}
	in->map = map;
	in->code = map + v->code - start;
	in->table = map + v->table - start;
	return 0;
}

int text_map(struct instance *in, const struct trampfd_pool_attr *attr)
{
	int variant = find_variant(attr);
	const struct text_variant *v;

	if (variant < 0)
		return -1;
	v = &trampfd_text_variants[variant];
	if (!claim(in, variant) && map_file(in, v))
		return -1;

	in->backend = TRAMPFD_BACKEND_LIBRARY;
	in->nr = v->nr;
	in->code_size = code_size(v);
	in->code_mask = v->code_stride - 1;
	in->table_stride = v->table_stride;
	return 0;
}
