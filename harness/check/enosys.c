// SPDX-License-Identifier: GPL-2.0
/* Checks that trampfd_create() of a kernel without it returns ENOSYS. */
#include <asm/unistd.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	long ret = syscall(__NR_trampfd_create, NULL, 0);
	int enosys = ret == -1 && errno == ENOSYS;

	printf("TAP version 13\n1..1\n");
	printf("%s 1 trampfd_create() returns %ld, errno %d\n",
	       enosys ? "ok" : "not ok", ret, errno);
	return !enosys;
}
