// SPDX-License-Identifier: GPL-2.0
/*
 * Whether security modules permit trampfd, and under the same policy the usual ways to
 * make code at run time.
 *
 * harness/lsm/lsm.sh runs this in a guest for each module, with "-f MODULE" and with the
 * module's policies in the root directory.  Each fixture checks that its module is active
 * and loads its policy.  Each test is a process, which can confine itself irreversibly.
 */
#define _GNU_SOURCE
#include <linux/landlock.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "common.h"

#define PAGE		4096
#define SECURITYFS	"/sys/kernel/security/"

/* The usual ways to make code at run time.  Each returns 0 if the code runs, or the errno. */

/* x86_64 code, because the guest is x86_64 */
static const unsigned char code[] = {
	0xb8, 42, 0, 0, 0,	/* mov $42, %eax */
	0xc3,			/* ret */
};

static int run(void *p)
{
	if (p == MAP_FAILED)
		return errno;
	return ((int (*)(void))p)() == 42 ? 0 : ENOEXEC;
}

static int memory_rwx(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		memcpy(p, code, sizeof(code));
	return run(p);
}

/* Memory that is written, then made executable */
static int written_then_executable(int fd, int flags)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | flags, fd, 0);

	if (p == MAP_FAILED)
		return errno;
	memcpy(p, code, sizeof(code));
	return mprotect(p, PAGE, PROT_READ | PROT_EXEC) ? errno : run(p);
}

static int memory_w_then_x(void)
{
	return written_then_executable(-1, MAP_ANONYMOUS);
}

/* A file that may be executed, but not so */
static int program_w_then_x(void)
{
	return written_then_executable(open("/proc/self/exe", O_RDONLY), 0);
}

static int memfd_twice(void)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	void *p;

	if (fd < 0 || ftruncate(fd, PAGE))
		return errno;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return errno;
	memcpy(p, code, sizeof(code));
	return run(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
}

#define TMPFS_FILE	"/tmp/code"

static int file_on_tmpfs(void)
{
	int fd = open(TMPFS_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0700);

	if (fd < 0 || write(fd, code, sizeof(code)) != sizeof(code))
		return errno;
	close(fd);
	fd = open(TMPFS_FILE, O_RDONLY);
	if (fd < 0)
		return errno;
	return run(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
}

/**
 * struct answers - the result of each technique: 0 or an errno
 */
struct answers {
	int memory_rwx;
	int memory_w_then_x;
	int memfd_twice;
	int file_on_tmpfs;
	int program_w_then_x;
};

static const struct answers all_refused = { EACCES, EACCES, EACCES, EACCES, EACCES };
static const struct answers all_work;

static void expect_answers(struct __test_metadata *_metadata, const struct answers *a)
{
	EXPECT_EQ(a->memory_rwx, memory_rwx());
	EXPECT_EQ(a->memory_w_then_x, memory_w_then_x());
	EXPECT_EQ(a->memfd_twice, memfd_twice());
	EXPECT_EQ(a->file_on_tmpfs, file_on_tmpfs());
	EXPECT_EQ(a->program_w_then_x, program_w_then_x());
}

#define SIZE	(8 * PAGE)	/* of code, and of table */

/* Map the trampolines of @fd and call each.  Return 0 if they work, or the errno. */
static int use_trampolines(int fd, struct trampfd_create_args args)
{
	struct instance in = {
		.args = args, .fd = fd, .size = SIZE, .nr = SIZE / args.stride,
	};
	int err = 0;

	if (instance_map(&in, 0))
		return errno;
	if (instance_call_all(&in))
		err = ENOEXEC;
	munmap(in.code, instance_span(&in));
	return err;
}

static int trampolines(void)
{
	struct trampfd_create_args args = {};
	int err, fd = trampfd_create(&args, sizeof(args));

	if (fd < 0)
		return errno;
	err = use_trampolines(fd, args);
	close(fd);
	return err;
}

/* Map trampolines readable, then make them executable.  Return 0 or an errno. */
static int trampolines_r_then_x(void)
{
	struct instance in = {};
	int err = 0;

	in.fd = trampfd_create(&in.args, sizeof(in.args));
	if (in.fd < 0)
		return errno;
	in.code = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, in.fd, 0);
	if (in.code == MAP_FAILED)
		return errno;
	touch(in.code);
	if (mprotect(in.code, SIZE, PROT_READ | PROT_EXEC))
		err = errno;
	close(in.fd);
	return err;
}

static bool active(const char *module)
{
	char modules[256] = ",";
	FILE *f = fopen(SECURITYFS "lsm", "r");
	char name[64];

	if (!f || !fgets(modules + 1, sizeof(modules) - 2, f))
		return false;
	fclose(f);
	strcat(modules, ",");
	snprintf(name, sizeof(name), ",%s,", module);
	return strstr(modules, name);
}

/* Load the policy in the file @from.  Return 0, or -1 with errno. */
static int load(const char *from, const char *to)
{
	static char policy[64 * 1024];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY);
	ssize_t len, done = 0, n;

	if (in < 0 || out < 0)
		return -1;
	len = read(in, policy, sizeof(policy));
	while (done < len) {
		n = write(out, policy + done, len - done);
		if (n <= 0)
			return -1;
		done += n;
	}
	close(in);
	return close(out);
}

/* Open the kernel log at its end. */
static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	lseek(fd, 0, SEEK_END);
	return fd;
}

/*
 * Wait for a record of this process in the log that contains all of these words, which
 * end with NULL.  Return whether it came: audit records are written asynchronously.
 */
static bool logged(int log, ...)
{
	char line[8192], pid[32];
	const char *word;
	va_list words;
	ssize_t n;
	int ms;

	snprintf(pid, sizeof(pid), " pid=%d ", getpid());

	for (ms = 0; ms < 5000;) {
		n = read(log, line, sizeof(line) - 1);
		if (n < 0) {
			usleep(10000);
			ms += 10;
			continue;
		}
		line[n] = '\0';
		va_start(words, log);
		word = pid;
		while (word && strstr(line, word))
			word = va_arg(words, const char *);
		va_end(words);
		if (!word)
			return true;
	}
	return false;
}

/* SELinux: selinux.conf */

FIXTURE(selinux) {
	int log;
};

#define CURRENT		"/proc/self/attr/current"

static void read_current(char context[64])
{
	int fd = open(CURRENT, O_RDONLY);
	ssize_t n = read(fd, context, 63);

	context[n < 0 ? 0 : n] = '\0';
	close(fd);
}

/* Enter a domain irreversibly.  Return 0, or -1 with errno. */
static int enter(const char *domain)
{
	char context[64];

	snprintf(context, sizeof(context), "u:r:%s", domain);
	return write_file(CURRENT, context);
}

FIXTURE_SETUP(selinux)
{
	char context[64];

	ASSERT_TRUE(active("selinux"));
	mount("selinuxfs", "/sys/fs/selinux", "selinuxfs", 0, NULL);
	read_current(context);
	/* Before the first policy is loaded */
	ASSERT_TRUE(strcmp(context, "kernel") ||
		    !load("/selinux.policy", "/sys/fs/selinux/load"));
	self->log = open_log();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(selinux)
{
}

TEST_F(selinux, classic_techniques_work_outside_the_domains)
{
	expect_answers(_metadata, &all_work);
	EXPECT_EQ(0, trampolines());
}

TEST_F(selinux, classic_techniques_are_refused_where_trampfd_is_allowed)
{
	ASSERT_EQ(0, enter("closures_t"));
	expect_answers(_metadata, &all_refused);
}

TEST_F(selinux, classic_techniques_are_refused_where_trampfd_is_refused)
{
	ASSERT_EQ(0, enter("plain_t"));
	expect_answers(_metadata, &all_refused);
}

TEST_F(selinux, classic_techniques_are_refused_for_what_they_are)
{
	ASSERT_EQ(0, enter("closures_t"));
	memory_rwx();
	EXPECT_TRUE(logged(self->log, "denied", "{ execmem }", "tclass=process", NULL));
	memory_w_then_x();
	EXPECT_TRUE(logged(self->log, "denied", "{ execmem }", "tclass=process", NULL));
	memfd_twice();
	EXPECT_TRUE(logged(self->log, "denied", "{ execute }", "tmpfs_t tclass=file", NULL));
	file_on_tmpfs();
	EXPECT_TRUE(logged(self->log, "denied", "{ execute }", "tmpfs_t tclass=file", NULL));
	program_w_then_x();
	EXPECT_TRUE(logged(self->log, "denied", "{ execmod }", "root_t tclass=file", NULL));
}

TEST_F(selinux, trampolines_work_where_allowed)
{
	ASSERT_EQ(0, enter("closures_t"));
	EXPECT_EQ(0, trampolines());
	EXPECT_EQ(0, trampolines_r_then_x());
}

TEST_F(selinux, creation_without_a_rule_is_EACCES_and_audited)
{
	struct trampfd_create_args args = {};
	int next = next_fd();

	ASSERT_EQ(0, enter("plain_t"));
	EXPECT_EQ(-1, trampfd_create(&args, sizeof(args)));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(next, next_fd()) {
		TH_LOG("a descriptor is left behind");
	}
	EXPECT_TRUE(logged(self->log, "avc:  denied  { create }", "anonclass=[trampfd]",
			   "scontext=u:r:plain_t", "tcontext=u:object_r:trampfd_t",
			   "tclass=anon_inode", "permissive=0", NULL));
}

static int userfaultfd(void)
{
	return syscall(__NR_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
}

TEST_F(selinux, rule_for_trampfd_is_for_trampfd_alone)
{
	ASSERT_EQ(0, enter("closures_t"));
	EXPECT_EQ(-1, userfaultfd());
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, trampolines());
}

TEST_F(selinux, rule_for_other_anonymous_inodes_is_none_for_trampfd)
{
	ASSERT_EQ(0, enter("plain_t"));
	EXPECT_LE(0, userfaultfd());
	EXPECT_EQ(EACCES, trampolines());
}

TEST_F(selinux, mapping_code_without_execute_is_EACCES_and_audited)
{
	struct trampfd_create_args args = {};
	char *code;
	int fd;

	ASSERT_EQ(0, enter("table_t"));
	fd = trampfd_create(&args, sizeof(args));
	ASSERT_LE(0, fd);
	EXPECT_EQ(EACCES, use_trampolines(fd, args));
	EXPECT_TRUE(logged(self->log, "denied  { execute }", "path=\"anon_inode:[trampfd]\"",
			   "trampfd_t tclass=anon_inode", NULL));

	/* Reading the file, and mapping the table, need other permissions. */
	code = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, code);
	EXPECT_EQ(-1, mprotect(code, SIZE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_NE(MAP_FAILED, mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, fd, args.table_offset));
}

TEST_F(selinux, inherited_descriptor_is_checked_when_it_is_mapped)
{
	struct trampfd_create_args args = {};
	int fd = trampfd_create(&args, sizeof(args));

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, enter("plain_t"));
	EXPECT_EQ(EACCES, use_trampolines(fd, args));
	EXPECT_TRUE(logged(self->log, "denied  { map }", "scontext=u:r:plain_t",
			   "trampfd_t tclass=anon_inode", NULL));
}

/*
 * Enter @domain and receive a file that a process of closures_t created.  Return the
 * descriptor, -1 if none arrived, or -2 if something else failed.
 */
static int receive_in(const char *domain, struct trampfd_create_args *args)
{
	int status, received, pair[2];
	pid_t pid;

	*args = (struct trampfd_create_args){};
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -2;
	pid = fork();
	if (!pid) {
		int fd;

		if (enter("closures_t"))
			_exit(1);
		fd = trampfd_create(args, sizeof(*args));
		_exit(fd < 0 || send_file(pair[0], fd) ||
		      write(pair[0], args, sizeof(*args)) != sizeof(*args));
	}
	if (waitpid(pid, &status, 0) != pid || status || enter(domain))
		return -2;
	received = receive_file(pair[1]);
	return read(pair[1], args, sizeof(*args)) == sizeof(*args) ? received : -2;
}

TEST_F(selinux, descriptor_does_not_reach_a_domain_without_a_rule)
{
	struct trampfd_create_args args;

	EXPECT_EQ(-1, receive_in("plain_t", &args));
	EXPECT_TRUE(logged(self->log, "denied  { read }", "scontext=u:r:plain_t",
			   "trampfd_t tclass=anon_inode", NULL));
}

TEST_F(selinux, descriptor_works_in_another_domain_that_may_not_create)
{
	struct trampfd_create_args args;
	int fd = receive_in("user_t", &args);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, use_trampolines(fd, args));
	EXPECT_EQ(EACCES, trampolines());
}

/* AppArmor: apparmor.profile */

FIXTURE(apparmor) {
	int log;
};

FIXTURE_SETUP(apparmor)
{
	ASSERT_TRUE(active("apparmor"));
	ASSERT_EQ(0, load("/apparmor.policy", SECURITYFS "apparmor/.replace"));
	self->log = open_log();
	ASSERT_EQ(0, write_file(CURRENT, "changeprofile trampfd_test"));
}

FIXTURE_TEARDOWN(apparmor)
{
}

TEST_F(apparmor, mapping_a_file_executable_is_refused_and_audited)
{
	EXPECT_EQ(EACCES, file_on_tmpfs());
	EXPECT_TRUE(logged(self->log, "apparmor=\"DENIED\"", "operation=\"file_mmap\"",
			   "name=\"" TMPFS_FILE "\"", NULL));
}

TEST_F(apparmor, classic_techniques_that_need_no_named_file_work)
{
	const struct answers a = { .file_on_tmpfs = EACCES, .program_w_then_x = EACCES };

	expect_answers(_metadata, &a);
}

TEST_F(apparmor, trampolines_work)
{
	EXPECT_EQ(0, trampolines());
	EXPECT_EQ(0, trampolines_r_then_x());
}

/* Landlock: the process may open all files, but execute none */

FIXTURE(landlock) {};

FIXTURE_SETUP(landlock)
{
	const __u64 all = 2 * LANDLOCK_ACCESS_FS_IOCTL_DEV - 1;
	const struct landlock_ruleset_attr ruleset = { .handled_access_fs = all };
	struct landlock_path_beneath_attr root = {
		.allowed_access = all & ~LANDLOCK_ACCESS_FS_EXECUTE,
	};
	int fd;

	ASSERT_TRUE(active("landlock"));
	fd = syscall(__NR_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	ASSERT_LE(0, fd);
	root.parent_fd = open("/", O_PATH);
	ASSERT_EQ(0, syscall(__NR_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &root, 0));
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, syscall(__NR_landlock_restrict_self, fd, 0));
}

FIXTURE_TEARDOWN(landlock)
{
}

static void execute(struct __test_metadata *_metadata, void *path)
{
	char * const args[] = { "busybox", "true", NULL };

	EXPECT_EQ(-1, execv(path, args));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(landlock, executing_a_program_is_refused)
{
	in_child(_metadata, execute, "/bin/busybox");
}

TEST_F(landlock, classic_techniques_work)
{
	expect_answers(_metadata, &all_work);
}

TEST_F(landlock, trampolines_work)
{
	EXPECT_EQ(0, trampolines());
	EXPECT_EQ(0, trampolines_r_then_x());
}

/* Yama: no process may use ptrace() */

FIXTURE(yama) {};

FIXTURE_SETUP(yama)
{
	ASSERT_TRUE(active("yama"));
	ASSERT_EQ(0, write_file("/proc/sys/kernel/yama/ptrace_scope", "3"));
}

FIXTURE_TEARDOWN(yama)
{
}

TEST_F(yama, attaching_to_a_process_is_refused)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(-1, ptrace(PTRACE_ATTACH, pid, 0, 0));
	EXPECT_EQ(EPERM, errno);
	kill(pid, SIGKILL);
}

TEST_F(yama, classic_techniques_work)
{
	expect_answers(_metadata, &all_work);
}

TEST_F(yama, trampolines_work)
{
	EXPECT_EQ(0, trampolines());
	EXPECT_EQ(0, trampolines_r_then_x());
}

/* Lockdown: lockdown=confidentiality on the kernel's command line */

FIXTURE(lockdown) {};

FIXTURE_SETUP(lockdown)
{
	char level[64] = "";
	int fd = open(SECURITYFS "lockdown", O_RDONLY);

	ASSERT_TRUE(active("lockdown"));
	ASSERT_LT(0, read(fd, level, sizeof(level) - 1));
	ASSERT_NE(NULL, strstr(level, "[confidentiality]"));
	close(fd);
}

FIXTURE_TEARDOWN(lockdown)
{
}

TEST_F(lockdown, changing_the_kernel_is_refused)
{
	EXPECT_EQ(-1, open("/sys/kernel/debug/failslab/probability", O_RDWR));
	EXPECT_EQ(EPERM, errno);
}

TEST_F(lockdown, classic_techniques_work)
{
	expect_answers(_metadata, &all_work);
}

TEST_F(lockdown, trampolines_work)
{
	EXPECT_EQ(0, trampolines());
	EXPECT_EQ(0, trampolines_r_then_x());
}

/* IMA: ima.policy.  A policy can be loaded only once, so delete the file afterwards. */

FIXTURE(ima) {
	int log;
};

FIXTURE_SETUP(ima)
{
	const char *policy = SECURITYFS "ima/policy";

	ASSERT_TRUE(active("ima"));
	ASSERT_TRUE(access(policy, F_OK) || !load("/ima.policy", policy));
	self->log = open_log();
}

FIXTURE_TEARDOWN(ima)
{
}

TEST_F(ima, mapping_an_unsigned_file_executable_is_refused_and_audited)
{
	EXPECT_EQ(EACCES, file_on_tmpfs());
	EXPECT_TRUE(logged(self->log, "type=1800", "op=appraise_data",
			   "name=\"" TMPFS_FILE "\"", "res=0", NULL));
}

TEST_F(ima, classic_techniques_that_need_no_file_work)
{
	const struct answers a = {
		.memfd_twice = EACCES,
		.file_on_tmpfs = EACCES,
		.program_w_then_x = EPERM,
	};

	expect_answers(_metadata, &a);
}

/*
 * A policy that appraises all executable mappings needs an exception for trampfd: the file
 * has no signature, and no ->read_iter() for IMA to hash it.
 */
TEST_F(ima, trampolines_are_refused_and_audited)
{
	EXPECT_EQ(EACCES, trampolines());
	EXPECT_TRUE(logged(self->log, "type=1800", "op=collect_data",
			   "name=\"[trampfd]\" dev=\"trampfd\"", NULL));
}

TEST_F(ima, code_made_executable_later_is_refused_and_audited)
{
	EXPECT_EQ(EPERM, trampolines_r_then_x());
	EXPECT_TRUE(logged(self->log, "type=1800", "cause=failed-mprotect",
			   "name=\"[trampfd]\" dev=\"trampfd\"", NULL));
}

/* The policy appraises all mappings of user 1. */
TEST_F(ima, trampolines_work_where_the_policy_leaves_them_out)
{
	ASSERT_EQ(0, setuid(1));
	EXPECT_EQ(0, trampolines());
	EXPECT_EQ(0, trampolines_r_then_x());
	EXPECT_EQ(EACCES, memfd_twice());
}

/* IPE: the boot policy and signed ones */

FIXTURE(ipe) {
	int log;
};

FIXTURE_VARIANT(ipe) {
	const char *policy;
	int trampolines;
	const struct answers *classic;
};

/* IPE checks the origin of a program, not whether its pages were modified. */
static const struct answers trusted_programs_alone = { EACCES, EACCES, EACCES, EACCES, 0 };

/* Without a rule, trampfd is refused like anonymous memory. */
FIXTURE_VARIANT_ADD(ipe, boot) {
	.policy = "boot",
	.trampolines = EACCES,
	.classic = &trusted_programs_alone,
};

/* trampfd=TRUE action=ALLOW */
FIXTURE_VARIANT_ADD(ipe, allow) {
	.policy = "allow",
	.classic = &trusted_programs_alone,
};

/* trampfd=FALSE action=DENY */
FIXTURE_VARIANT_ADD(ipe, except) {
	.policy = "except",
	.classic = &trusted_programs_alone,
};

/* trampfd=TRUE action=DENY */
FIXTURE_VARIANT_ADD(ipe, forbid) {
	.policy = "forbid",
	.trampolines = EACCES,
	.classic = &all_work,
};

FIXTURE_SETUP(ipe)
{
	char from[64], path[128];

	ASSERT_TRUE(active("ipe"));
	snprintf(path, sizeof(path), SECURITYFS "ipe/policies/%s/active", variant->policy);
	snprintf(from, sizeof(from), "/ipe-%s.p7b", variant->policy);
	ASSERT_TRUE(!access(path, F_OK) || !load(from, SECURITYFS "ipe/new_policy"));
	ASSERT_EQ(0, write_file(path, "1"));
	self->log = open_log();
}

FIXTURE_TEARDOWN(ipe)
{
}

TEST_F(ipe, classic_techniques_are_answered_as_the_policy_says)
{
	expect_answers(_metadata, variant->classic);
}

TEST_F(ipe, trampolines_are_answered_as_the_policy_says)
{
	EXPECT_EQ(variant->trampolines, trampolines());
	if (variant->trampolines) {
		EXPECT_TRUE(logged(self->log, "type=1420", "ipe_hook=MMAP", "enforcing=1",
				   "path=\"anon_inode:[trampfd]\"", "action=DENY", NULL));
	}
	EXPECT_EQ(variant->trampolines, trampolines_r_then_x());
}

int main(int argc, char **argv)
{
	mount("securityfs", SECURITYFS, "securityfs", 0, NULL);
	/* Do not let the kernel suppress records. */
	write_file("/proc/sys/kernel/printk_ratelimit", "0");
	return test_harness_run(argc, argv);
}
