// SPDX-License-Identifier: GPL-2.0
/*
 * Protection in the life of a process: without a table, with failed memory, in a core
 * dump, with shared memory, and after execve().
 */
#include <linux/elf.h>
#include <sched.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "protect.h"

static void unmap_table(struct __test_metadata *_metadata, void *arg)
{
	struct instance *in = arg;

	munmap(in->table, in->size);
	EXPECT_EQ(SIGSEGV, signal_of(call, in->code));
	ASSERT_EQ(in->table, mmap(in->table, in->size, RW, MAP_PRIVATE | MAP_FIXED,
				  in->fd, in->args.table_offset));
	EXPECT_EQ(8, instance_call(in, 0, 8));
}

TEST_F(protect, call_without_table)
{
	in_child(_metadata, unmap_table, &self->in);
	EXPECT_EQ(1, instance_run(&self->in, 0));
}

static void ignore(int sig)
{
}

/* Poison the child's own copy of a page of the table. */
static void poison_table(struct __test_metadata *_metadata, void *arg)
{
	struct instance *in = arg;
	uint32_t last = in->nr - 1;

	ASSERT_EQ(5, instance_call(in, 0, 5));
	/* The kernel may send SIGBUS at once. */
	signal(SIGBUS, ignore);
	if (madvise(in->table, page_size(), MADV_HWPOISON)) {
		EXPECT_TRUE(errno == EINVAL || errno == EPERM)
			TH_LOG("MADV_HWPOISON: %s", strerror(errno));
		SKIP(return, "needs root and CONFIG_MEMORY_FAILURE");
	}
	signal(SIGBUS, SIG_DFL);
	EXPECT_EQ(SIGBUS, signal_of(call, in->code));
	EXPECT_EQ(6, instance_call(in, last, 6));
	ASSERT_EQ(in->table, mmap(in->table, page_size(), RW, MAP_PRIVATE | MAP_FIXED,
				  in->fd, in->args.table_offset));
	EXPECT_EQ(7, instance_call(in, 0, 7));
}

TEST_F(protect, hwpoison_in_table)
{
	in_child(_metadata, poison_table, &self->in);
	EXPECT_EQ(1, instance_run(&self->in, 0));
}

static const char core_file[] = "/tmp/trampfd.core";

/**
 * struct core - the core dump of a child
 * @secret: Whether it contains the table, in which the child has written a secret.
 * @code: The size of the code in it, or -1 if there is no dump or no such segment.
 */
struct core {
	bool secret;
	long code;
};

#ifdef __LP64__
#define elf_header	elf64_hdr
#define elf_segment	elf64_phdr
#else
#define elf_header	elf32_hdr
#define elf_segment	elf32_phdr
#endif

static long segment_size(const char *core, const void *addr)
{
	const struct elf_header *ehdr = (void *)core;
	const struct elf_segment *phdr = (void *)(core + ehdr->e_phoff);
	int i;

	for (i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_vaddr == (uintptr_t)addr)
			return phdr[i].p_filesz;
	return -1;
}

/**
 * struct dumping - how to dump core
 * @in: The instance.
 * @table: Include the table.
 * @filter: Selects mappings, see core(5).
 */
struct dumping {
	const struct instance *in;
	bool table;
	const char *filter;
};

#define SECRET_SIZE	32

static void fill_secret(char *secret)
{
	size_t i;

	for (i = 0; i < SECRET_SIZE; i++)
		secret[i] = 0x80 + i * 5;
}

static void abort_with_secret(struct __test_metadata *_metadata, void *arg)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	const struct dumping *dumping = arg;

	ASSERT_EQ(0, setrlimit(RLIMIT_CORE, &limit));
	ASSERT_EQ(0, write_file("/proc/self/coredump_filter", dumping->filter));
	if (!dumping->table)
		ASSERT_EQ(0, madvise(dumping->in->table, dumping->in->size, MADV_DONTDUMP));
	/* The secret must not exist anywhere else. */
	fill_secret(dumping->in->table);
	abort();
}

static struct core dump_core(struct __test_metadata *_metadata, const struct instance *in,
			     bool table, const char *filter)
{
	struct dumping dumping = { in, table, filter };
	/* If there is no dump, the result must not be the expected one. */
	struct core left = { .secret = !table, .code = -1 };
	char secret[SECRET_SIZE], *core;
	struct stat st;
	int fd, status;

	unlink(core_file);
	waitpid(begin_child(_metadata, abort_with_secret, &dumping), &status, 0);
	fill_secret(secret);
	fd = open(core_file, O_RDONLY);
	if (fd < 0 || !WCOREDUMP(status) || fstat(fd, &st))
		return left;
	core = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (core != MAP_FAILED) {
		left.secret = memmem(core, st.st_size, secret, sizeof(secret));
		left.code = segment_size(core, in->code);
		munmap(core, st.st_size);
	}
	close(fd);
	unlink(core_file);
	/* The next child inherits this stack. */
	explicit_bzero(secret, sizeof(secret));
	return left;
}

/* By default a core dump contains tables, but no code. */
TEST_F(protect, core_dump)
{
	static const char setting[] = "/proc/sys/kernel/core_pattern";
	char pattern[128] = "";
	int fd = open(setting, O_RDONLY);
	struct core left;

	if (fd < 0 || read(fd, pattern, sizeof(pattern) - 1) <= 0 ||
	    write_file(setting, core_file))
		SKIP(return, "needs root, to set kernel.core_pattern");
	close(fd);
	left = dump_core(_metadata, &self->in, true, "0x33");	/* the default */
	EXPECT_TRUE(left.secret);
	EXPECT_EQ(0, left.code);
	left = dump_core(_metadata, &self->in, false, "0x33");
	EXPECT_FALSE(left.secret);
	/* With private mappings of files */
	left = dump_core(_metadata, &self->in, true, "0x37");
	EXPECT_TRUE(left.secret);
	EXPECT_LT(0, left.code);
	EXPECT_EQ(0, write_file(setting, pattern));
}

struct sharer {
	struct __test_metadata *metadata;
	const struct instance *in;
	char *text;
};

static int share_memory(void *arg)
{
	struct sharer *sharer = arg;
	struct __test_metadata *_metadata = sharer->metadata;
	size_t page = page_size();

	EXPECT_EQ(0, mprotect(sharer->text, page, RWX));
	memcpy(sharer->text, patch, sizeof(patch));
	EXPECT_EQ(EACCES, error_of(mprotect(sharer->in->code, page, RWX)));
	EXPECT_EQ(EACCES, error_of(mprotect(sharer->in->table, page, RWX)));
	EXPECT_EQ(6, instance_call(sharer->in, 0, 6));
	return 0;
}

/* A process that shares the memory has the same rights. */
TEST_F(protect, clone_vm)
{
	static const int flags[] = { CLONE_VM, CLONE_VM | CLONE_VFORK };
	struct sharer sharer = { _metadata, &self->in, self->text };
	const size_t stack_size = 64 * 1024;
	char *stack = anonymous(stack_size, RW);
	unsigned int i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		pid = clone(share_memory, stack + stack_size, flags[i] | SIGCHLD, &sharer);
		ASSERT_GT(pid, 0);
		end_child(_metadata, pid);
		EXPECT_TRUE(patched(self->text));
		EXPECT_EQ(6, instance_run(&self->in, 0));
		memset(self->text, 0, sizeof(patch));
	}
}

/* The tests below execute this program again, which then checks what it inherited. */
#define INHERITED	"TRAMPFD_TEST_INHERITED"

static bool maps_contain(const char *what)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, what);
	if (f)
		fclose(f);
	return found;
}

/* @text names descriptors of the program before: see execute_again(). */
static void check_inherited(struct __test_metadata *_metadata, const char *text)
{
	int memory, closed, kept, setuid_root, fields;
	struct instance in = { .size = page_size() };

	fields = sscanf(text, "%d %d %d %d", &memory, &closed, &kept, &setuid_root);
	EXPECT_EQ(4, fields);
	if (setuid_root && geteuid())
		_exit(KSFT_SKIP);
	/* The program before could still write to this memory. */
	EXPECT_EQ(0, map_error(memory, 0, 1, RX, MAP_SHARED));
	EXPECT_FALSE(maps_contain("[trampfd]"));
	EXPECT_EQ(-1, fcntl(closed, F_GETFD));
	/* The file that was kept on purpose has code, and an empty table. */
	close(trampfd_create(&in.args, sizeof(in.args)));
	in.fd = kept;
	EXPECT_EQ(0, instance_map(&in, 0));
	EXPECT_EQ(0, instance_slot(&in, 0)->code);
	EXPECT_EQ(0, instance_slot(&in, 0)->data);
	EXPECT_EQ(EACCES, map_error(kept, 0, 1, RW, MAP_SHARED));
	EXPECT_EQ(7, instance_call(&in, 0, 7));
}

static void __attribute__((constructor)) if_executed_again(void)
{
	struct __test_metadata metadata = { .name = "inherited" };
	const char *text = getenv(INHERITED);

	if (text) {
		check_inherited(&metadata, text);
		_exit(metadata.exit_code);
	}
}

/**
 * struct execution - how to execute this program again
 * @program: Its path.
 * @setuid_root: It is a setuid program: execute it as another user.
 * @memory: Shared memory, open in both programs.
 * @closed: A file of trampolines with O_CLOEXEC.
 * @kept: The same file without O_CLOEXEC.
 */
struct execution {
	const char *program;
	bool setuid_root;
	int memory, closed, kept;
};

static void execute_again(struct __test_metadata *_metadata, void *arg)
{
	struct execution *e = arg;
	char text[64];

	snprintf(text, sizeof(text), "%d %d %d %d", e->memory, e->closed, e->kept,
		 e->setuid_root);
	ASSERT_EQ(0, setenv(INHERITED, text, 1));
	ASSERT_EQ(0, fcntl(e->memory, F_SETFD, 0));
	if (e->setuid_root) {
		ASSERT_EQ(0, setgid(NOBODY));
		ASSERT_EQ(0, setuid(NOBODY));
	}
	EXPECT_EQ(0, execl(e->program, e->program, NULL)) TH_LOG("%s", strerror(errno));
}

static void expect_nothing_inherited(struct __test_metadata *_metadata,
				     const struct instance *in, const char *program,
				     bool setuid_root)
{
	struct execution e = {
		.program = program, .setuid_root = setuid_root,
		.memory = memory_file(), .closed = in->fd, .kept = dup(in->fd),
	};

	in_child(_metadata, execute_again, &e);
	close(e.memory);
	close(e.kept);
}

TEST_F(protect, execve)
{
	expect_nothing_inherited(_metadata, &self->in, "/proc/self/exe", false);
	EXPECT_EQ(1, instance_run(&self->in, 0));
}

static int copy_program(const char *to, mode_t mode)
{
	int in = open("/proc/self/exe", O_RDONLY), out;
	struct stat st;

	unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0700);
	if (in < 0 || out < 0 || fstat(in, &st) ||
	    sendfile(out, in, NULL, st.st_size) != st.st_size)
		return -1;
	close(in);
	return fchmod(out, mode) | close(out);
}

TEST_F(protect, execve_setuid)
{
	static const char program[] = "/tmp/trampfd_setuid";

	if (getuid())
		SKIP(return, "needs root, to make a setuid program");
	if (copy_program(program, 04755))
		SKIP(return, "cannot write %s: %s", program, strerror(errno));
	expect_nothing_inherited(_metadata, &self->in, program, true);
	unlink(program);
	if (_metadata->exit_code == KSFT_SKIP)
		SKIP(return, "/tmp does not permit setuid programs");
}

TEST_HARNESS_MAIN
