// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the trampoline of every mode, pair of registers and stride that the kernel
 * has. sequences.sh compares them with assembled ones. A line is
 *	MODE DATA SCRATCH STRIDE DISTANCE BYTES
 * DATA and SCRATCH are DWARF numbers, SCRATCH is -1 if none is used, DISTANCE is that
 * from the trampoline to its slot, all in decimal; BYTES are those of the stride in
 * hexadecimal. All trampolines of a geometry's page should be equal; one that differs
 * from the first has a line of its own.
 */
#include "nolibc.h"

#include <linux/trampfd.h>

/* printf() of nolibc makes several system calls for a line. */
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
			     const unsigned char *bytes)
{
	static const char digits[] = "0123456789abcdef";
	unsigned int n;

	if (used + 64 + 2 * a->stride > sizeof(text))
		flush();
	put_number(a->mode);
	put_number(a->data_reg - 1);
	put_number(a->scratch_reg - 1);
	put_number(a->stride);
	put_number(a->table_offset);
	for (n = 0; n < a->stride; n++) {
		text[used++] = digits[bytes[n] >> 4];
		text[used++] = digits[bytes[n] & 15];
	}
	text[used++] = '\n';
}

static void print_geometry(unsigned int mode, unsigned int data,
			   unsigned int scratch, unsigned int stride)
{
	struct trampfd_create_args a = {
		.mode = mode, .data_reg = data, .scratch_reg = scratch, .stride = stride,
	};
	const size_t size = getpagesize();
	unsigned char *page;
	size_t at;
	int fd;

	fd = syscall(__NR_trampfd_create, &a, sizeof(a));
	if (fd < 0)
		return;
	page = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	/* Skip requests of the default register, which is also requested by number. */
	if (page != MAP_FAILED && a.scratch_reg == scratch) {
		for (at = 0; at < size; at += stride)
			if (!at || memcmp(page, page + at, stride))
				print_trampoline(&a, page + at);
	}
	munmap(page, size);
	close(fd);
}

int main(void)
{
	unsigned int mode, data, scratch, stride;

	for (mode = 0; mode <= TRAMPFD_MODE_PUSH; mode++)
		for (data = 1; data <= 40; data++)
			for (scratch = 0; scratch <= 40; scratch++)
				for (stride = 1; stride <= TRAMPFD_STRIDE_MAX; stride *= 2)
					print_geometry(mode, data, scratch, stride);
	flush();
	return 0;
}
