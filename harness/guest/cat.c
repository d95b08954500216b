// SPDX-License-Identifier: GPL-2.0
/* cat(1) of one file, for guests for which Debian has no busybox. */
#include "nolibc.h"

int main(int argc, char *argv[])
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	char text[4096];
	ssize_t n;

	if (fd < 0) {
		perror("cat");
		return 1;
	}
	while ((n = read(fd, text, sizeof(text))) > 0)
		if (write(1, text, n) != n)
			return 1;
	return n < 0;
}
