// SPDX-License-Identifier: GPL-2.0
/*
 * Trampolines under a debugger, a profiler and an unwinder.
 */
#include <elf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>

#if defined(__aarch64__) || defined(__riscv) || defined(__powerpc__)
#include <asm/ptrace.h>
#endif

#include "common.h"

/* The data of trampoline 0 */
#define DATA	42

/* The address of a function's first instruction; bit 0 selects T32 state on arm. */
static uintptr_t address_of(void *fn)
{
#ifdef __arm__
	return (uintptr_t)fn & ~1UL;
#else
	return (uintptr_t)fn;
#endif
}

static uintptr_t program_counter(pid_t pid)
{
#if defined(__arm__)
	struct user_regs regs = {};
#elif defined(__powerpc64__)
	struct pt_regs regs = {};
#elif defined(__s390x__)
	struct _user_regs_struct regs = {};
#else
	struct user_regs_struct regs = {};
#endif
	struct iovec iov = { &regs, sizeof(regs) };

	ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov);
#if defined(__x86_64__)
	return regs.rip;
#elif defined(__i386__)
	return regs.eip;
#elif defined(__arm__)
	return regs.uregs[15];
#elif defined(__powerpc64__)
	return regs.nip;
#elif defined(__s390x__)
	return regs.psw.addr;
#elif defined(__loongarch__)
	return regs.csr_era;
#else
	return regs.pc;
#endif
}

/* Set or clear the first hardware breakpoint.  Return 0, or -1 with errno. */
static int hardware_breakpoint(pid_t pid, uintptr_t addr, bool set)
{
#if defined(__aarch64__) || defined(__arm__)
	/* DBGBCR: enabled, user mode, four bytes (arch/arm64/include/asm/hw_breakpoint.h) */
	unsigned int control = 0xf << 5 | 2 << 1 | set;
#ifdef __aarch64__
	struct user_hwdebug_state state = {
		.dbg_regs[0] = { .addr = addr, .ctrl = control },
	};
	struct iovec iov = { &state, offsetof(struct user_hwdebug_state, dbg_regs[1]) };

	return ptrace(PTRACE_SETREGSET, pid, NT_ARM_HW_BREAK, &iov);
#else
	if (ptrace(PTRACE_SETHBPREGS, pid, 1, &addr))
		return -1;
	return ptrace(PTRACE_SETHBPREGS, pid, 2, &control);
#endif
#elif defined(__x86_64__) || defined(__i386__)
	size_t reg = offsetof(struct user, u_debugreg);

	/* Intel SDM volume 3, "Debug Control Register (DR7)": L0 enables DR0 */
	if (ptrace(PTRACE_POKEUSER, pid, reg, set ? addr : 0))
		return -1;
	return ptrace(PTRACE_POKEUSER, pid, reg + 7 * sizeof(long), set ? 1 : 0);
#else
	errno = EOPNOTSUPP;
	return -1;
#endif
}

/* A traced child that is stopped before it calls the trampoline */
FIXTURE(tracee) {
	struct instance in;
	uintptr_t trampoline;
	pid_t pid;
};

static void be_traced(struct __test_metadata *_metadata, void *arg)
{
	const struct instance *in = arg;

	ASSERT_EQ(0, ptrace(PTRACE_TRACEME, 0, 0, 0));
	raise(SIGSTOP);
	EXPECT_EQ(DATA, instance_run(in, 0));
}

FIXTURE_SETUP(tracee)
{
	int status;

	self->in.nr = 1;
	ASSERT_EQ(0, instance_open(&self->in));
	ASSERT_EQ(DATA, instance_call(&self->in, 0, DATA));
	self->trampoline = (uintptr_t)self->in.code;
	self->pid = begin_child(_metadata, be_traced, &self->in);
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
}

FIXTURE_TEARDOWN(tracee)
{
	EXPECT_EQ(0, ptrace(PTRACE_CONT, self->pid, 0, 0));
	end_child(_metadata, self->pid);
	instance_close(&self->in);
}

/* Resume the tracee.  Return its program counter at the next SIGTRAP, else 0. */
static uintptr_t run_to_trap(int request, pid_t pid)
{
	int status;

	if (ptrace(request, pid, 0, 0))
		return 0;
	waitpid(pid, &status, 0);
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		return 0;
	return program_counter(pid);
}

TEST_F(tracee, single_step)
{
	unsigned int steps, inside = 0;
	uintptr_t pc = 0;

	if (ptrace(PTRACE_SINGLESTEP, self->pid, 0, 0))
		SKIP(return, "no single steps: %s", strerror(errno));
	waitpid(self->pid, NULL, 0);

	for (steps = 0; steps < 100000 && pc != self->trampoline; steps++) {
		pc = run_to_trap(PTRACE_SINGLESTEP, self->pid);
		ASSERT_NE(0, pc);
	}
	while (pc - self->trampoline < self->in.args.stride) {
		pc = run_to_trap(PTRACE_SINGLESTEP, self->pid);
		inside++;
	}
	TH_LOG("%u steps to the trampoline, %u in it", steps, inside);
	EXPECT_LT(1, inside);
	EXPECT_EQ(address_of(abi_return_data), pc);
}

/* The tracee has not touched any page of code except the first. */
TEST_F(tracee, code_is_readable)
{
	size_t size = self->in.args.table_offset, at;
	char *read = malloc(size), path[64];
	struct iovec local = { read, size }, code = { self->in.code, size };
	unsigned int wrong = 0;
	int fd;

	ASSERT_NE(NULL, read);
	snprintf(path, sizeof(path), "/proc/%d/mem", self->pid);
	fd = open(path, O_RDONLY);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(size, pread(fd, read, size, (off_t)self->trampoline));
	EXPECT_EQ(0, memcmp(read, self->in.code, size));
	close(fd);

	memset(read, 0, size);
	EXPECT_EQ(size, process_vm_readv(self->pid, &local, 1, &code, 1, 0));
	EXPECT_EQ(0, memcmp(read, self->in.code, size));

	for (at = 0; at < size; at += page_size())
		wrong += ptrace(PTRACE_PEEKTEXT, self->pid, self->in.code + at, 0) !=
			 *(long *)self->in.code;
	EXPECT_EQ(0, wrong);
	free(read);
}

TEST_F(tracee, hardware_breakpoint)
{
	if (hardware_breakpoint(self->pid, address_of(abi_return_data), true))
		SKIP(return, "no hardware breakpoints: %s", strerror(errno));
	ASSERT_EQ(0, hardware_breakpoint(self->pid, self->trampoline, true));
	EXPECT_EQ(self->trampoline, run_to_trap(PTRACE_CONT, self->pid));
	EXPECT_EQ(0, hardware_breakpoint(self->pid, self->trampoline, false));
}

/* Size of the ring buffer, see perf_event_open(2) */
#define RECORD_PAGES	8

/* Whether this process may not use perf events, see perf_event_open(2) */
static bool no_perf(void)
{
	static const char setting[] = "/proc/sys/kernel/perf_event_paranoid";

	return access(setting, F_OK) || (geteuid() && read_number(setting) > 2);
}

static int record(struct perf_event_attr attr, struct perf_event_mmap_page **head)
{
	int fd;

	attr.size = sizeof(attr);
	attr.type = PERF_TYPE_SOFTWARE;
	attr.exclude_kernel = 1;
	fd = syscall(__NR_perf_event_open, &attr, 0, -1, -1, 0);
	if (fd < 0)
		return -1;
	*head = mmap(NULL, (1 + RECORD_PAGES) * page_size(),
		     PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return *head == MAP_FAILED ? -1 : fd;
}

/*
 * Return the next record of @type, or NULL.  The tests record less than the buffer
 * holds, so that no record wraps around its end.
 */
static void *next_record(struct perf_event_mmap_page *head, uint32_t type)
{
	uint64_t end = __atomic_load_n(&head->data_head, __ATOMIC_ACQUIRE);

	while (head->data_tail < end && end <= head->data_size) {
		struct perf_event_header *h =
			(void *)((char *)head + head->data_offset + head->data_tail);

		head->data_tail += h->size;
		if (h->type == type)
			return h;
	}
	return NULL;
}

/* PERF_RECORD_MMAP2 */
struct mapped {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint32_t maj, min;
	uint64_t ino, ino_generation;
	uint32_t prot, flags;
	char filename[];
};

TEST(perf_records_mapping_of_code)
{
	struct instance in = { .nr = 1 };
	struct perf_event_mmap_page *head;
	struct mapped *m;
	unsigned int found = 0;
	int fd = record((struct perf_event_attr){
		.config = PERF_COUNT_SW_DUMMY, .mmap = 1, .mmap2 = 1 }, &head);

	if (no_perf())
		SKIP(return, "perf events are not available");
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, instance_open(&in));
	while ((m = next_record(head, PERF_RECORD_MMAP2))) {
		/* Only attr.mmap_data would record the table. */
		EXPECT_NE((uintptr_t)in.table, m->addr);
		if (m->addr != (uintptr_t)in.code)
			continue;
		found++;
		EXPECT_EQ(0, m->pgoff);
		EXPECT_EQ(PROT_READ | PROT_EXEC, m->prot);
		EXPECT_STREQ("anon_inode:[trampfd]", m->filename);
	}
	EXPECT_EQ(1, found);
	close(fd);
	instance_close(&in);
}

struct sample {
	struct perf_event_header header;
	uint64_t ip;
};

TEST(perf_samples_trampolines)
{
	struct instance in = { .nr = 1 };
	struct perf_event_mmap_page *head;
	unsigned int all = 0, inside = 0;
	time_t end = time(NULL) + 20;
	struct sample *s;
	int fd, i;

	ASSERT_EQ(0, instance_open(&in));
	ASSERT_EQ(DATA, instance_call(&in, 0, DATA));
	fd = record((struct perf_event_attr){
		.config = PERF_COUNT_SW_CPU_CLOCK, .sample_type = PERF_SAMPLE_IP,
		.sample_period = 20 * 1000 * 1000 }, &head);
	if (no_perf())
		SKIP(return, "perf events are not available");
	ASSERT_GE(fd, 0);
	while (!inside && time(NULL) < end) {
		for (i = 0; i < 100000; i++)
			instance_run(&in, 0);
		while ((s = next_record(head, PERF_RECORD_SAMPLE))) {
			all++;
			inside += s->ip - (uintptr_t)in.code < in.args.stride;
		}
	}
	TH_LOG("%u of %u samples", inside, all);
	EXPECT_LT(0, inside);
	close(fd);
	instance_close(&in);
}

/*
 * The unwinder of libgcc, under names that checkpatch accepts (unwind.h; for arm
 * "Exception Handling ABI for the Arm Architecture", IHI 0038)
 */
int unwind(int (*frame)(void *context, void *arg), void *arg) asm("_Unwind_Backtrace");

#ifdef __arm__
int unwind_register(void *context, int class, uint32_t reg, int representation,
		    void *value) asm("_Unwind_VRS_Get");

static uintptr_t unwind_pc(void *context)
{
	uintptr_t pc = 0;

	unwind_register(context, 0 /* core */, 15, 0 /* 32 bits */, &pc);
	return pc & ~1UL;
}
#else
uintptr_t unwind_pc(void *context) asm("_Unwind_GetIP");
#endif

#define UNWIND_ON	0	/* _URC_NO_REASON */
#define UNWIND_NO_MORE	5	/* _URC_END_OF_STACK */

/* A backtrace, and the return address of the function that made it */
struct trace {
	unsigned int nr;
	uintptr_t pc[64];
	uintptr_t return_address;
};

static struct trace trace;

static int add_frame(void *context, void *arg)
{
	struct trace *t = arg;

	if (t->nr == ARRAY_SIZE(t->pc))
		return UNWIND_NO_MORE;
	t->pc[t->nr++] = unwind_pc(context);
	return UNWIND_ON;
}

static unsigned long traced_target(void)
{
	trace.nr = 0;
	trace.return_address = address_of(__builtin_return_address(0));
	unwind(add_frame, &trace);
	return DATA;
}

TEST(backtrace_from_target_reaches_caller)
{
	struct instance in = { .nr = 1 };
	unsigned int i;

	ASSERT_EQ(0, instance_open(&in));
	instance_slot(&in, 0)->code = (unsigned long)traced_target;
	ASSERT_EQ(DATA, instance_run(&in, 0));
	ASSERT_LT(2, trace.nr);
	EXPECT_EQ(trace.return_address, trace.pc[1]);
	for (i = 0; i < trace.nr; i++)
		EXPECT_GE(trace.pc[i] - (uintptr_t)in.code, in.size);
	instance_close(&in);
}

/* For the handler of a fault in a trampoline */
static struct __test_metadata *faulting_test;
static const struct instance *faulting;

static void trace_fault(int signal)
{
	struct __test_metadata *_metadata = faulting_test;

	trace.nr = 0;
	unwind(add_frame, &trace);
	ASSERT_LT(0, trace.nr);
	EXPECT_GT(faulting->args.stride, trace.pc[trace.nr - 1] - (uintptr_t)faulting->code)
		TH_LOG("outermost frame: %#lx", (unsigned long)trace.pc[trace.nr - 1]);
	_exit(_metadata->exit_code);
}

/* Without its table, a trampoline faults at its first load. */
static void fault_in_trampoline(struct __test_metadata *_metadata, void *arg)
{
	faulting_test = _metadata;
	faulting = arg;
	signal(SIGSEGV, trace_fault);
	munmap(faulting->table, faulting->size);
	instance_run(faulting, 0);
	EXPECT_TRUE(false) TH_LOG("a trampoline without a table returned");
}

/* The unwinders of the other ABIs do not agree on frames without unwind tables. */
TEST(backtrace_from_trampoline_ends_there)
{
	struct instance in = { .nr = 1 };

	if (abi_native != TRAMPFD_ABI_X86_64 && abi_native != TRAMPFD_ABI_I386)
		SKIP(return, "depends on the unwinder of the ABI");
	ASSERT_EQ(0, instance_open(&in));
	in_child(_metadata, fault_in_trampoline, &in);
	instance_close(&in);
}

TEST_HARNESS_MAIN
