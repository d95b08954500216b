// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: its own text, and the file that it is from
 */
#include <ftw.h>
#include <limits.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "library.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

/* As kernels before 5.13 answer: then the library needs its file. */
static int forbid_copies(void)
{
	return filter(__NR_mremap, 3, MREMAP_DONTUNMAP, MREMAP_DONTUNMAP,
		      SECCOMP_RET_ERRNO | EINVAL, 0);
}

/* Allocate SOME: 0, the error, or 255 if anything else is wrong. */
static int error_of_growth(void)
{
	unsigned long i;
	void *t;

	for (i = 0; i < SOME; i++) {
		t = alloc(NULL, i);
		if (!t)
			return errno;
		if (run(t) != i)
			return 255;
	}
	return 0;
}

/* Where there is no file of the library's, nor /proc */
static int chroot_to_nothing(void)
{
	return chroot("/proc/self/fdinfo") || chdir("/") ? -1 : 0;
}

FIXTURE(text) {
	int unused;
};

FIXTURE_VARIANT(text) {
	bool old;	/* the kernel */
};

FIXTURE_VARIANT_ADD(text, copied) { false };
FIXTURE_VARIANT_ADD(text, opened) { true };

FIXTURE_SETUP(text)
{
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	if (variant->old)
		ASSERT_EQ(0, forbid_copies());
}

FIXTURE_TEARDOWN(text)
{
	EXPECT_EQ(0, mappings("wx"));
}

TEST_F(text, goes_on_in_another_root_directory)
{
	if (getuid())
		SKIP(return, "needs root");
	ASSERT_NE(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, chroot_to_nothing());
	EXPECT_EQ(0, error_of_growth());
	EXPECT_NE(NULL, create(TRAMPFD_MODE_SLOT, 0));
}

TEST_F(text, first_use_in_another_root_directory)
{
	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, chroot_to_nothing());
	EXPECT_EQ(variant->old ? ENOENT : 0, error_of_growth());
}

static void *grow(void *arg)
{
	*(int *)arg = error_of_growth();
	return NULL;
}

TEST_F(text, smallest_stack_is_enough)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret = -1;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, sysconf(_SC_THREAD_STACK_MIN));
	ASSERT_EQ(0, pthread_create(&thread, &attr, grow, &ret));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, ret);
}

static void *grow_while_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	*(int *)arg = error_of_growth();
	pthread_testcancel();
	return NULL;
}

TEST_F(text, opening_is_no_cancellation_point)
{
	pthread_t thread;
	int ret = -1;

	ASSERT_EQ(0, pthread_create(&thread, NULL, grow_while_cancelled, &ret));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, ret);
}

/* Kilobytes of code that are not locked */
static long unlocked_code(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	bool is_code = false;
	long size = 0, sum = 0;
	char line[512], prot[5];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*x-%*x %4s", prot) == 1)
			is_code = prot[2] == 'x';
		if (sscanf(line, "Size: %ld", &size) == 1)
			continue;
		if (is_code && !strncmp(line, "VmFlags:", 8) && !strstr(line, " lo"))
			sum += size;
	}
	if (f)
		fclose(f);
	return sum;
}

/* What the library copies from becomes unlocked, but not the code around it. */
TEST_F(text, code_of_the_program_stays_locked)
{
	long before;

	if (mlockall(MCL_CURRENT))
		SKIP(return, "mlockall(): %s", strerror(errno));
	before = unlocked_code();
	ASSERT_NE(NULL, alloc(NULL, 1));
	EXPECT_LE(unlocked_code() - before, variant->old ? 2 * 256 : 256);
}

TEST(without_kernel_and_file_the_kernels_error_is_told)
{
	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, forbid(__NR_trampfd_create, EPERM));
	ASSERT_EQ(0, forbid_copies());
	ASSERT_EQ(0, chroot_to_nothing());
	EXPECT_EQ(EPERM, error_of_growth());
}

static int find_library(struct dl_phdr_info *info, size_t size, void *name)
{
	if (!strstr(info->dlpi_name, "/libtrampfd.so"))
		return 0;
	*(const char **)name = info->dlpi_name;
	return 1;
}

/* The file with the library's text, as the library knows it without a /proc of its own */
static const char *library_name(void)
{
	const char *name = "/proc/self/exe";

	if (IS_SHARED)
		dl_iterate_phdr(find_library, &name);
	return name;
}

/* Copy what @from is open for to the file @name, with the directories that it needs. */
static int copy_to(int from, const char *name, uid_t owner, gid_t group, mode_t mode)
{
	char path[PATH_MAX], buffer[65536];
	off_t at = 0;
	ssize_t n;
	char *p;
	int to;

	snprintf(path, sizeof(path), "%s", name);
	for (p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
	while ((n = pread(from, buffer, sizeof(buffer), at)) > 0 && write(to, buffer, n) == n)
		at += n;
	/* The mode last: the others take away its bits. */
	if (n || fchown(to, owner, group) || fchmod(to, mode))
		return -1;
	return close(to);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

#define USER	12345	/* an ordinary one, and his group */

/*
 * On a kernel before 5.13, a process that entered another root directory, where
 * there is no procfs, and
 * may have become an ordinary user; a file with the library's text is there.
 */
FIXTURE(jail) {
	char directory[32];
	int from; /* what to copy */
};

FIXTURE_VARIANT(jail) {
	uid_t owner;
	mode_t mode;
	uid_t user;		/* of the process */
	uid_t effective;	/* another, or 0 for the same */
	bool capable;		/* keeps its capabilities */
	bool dumpable;
	int error;		/* of growth; 0: it goes on */
};

FIXTURE_VARIANT_ADD(jail, file_of_root) { .mode = 0755 };

FIXTURE_VARIANT_ADD(jail, file_of_a_user) { .owner = USER, .mode = 0755, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, file_written_by_a_group) { .mode = 0775, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, file_written_by_all) { .mode = 0757, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, user_and_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .dumpable = true
};

FIXTURE_VARIANT_ADD(jail, user_who_may_not_trace_and_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_who_acts_for_another_and_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .effective = USER + 1, .dumpable = true,
	.error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_with_capabilities_and_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .capable = true, .dumpable = true,
	.error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_and_file_of_another) {
	.owner = USER + 1, .mode = 0755, .user = USER, .dumpable = true, .error = EACCES
};

FIXTURE_SETUP(jail)
{
	if (getuid())
		SKIP(return, "needs root");
	snprintf(self->directory, sizeof(self->directory), "/tmp/trampfd-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	ASSERT_EQ(0, chmod(self->directory, 0755));
	self->from = open(library_name(), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->from);
}

FIXTURE_TEARDOWN(jail)
{
	nftw(self->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct jail_args {
	const FIXTURE_DATA(jail) * self;
	const FIXTURE_VARIANT(jail) * variant;
};

static int grow_in_jail(void *arg)
{
	const struct jail_args *a = arg;
	const char *name = library_name();
	uid_t owner = a->variant->owner, user = a->variant->user;
	uid_t effective = a->variant->effective ?: user;

	if (trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY) || forbid_copies() ||
	    chroot(a->self->directory) || chdir("/") ||
	    copy_to(a->self->from, name, owner, owner, a->variant->mode) ||
	    prctl(PR_SET_KEEPCAPS, a->variant->capable) ||
	    (user && (setgid(user) || setresuid(user, effective, user))) ||
	    prctl(PR_SET_DUMPABLE, a->variant->dumpable))
		return 254;
	return error_of_growth();
}

TEST_F(jail, only_a_file_that_no_other_may_write_is_mapped)
{
	struct jail_args args = { self, variant };
	struct statvfs fs;

	ASSERT_EQ(0, statvfs(self->directory, &fs));
	if (!variant->error && fs.f_flag & ST_NOSUID)
		SKIP(return, "/tmp is mounted nosuid");
	EXPECT_EQ(variant->error, result_of(grow_in_jail, &args));
}

/* A file of the same size, whose text is all zeroes: an instruction of none */
static int copy_without_text(int from, const char *name, uid_t owner)
{
	struct stat st;
	int to;

	if (fstat(from, &st) || copy_to(from, name, owner, owner, 0755))
		return -1;
	to = open(name, O_WRONLY);
	if (to < 0 || ftruncate(to, 4096) || ftruncate(to, st.st_size))
		return -1;
	return close(to);
}

TEST(file_that_is_another_now_is_not_mapped)
{
	char directory[] = "/tmp/trampfd-XXXXXX";
	int from = open(library_name(), O_RDONLY | O_CLOEXEC);
	struct statvfs fs;
	int tmp = open("/", O_PATH | O_DIRECTORY);

	if (getuid())
		SKIP(return, "needs root");
	ASSERT_NE(NULL, mkdtemp(directory));
	ASSERT_EQ(0, statvfs(directory, &fs));
	if (fs.f_flag & ST_NOSUID)
		SKIP(return, "/tmp is mounted nosuid");
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	ASSERT_EQ(0, forbid_copies());
	ASSERT_EQ(0, chroot(directory));
	ASSERT_EQ(0, chdir("/"));
	ASSERT_EQ(0, copy_without_text(from, library_name(), 0));
	EXPECT_EQ(ESTALE, error_of_growth());
	ASSERT_EQ(0, fchdir(tmp));
	nftw(directory + 1, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/*
 * A set-group-ID program whose file, once it runs, its caller replaces by one of
 * his own.
 */
#define GROW_REPLACED	"--grow-replaced"
#define GROW_OLD	"--grow-replaced-old"

static int grow_replaced(bool old)
{
	if (!getauxval(AT_SECURE))
		return 253;
	if (rename("/other", "/program") || trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY) ||
	    (old && forbid_copies()))
		return 254;
	return error_of_growth();
}

static const char *grow_option;

static int run_and_replace(void *arg)
{
	const FIXTURE_DATA(jail) * self = arg;

	if (chroot(self->directory) || chdir("/") || chown("/", USER, USER) ||
	    copy_to(self->from, "/program", 0, USER + 1, 02755) ||
	    copy_without_text(self->from, "/other", USER) || setgid(USER) || setuid(USER))
		return 254;
	execl("/program", "/program", grow_option, NULL);
	return 252;
}

/* 0, the error of its growth, or 253 if set-ID programs have no effect there */
static int replace_set_id_program(const char *option)
{
	FIXTURE_DATA(jail) jail = { "/tmp/trampfd-XXXXXX" };
	int ret;

	grow_option = option;
	if (!mkdtemp(jail.directory) || chmod(jail.directory, 0755))
		return 254;
	jail.from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ret = result_of(run_and_replace, &jail);
	nftw(jail.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return ret;
}

TEST(set_id_program_maps_no_file_of_its_caller)
{
	int ret;

	if (getuid() || IS_SHARED)
		SKIP(return, "needs root and a static program");
	ret = replace_set_id_program(GROW_REPLACED);
	if (ret == 253)
		SKIP(return, "/tmp is mounted nosuid");
	EXPECT_EQ(0, ret);
	/* Its jail has no /proc. */
	EXPECT_EQ(ENOENT, replace_set_id_program(GROW_OLD));
}

int main(int argc, char *argv[])
{
	/* What others do less of */
	is_quick(&argc, &argv);
	if (argc == 2 && !strcmp(argv[1], GROW_REPLACED))
		return grow_replaced(false);
	if (argc == 2 && !strcmp(argv[1], GROW_OLD))
		return grow_replaced(true);
	return test_harness_run(argc, argv);
}
