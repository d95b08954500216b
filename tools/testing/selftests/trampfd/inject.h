/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations and user copies that fail, for one thread at a time.
 * Documentation/fault-injection/fault-injection.rst
 */
#ifndef TRAMPFD_INJECT_H
#define TRAMPFD_INJECT_H

#include <sys/rseq.h>

#include "common.h"

/* The settings that it needs, of all allocations and without a word of each */
static const struct {
	const char *path, *value;
} inject_settings[] = {
	{ "failslab/ignore-gfp-wait", "N" },
	{ "failslab/verbose", "0" },
	{ "fail_page_alloc/ignore-gfp-wait", "N" },
	{ "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "fail_page_alloc/min-order", "0" },
	{ "fail_page_alloc/verbose", "0" },
	{ "fail_usercopy/verbose", "0" },
};

/* What they were before */
static char inject_was[ARRAY_SIZE(inject_settings)][32];

static inline int inject_set(bool back)
{
	char path[128];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(inject_settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", inject_settings[i].path);
		fd = open(path, O_RDONLY);
		if (!back && (fd < 0 || read(fd, inject_was[i], sizeof(inject_was[i]) - 1) <= 0))
			return -1;
		close(fd);
		if (write_file(path, back ? inject_was[i] : inject_settings[i].value))
			return -1;
	}
	return 0;
}

static inline void inject_forbid(void)
{
	inject_set(true);
}

/* Allow it; NULL, or why that is not possible */
static inline const char *inject_allow(void)
{
	if (!access("/proc/thread-self/fail-nth", W_OK) && !inject_set(false))
		return NULL;
	inject_forbid();
	return "needs root, debugfs and CONFIG_FAILSLAB, FAIL_PAGE_ALLOC, FAULT_INJECTION_USERCOPY";
}

/*
 * A descriptor for the calls below, for failures of this thread; it is open all
 * the time, as to open it could fail too.  The thread's area for restartable
 * sequences, which the kernel copies at any time, and ends who does not let it,
 * is given up.
 */
static inline int inject_open(void)
{
#ifdef RSEQ_SIG	/* or the C library registers none, as glibc 2.36 on riscv */
	/* At least that much is registered, whatever of it is in use. */
	unsigned int size = __rseq_size > 32 ? __rseq_size : 32;

	if (__rseq_size)
		syscall(__NR_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
			size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
#endif
	return open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

/*
 * If a fork() fails late, arm flushes the TLB page by page up to the last mapping
 * (dup_mmap(), flush_tlb_range()): a second under QEMU, minutes on a busy host.
 */
#ifdef __arm__
#define INJECT_SLOWS_FORK	true
#else
#define INJECT_SLOWS_FORK	false
#endif

/* Let the @nth allocation or user copy from now on fail; whether that is so. */
static inline bool inject_arm(int fd, unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	return write(fd, text, strlen(text)) > 0;
}

/*
 * Let no more fail; whether one did.  The calls here copy too: one that is still
 * ahead can meet them.
 */
static inline bool inject_disarm(int fd)
{
	char text[16] = "";
	bool failed = pread(fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	if (inject_arm(fd, 0))
		return failed;
	inject_arm(fd, 0);
	return false;
}

#endif /* TRAMPFD_INJECT_H */
