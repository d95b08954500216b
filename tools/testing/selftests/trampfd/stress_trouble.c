// SPDX-License-Identifier: GPL-2.0
/*
 * What makes it hard for the threads of the stress test: allocations and user
 * copies that fail, and memory that runs out; and what must not be left of it.
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

void open_failures(void)
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

/* See whether it did, and let the rest succeed. */
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

/* Do not let a fork() fail where that takes long. */
void spare_slow_fork(void)
{
	if (INJECT_SLOWS_FORK)
		disarm_failure();
}

/* A cgroup with room for so many pages, and twice as many with those swapped out */
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

/* Fill tables, looking back at those filled before, until the cgroup is full. */
static __noreturn void eat(void)
{
	static struct instance eaten[4 * CGROUP_PAGES];
	unsigned int n;
	uint32_t i, per_page;

	if (cgroup_enter(&cgroup))
		_exit(2);
	for (n = 0; n < 4 * CGROUP_PAGES; n++) {
		eaten[n].nr = ALL;
		if (instance_open(&eaten[n]))
			_exit(errno == ENOMEM ? 0 : 3);
		close(eaten[n].fd);
		per_page = page_size() / eaten[n].args.stride;
		for (i = 0; i < eaten[n].nr; i += per_page) {
			unsigned int look = (n + i) * 7919U % (n + 1);

			instance_call(&eaten[n], i, i);
			if (look < n && instance_run(&eaten[look], i) != i)
				_exit(4);
		}
	}
	_exit(5);
}

void run_out_of_memory(void)
{
	int status = 0;
	pid_t pid;

	do {
		pid = fork();
		if (!pid)
			eat();
		waitpid(pid, &status, 0);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			count(N_OOM_KILLS, 1);
		else if (status)
			fail(PRESSURE, "the process in the cgroup ended with status %#x", status);
		usleep(300000);
	} while (!__atomic_load_n(&report->stop, __ATOMIC_RELAXED));
}

/* Whether a number comes down to @most soon: much is freed after a delay. */
static bool comes_down(const char *path, long most)
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

/* And remove it. */
void check_cgroup(void)
{
	long kills = read_field(cgroup_file(&cgroup, "memory.events"), "oom_kill");
	/* Each processor keeps so many charges at hand (MEMCG_CHARGE_BATCH). */
	long most = 64 * page_size() * (sysconf(_SC_NPROCESSORS_CONF) + 1);

	if (!kills || kills != (long)report->counts[N_OOM_KILLS])
		fail(PRESSURE, "%ld processes killed, of which the cgroup counts %ld",
		     report->counts[N_OOM_KILLS], kills);
	if (!comes_down(cgroup_file(&cgroup, "memory.current"), most))
		fail(PRESSURE, "%ld bytes left in the cgroup without processes",
		     read_number(cgroup_file(&cgroup, "memory.current")));
	if (cgroup_remove(&cgroup))
		fail(PRESSURE, "the cgroup is in use: %s", strerror(errno));
}

static const char inode_nr[] = "/proc/sys/fs/inode-nr", file_nr[] = "/proc/sys/fs/file-nr";
static long inodes_before, files_before;

const char *look_at_leftovers(void)
{
	/* 4: without a line in the kernel's log each time */
	if (write_file("/proc/sys/vm/drop_caches", "4") ||
	    write_file("/proc/sys/vm/drop_caches", "3"))
		return "needs root, to drop caches";
	inodes_before = read_number(inode_nr);
	files_before = read_number(file_nr);
	return NULL;
}

/*
 * What other programs of the machine may have come to use meanwhile; and the
 * number of files is that of a counter which may be wrong by so many for each
 * processor (percpu_counter_batch).
 */
#define SLACK	16

void check_leftovers(void)
{
	if (!comes_down(inode_nr, inodes_before + SLACK))
		fail(LEFTOVERS, "%ld inodes, at the start %ld",
		     read_number(inode_nr), inodes_before);
	if (!comes_down(file_nr, files_before + SLACK + 2 * 32 * sysconf(_SC_NPROCESSORS_CONF)))
		fail(LEFTOVERS, "%ld files, at the start %ld",
		     read_number(file_nr), files_before);
	ksft_print_msg("%9ld inodes at the end, %ld at the start\n",
		       read_number(inode_nr), inodes_before);
}
