# Every file can be read and written, and none (no m, no x) be executed or
# mapped executable.
profile trampfd_test {
	/ rw,
	/** rw,
	capability,
	ptrace,
	signal,
	unix,
}
