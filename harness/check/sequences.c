// SPDX-License-Identifier: GPL-2.0
/*
 * Prints trampolines of every mode with every choice of registers that the
 * kernel has, of the smallest, a middle and the largest instance, for
 * sequences.sh to compare with what an assembler makes. A line:
 *	MODE DATA SCRATCH STRIDE DISTANCE BYTES
 * registers as DWARF numbers, SCRATCH -1 if none is used, DISTANCE from the
 * trampoline to its slot. Mode and distances are decimal, bytes are not.
 */
#include "nolibc.h"

#include <linux/trampfd.h>

/* nolibc's printf() makes a system call of each piece of a line. */
static char text[1 << 16];
static size_t used;

static void flush(void)
{
	if (write(1, text, used) != (ssize_t)used)
		exit(1);
	used = 0;
}

static void put_number(int number)
{
	used += itoa_r(number, text + used);
	text[used++] = ' ';
}

static void print_trampoline(const struct trampfd_create_args *a,
			     const unsigned char *code, unsigned int i)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = code + i * a->code_stride;
	unsigned int n;

	if (used > sizeof(text) - 256)
		flush();
	put_number(a->mode);
	put_number(a->data_reg - 1);
	put_number(a->scratch_reg - 1);
	put_number(a->code_stride);
	put_number(a->table_offset + i * a->table_stride - i * a->code_stride);
	for (n = 0; n < a->code_stride; n++) {
		text[used++] = digits[p[n] >> 4];
		text[used++] = digits[p[n] & 15];
	}
	text[used++] = '\n';
}

static void print_geometry(unsigned int mode, unsigned int data,
			   unsigned int scratch, unsigned int nr)
{
	struct trampfd_create_args a = {
		.mode = mode, .data_reg = data, .scratch_reg = scratch, .nr = nr,
	};
	unsigned char *code;
	unsigned int i;
	int fd;

	fd = syscall(__NR_trampfd_create, &a, sizeof(a));
	if (fd < 0)
		return;
	code = mmap(NULL, a.code_size, PROT_READ, MAP_PRIVATE, fd, 0);
	/* Not twice, once for the number and once for the default */
	if (code != MAP_FAILED && a.scratch_reg == scratch) {
		/* Some in a row, for x86 where the distance decides on a nop */
		for (i = 0; i < 34; i++)
			print_trampoline(&a, code, i);
		print_trampoline(&a, code, a.nr / 2);
		print_trampoline(&a, code, a.nr - 1);
	}
	munmap(code, a.code_size);
	close(fd);
}

int main(void)
{
	static const unsigned int sizes[] = { 1, 512, TRAMPFD_NR_MAX };
	unsigned int mode, data, scratch, size;

	for (mode = 0; mode <= TRAMPFD_MODE_PUSH; mode++)
		for (data = 1; data <= 40; data++)
			for (scratch = 0; scratch <= 40; scratch++)
				for (size = 0; size < 3; size++)
					print_geometry(mode, data, scratch, sizes[size]);
	flush();
	return 0;
}
