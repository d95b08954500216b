// SPDX-License-Identifier: GPL-2.0
/*
 * Stress test: threads of several processes do random operations on trampolines and
 * compare the results with a model.  Meanwhile signals interrupt them, another process
 * runs out of memory, and in one more process the kernel's allocations and user copies
 * fail.
 *
 * Only its owner changes an instance, so that the operations of a thread follow from
 * the seed.  The other threads of the process call it between changes.
 */
#include <stdarg.h>
#include <sys/random.h>
#include <time.h>
#include <ucontext.h>

#include "stress.h"

static const char * const check_names[NR_CHECKS] = {
	[ANSWERS] = "requests are answered as documented",
	[CALLS] = "calls load their slots and keep registers",
	[TABLES] = "tables contain what was written",
	[CODE] = "code does not change",
	[MAPPINGS] = "mappings can be made, moved and unmapped",
	[PROTECTION] = "no code is writable, no table executable",
	[FORKS] = "parent and child have separate tables",
	[SIGNALS] = "signal handlers can call trampolines",
	[SURVIVAL] = "no process dies",
	[FAULTS] = "injected failures are ENOMEM or EFAULT",
	[PRESSURE] = "OOM in a cgroup frees its memory",
	[LEAKS] = "no inode, file or descriptor leaks",
};

static const char * const count_names[NR_COUNTS] = {
	[N_CALLS] = "calls",
	[N_PROBES] = "calls with all registers checked",
	[N_BORROWED] = "calls of another thread's instance",
	[N_SIGNALS] = "signals handled",
	[N_INSIDE] = "signals that interrupted a trampoline",
	[N_JUMPS] = "signal handlers left by siglongjmp()",
	[N_ARMED] = "operations with a pending failure",
	[N_INJECTED] = "operations with an injected failure",
	[N_REFUSED] = "operations that returned an error for it",
	[N_OOM_KILLS] = "OOM kills in the cgroup",
};

struct report *report;
struct worker *workers;
unsigned int nr_workers;
__thread struct worker *self;

static uint32_t seed;
static unsigned long max_operations, max_seconds;
static unsigned int nr_processes = 3, nr_threads = 3;
static time_t deadline;

void count(enum count what, unsigned long n)
{
	__atomic_fetch_add(&report->counts[what], n, __ATOMIC_RELAXED);
}

void fail(enum check check, const char *format, ...)
{
	va_list args;
	int n = 0;

	if (self && self->fail_nth >= 0)
		check = FAULTS;
	if (__atomic_fetch_add(&report->failures[check], 1, __ATOMIC_RELAXED))
		return;
	if (self)
		n = snprintf(report->why[check], sizeof(report->why[0]),
			     "process %u, thread %u, operation %lu (%s): ",
			     self->process, self->number, self->steps,
			     self->operation);
	va_start(args, format);
	vsnprintf(report->why[check] + n, sizeof(report->why[0]) - n, format, args);
	va_end(args);
}

static unsigned long interrupted_at(const ucontext_t *uc)
{
#if defined(__x86_64__)
	return uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__i386__)
	return uc->uc_mcontext.gregs[REG_EIP];
#elif defined(__aarch64__)
	return uc->uc_mcontext.pc;
#elif defined(__riscv)
	return uc->uc_mcontext.__gregs[REG_PC];
#elif defined(__powerpc64__)
	return uc->uc_mcontext.gp_regs[PT_NIP];
#elif defined(__s390x__)
	return uc->uc_mcontext.psw.addr;
#elif defined(__loongarch__)
	return uc->uc_mcontext.__pc;
#else
	return uc->uc_mcontext.arm_pc;
#endif
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	unsigned long n = ++self->signals, i = n % self->handler.nr;
	const struct instance *in = self->calling;

	(void)signal;
	(void)info;
	count(N_SIGNALS, 1);
	if (in && interrupted_at(context) - (unsigned long)in->code < in->size)
		count(N_INSIDE, 1);
	if (instance_run(&self->handler, i) != ~i)
		fail(SIGNALS, "trampoline %lu of the handler loaded other data", i);
	if (self->may_jump && n % 16 == 0) {
		self->may_jump = 0;
		siglongjmp(self->out, 1);
	}
}

static void on_death(int signal, siginfo_t *info, void *context)
{
	fail(SURVIVAL, "%s at %#lx, address %p", strsignal(signal),
	     interrupted_at(context), info->si_addr);
	_exit(1);
}

/* Handlers use another stack, because abi_probe() uses memory below the stack pointer. */
static void handle_signals(void)
{
	static const int deaths[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	size_t i;

	act.sa_sigaction = on_signal;
	sigaction(SIGUSR1, &act, NULL);
	act.sa_sigaction = on_death;
	for (i = 0; i < ARRAY_SIZE(deaths); i++)
		sigaction(deaths[i], &act, NULL);
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static bool is_time_over(void)
{
	return (max_operations && self->steps >= max_operations) ||
	       (max_seconds && now() >= deadline);
}

static void open_handler_instance(void)
{
	uint32_t i;

	self->handler = (struct instance){ .nr = 1 };
	if (instance_open(&self->handler))
		fail(SURVIVAL, "no instance: %s", strerror(errno));
	flush_stale_code();
	for (i = 0; i < self->handler.nr; i++)
		instance_call(&self->handler, i, ~(unsigned long)i);
}

/* Send this thread a signal every 300 us, or at each tick without high-res timers. */
static timer_t begin_storm(void)
{
	struct timespec interval = { .tv_nsec = 300 * 1000 };
	struct itimerspec every = { .it_interval = interval, .it_value = interval };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	timer_t timer;

	event._sigev_un._tid = syscall(__NR_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		fail(SIGNALS, "no timer: %s", strerror(errno));
	return timer;
}

static void end_storm(timer_t timer)
{
	sigset_t storm;

	sigemptyset(&storm);
	sigaddset(&storm, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &storm, NULL);
	timer_delete(timer);
}

/* Release the instances of this thread, once no other thread uses them. */
static void drop_all(void)
{
	unsigned int i;

	for (i = 0; i < OBJECTS; i++) {
		pthread_rwlock_wrlock(&self->own[i].lock);
		drop(&self->own[i]);
		pthread_rwlock_unlock(&self->own[i].lock);
	}
}

static void *work(void *arg)
{
	size_t stack_size = 128 * 1024;
	stack_t stack = { .ss_sp = malloc(stack_size), .ss_size = stack_size };
	timer_t timer;

	self = arg;
	sigaltstack(&stack, NULL);
	open_handler_instance();
	timer = begin_storm();
	while (!is_time_over())
		step();
	end_storm(timer);
	drop_all();
	instance_close(&self->handler);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	free(stack.ss_sp);
	return NULL;
}

static unsigned int nr_descriptors(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void init_worker(unsigned int process, unsigned int number)
{
	struct worker *w = &workers[number];
	unsigned int i;

	w->process = process;
	w->number = number;
	w->random = seed + ((uint64_t)process << 32) + ((uint64_t)number << 48);
	w->operation = "beginning";
	w->fail_nth = -1;
	for (i = 0; i < OBJECTS; i++) {
		pthread_rwlock_init(&w->own[i].lock, NULL);
		w->own[i].in = (struct instance){
			.fd = -1, .code = MAP_FAILED, .table = MAP_FAILED
		};
	}
}

static void work_in_threads(unsigned int process)
{
	unsigned int i, descriptors = nr_descriptors();

	nr_workers = nr_threads;
	workers = calloc(nr_workers, sizeof(*workers));
	handle_signals();
	for (i = 0; i < nr_workers; i++)
		init_worker(process, i);
	for (i = 0; i < nr_workers; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			ksft_exit_fail_msg("no thread: use a smaller -j or -p\n");
	}
	for (i = 0; i < nr_workers; i++)
		pthread_join(workers[i].thread, NULL);
	if (nr_descriptors() != descriptors)
		fail(LEAKS, "%u descriptors, at the start %u", nr_descriptors(), descriptors);
}

/*
 * One thread with injected failures, without signals: the kernel copies their frames,
 * and would kill the process if that failed.
 */
static void work_with_failures(unsigned int process)
{
	nr_workers = 1;
	workers = calloc(1, sizeof(*workers));
	handle_signals();
	init_worker(process, 0);
	self = workers;
	open_injection();
	while (!is_time_over())
		step();
	drop_all();
}

static void print_report(const char *program)
{
	size_t i;

	for (i = 0; operation_name(i); i++)
		ksft_print_msg("%9lu %s\n", report->operations[i], operation_name(i));
	for (i = 0; i < NR_COUNTS; i++)
		ksft_print_msg("%9lu %s\n", report->counts[i], count_names[i]);
	for (i = 0; i < NR_CHECKS; i++) {
		if (report->skipped[i] && !report->failures[i]) {
			ksft_test_result_skip("%s: %s\n", check_names[i], report->skipped[i]);
			continue;
		}
		ksft_test_result(!report->failures[i], "%s\n", check_names[i]);
		if (report->failures[i])
			ksft_print_msg("%lu failures, the first: %s\n",
				       report->failures[i], report->why[i]);
	}
	ksft_print_msg("to repeat: %s -s %u -t %lu -n %lu -p %u -j %u\n", program, seed,
		       max_seconds, max_operations, nr_processes, nr_threads);
}

static __noreturn void explain(const char *program, int status)
{
	fprintf(status ? stderr : stdout,
		"usage: %s [-s SEED] [-t SECONDS] [-n OPERATIONS] [-p PROCESSES] [-j THREADS]\n"
		"Does random operations on trampolines and compares the results with a model.\n"
		"Ends after SECONDS or after OPERATIONS of each thread, by default after 10\n"
		"seconds.  The same SEED gives the same operations, unless failures change\n"
		"them.  As root it also injects failures, and runs out of memory in a cgroup.\n",
		program);
	exit(status);
}

static unsigned long number_of(const char *text, const char *program)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (*end || end == text)
		explain(program, KSFT_FAIL);
	return n;
}

static void read_options(int argc, char **argv)
{
	int option;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	while ((option = getopt(argc, argv, "hs:t:n:p:j:")) != -1) {
		switch (option) {
		case 's':
			seed = number_of(optarg, *argv);
			break;
		case 't':
			max_seconds = number_of(optarg, *argv);
			break;
		case 'n':
			max_operations = number_of(optarg, *argv);
			break;
		case 'p':
			nr_processes = number_of(optarg, *argv);
			break;
		case 'j':
			nr_threads = number_of(optarg, *argv);
			break;
		default:
			explain(*argv, option == 'h' ? 0 : KSFT_FAIL);
		}
	}
	if (optind != argc || !nr_threads)
		explain(*argv, KSFT_FAIL);
	if (!max_seconds && !max_operations)
		max_seconds = 10;
}

static pid_t begin(void (*run)(unsigned int process), unsigned int process)
{
	pid_t pid = fork();

	if (pid < 0)
		ksft_exit_fail_msg("no process: use a smaller -p\n");
	if (!pid) {
		run(process);
		_exit(0);
	}
	return pid;
}

static void begin_pressure(unsigned int process)
{
	(void)process;
	run_out_of_memory();
}

/* Wait for a child, up to a minute longer than it should run. */
static void await_end(pid_t child)
{
	time_t patience = (max_seconds ? deadline : now()) + 60;
	int status;

	while (waitpid(child, &status, max_seconds ? WNOHANG : 0) != child) {
		if (now() > patience) {
			fail(SURVIVAL, "process %d hangs", child);
			kill(child, SIGKILL);
			return;
		}
		usleep(10000);
	}
	if (status)
		fail(SURVIVAL, "wait status %#x of process %d", status, child);
}

/* Run all processes. */
static void stress(void)
{
	pid_t pressure = 0, failures = 0, *children = calloc(nr_processes, sizeof(pid_t));
	unsigned int i;

	deadline = now() + max_seconds;
	if (!report->skipped[PRESSURE])
		pressure = begin(begin_pressure, 0);
	if (!report->skipped[FAULTS])
		failures = begin(work_with_failures, nr_processes);
	for (i = 0; i < nr_processes; i++)
		children[i] = begin(work_in_threads, i);
	for (i = 0; i < nr_processes; i++)
		await_end(children[i]);
	if (failures)
		await_end(failures);
	__atomic_store_n(&report->stop, true, __ATOMIC_RELAXED);
	if (pressure)
		await_end(pressure);
	free(children);
}

int main(int argc, char **argv)
{
	struct trampfd_create_args args = {};
	int fd;

	read_options(argc, argv);
	ksft_print_header();
	fd = trampfd_create(&args, sizeof(args));
	if (fd < 0)
		ksft_exit_skip("no trampfd: %s (is CONFIG_TRAMPFD set?)\n", strerror(errno));
	close(fd);
	ksft_set_plan(NR_CHECKS);
	ksft_print_msg("seed %u\n", seed);
	report = shared_memory(sizeof(*report));
	if (report == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");

	detect_stale_code();
	report->skipped[LEAKS] = save_leak_counters();
	report->skipped[PRESSURE] = make_cgroup();
	report->skipped[FAULTS] = allow_failures();
	stress();
	if (!report->skipped[FAULTS])
		forbid_failures();
	if (!report->skipped[PRESSURE])
		check_cgroup();
	if (!report->skipped[LEAKS])
		check_leaks();
	print_report(*argv);
	ksft_finished();
}
