/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memory cgroup to run children in (Documentation/admin-guide/cgroup-v2.rst).
 *
 * selftests/cgroup/lib expects a cgroup2 mount.  This mounts one, so that the
 * tests also run in a guest that contains nothing else.
 */
#ifndef TRAMPFD_CGROUP_H
#define TRAMPFD_CGROUP_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "common.h"

/**
 * struct cgroup - a cgroup
 * @root: Mount point of the file system, private to this cgroup.
 * @path: Directory of the cgroup.
 */
struct cgroup {
	char root[32];
	char path[64];
};

/* The path of a file of @group, valid until the next call */
static inline const char *cgroup_file(const struct cgroup *group, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", group->path, file);
	return path;
}

static inline int cgroup_set(const struct cgroup *group, const char *file, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	return write_file(cgroup_file(group, file), text);
}

static inline int cgroup_remove(const struct cgroup *group)
{
	int err = -1, ms;

	/* The cgroup stays busy for a moment after its last process has ended. */
	for (ms = 0; err && ms < 2000; ms += 10) {
		err = rmdir(group->path);
		if (err)
			usleep(10000);
	}
	umount(group->root);
	rmdir(group->root);
	return err;
}

/* Make @group.  Return NULL, or the reason for skipping the test. */
static inline const char *cgroup_make(struct cgroup *group)
{
	char path[64];

	snprintf(group->root, sizeof(group->root), "/tmp/trampfd.XXXXXX");
	if (!mkdtemp(group->root))
		return "needs a directory in /tmp";
	if (mount("cgroup2", group->root, "cgroup2", 0, NULL)) {
		rmdir(group->root);
		return "needs root, and CONFIG_CGROUPS";
	}
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", group->root);
	write_file(path, "+memory");
	snprintf(group->path, sizeof(group->path), "%s/trampfd-%d", group->root, getpid());
	mkdir(group->path, 0700);
	if (!access(cgroup_file(group, "memory.max"), W_OK))
		return NULL;
	cgroup_remove(group);
	return "needs CONFIG_MEMCG, and the controller not in use by cgroup v1";
}

/* Move the calling process into @group. */
static inline int cgroup_enter(const struct cgroup *group)
{
	return cgroup_set(group, "cgroup.procs", 0);
}

/* Move the calling process to the root cgroup and remove @group. */
static inline int cgroup_leave_and_remove(const struct cgroup *group)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group->root);
	if (write_file(path, "0"))
		return -1;
	return cgroup_remove(group);
}

/* A value of memory.stat, in bytes */
static inline long cgroup_stat(const struct cgroup *group, const char *name)
{
	return read_field(cgroup_file(group, "memory.stat"), name);
}

/*
 * The kernel flushes the statistics of a cgroup after a delay, or when a large
 * change is pending.  Cause a large change.
 */
static inline void cgroup_settle(void)
{
	const size_t size = 1024 * page_size();
	void *p = anonymous(size, PROT_READ | PROT_WRITE);

	if (p == MAP_FAILED)
		return;
	madvise(p, size, MADV_NOHUGEPAGE);
	memset(p, 1, size);
	munmap(p, size);
}

#endif /* TRAMPFD_CGROUP_H */
