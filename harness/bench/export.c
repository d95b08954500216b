// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the answer of trampfd_create() and all of the code, as read(2) returns it,
 * to its output, for native.c.
 *	export MODE NR
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
	static char buffer[65536];
	ssize_t len;
	int fd;

	if (argc != 3)
		return 1;
	args.mode = atoi(argv[1]);
	args.nr = atoi(argv[2]);
	fd = syscall(__NR_trampfd_create, &args, sizeof(args));
	if (fd < 0) {
		perror("trampfd_create");
		return 1;
	}
	fwrite(&args, sizeof(args), 1, stdout);
	while ((len = read(fd, buffer, sizeof(buffer))) > 0)
		fwrite(buffer, len, 1, stdout);
	return len || fflush(stdout);
}
