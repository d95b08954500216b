// SPDX-License-Identifier: GPL-2.0
/* A nested function, whose trampoline GCC 12 has on the stack */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	int numbers[] = { 2, 3, 1 }, calls = 0;

	int compare(const void *a, const void *b)
	{
		calls++;
		return *(const int *)a - *(const int *)b;
	}

	setvbuf(stdout, NULL, _IONBF, 0);
	puts("started");
	qsort(numbers, 3, sizeof(*numbers), compare);
	if (calls && numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3)
		puts("called back");
	return 0;
}
