// SPDX-License-Identifier: GPL-2.0
/*
 * Executes a program in the sandbox of systemd's MemoryDenyWriteExecute= and
 * SystemCallFilter=~memfd_create: memory that was writable cannot become executable,
 * and memfd_create() fails.  The caller has to mount file systems noexec, as
 * NoExecPaths= does.
 */
#include <stdio.h>

#include "../../tools/testing/selftests/trampfd/sandbox.h"

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s PROGRAM [ARGUMENT...]\n", argv[0]);
		return 125;
	}
	if (forbid_executable_memory() || forbid(__NR_memfd_create, EPERM)) {
		perror("sandbox");
		return 125;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return errno == ENOENT ? 127 : 126;
}
