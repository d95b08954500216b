// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the output structure of trampfd_create() and the page of code to standard output,
 * for native.c.
 *	export MODE STRIDE
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/trampfd.h>

int main(int argc, char **argv)
{
	struct trampfd_create_args args = { 0 };
	static char page[65536];
	ssize_t len;
	int fd;

	if (argc != 3)
		return 1;
	args.mode = atoi(argv[1]);
	args.stride = atoi(argv[2]);
	fd = syscall(__NR_trampfd_create, &args, sizeof(args));
	if (fd < 0) {
		perror("trampfd_create");
		return 1;
	}
	len = read(fd, page, sizeof(page));
	if (len < 0) {
		perror("read");
		return 1;
	}
	fwrite(&args, sizeof(args), 1, stdout);
	fwrite(page, len, 1, stdout);
	return fflush(stdout);
}
