// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: the library backend, and which files it maps.
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

/* Let mremap() fail as on kernels before 5.13: the library then opens its file. */
static int forbid_copies(void)
{
	return filter(__NR_mremap, 3, MREMAP_DONTUNMAP, MREMAP_DONTUNMAP,
		      SECCOMP_RET_ERRNO | EINVAL, 0);
}

/* Allocate and call SOME trampolines.  Return 0, or the errno. */
static int error_of_growth(void)
{
	unsigned long i;
	void *t;

	for (i = 0; i < SOME; i++) {
		t = alloc(NULL, i);
		if (!t)
			return errno;
		if (run(t) != i)
			return -1;
	}
	return 0;
}

/* Change to a root directory without /proc and without the library's file. */
static int chroot_to_nothing(void)
{
	return chroot("/proc/self/fdinfo") || chdir("/") ? -1 : 0;
}

FIXTURE(text) {
	int unused;
};

FIXTURE_VARIANT(text) {
	bool opens_file;
};

FIXTURE_VARIANT_ADD(text, mremap) { false };
FIXTURE_VARIANT_ADD(text, file) { true };

FIXTURE_SETUP(text)
{
	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	if (variant->opens_file)
		ASSERT_EQ(0, forbid_copies());
}

FIXTURE_TEARDOWN(text)
{
	EXPECT_EQ(0, mappings("wx"));
}

TEST_F(text, grows_after_chroot)
{
	if (getuid())
		SKIP(return, "needs root");
	ASSERT_NE(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, chroot_to_nothing());
	EXPECT_EQ(0, error_of_growth());
	EXPECT_NE(NULL, create(TRAMPFD_MODE_SLOT, 0));
}

TEST_F(text, first_use_after_chroot)
{
	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, chroot_to_nothing());
	EXPECT_EQ(variant->opens_file ? ENOENT : 0, error_of_growth());
}

static void *grow(void *arg)
{
	*(int *)arg = error_of_growth();
	return NULL;
}

TEST_F(text, minimum_stack_suffices)
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

TEST_F(text, no_cancellation_point)
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

/* mremap() unlocks the mapping of the library's text.  Other code stays locked. */
TEST_F(text, code_of_program_stays_locked)
{
	long before;

	if (mlockall(MCL_CURRENT))
		SKIP(return, "mlockall(): %s", strerror(errno));
	before = unlocked_code();
	ASSERT_NE(NULL, alloc(NULL, 1));
	EXPECT_LE(unlocked_code() - before, variant->opens_file ? 2 * 256 : 256);
}

TEST(error_of_kernel_is_returned)
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

/* The name of the file with the library's text */
static const char *library_name(void)
{
	const char *name = "/proc/self/exe";

	if (IS_SHARED)
		dl_iterate_phdr(find_library, &name);
	return name;
}

/* Copy @from to a new file @name, and make its directories. */
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
	/* The mode last, because writing and fchown() clear the set-ID bits. */
	if (n || fchown(to, owner, group) || fchmod(to, mode))
		return -1;
	return close(to);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

#define USER	12345	/* user and group without capabilities */

/*
 * A process on a kernel before 5.13, in a root directory without /proc that contains a
 * copy of the library's file.
 *
 * @directory: The root directory.
 * @from: The library's file.
 */
FIXTURE(jail) {
	char directory[32];
	int from;
};

FIXTURE_VARIANT(jail) {
	uid_t owner;		/* of the file */
	mode_t mode;		/* of the file */
	uid_t user;		/* of the process */
	uid_t effective;	/* effective user, or 0 for the same */
	bool capable;		/* the process keeps its capabilities */
	bool dumpable;
	int error;		/* expected */
};

FIXTURE_VARIANT_ADD(jail, root_file_of_root) { .mode = 0755 };

FIXTURE_VARIANT_ADD(jail, root_file_of_user) { .owner = USER, .mode = 0755, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, group_writable) { .mode = 0775, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, world_writable) { .mode = 0757, .error = EACCES };

FIXTURE_VARIANT_ADD(jail, user_own_file) {
	.owner = USER, .mode = 0755, .user = USER, .dumpable = true
};

FIXTURE_VARIANT_ADD(jail, user_own_file_not_dumpable) {
	.owner = USER, .mode = 0755, .user = USER, .error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_own_file_other_euid) {
	.owner = USER, .mode = 0755, .user = USER, .effective = USER + 1, .dumpable = true,
	.error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_own_file_capabilities) {
	.owner = USER, .mode = 0755, .user = USER, .capable = true, .dumpable = true,
	.error = EACCES
};

FIXTURE_VARIANT_ADD(jail, user_file_of_other_user) {
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

static void enter_jail(struct __test_metadata *_metadata, const char *directory)
{
	ASSERT_EQ(0, chroot(directory));
	ASSERT_EQ(0, chdir("/"));
}

static void grow_in_jail(struct __test_metadata *_metadata, void *arg)
{
	const struct jail_args *a = arg;
	const char *name = library_name();
	uid_t owner = a->variant->owner, user = a->variant->user;
	uid_t effective = a->variant->effective ?: user;

	ASSERT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	ASSERT_EQ(0, forbid_copies());
	enter_jail(_metadata, a->self->directory);
	ASSERT_EQ(0, copy_to(a->self->from, name, owner, owner, a->variant->mode));
	ASSERT_EQ(0, prctl(PR_SET_KEEPCAPS, a->variant->capable));
	if (user) {
		ASSERT_EQ(0, setgid(user));
		ASSERT_EQ(0, setresuid(user, effective, user));
	}
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, a->variant->dumpable));
	EXPECT_EQ(a->variant->error, error_of_growth());
}

TEST_F(jail, untrusted_file_is_eacces)
{
	struct jail_args args = { self, variant };
	struct statvfs fs;

	ASSERT_EQ(0, statvfs(self->directory, &fs));
	if (!variant->error && fs.f_flag & ST_NOSUID)
		SKIP(return, "/tmp is mounted nosuid");
	in_child(_metadata, grow_in_jail, &args);
}

/* Make a file of the same size that is zero after the first page. */
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

TEST(replaced_file_is_estale)
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
	enter_jail(_metadata, directory);
	ASSERT_EQ(0, copy_without_text(from, library_name(), 0));
	EXPECT_EQ(ESTALE, error_of_growth());
	ASSERT_EQ(0, fchdir(tmp));
	nftw(directory + 1, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/*
 * A set-group-ID program whose file its caller replaces after it has started.  The test
 * below executes a copy of this program with one of these options.
 */
#define GROW_REPLACED	"--grow-replaced"
#define GROW_OPENING	"--grow-replaced-opening-file"

static int grow_replaced(bool opens_file)
{
	struct __test_metadata metadata = { .name = "executed" }, *_metadata = &metadata;

	if (!getauxval(AT_SECURE))
		return KSFT_SKIP;
	EXPECT_EQ(0, rename("/other", "/program"));
	EXPECT_EQ(0, trampfd_set_backend(TRAMPFD_BACKEND_LIBRARY));
	if (opens_file)
		EXPECT_EQ(0, forbid_copies());
	/* The jail has no /proc/self/exe. */
	EXPECT_EQ(opens_file ? ENOENT : 0, error_of_growth());
	return metadata.exit_code;
}

static const char *grow_option;

static void run_and_replace(struct __test_metadata *_metadata, void *arg)
{
	const FIXTURE_DATA(jail) * self = arg;

	enter_jail(_metadata, self->directory);
	ASSERT_EQ(0, chown("/", USER, USER));
	ASSERT_EQ(0, copy_to(self->from, "/program", 0, USER + 1, 02755));
	ASSERT_EQ(0, copy_without_text(self->from, "/other", USER));
	ASSERT_EQ(0, setgid(USER));
	ASSERT_EQ(0, setuid(USER));
	execl("/program", "/program", grow_option, NULL);
	EXPECT_EQ(0, errno) TH_LOG("execl: %s", strerror(errno));
}

static void replace_set_id_program(struct __test_metadata *_metadata, const char *option)
{
	FIXTURE_DATA(jail) jail = { "/tmp/trampfd-XXXXXX" };

	grow_option = option;
	ASSERT_NE(NULL, mkdtemp(jail.directory));
	ASSERT_EQ(0, chmod(jail.directory, 0755));
	jail.from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	in_child(_metadata, run_and_replace, &jail);
	nftw(jail.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TEST(setgid_program_ignores_new_file)
{
	if (getuid() || IS_SHARED)
		SKIP(return, "needs root and a static program");
	replace_set_id_program(_metadata, GROW_REPLACED);
	if (_metadata->exit_code == KSFT_SKIP)
		SKIP(return, "/tmp is mounted nosuid");
	replace_set_id_program(_metadata, GROW_OPENING);
}

int main(int argc, char *argv[])
{
	is_quick(&argc, &argv);
	if (argc == 2 && !strcmp(argv[1], GROW_REPLACED))
		return grow_replaced(false);
	if (argc == 2 && !strcmp(argv[1], GROW_OPENING))
		return grow_replaced(true);
	return test_harness_run(argc, argv);
}
