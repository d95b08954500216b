// SPDX-License-Identifier: GPL-2.0
/*
 * Pressure on the stress test: injected failures and a cgroup that runs out of
 * memory; and the check for leaks.
 */
#include "stress.h"

#include "cgroup.h"
#include "inject.h"

const char *allow_failures(void)
{
	return inject_allow();
}

void forbid_failures(void)
{
	inject_forbid();
}

void open_injection(void)
{
	self->fail_nth = inject_open();
}

/* Let one of the next allocations or user copies of this thread fail. */
void arm_failure(void)
{
	unsigned int n = self->random >> 32;

	if (self->fail_nth < 0)
		return;
	self->armed = inject_arm(self->fail_nth, 1 + n % (1U << n / 64 % 7));
	count(N_ARMED, self->armed);
}

/* Stop the injection, and remember whether there was a failure. */
void disarm_failure(void)
{
	int err = errno;

	if (!self->armed)
		return;
	self->armed = false;
	self->failed = inject_disarm(self->fail_nth);
	count(N_INJECTED, self->failed);
	errno = err;
}

/* Let fork() succeed if its failure takes long. */
void disarm_slow_fork(void)
{
	if (INJECT_SLOWS_FORK)
		disarm_failure();
}

/* The limit of the cgroup for memory, and also for swap */
#define CGROUP_PAGES	1024
static struct cgroup cgroup;

const char *make_cgroup(void)
{
	const char *why = cgroup_make(&cgroup);

	if (why)
		return why;
	cgroup_set(&cgroup, "memory.swap.max", CGROUP_PAGES * page_size());
	cgroup_set(&cgroup, "memory.max", CGROUP_PAGES * page_size());
	return NULL;
}

/* Fill tables and check some of the earlier ones, until the OOM killer strikes. */
static void fill_cgroup(void)
{
	static struct instance filled[4 * CGROUP_PAGES];
	unsigned int n;
	uint32_t i, per_page;

	if (cgroup_enter(&cgroup)) {
		fail(PRESSURE, "cannot enter the cgroup: %s", strerror(errno));
		return;
	}
	for (n = 0; n < 4 * CGROUP_PAGES; n++) {
		filled[n].nr = ALL;
		if (instance_open(&filled[n])) {
			if (errno != ENOMEM)
				fail(PRESSURE, "no instance: %s", strerror(errno));
			return;
		}
		close(filled[n].fd);
		per_page = page_size() / filled[n].args.stride;
		for (i = 0; i < filled[n].nr; i += per_page) {
			unsigned int earlier = (n + i) * 7919U % (n + 1);

			instance_call(&filled[n], i, i);
			if (earlier < n && instance_run(&filled[earlier], i) != i)
				fail(PRESSURE, "slot %u of a full cgroup has changed", i);
		}
	}
	fail(PRESSURE, "the limit of the cgroup has no effect");
}

void run_out_of_memory(void)
{
	int status = 0;
	pid_t pid;

	do {
		pid = fork();
		if (!pid) {
			fill_cgroup();
			_exit(0);
		}
		waitpid(pid, &status, 0);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			count(N_OOM_KILLS, 1);
		else if (status)
			fail(PRESSURE, "wait status %#x of the process in the cgroup", status);
		usleep(300000);
	} while (!__atomic_load_n(&report->stop, __ATOMIC_RELAXED));
}

/* Whether a number falls to @most within some seconds: the kernel frees with delay */
static bool falls_to(const char *path, long most)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		long now = read_number(path);

		if (now >= 0 && now <= most)
			return true;
		if (tries % 10 == 9)
			write_file("/proc/sys/vm/drop_caches", "3");
		usleep(50000);
	}
	return false;
}

/* Check the cgroup and remove it. */
void check_cgroup(void)
{
	long kills = read_field(cgroup_file(&cgroup, "memory.events"), "oom_kill");
	/* Each CPU caches up to 64 charged pages (MEMCG_CHARGE_BATCH). */
	long most = 64 * page_size() * (sysconf(_SC_NPROCESSORS_CONF) + 1);

	if (!kills || kills != (long)report->counts[N_OOM_KILLS])
		fail(PRESSURE, "%ld processes killed, but the cgroup counts %ld",
		     report->counts[N_OOM_KILLS], kills);
	if (!falls_to(cgroup_file(&cgroup, "memory.current"), most))
		fail(PRESSURE, "%ld bytes charged to the cgroup without processes",
		     read_number(cgroup_file(&cgroup, "memory.current")));
	if (cgroup_remove(&cgroup))
		fail(PRESSURE, "cannot remove the cgroup: %s", strerror(errno));
}

static const char inode_nr[] = "/proc/sys/fs/inode-nr", file_nr[] = "/proc/sys/fs/file-nr";
static long inodes_before, files_before;

const char *save_leak_counters(void)
{
	/* 4 disables the message that the kernel logs each time. */
	if (write_file("/proc/sys/vm/drop_caches", "4") ||
	    write_file("/proc/sys/vm/drop_caches", "3"))
		return "needs root, to drop caches";
	inodes_before = read_number(inode_nr);
	files_before = read_number(file_nr);
	return NULL;
}

/*
 * Allowance for other programs.  The counter of files is also inaccurate by
 * percpu_counter_batch (32, or twice the number of CPUs) for each CPU.
 */
#define SLACK	16

void check_leaks(void)
{
	if (!falls_to(inode_nr, inodes_before + SLACK))
		fail(LEAKS, "%ld inodes, at the start %ld",
		     read_number(inode_nr), inodes_before);
	if (!falls_to(file_nr, files_before + SLACK + 2 * 32 * sysconf(_SC_NPROCESSORS_CONF)))
		fail(LEAKS, "%ld files, at the start %ld",
		     read_number(file_nr), files_before);
	ksft_print_msg("%9ld inodes at the end, %ld at the start\n",
		       read_number(inode_nr), inodes_before);
}
