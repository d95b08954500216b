// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: backtraces from signals that interrupt trampolines.
 *
 * On x86_64 and i386, the trap flag raises a signal at each instruction.  Other ABIs
 * call a trapping instruction instead of the trampoline.  The handler of that trap
 * returns to an instruction of the trampoline with another signal pending, which
 * interrupts it there.
 */
#include <execinfo.h>
#include <signal.h>
#include <ucontext.h>

#include "library.h"

#if defined(__x86_64__)
#define IS_X86
#define INSTRUCTIONS	3
#define SP		"rsp"
#elif defined(__i386__)
#define IS_X86
#define HAS_PUSH
#define INSTRUCTIONS	5
#define SP		"esp"
#elif defined(__aarch64__)
#define INSTRUCTIONS	4
#elif defined(__riscv)
#define INSTRUCTIONS	5
#elif defined(__powerpc64__)
#define INSTRUCTIONS	5
#define INSTRUCTIONS_OF_SLOT	4
#elif defined(__s390x__)
#define INSTRUCTIONS	3
#define INSTRUCTION_SIZE	6	/* but the last */
#elif defined(__loongarch__)
#define INSTRUCTIONS	4
#define INSTRUCTIONS_OF_SLOT	3
#endif

#ifdef INSTRUCTIONS	/* of a trampoline of mode DATA, and of SLOT if that does not say */
#ifndef INSTRUCTIONS_OF_SLOT
#define INSTRUCTIONS_OF_SLOT	INSTRUCTIONS
#endif
#ifndef INSTRUCTION_SIZE
#define INSTRUCTION_SIZE	4
#endif
#include "backends.h"

/* Functions of libgcc, under names that checkpatch accepts */
void register_frames(void *frames) asm("__register_frame");
void deregister_frames(void *frames) asm("__deregister_frame");
int unwind(int (*frame)(void *context, void *arg), void *arg) asm("_Unwind_Backtrace");
uintptr_t unwind_pc(void *context) asm("_Unwind_GetIP");

#define MAX_FRAMES	32
#define MAX_SIZE	32	/* bytes of a trampoline */

static char *trampoline;
static void *caller;		/* the address that the target returns to */
/* By offset: how often it was interrupted, and how often both unwinders found the caller */
static unsigned int interrupted[MAX_SIZE];
static unsigned int unwound[MAX_SIZE];

/* Search for the frame of @pc, immediately followed by that of @caller. */
struct search {
	void *pc;
	bool is_next;
	bool is_found;
};

static int look(void *context, void *arg)
{
	struct search *search = arg;
	void *pc = (void *)unwind_pc(context);

	search->is_found |= search->is_next && pc == caller;
	search->is_next = pc == search->pc;
	return 0; /* _URC_NO_REASON */
}

static bool gcc_finds_caller(void *pc)
{
	struct search search = { .pc = pc };

	unwind(look, &search);
	return search.is_found;
}

static bool backtrace_finds_caller(void *pc)
{
	void *frames[MAX_FRAMES];
	int i, n = backtrace(frames, MAX_FRAMES);

	for (i = 0; i < n && frames[i] != pc; i++)
		;
	return i + 1 < n && frames[i + 1] == caller;
}

static __attribute__((noipa)) unsigned long target(void)
{
	caller = __builtin_return_address(0);
	return 5;
}

#ifdef HAS_PUSH
asm("	.pushsection .text\n"
"	.type	target_of_push, @function\n"
"target_of_push:\n"
"	endbr32\n"
"	pop	%ecx\n"
"	jmp	target\n"
"	.popsection\n");
unsigned long target_of_push(int unused) asm("target_of_push");
#endif

/* Call @f, but not as a tail call. */
static __attribute__((noipa)) unsigned long call_from_here(void *f)
{
	unsigned long ret = run(f);

	asm volatile("" : : : "memory");
	return ret;
}

static void interrupted_at(void *pc)
{
	size_t offset = (char *)pc - trampoline;

	if (offset >= MAX_SIZE)
		return;
	interrupted[offset]++;
	unwound[offset] += gcc_finds_caller(pc) && backtrace_finds_caller(pc);
}

#ifdef IS_X86
#define TRAP_FLAG	0x100

static void trap(int sig, siginfo_t *info, void *arg)
{
	ucontext_t *uc = arg;

#if defined(__x86_64__)
	interrupted_at((void *)uc->uc_mcontext.gregs[REG_RIP]);
#else
	interrupted_at((void *)uc->uc_mcontext.gregs[REG_EIP]);
#endif
}

static void set_trap_flag(bool on)
{
	unsigned long flags;

	/* Below the red zone */
	asm volatile("sub $128, %%" SP "\n\tpushf\n\tpop %0\n\tadd $128, %%" SP : "=r" (flags));
	flags = on ? flags | TRAP_FLAG : flags & ~TRAP_FLAG;
	asm volatile("sub $128, %%" SP "\n\tpush %0\n\tpopf\n\tlea 128(%%" SP "), %%" SP
		     : : "r" (flags) : "cc");
}

static void interrupt_at_each_instruction(void *t, int nr)
{
	struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, NULL);
	set_trap_flag(true);
	call_from_here(t);
	set_trap_flag(false);
}

#else
static char *resume;

static void *pc_of(ucontext_t *uc, void *to)
{
	void *was;
#if defined(__aarch64__)
	unsigned long long *pc = &uc->uc_mcontext.pc;
#elif defined(__riscv)
	unsigned long *pc = &uc->uc_mcontext.__gregs[REG_PC];
#elif defined(__powerpc64__)
	unsigned long *pc = &uc->uc_mcontext.gp_regs[PT_NIP];

	/* Where a function is called by its address, that is in r12. */
	if (to)
		uc->uc_mcontext.gp_regs[12] = (uintptr_t)to;
#elif defined(__s390x__)
	unsigned long *pc = &uc->uc_mcontext.psw.addr;
#elif defined(__loongarch__)
	unsigned long long *pc = &uc->uc_mcontext.__pc;
#endif
	was = (void *)(uintptr_t)*pc;
	if (to)
		*pc = (uintptr_t)to;
	return was;
}

/* Handles the trap of traps(), with SIGUSR1 blocked until it returns to the trampoline */
static void trap(int sig, siginfo_t *info, void *arg)
{
	pc_of(arg, resume);
	raise(SIGUSR1);
}

/* Then run the whole trampoline: the instructions before @resume have not run. */
static void interrupt(int sig, siginfo_t *info, void *arg)
{
	interrupted_at(pc_of(arg, NULL));
	pc_of(arg, trampoline);
}

asm("	.pushsection .text\n"
"	.type	traps, %function\n"
"traps:\n"
#if defined(__aarch64__)
"	hint	#34\n"
"	brk	#0\n"
#elif defined(__riscv)
"	.option	push\n"
"	.option	norvc\n"
"	.4byte	0x17\n"		/* lpad 0 */
"	ebreak\n"
"	.option	pop\n"
#elif defined(__powerpc64__)
"	trap\n"
#elif defined(__s390x__)
"	.short	0\n"		/* no instruction */
#elif defined(__loongarch__)
"	break	0\n"
#endif
"	.popsection\n");
void traps(int unused) asm("traps");

static void interrupt_at_each_instruction(void *t, int nr)
{
	struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO };

	sigaddset(&action.sa_mask, SIGUSR1);
	sigaction(SIGTRAP, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	action.sa_sigaction = interrupt;
	sigaction(SIGUSR1, &action, NULL);
	for (resume = t; resume < (char *)t + nr * INSTRUCTION_SIZE; resume += INSTRUCTION_SIZE)
		call_from_here((void *)traps);
}
#endif

/*
 * Return at how many of a trampoline's instructions an unwinder does not find the
 * caller; -1 if the number of instructions is not @nr.
 */
static int lost_callers(struct trampfd_pool *pool, void *f, int nr)
{
	int i, instructions = 0, lost = 0;

	memset(interrupted, 0, sizeof(interrupted));
	memset(unwound, 0, sizeof(unwound));
	trampoline = trampfd_alloc(pool, f, NULL);
	if (!trampoline || call_from_here(trampoline) != 5)
		return -1;
	interrupt_at_each_instruction(trampoline, nr);
	trampfd_free(trampoline);
	for (i = 0; i < MAX_SIZE; i++) {
		instructions += !!interrupted[i];
		lost += interrupted[i] != unwound[i];
	}
	return instructions == nr ? lost : -1;
}

TEST_F(backend, unwinders_find_caller)
{
	struct trampfd_pool_attr attr = { .mode = TRAMPFD_MODE_SLOT, .context_size = 100 };
	int i;

	EXPECT_EQ(INSTRUCTIONS, lost_callers(NULL, target, INSTRUCTIONS));
	ASSERT_EQ(0, trampfd_set_unwinder(register_frames, deregister_frames));
	EXPECT_EQ(0, lost_callers(NULL, target, INSTRUCTIONS));
	/* Map more code. */
	for (i = 0; i < SOME; i++)
		alloc(NULL, i);
	EXPECT_EQ(0, lost_callers(NULL, target, INSTRUCTIONS));
	EXPECT_EQ(0, lost_callers(trampfd_pool_create(&attr), target,
				  INSTRUCTIONS_OF_SLOT));
#ifdef HAS_PUSH
	EXPECT_EQ(0, lost_callers(create(TRAMPFD_MODE_PUSH, 0), target_of_push, INSTRUCTIONS + 1));
#endif
}

static int nr_added, nr_registered;

static void add(void *frames)
{
	__atomic_add_fetch(&nr_added, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&nr_registered, 1, __ATOMIC_RELAXED);
	register_frames(frames);
}

static void removed(void *frames)
{
	__atomic_sub_fetch(&nr_registered, 1, __ATOMIC_RELAXED);
	deregister_frames(frames);
}

TEST_F(backend, unmapped_code_is_removed)
{
	struct trampfd_pool *pool;
	int i, had;

	ASSERT_NE(NULL, alloc(NULL, 1));
	ASSERT_EQ(0, trampfd_set_unwinder(add, removed));
	had = nr_registered;
	EXPECT_EQ(1, had);
	for (i = 0; i < 20; i++) {
		pool = create(TRAMPFD_MODE_DATA, 0);
		EXPECT_EQ(0, lost_callers(pool, target, INSTRUCTIONS));
		EXPECT_EQ(had + 1, nr_registered);
		trampfd_pool_destroy(pool);
		EXPECT_EQ(had, nr_registered);
	}
	EXPECT_EQ(had + 20, nr_added);
}

static int count_table(void *table, size_t size, void *nr)
{
	++*(int *)nr;
	return 0;
}

TEST_F(backend, set_unwinder_while_threads_map)
{
	struct work w = { .steps = THREAD_STEPS };
	pthread_t threads[4];
	int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work, &w));
	ASSERT_EQ(0, trampfd_set_unwinder(add, removed));
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, w.wrong);
	trampfd_walk_tables(count_table, &nr);
	EXPECT_EQ(nr, nr_registered);
	EXPECT_EQ(0, lost_callers(NULL, target, INSTRUCTIONS));
}

TEST(second_unwinder_is_ebusy)
{
	EXPECT_EQ(-1, trampfd_set_unwinder(NULL, deregister_frames));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, trampfd_set_unwinder(register_frames, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, trampfd_set_unwinder(register_frames, deregister_frames));
	EXPECT_EQ(-1, trampfd_set_unwinder(register_frames, deregister_frames));
	EXPECT_EQ(EBUSY, errno);
}

#else

static void ignore(void *frames)
{
}

/* The unwinder of arm finds tables by dl_iterate_phdr(3) only. */
TEST(eopnotsupp_on_arm)
{
	EXPECT_EQ(-1, trampfd_set_unwinder(ignore, ignore));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

#endif

int main(int argc, char *argv[])
{
	is_quick(&argc, &argv);
	return test_harness_run(argc, argv);
}
