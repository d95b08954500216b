// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * libtrampfd: a plugin that is linked with the static library; with -DHOST, the program
 * that loads and unloads it
 *
 *	host TIMES PLUGIN...
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HOST
#include "gcc.h"
#include "trampfd.h"

static int calls;

static void target(void)
{
	calls++;
}

int use_pool(void)
{
	struct trampfd_pool *pool = trampfd_pool_create(NULL);
	void *t[300];
	int i;

	calls = 0;
	for (i = 0; pool && i < 300; i++) {
		t[i] = trampfd_alloc(pool, (void *)target, NULL);
		if (t[i])
			((void (*)(void))t[i])();
	}
	trampfd_pool_destroy(pool);
	return calls;
}

int use_nested(void)
{
	void *t;

	calls = 0;
	__gcc_nested_func_ptr_created(NULL, (void *)target, &t);
	((void (*)(void))t)();
	__gcc_nested_func_ptr_deleted();
	return calls;
}

#else

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int c, n = 0;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

typedef int function(void);

static int call(void *plugin, const char *name)
{
	function *f = (function *)dlsym(plugin, name);

	return f ? f() : -1;
}

static void *load(const char *name)
{
	void *plugin = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return plugin;
}

static const char *first;
static pthread_barrier_t barrier;

/* A thread that ends after the plugin was unloaded */
static void *outlive(void *arg)
{
	void *plugin = load(first);
	int *nested = arg;

	*nested = call(plugin, "use_nested");
	dlclose(plugin);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void expect(const char *what, int have, int want)
{
	if (have == want)
		return;
	printf("%s: %d, expected %d\n", what, have, want);
	exit(1);
}

int main(int argc, char *argv[])
{
	int i, j, times = argc > 2 ? atoi(argv[1]) : 0, n = 0, nested = 0;
	void *plugins[16];
	pthread_t thread;

	first = argv[2];
	for (i = 0; i < times; i++) {
		/* All copies at the same time */
		for (j = 2; j < argc; j++)
			plugins[j] = load(argv[j]);
		for (j = 2; j < argc; j++)
			expect("calls", call(plugins[j], "use_pool"), 300);
		for (j = 2; j < argc; j++)
			dlclose(plugins[j]);
		if (i == 1)
			n = mappings();
	}
	/* Adjacent mappings may or may not be merged. */
	if (mappings() > n + 4)
		expect("mappings", mappings(), n);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, outlive, &nested);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	expect("calls of the nested function", nested, 1);
	puts("done");
	return 0;
}
#endif
