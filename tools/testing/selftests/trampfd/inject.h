/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection for one thread: allocations and user copies that fail
 * (Documentation/fault-injection/fault-injection.rst).
 */
#ifndef TRAMPFD_INJECT_H
#define TRAMPFD_INJECT_H

#include <sys/rseq.h>

#include "common.h"

/* Let allocations of every kind fail, and log none of the failures. */
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

static char inject_saved[ARRAY_SIZE(inject_settings)][32];

/* Save the settings and apply ours, or restore them. */
static inline int inject_set(bool restore)
{
	char path[128];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(inject_settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", inject_settings[i].path);
		fd = open(path, O_RDONLY);
		if (!restore &&
		    (fd < 0 || read(fd, inject_saved[i], sizeof(inject_saved[i]) - 1) <= 0))
			return -1;
		close(fd);
		if (write_file(path, restore ? inject_saved[i] : inject_settings[i].value))
			return -1;
	}
	return 0;
}

static inline void inject_forbid(void)
{
	inject_set(true);
}

/* Apply the settings.  Return NULL, or the reason for skipping the test. */
static inline const char *inject_allow(void)
{
	if (!access("/proc/thread-self/fail-nth", W_OK) && !inject_set(false))
		return NULL;
	inject_forbid();
	return "needs root, debugfs and CONFIG_FAILSLAB, FAIL_PAGE_ALLOC, FAULT_INJECTION_USERCOPY";
}

static inline char *inject_thread_pointer(void)
{
#ifdef __powerpc__	/* of which GCC 14 does not have the built-in */
	char *pointer;

	asm("mr %0, 13" : "=r" (pointer));
	return pointer;
#else
	return __builtin_thread_pointer();
#endif
}

/*
 * Open the descriptor that inject_arm() and inject_disarm() need for this thread.
 * It stays open, because open() itself could fail.  Unregister the thread's rseq
 * area: the kernel writes to it at any time, and kills the process if that fails.
 */
static inline int inject_open(void)
{
#ifdef RSEQ_SIG	/* glibc 2.36 on riscv registers no area and does not define it. */
	/* glibc registers at least 32 bytes, even if __rseq_size is smaller. */
	unsigned int size = __rseq_size > 32 ? __rseq_size : 32;

	if (__rseq_size)
		syscall(__NR_rseq, inject_thread_pointer() + __rseq_offset,
			size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
#endif
	return open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

/*
 * If fork() fails late, arm flushes the TLB page by page up to the last mapping
 * (dup_mmap(), flush_tlb_range()).  Under QEMU this takes a second, on a busy host
 * minutes.
 */
#ifdef __arm__
#define INJECT_SLOWS_FORK	true
#else
#define INJECT_SLOWS_FORK	false
#endif

/* Let the @nth allocation or user copy from now on fail.  Return whether it will. */
static inline bool inject_arm(int fd, unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	return write(fd, text, strlen(text)) > 0;
}

/*
 * Stop the injection.  Return whether a failure was injected.  A failure that is
 * still pending can hit the user copies of the calls here, so the first write may
 * fail.
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
