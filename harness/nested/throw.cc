// SPDX-License-Identifier: GPL-2.0
/* Functions that throw and catch, for calls.c */

extern "C" {

void throw_now(int value)
{
	throw value;
}

int catch_from(void (*f)(void))
{
	try {
		f();
	} catch (int value) {
		return value;
	}
	return -1;
}

/* Has a destructor to run when an exception passes. */
void pass_through(void (*f)(void))
{
	struct counter {
		int &n;
		~counter() { n++; }
	};
	static thread_local int n;
	counter c = { n };

	f();
}

}
