// SPDX-License-Identifier: GPL-2.0
/*
 * Sort the lines of a file with plain qsort(3) and comparison closures, in a
 * process that may not create executable memory.
 *
 * qsort() takes a function pointer and no context for it.  A *closure* is a
 * function pointer that carries one: here, by which key to compare, and a
 * counter.  It is made of a trampoline, a few instructions that load the
 * context's address and jump to the function.  Programs (libffi, and so Python
 * or Ruby; GCC's nested functions) write these instructions at run time, which
 * is why they fail in a hardened sandbox.  With trampfd_create(2) the kernel
 * provides them, and the context lives in the slot that each trampoline has:
 * read struct closure, map_closures() and make_closure().
 *
 * compare() takes its context as its last argument.  The caller, qsort(), passes
 * two arguments and does not use the register of the third: a trampoline can put
 * the context's address there.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/trampfd.h>

/*
 * Where compare() finds its context, next to two arguments of the caller's.
 * DATA_REG is named by its DWARF number, as everywhere in trampfd.
 */
#if defined(__x86_64__)
#define DATA_REG		TRAMPFD_REG(1)	/* rdx, the third argument */
#define TARGET
#define COMPARE(a, b, context)	compare(a, b, context)
#elif defined(__i386__)
/* The caller's arguments are on the stack; regparm(1) puts one before them. */
#define DATA_REG		TRAMPFD_REG(0)	/* eax */
#define TARGET			__attribute__((regparm(1)))
#define COMPARE(a, b, context)	compare(context, a, b)
#elif defined(__aarch64__) || defined(__arm__)
#define DATA_REG		TRAMPFD_REG(2)	/* x2 or r2, the third argument */
#define TARGET
#define COMPARE(a, b, context)	compare(a, b, context)
#elif defined(__riscv)
#define DATA_REG		TRAMPFD_REG(12)	/* a2, the third argument */
#define TARGET
#define COMPARE(a, b, context)	compare(a, b, context)
#else
#error "say here in which register a function of three arguments gets the last"
#endif

#define NR_CLOSURES		3

/* From one closure to the next: a power of two, no less than any ABI needs */
#define STRIDE			32

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

struct line {
	const char *text;
	size_t len;
};

/*
 * What the program keeps in a slot.  The trampoline jumps to @target, the second
 * word, with the address of the slot.  All else is the program's, the first word
 * too, which mode SLOT does not read.
 */
struct closure {
	const char *name;
	void *target;
	int (*compare)(const struct line *a, const struct line *b);
	unsigned long calls;
};

static_assert(offsetof(struct closure, target) == sizeof(void *) &&
	      sizeof(struct closure) <= STRIDE);

static int by_length(const struct line *a, const struct line *b)
{
	return (a->len < b->len) - (a->len > b->len);
}

static int by_text(const struct line *a, const struct line *b)
{
	return strcasecmp(a->text, b->text);
}

/* "someone@example.org>": what follows the @, lines without one last */
static int by_domain(const struct line *a, const struct line *b)
{
	const char *x = strchr(a->text, '@'), *y = strchr(b->text, '@');

	if (!x || !y)
		return !x - !y;
	return strcasecmp(x, y) ?: strcasecmp(a->text, b->text);
}

/* What each closure runs */
static TARGET int COMPARE(const void *a, const void *b, struct closure *closure)
{
	closure->calls++;
	return closure->compare(a, b);
}

static const struct closure closures[NR_CLOSURES] = {
	{
		.name = "length, longest first",
		.target = compare, .compare = by_length,
	}, {
		.name = "text, ignoring case",
		.target = compare, .compare = by_text,
	}, {
		.name = "domain of the mail address",
		.target = compare, .compare = by_domain,
	},
};

/* Trampolines and their slots: @size bytes of each, mapped */
struct mapped {
	struct trampfd_create_args args;
	int fd;
	size_t size;
	char *code;
	char *table;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void map_closures(struct mapped *m)
{
	m->args = (struct trampfd_create_args){
		.mode = TRAMPFD_MODE_SLOT,
		.data_reg = DATA_REG,
		.stride = STRIDE,
	};
	m->fd = syscall(__NR_trampfd_create, &m->args, sizeof(m->args));
	if (m->fd < 0)
		die("trampfd_create");

	/* A page is enough here; at most, it could be args.table_size. */
	m->size = sysconf(_SC_PAGESIZE);
	m->code = mmap(NULL, m->args.table_offset + m->size,
		       PROT_READ | PROT_EXEC, MAP_PRIVATE, m->fd, 0);
	if (m->code == MAP_FAILED)
		die("mmap of the code");
	m->table = mmap(m->code + m->args.table_offset, m->size,
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
			m->fd, m->args.table_offset);
	if (m->table == MAP_FAILED)
		die("mmap of the table");
}

/* Put @closure into slot @i: the function pointer that runs it. */
static void *make_closure(struct mapped *m, unsigned int i,
			  const struct closure *closure)
{
	memcpy(m->table + i * STRIDE, closure, sizeof(*closure));
	return m->code + i * STRIDE;
}

/*
 * What systemd's MemoryDenyWriteExecute= and SystemCallFilter=~memfd_create do
 * to a service.
 */
static void enter_sandbox(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };

	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		die("PR_SET_MDWE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		die("seccomp");
}

static void report(const char *what, bool worked)
{
	if (worked)
		printf("    %-51s works\n", what);
	else
		printf("    %-51s %s: %s\n", what, strerrorname_np(errno),
		       strerror(errno));
}

static void try_usual_ways(void)
{
	void *p;

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	report("memory that is both writable and executable (mmap)", p != MAP_FAILED);

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	report("memory written, then made executable (mprotect)",
	       !mprotect(p, 4096, PROT_READ | PROT_EXEC));

	report("a file mapped twice, rw- and r-x (memfd_create)",
	       syscall(SYS_memfd_create, "code", 0) >= 0);
}

static struct line *read_lines(const char *path, size_t *nr)
{
	int fd = open(path, O_RDONLY);
	struct line *lines = NULL;
	size_t room = 0;
	struct stat st;
	char *text, *p;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	text = calloc(1, st.st_size + 1);
	if (!text || read(fd, text, st.st_size) != st.st_size)
		die(path);
	close(fd);

	*nr = 0;
	while ((p = strsep(&text, "\n"))) {
		if (!*p)
			continue;
		if (*nr == room) {
			room = room ? 2 * room : 1024;
			lines = realloc(lines, room * sizeof(*lines));
			if (!lines)
				die("realloc");
		}
		lines[(*nr)++] = (struct line){ p, strlen(p) };
	}
	return lines;
}

static void sort_with(struct mapped *m, unsigned int i, struct line *lines,
		      size_t nr)
{
	const struct closure *closure = (void *)(m->table + i * STRIDE);
	int (*comparison)(const void *a, const void *b);
	size_t row;

	comparison = make_closure(m, i, &closures[i]);
	qsort(lines, nr, sizeof(*lines), comparison);

	printf("    by %s: closure at %p, called %lu times\n",
	       closure->name, comparison, closure->calls);
	for (row = 0; row < 3 && row < nr; row++)
		printf("        %.66s\n", lines[row].text);
}

static void show_maps(void)
{
	unsigned int both = 0, lines = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512], prot[5];

	if (!f)
		die("/proc/self/maps");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %4s", prot) != 1)
			continue;
		lines++;
		both += prot[1] == 'w' && prot[2] == 'x';
		if (strstr(line, "[trampfd]"))
			printf("    %s", line);
	}
	fclose(f);
	printf("    mappings: %u, writable and executable at once: %u\n",
	       lines, both);
}

static void show_bytes(const struct mapped *m)
{
	unsigned char bytes[STRIDE];
	unsigned int i;

	if (pread(m->fd, bytes, STRIDE, 0) != STRIDE)
		die("pread");
	printf("    bytes:");
	for (i = 0; i < STRIDE; i++)
		printf(" %02x", bytes[i]);
	printf("\n");
}

/*
 * Print what /proc/self/smaps says of the code.  Rss counts the page once for each
 * address where it is mapped, Pss divides that by how often all processes map it.
 */
static void show_sharing(const char *who, const struct mapped *m)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, rss = 0, pss = 0;
	char line[512];
	bool ours = false;

	if (!f)
		die("/proc/self/smaps");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-", &start) == 1 && strchr(line, '-'))
			ours = start == (unsigned long)m->code;
		if (ours)
			(void)(sscanf(line, "Rss: %lu", &rss) ||
			       sscanf(line, "Pss: %lu", &pss));
	}
	fclose(f);
	printf("    %-40s code mapped: %lu kB, share of memory: %lu kB\n",
	       who, rss, pss);
}

/*
 * The second process: forked before there was any trampoline, it makes its own
 * when told to, and waits to be told to end.
 */
static pid_t second_process(int go[2], int done[2])
{
	struct mapped m;
	pid_t pid;
	char byte;

	if (pipe(go) || pipe(done))
		die("pipe");
	pid = fork();
	if (pid)
		return pid;

	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		exit(1);
	map_closures(&m);
	((int (*)(const void *, const void *))make_closure(&m, 0, &closures[1]))
		(&(struct line){ "a", 1 }, &(struct line){ "b", 1 });
	if (write(done[1], "", 1) != 1)
		exit(1);
	exit(read(go[0], &byte, 1) < 0);
}

int main(int argc, char *argv[])
{
	int go[2], done[2];
	struct line *lines;
	struct mapped m;
	unsigned int i;
	size_t nr;
	pid_t pid;
	char byte;

	if (argc != 2) {
		fprintf(stderr,
			"usage: %s FILE\n\n"
			"Sorts the lines of FILE with qsort(3) and closures, in a sandbox that refuses\n"
			"executable memory to the program. Needs a kernel with CONFIG_TRAMPFD.\n",
			argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	lines = read_lines(argv[1], &nr);

	printf("\n1. A callback that carries a context (a closure) needs a few instructions of\n"
	       "   its own, made at run time. In a hardened sandbox the usual ways fail:\n\n");
	enter_sandbox();
	try_usual_ways();
	pid = second_process(go, done);

	printf("\n2. trampfd: the kernel makes the instructions, the program fills a table.\n\n");
	map_closures(&m);
	printf("    trampolines of %u bytes, each with a slot of as many, %llu KiB above it;\n"
	       "    mapped: %zu trampolines, %zu KiB of code and of table\n",
	       m.args.stride, m.args.table_offset / 1024ULL, m.size / STRIDE,
	       m.size / 1024);

	printf("\n3. %zu lines of %s, sorted by plain qsort() through closures:\n\n",
	       nr, argv[1]);
	for (i = 0; i < NR_CLOSURES; i++)
		sort_with(&m, i, lines, nr);

	printf("\n4. The process has no memory that is both writable and executable. Code is\n"
	       "   r-x and can never become writable, the table is rw- and never executable:\n\n");
	show_maps();

	printf("\n5. Trampoline 0, as read(2) of the file returns it:\n\n");
	show_bytes(&m);

	printf("\n6. Each process has a table of its own; all share one page of code:\n\n");
	show_sharing("one process", &m);
	if (write(go[1], "", 1) != 1 || read(done[0], &byte, 1) != 1)
		die("second process");
	show_sharing("after another made its own closures", &m);
	close(go[1]);
	waitpid(pid, NULL, 0);
	printf("\n");
	return 0;
}
