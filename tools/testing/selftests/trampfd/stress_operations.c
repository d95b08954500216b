// SPDX-License-Identifier: GPL-2.0
/*
 * The operations of the stress test, and the model of each instance: the contents of
 * its slots and of its code.
 */
#include <sys/param.h>

#include "stress.h"

static pthread_mutex_t probe_lock = PTHREAD_MUTEX_INITIALIZER;

/* splitmix64 */
static uint64_t random64(void)
{
	uint64_t z = self->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static uint32_t below(uint32_t bound)
{
	return (random64() >> 32) % bound;
}

/* Choose a range of whole pages in @size bytes.  Return its offset, set @len. */
static size_t some_pages(size_t size, size_t *len)
{
	size_t pages = size / page_size(), first = below(pages);

	*len = (1 + below(pages - first)) * page_size();
	return first * page_size();
}

static int nr_listed(const struct abi_reg *regs)
{
	int n = 0;

	while (regs[n].name)
		n++;
	return n;
}

static const struct abi_mode *some_mode(void)
{
	int n = 0;

	while (abi_modes[n].name)
		n++;
	return &abi_modes[below(n)];
}

/* A random stride, or 0; each is half as likely as the next smaller one */
static uint32_t some_stride(uint32_t stride)
{
	if (below(3) == 0)
		return 0;
	while (stride < TRAMPFD_STRIDE_MAX && below(2))
		stride *= 2;
	return stride;
}

/* A request that the kernel must grant */
static struct trampfd_create_args some_request(const struct abi_mode *mode)
{
	struct trampfd_create_args args = {
		.mode = mode->mode,
		.stride = some_stride(mode->min_stride),
	};
	const struct abi_reg *reg;

	if (below(2)) {
		reg = &abi_regs[below(nr_listed(abi_regs))];
		args.data_reg = TRAMPFD_REG(reg->dwarf);
	}
	if (mode->scratch_reg && below(2)) {
		reg = &abi_scratch_regs[below(nr_listed(abi_scratch_regs))];
		args.scratch_reg = TRAMPFD_REG(reg->dwarf);
		if (args.scratch_reg == (args.data_reg ?: mode->data_reg))
			args.scratch_reg = 0;
	}
	return args;
}

static uint64_t hash_page(const char *page)
{
	const unsigned long *word = (void *)page;
	uint64_t hash = 0;
	size_t i;

	for (i = 0; i < page_size() / sizeof(*word); i++)
		hash = (hash ^ word[i]) * 0x100000001b3ULL;
	return hash;
}

/*
 * Release an instance, even if an operation on it failed half-way.  Unmap code, table
 * and the gap between them at once: another thread can map into a gap.
 */
void drop(struct object *o)
{
	struct instance *in = &o->in;

	free(o->model);
	o->model = NULL;
	if (in->table != MAP_FAILED && in->table != in->code + in->args.table_offset)
		munmap(in->table, in->size);
	if (in->code != MAP_FAILED)
		munmap(in->code, instance_span(in));
	if (in->fd >= 0)
		close(in->fd);
	*in = (struct instance){ .fd = -1, .code = MAP_FAILED, .table = MAP_FAILED };
}

/* The first and the last slot are as likely as all others together. */
static uint32_t some_slot(const struct object *o)
{
	uint32_t i = below(4);

	return i == 0 ? 0 : i == 1 ? o->in.nr - 1 : below(o->in.nr);
}

/* The last word of the program's part of a slot, or NULL if it has none */
static unsigned long *rest_of_slot(const struct object *o, uint32_t i)
{
	if (o->in.args.stride == sizeof(struct slot))
		return NULL;
	return (unsigned long *)instance_slot(&o->in, i + 1) - 1;
}

/*
 * Operations return 0, or -1 with errno if the kernel refused a valid call.
 */

static int op_fill(struct object *o)
{
	uint32_t left = 1 + below(MIN(o->in.nr, 512));
	uint32_t i = some_slot(o);

	for (; left; left--, i = (i + 1) % o->in.nr) {
		unsigned long *rest = rest_of_slot(o, i);
		struct written *w = &o->model[i];

		w->head.data = random64();
		w->head.code = (unsigned long)abi_probe_target;
		if (o->plain && below(4))
			w->head.code = o->plain;
		*instance_slot(&o->in, i) = w->head;
		if (rest)
			*rest = w->rest = random64();
	}
	return 0;
}

/* Set the size of code and table in bytes. */
static void set_size(struct instance *in, size_t size)
{
	in->size = size;
	in->nr = size / in->args.stride;
}

static int op_create(struct object *o)
{
	const struct abi_mode *mode = some_mode();
	struct trampfd_create_args asked = some_request(mode), *got = &o->in.args;
	size_t size;

	drop(o);
	*got = asked;
	arm_failure();
	o->in.fd = trampfd_create(got, sizeof(*got));
	disarm_failure();
	if (o->in.fd < 0)
		return -1;
	some_pages((1 + below(got->table_size / page_size())) * page_size(), &size);
	set_size(&o->in, size);
	if (instance_map(&o->in, 0))
		return -1;
	flush_stale_code();
	if (got->mode != mode->mode || got->stride != (asked.stride ?: mode->min_stride) ||
	    got->data_reg != (asked.data_reg ?: mode->data_reg) ||
	    !got->scratch_reg != !mode->scratch_reg ||
	    (asked.scratch_reg && got->scratch_reg != asked.scratch_reg))
		fail(ANSWERS, "the geometry differs from the request");
	o->model = calloc(o->in.nr, sizeof(*o->model));
	if (!o->model)
		return -1;
	o->code_hash = hash_page(o->in.code);
	o->plain = 0;
	if (got->data_reg == mode->data_reg && got->scratch_reg == mode->scratch_reg)
		o->plain = (unsigned long)(mode->mode == TRAMPFD_MODE_PUSH ?
					   abi_return_push : abi_return_data);
	return op_fill(o);
}

static int must_refuse(enum check check, long result, int err)
{
	if (result == -1)
		return errno == err ? 0 : -1;
	fail(check, "granted, but expected: %s", strerror(err));
	return 0;
}

static int op_refused_create(struct object *o)
{
	static const struct trampfd_create_args read_only = { .stride = TRAMPFD_STRIDE_MAX };
	const struct abi_mode *mode = some_mode();
	struct trampfd_create_args args = some_request(mode), *pass = &args;
	size_t size = sizeof(args);
	int err = EINVAL, fd;

	(void)o;
	switch (below(12)) {
	case 0:
		args.flags = 1ULL << below(64);
		break;
	case 1:
		args.stride = mode->min_stride >> (1 + below(3));
		break;
	case 2:
		args.stride = TRAMPFD_STRIDE_MAX << (1 + below(19));
		break;
	case 3:
		args.abi = ABI_LAST + 1 + below(1U << below(32));
		break;
	case 4:
		args.mode = TRAMPFD_MODE_PUSH + 1 + below(1U << below(32));
		break;
	case 5:
		args.data_reg = TRAMPFD_REG(abi_bad_regs[0]);
		break;
	case 6:
		size = below(TRAMPFD_CREATE_ARGS_SIZE_VER0);
		break;
	case 7:
		size = page_size() + 1 + below(1U << below(32));
		err = E2BIG;
		break;
	case 8:
		do {
			args.abi = below(ABI_LAST + 1);
		} while (!abi_is_foreign(args.abi));
		err = EOPNOTSUPP;
		break;
	case 9:
		pass = NULL;
		err = EFAULT;
		break;
	case 10:
		pass = (struct trampfd_create_args *)&read_only;
		err = EFAULT;
		break;
	case 11:	/* not a power of two */
		args.stride = 3 + 2 * below(1U << below(12));
		break;
	}
	fd = trampfd_create(pass, size);
	if (fd >= 0)
		close(fd);
	return must_refuse(ANSWERS, fd, err);
}

static unsigned long expected(const struct object *o, uint32_t i)
{
	if (o->in.args.mode == TRAMPFD_MODE_DATA)
		return o->model[i].head.data;
	return (unsigned long)instance_slot(&o->in, i);
}

static void call_times(const struct object *o, uint32_t i, unsigned int times)
{
	unsigned long want = expected(o, i), got = want;
	unsigned int n;

	self->may_jump = 1;
	for (n = 0; n < times && got == want; n++)
		got = instance_run(&o->in, i);
	self->may_jump = 0;
	count(N_CALLS, n);
	if (got != want)
		fail(CALLS, "trampoline %u of %u: got %#lx, want %#lx",
		     i, o->in.nr, got, want);
}

/* Call a trampoline many times, so that signals interrupt it. */
static void call_often(const struct object *o, uint32_t i)
{
	if (sigsetjmp(self->out, 1))
		count(N_JUMPS, 1);
	else
		call_times(o, i, 1 + below(200));
}

/* Call a trampoline and compare all registers.  Only one thread may use abi_probe(). */
static void probe(const struct object *o, uint32_t i)
{
	int data = o->in.args.data_reg - TRAMPFD_REG(0);
	int scratch = o->in.args.scratch_reg - TRAMPFD_REG(0);
	unsigned long got, want;
	const struct abi_reg *r;

	pthread_mutex_lock(&probe_lock);
	for (r = abi_regs; r->name; r++)
		abi_probe_in.regs[r->dwarf] = random64();
	abi_probe_entry = (unsigned long)instance_trampoline(&o->in, i);
	abi_probe_drop = o->in.args.mode == TRAMPFD_MODE_PUSH;
	abi_probe();
	for (r = abi_regs; r->name; r++) {
		got = abi_probe_out.regs[r->dwarf];
		want = r->dwarf == data ? expected(o, i) : abi_probe_in.regs[r->dwarf];
		if (got != want && r->dwarf != scratch)
			fail(CALLS, "trampoline %u of %u, data register %d: %s is %#lx, want %#lx",
			     i, o->in.nr, data, r->name, got, want);
	}
	pthread_mutex_unlock(&probe_lock);
	count(N_PROBES, 1);
}

static int op_call(struct object *o)
{
	unsigned int tries = 32;
	uint32_t i;

	self->calling = &o->in;
	while (tries--) {
		i = some_slot(o);
		if (!o->model[i].head.code)
			continue;
		if (o->model[i].head.code == o->plain)
			call_often(o, i);
		else
			probe(o, i);
	}
	self->calling = NULL;
	return 0;
}

/* Call an instance of another thread, which may call it at the same time. */
static int op_call_of_another(struct object *o)
{
	o = &workers[below(nr_workers)].own[below(OBJECTS)];
	if (pthread_rwlock_tryrdlock(&o->lock))
		return 0;
	if (o->model) {
		count(N_BORROWED, 1);
		op_call(o);
	}
	pthread_rwlock_unlock(&o->lock);
	return 0;
}

static void check_table(const struct object *o, enum check check)
{
	uint32_t i;

	for (i = 0; o->model && i < o->in.nr; i++) {
		unsigned long *rest = rest_of_slot(o, i);
		struct written *w = &o->model[i];

		if (memcmp(&w->head, instance_slot(&o->in, i), sizeof(w->head)) ||
		    (rest && *rest != w->rest)) {
			fail(check, "slot %u of %u has changed", i, o->in.nr);
			return;
		}
	}
}

static void check_code(const struct object *o)
{
	size_t at;

	for (at = 0; at < o->in.size; at += page_size())
		if (hash_page(o->in.code + at) != o->code_hash)
			fail(CODE, "code at offset %#zx has changed", at);
}

static int op_check(struct object *o)
{
	check_table(o, TABLES);
	check_code(o);
	return 0;
}

static int op_close_file(struct object *o)
{
	close(o->in.fd);
	o->in.fd = -1;
	return 0;
}

static int op_move(struct object *o)
{
	if (instance_move(&o->in))
		return -1;
	flush_stale_code();
	return op_call(o);
}

/* Replace a part of the code while other threads may call it. */
static int op_map_again(struct object *o)
{
	size_t len, offset = some_pages(o->in.size, &len);
	void *at = o->in.code + offset;

	return mmap(at, len, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED,
		    o->in.fd, offset) == at ? 0 : -1;
}

/*
 * Extend the table if the range above it is free.  Its code is mapped already.  Do not
 * do so in a child: the new mapping would not merge with the inherited one (more than
 * one anon_vma), and before 6.17 mremap() moves only one mapping at a time.
 */
static int op_map_more(struct object *o)
{
	size_t size = o->in.size, left = o->in.args.table_size - size, more;
	struct written *model;
	char *at;

	if (!left || self->is_child)
		return 0;
	some_pages(left, &more);
	at = mmap(o->in.table + size, more, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_FIXED_NOREPLACE, o->in.fd, o->in.args.table_offset + size);
	if (at == MAP_FAILED)
		return errno == EEXIST ? 0 : -1;
	set_size(&o->in, size + more);
	model = reallocarray(o->model, o->in.nr, sizeof(*model));
	if (!model)
		return -1;
	o->model = model;
	memset(model + size / o->in.args.stride, 0,
	       more / o->in.args.stride * sizeof(*model));
	return op_fill(o);
}

static int op_unmap(struct object *o)
{
	if (munmap(o->in.code, instance_span(&o->in)))
		return -1;
	o->in.code = MAP_FAILED;
	o->in.table = MAP_FAILED;
	drop(o);
	return 0;
}

/* After the lower half is unmapped, the upper half still works. */
static int op_unmap_halves(struct object *o)
{
	size_t half = o->in.size / 2 & -page_size();
	uint32_t i;

	if (!half)
		return op_unmap(o);
	if (munmap(o->in.code, half) || munmap(o->in.table, half))
		return -1;
	for (i = 0; i < half / o->in.args.stride; i++)
		o->model[i].head.code = 0;
	op_call(o);
	/* Do not unmap the gaps, where other threads may have mapped something. */
	if (munmap(o->in.code + half, o->in.args.table_offset - half) ||
	    munmap(o->in.table + half, o->in.size - half))
		return -1;
	o->in.code = MAP_FAILED;
	o->in.table = MAP_FAILED;
	drop(o);
	return 0;
}

static int op_discard_table(struct object *o)
{
	size_t len, offset = some_pages(o->in.size, &len);
	size_t stride = o->in.args.stride;

	if (madvise(o->in.table + offset, len, MADV_DONTNEED))
		return -1;
	memset(&o->model[offset / stride], 0, len / stride * sizeof(*o->model));
	check_table(o, TABLES);
	return 0;
}

static int op_discard_code(struct object *o)
{
	size_t len, offset = some_pages(o->in.size, &len);

	if (madvise(o->in.code + offset, len, MADV_DONTNEED))
		return -1;
	return op_call(o);
}

/* The kernel does not page out code, and returns success. */
static int op_page_out(struct object *o)
{
	size_t len, offset = some_pages(o->in.size, &len);
	char *area = below(4) ? o->in.table : o->in.code;

	return madvise(area + offset, len, MADV_PAGEOUT) ? -1 : op_call(o);
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

/* When the guards are removed, faults map the code again. */
static int op_guard_code(struct object *o)
{
	size_t len, offset = some_pages(o->in.size, &len);

	if (madvise(o->in.code + offset, len, MADV_GUARD_INSTALL))
		return errno == EINVAL ? 0 : -1;	/* older kernels */
	if (madvise(o->in.code + offset, len, MADV_GUARD_REMOVE))
		return -1;
	return op_call(o);
}

static int op_read(struct object *o)
{
	char bytes[8192];
	size_t size = page_size(), offset = below(size);
	ssize_t want = 1 + below(sizeof(bytes)), got;

	if (want > (ssize_t)(size - offset))
		want = size - offset;
	got = pread(o->in.fd, bytes, want, offset);
	if (got < 0)
		return -1;
	if (memcmp(bytes, o->in.code + offset, got))
		fail(CODE, "read() and the mapping differ");
	if (got < want) {
		errno = EFAULT;
		return -1;
	}
	return 0;
}

static int op_protect(struct object *o)
{
	size_t page = page_size();

	if (must_refuse(PROTECTION, mprotect(o->in.code, page, PROT_READ | PROT_WRITE), EACCES) ||
	    must_refuse(PROTECTION, mprotect(o->in.table, page, PROT_READ | PROT_EXEC), EACCES) ||
	    must_refuse(PROTECTION, (long)mmap(NULL, page, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE, o->in.fd, 0), EACCES) ||
	    must_refuse(PROTECTION, (long)mmap(NULL, page, PROT_READ, MAP_SHARED,
					       o->in.fd, o->in.args.table_offset), EINVAL))
		return -1;
	return 0;
}

/* The child has only one thread, so initialize the locks of the parent's threads. */
static __noreturn void be_child(void)
{
	unsigned int i, steps = below(16);

	workers = self;
	nr_workers = 1;
	self->is_child = true;
	self->fail_nth = -1;
	self->armed = false;
	pthread_mutex_init(&probe_lock, NULL);
	for (i = 0; i < OBJECTS; i++) {
		pthread_rwlock_init(&self->own[i].lock, NULL);
		check_table(&self->own[i], FORKS);
	}
	while (steps--)
		step();
	_exit(0);
}

static int op_fork(struct object *o)
{
	unsigned int i;
	int status;
	pid_t pid;

	disarm_slow_fork();
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid)
		be_child();
	op_fill(o);
	waitpid(pid, &status, 0);
	if (status)
		fail(SURVIVAL, "wait status %#x of a child", status);
	for (i = 0; i < OBJECTS; i++)
		check_table(&self->own[i], FORKS);
	return 0;
}

#define NEEDS_FILE	0x1	/* The file must be open. */
#define CHANGES		0x2	/* Other threads must not use the object meanwhile. */
#define BREAKS		0x4	/* After an error the object is not usable. */
/*
 * If a merge of mappings fails for lack of memory, they remain separate, and mremap()
 * refuses to move them at once (EFAULT).  The object is not usable then either.
 */
#define MERGES		0x8

static const struct operation {
	const char *name;
	int (*run)(struct object *o);
	enum check check;
	unsigned int weight;
	unsigned int flags;
} operations[] = {
	{ "create", op_create, ANSWERS, 20, CHANGES | BREAKS | MERGES },
	{ "create, refused", op_refused_create, ANSWERS, 30, 0 },
	{ "fill slots", op_fill, TABLES, 60, CHANGES },
	{ "call", op_call, CALLS, 150, 0 },
	{ "call, of another thread", op_call_of_another, CALLS, 150, 0 },
	{ "check table and code", op_check, TABLES, 20, 0 },
	{ "close file", op_close_file, MAPPINGS, 5, NEEDS_FILE | CHANGES },
	{ "move", op_move, MAPPINGS, 20, CHANGES | BREAKS | MERGES },
	{ "map again", op_map_again, MAPPINGS, 20, NEEDS_FILE | BREAKS | MERGES },
	{ "map more", op_map_more, MAPPINGS, 10, NEEDS_FILE | CHANGES | BREAKS | MERGES },
	{ "unmap", op_unmap, MAPPINGS, 5, CHANGES | BREAKS },
	{ "unmap by halves", op_unmap_halves, MAPPINGS, 5, CHANGES | BREAKS },
	{ "discard table", op_discard_table, TABLES, 15, CHANGES },
	{ "discard code", op_discard_code, CODE, 20, 0 },
	{ "page out", op_page_out, TABLES, 20, 0 },
	{ "guard code", op_guard_code, CODE, 10, CHANGES | BREAKS },
	{ "read", op_read, CODE, 30, NEEDS_FILE },
	{ "protect, refused", op_protect, PROTECTION, 20, NEEDS_FILE },
	{ "fork", op_fork, FORKS, 5, CHANGES },
};

#define NR_OPERATIONS	ARRAY_SIZE(operations)

static const struct operation *some_operation(void)
{
	const struct operation *op;
	unsigned int sum = 0, at;

	for (op = operations; op < operations + NR_OPERATIONS; op++)
		sum += op->weight;
	at = below(sum);
	for (op = operations; at >= op->weight; op++)
		at -= op->weight;
	return op;
}

const char *operation_name(unsigned int i)
{
	return i < NR_OPERATIONS ? operations[i].name : NULL;
}

/* Do one random operation. */
void step(void)
{
	const struct operation *op = some_operation();
	struct object *o = &self->own[below(OBJECTS)];
	int err;

	if (!o->model || ((op->flags & NEEDS_FILE) && o->in.fd < 0))
		op = operations;
	self->steps++;
	self->operation = op->name;
	__atomic_fetch_add(&report->operations[op - operations], 1, __ATOMIC_RELAXED);

	if (op->flags & CHANGES)
		pthread_rwlock_wrlock(&o->lock);
	self->failed = false;
	arm_failure();
	err = op->run(o) ? errno : 0;
	disarm_failure();
	if (err) {
		if (!self->failed || (err != ENOMEM && err != EFAULT))
			fail(op->check, "%s", strerror(err));
		count(N_REFUSED, 1);
		if (op->flags & BREAKS)
			drop(o);
	}
	if (self->failed && (op->flags & MERGES))
		drop(o);
	if (self->failed && o->model) {
		op_check(o);
		op_call(o);
	}
	if (op->flags & CHANGES)
		pthread_rwlock_unlock(&o->lock);
}
