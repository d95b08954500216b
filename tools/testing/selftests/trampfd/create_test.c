// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd_create(): requests, answers, errors, and the properties of the file.
 */
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "common.h"

#define SIZE	sizeof(struct trampfd_create_args)

/* Return a descriptor, or -errno. */
static int create(struct trampfd_create_args args)
{
	int fd = trampfd_create(&args, SIZE);

	return fd < 0 ? -errno : fd;
}

TEST(kernel_has_trampfd)
{
	int fd = create((struct trampfd_create_args){});

	ASSERT_GE(fd, 0)
		TH_LOG("%s: is CONFIG_TRAMPFD set?", strerror(-fd));
	close(fd);
}

TEST(uapi_layout)
{
	EXPECT_EQ(40, sizeof(struct trampfd_create_args));
	EXPECT_EQ(40, TRAMPFD_CREATE_ARGS_SIZE_VER0);
	EXPECT_EQ(8, offsetof(struct trampfd_create_args, abi));
	EXPECT_EQ(16, offsetof(struct trampfd_create_args, data_reg));
	EXPECT_EQ(20, offsetof(struct trampfd_create_args, stride));
	EXPECT_EQ(24, offsetof(struct trampfd_create_args, table_offset));
	EXPECT_EQ(32, offsetof(struct trampfd_create_args, table_size));
	EXPECT_EQ(16, sizeof(struct trampfd_slot64));
	EXPECT_EQ(8, sizeof(struct trampfd_slot32));
}

TEST(zero_selects_defaults)
{
	const struct abi_mode *mode;

	for (mode = abi_modes; mode->name; mode++) {
		struct trampfd_create_args args = { .mode = mode->mode };
		int fd = trampfd_create(&args, SIZE);

		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, args.flags);
		EXPECT_EQ(abi_native, args.abi);
		EXPECT_EQ(mode->mode, args.mode);
		EXPECT_EQ(mode->data_reg, args.data_reg);
		EXPECT_EQ(mode->scratch_reg, args.scratch_reg);
		EXPECT_EQ(mode->min_stride, args.stride);
		close(fd);
	}
}

TEST(each_stride_is_granted)
{
	const struct abi_mode *mode;
	uint32_t stride;

	for (mode = abi_modes; mode->name; mode++) {
		for (stride = mode->min_stride; stride <= TRAMPFD_STRIDE_MAX; stride *= 2) {
			struct trampfd_create_args args = {
				.mode = mode->mode, .stride = stride
			};
			int fd = trampfd_create(&args, SIZE);

			ASSERT_GE(fd, 0) TH_LOG("%s, stride %u", mode->name, stride);
			EXPECT_EQ(stride, args.stride);
			close(fd);
		}
	}
}

TEST(inval_stride_too_small)
{
	const struct abi_mode *mode;
	uint32_t stride;

	for (mode = abi_modes; mode->name; mode++) {
		for (stride = 1; stride < mode->min_stride; stride *= 2) {
			EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){
				.mode = mode->mode, .stride = stride }))
				TH_LOG("%s, stride %u", mode->name, stride);
		}
	}
}

TEST(inval_stride_not_power_of_two)
{
	uint32_t stride;

	for (stride = 3; stride < TRAMPFD_STRIDE_MAX; stride++) {
		if (!(stride & (stride - 1)))
			continue;
		EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){
			.stride = stride })) TH_LOG("stride %u", stride);
	}
}

TEST(table_is_whole_pages_in_reach_of_code)
{
	const struct abi_mode *mode;
	uint32_t stride;

	for (mode = abi_modes; mode->name; mode++) {
		for (stride = mode->min_stride; stride <= TRAMPFD_STRIDE_MAX; stride *= 2) {
			struct trampfd_create_args args = {
				.mode = mode->mode, .stride = stride
			};
			int fd = trampfd_create(&args, SIZE);

			ASSERT_GE(fd, 0);
			EXPECT_EQ(0, args.table_offset % page_size());
			EXPECT_EQ(0, args.table_size % page_size());
			EXPECT_GT(args.table_size, 0);
			/* Each slot has a trampoline. */
			EXPECT_LE(args.table_size, args.table_offset);
			close(fd);
		}
	}
}

TEST(answer_is_a_valid_request)
{
	const struct abi_mode *mode;
	uint32_t stride;

	for (mode = abi_modes; mode->name; mode++) {
		for (stride = 0; stride <= 64; stride += 64) {
			struct trampfd_create_args again, first = {
				.mode = mode->mode, .stride = stride
			};
			int fd = trampfd_create(&first, SIZE), fd2;

			ASSERT_GE(fd, 0);
			again = first;
			fd2 = trampfd_create(&again, SIZE);
			ASSERT_GE(fd2, 0);
			EXPECT_EQ(0, memcmp(&first, &again, SIZE));
			EXPECT_NE(fd, fd2);
			close(fd);
			close(fd2);
		}
	}
}

TEST(file_is_cloexec_and_read_only)
{
	int fd = create((struct trampfd_create_args){});

	ASSERT_GE(fd, 0);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
	close(fd);
}

TEST(file_is_identifiable)
{
	struct trampfd_create_args args = {};
	int fd = trampfd_create(&args, SIZE);
	char path[64], target[64] = "";
	struct statfs fs;
	struct stat st;

	ASSERT_GE(fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_GT(readlink(path, target, sizeof(target) - 1), 0);
	EXPECT_STREQ("anon_inode:[trampfd]", target);
	ASSERT_EQ(0, fstatfs(fd, &fs));
	EXPECT_EQ(TRAMPFD_MAGIC, fs.f_type);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(S_IFREG | 0400, st.st_mode);
	EXPECT_EQ(args.table_offset + args.table_size, (uint64_t)st.st_size);
	close(fd);
}

static uint64_t fdinfo_field(int fd, const char *field)
{
	char path[64], line[256], name[64];
	unsigned long long value;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	snprintf(name, sizeof(name), "trampfd-%s:\t", field);
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)) &&
		    sscanf(line + strlen(name), "%llu", &value) == 1) {
			fclose(f);
			return value;
		}
	}
	if (f)
		fclose(f);
	return -1;
}

TEST(fdinfo_shows_geometry)
{
	const struct abi_mode *mode;

	for (mode = abi_modes; mode->name; mode++) {
		struct trampfd_create_args args = { .mode = mode->mode, .stride = 64 };
		int fd = trampfd_create(&args, SIZE);

		ASSERT_GE(fd, 0);
		EXPECT_EQ(args.abi, fdinfo_field(fd, "abi"));
		EXPECT_EQ(args.mode, fdinfo_field(fd, "mode"));
		EXPECT_EQ(args.data_reg, fdinfo_field(fd, "data-reg"));
		EXPECT_EQ(args.scratch_reg, fdinfo_field(fd, "scratch-reg"));
		EXPECT_EQ(args.stride, fdinfo_field(fd, "stride"));
		EXPECT_EQ(args.table_offset, fdinfo_field(fd, "table-offset"));
		EXPECT_EQ(args.table_size, fdinfo_field(fd, "table-size"));
		close(fd);
	}
}

FIXTURE(request) {};

FIXTURE_VARIANT(request) {
	struct trampfd_create_args args;
};

FIXTURE_VARIANT_ADD(request, flags) { { .flags = 1 } };
FIXTURE_VARIANT_ADD(request, high_flags) { { .flags = 1ULL << 63 } };
FIXTURE_VARIANT_ADD(request, abi) { { .abi = ABI_LAST + 1 } };
FIXTURE_VARIANT_ADD(request, abi_max) { { .abi = ~0U } };
FIXTURE_VARIANT_ADD(request, mode) { { .mode = TRAMPFD_MODE_PUSH + 1 } };
FIXTURE_VARIANT_ADD(request, mode_max) { { .mode = ~0U } };
FIXTURE_VARIANT_ADD(request, stride_1) { { .stride = 1 } };
FIXTURE_VARIANT_ADD(request, stride_48) { { .stride = 48 } };
FIXTURE_VARIANT_ADD(request, stride_over) { { .stride = TRAMPFD_STRIDE_MAX * 2 } };
FIXTURE_VARIANT_ADD(request, stride_high) { { .stride = 1U << 31 } };
FIXTURE_VARIANT_ADD(request, stride_max) { { .stride = ~0U } };

FIXTURE_SETUP(request) {}
FIXTURE_TEARDOWN(request) {}

TEST_F(request, inval)
{
	struct trampfd_create_args args = variant->args;
	int next = next_fd();

	EXPECT_EQ(-1, trampfd_create(&args, SIZE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(next, next_fd());
	EXPECT_EQ(0, memcmp(&args, &variant->args, SIZE))
		TH_LOG("a failed call changed its argument");
}

TEST(inval_register)
{
	const struct abi_mode *mode;
	int i;

	for (mode = abi_modes; mode->name; mode++) {
		struct trampfd_create_args args = { .mode = mode->mode };

		for (i = 0; abi_bad_regs[i] >= 0; i++) {
			args.data_reg = TRAMPFD_REG(abi_bad_regs[i]);
			args.scratch_reg = 0;
			EXPECT_EQ(-EINVAL, create(args))
				TH_LOG("%s: data register %d", mode->name, abi_bad_regs[i]);
			args.data_reg = 0;
			args.scratch_reg = TRAMPFD_REG(abi_bad_regs[i]);
			EXPECT_EQ(-EINVAL, create(args))
				TH_LOG("%s: scratch register %d", mode->name, abi_bad_regs[i]);
		}
	}
}

TEST(inval_scratch_register)
{
	const struct abi_reg *r, *scratch;
	const struct abi_mode *mode;
	int refused = 0;

	for (mode = abi_modes; mode->name; mode++) {
		for (r = abi_regs; mode->scratch_reg && r->name; r++) {
			for (scratch = abi_scratch_regs; scratch->name; scratch++)
				if (scratch->dwarf == r->dwarf)
					break;
			if (scratch->name)
				continue;
			EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){
				.mode = mode->mode,
				.scratch_reg = TRAMPFD_REG(r->dwarf) })) TH_LOG("%s", r->name);
			refused++;
		}
	}
	if (!refused)
		SKIP(return, "%s has no such register", abi_name);
}

TEST(default_scratch_differs_from_data)
{
	const struct abi_mode *mode;
	const struct abi_reg *r;

	for (mode = abi_modes; mode->name; mode++) {
		for (r = abi_regs; mode->scratch_reg && r->name; r++) {
			struct trampfd_create_args args = {
				.mode = mode->mode,
				.data_reg = TRAMPFD_REG(r->dwarf),
			};
			int fd = trampfd_create(&args, SIZE);

			ASSERT_GE(fd, 0) TH_LOG("%s", r->name);
			EXPECT_EQ(TRAMPFD_REG(r->dwarf), args.data_reg);
			EXPECT_EQ(args.data_reg == mode->scratch_reg ?
				  mode->data_reg : mode->scratch_reg,
				  args.scratch_reg);
			close(fd);
		}
	}
}

TEST(inval_scratch_not_used_by_mode)
{
	const struct abi_mode *mode;
	const struct abi_reg *r;

	for (mode = abi_modes; mode->name; mode++) {
		for (r = abi_regs; !mode->scratch_reg && r->name; r++)
			EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){
				.mode = mode->mode,
				.scratch_reg = TRAMPFD_REG(r->dwarf) }));
	}
}

TEST(inval_scratch_equals_data)
{
	const struct abi_mode *mode;
	const struct abi_reg *r;

	for (mode = abi_modes; mode->name; mode++) {
		for (r = abi_scratch_regs; mode->scratch_reg && r->name; r++)
			EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){
				.mode = mode->mode,
				.data_reg = TRAMPFD_REG(r->dwarf),
				.scratch_reg = TRAMPFD_REG(r->dwarf) }));
	}
}

/* Output fields must be 0, or what the kernel would answer. */
TEST(inval_output_fields)
{
	struct trampfd_create_args answer = {};
	int fd = trampfd_create(&answer, SIZE);

	ASSERT_GE(fd, 0);
	close(fd);
	EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){
			.table_offset = 2 * answer.table_offset }));
	EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){ .table_offset = 1 }));
	EXPECT_EQ(-EINVAL, create((struct trampfd_create_args){
			.table_size = answer.table_size | 1ULL << 63 }));
}

TEST(inval_size_below_version_0)
{
	struct trampfd_create_args args = {};

	EXPECT_EQ(-1, trampfd_create(&args, TRAMPFD_CREATE_ARGS_SIZE_VER0 - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, trampfd_create(&args, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* Bytes beyond the structure that the kernel knows must be 0. */
TEST(e2big_unless_excess_is_zero)
{
	size_t page = page_size(), i;
	struct trampfd_create_args *args = calloc(3, page);
	char *bytes = (char *)args;
	int fd;

	fd = trampfd_create(args, SIZE + 64);
	EXPECT_GE(fd, 0);
	close(fd);
	EXPECT_EQ(abi_native, args->abi);
	for (i = SIZE; i < SIZE + 64; i++)
		EXPECT_EQ(0, bytes[i]);

	bytes[SIZE + 63] = 1;
	EXPECT_EQ(-1, trampfd_create(args, SIZE + 64));
	EXPECT_EQ(E2BIG, errno);
	bytes[SIZE + 63] = 0;
	EXPECT_EQ(-1, trampfd_create(args, page + 1));
	EXPECT_EQ(E2BIG, errno);
	free(args);
}

TEST(efault_leaves_no_descriptor)
{
	size_t page = page_size();
	char *mem = anonymous(2 * page, PROT_READ | PROT_WRITE);
	struct trampfd_create_args *args = (void *)mem;
	int next = next_fd();

	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(-1, trampfd_create(NULL, SIZE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(next, next_fd());

	ASSERT_EQ(0, mprotect(mem, page, PROT_READ));
	EXPECT_EQ(-1, trampfd_create(args, SIZE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(next, next_fd());

	/* The second half is not mapped. */
	ASSERT_EQ(0, mprotect(mem, page, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, munmap(mem + page, page));
	args = (void *)(mem + page - SIZE / 2);
	EXPECT_EQ(-1, trampfd_create(args, SIZE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(next, next_fd());
}

TEST(eopnotsupp_foreign_abi)
{
	enum trampfd_abi abi;
	int foreign = 0;

	for (abi = TRAMPFD_ABI_CALLER; abi <= ABI_LAST; abi++) {
		if (!abi_is_foreign(abi))
			continue;
		EXPECT_EQ(-EOPNOTSUPP, create((struct trampfd_create_args){
			.abi = abi }));
		foreign++;
	}
	EXPECT_GT(foreign, 0);
}

TEST(eopnotsupp_mode)
{
	bool has[TRAMPFD_MODE_PUSH + 1] = {};
	const struct abi_mode *mode;
	unsigned int i;

	for (mode = abi_modes; mode->name; mode++)
		has[mode->mode] = true;
	for (i = 0; i <= TRAMPFD_MODE_PUSH; i++)
		if (!has[i])
			EXPECT_EQ(-EOPNOTSUPP, create((struct trampfd_create_args){
				.mode = i }));
}

TEST(emfile)
{
	struct rlimit limit;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = next_fd();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, create((struct trampfd_create_args){}));
}

/* CAP_SYS_ADMIN overrides the limit. */
static void create_as_nobody(struct __test_metadata *_metadata, void *arg)
{
	EXPECT_EQ(0, setuid(NOBODY));
	EXPECT_EQ(-ENFILE, create((struct trampfd_create_args){}));
}

TEST(enfile)
{
	static const char setting[] = "/proc/sys/fs/file-max";
	int fd = open(setting, O_RDONLY);
	char limit[32] = "";

	if (fd < 0 || read(fd, limit, sizeof(limit) - 1) <= 0 || write_file(setting, "0"))
		SKIP(return, "needs root, to lower fs.file-max");
	in_child(_metadata, create_as_nobody, NULL);
	EXPECT_EQ(0, write_file(setting, limit));
}

TEST_HARNESS_MAIN
