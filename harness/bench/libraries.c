// SPDX-License-Identifier: GPL-2.0
/*
 * Methods that are libraries, which allocate and free single trampolines.
 */
#include <stdlib.h>

#include <ffi.h>
#ifdef FFI_STATIC
#include <callback.h>
#include <trampfd.h>
#endif

#include "bench.h"

static ffi_cif cif;

static void ffi_target(ffi_cif *unused, void *ret, void **args, void *data)
{
	(void)unused;
	(void)ret;
	(void)args;
	seen = data;
}

/* The handle is the closure, whose address differs from that of its code. */
static size_t ffi_create(trampoline_t **t, void **handle, size_t n)
{
	void *code;
	size_t i;

	if (!cif.rtype && ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 0, &ffi_type_void, NULL) != FFI_OK)
		abort();
	for (i = 0; i < n; i++) {
		handle[i] = ffi_closure_alloc(sizeof(ffi_closure), &code);
		if (!handle[i])
			break;
		if (ffi_prep_closure_loc(handle[i], &cif, ffi_target, &t[i], code) != FFI_OK)
			abort();
		t[i] = (trampoline_t *)code;
	}
	return i;
}

static void ffi_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ffi_prep_closure_loc(handle[i], &cif, ffi_target, data + i, t[i]) != FFI_OK)
			abort();
}

static void ffi_free(trampoline_t *t, void *handle)
{
	(void)t;
	ffi_closure_free(handle);
}

const struct method method_ffi = {
	.name = FFI_NAME,
	.create = ffi_create,
	.set = ffi_set,
	.free = ffi_free,
};

#ifdef FFI_STATIC
static void ffcall_target(void *data, va_alist args)
{
	va_start_void(args);
	seen = data;
	va_return_void(args);
}

static size_t ffcall_create(trampoline_t **t, void **handle, size_t n)
{
	size_t i;

	(void)handle;
	for (i = 0; i < n; i++) {
		t[i] = (trampoline_t *)alloc_callback(ffcall_target, &t[i]);
		if (!t[i])
			break;
	}
	return i;
}

static void ffcall_free(trampoline_t *t, void *handle)
{
	(void)handle;
	free_callback((callback_t)t);
}

const struct method method_ffcall = {
	.name = "GNU libffcall",
	.create = ffcall_create,
	.free = ffcall_free,
};

static size_t library_create(trampoline_t **t, size_t n, enum trampfd_backend backend)
{
	size_t i;

	if (trampfd_set_backend(backend))
		return 0;
	for (i = 0; i < n; i++) {
		t[i] = (trampoline_t *)trampfd_alloc(NULL, target_data, &t[i]);
		if (!t[i])
			break;
	}
	return i;
}

static size_t kernel_create(trampoline_t **t, void **handle, size_t n)
{
	(void)handle;
	return library_create(t, n, TRAMPFD_BACKEND_KERNEL);
}

static size_t text_create(trampoline_t **t, void **handle, size_t n)
{
	(void)handle;
	return library_create(t, n, TRAMPFD_BACKEND_LIBRARY);
}

static void library_set(trampoline_t **t, void **handle, size_t n, char *data)
{
	size_t i;

	(void)handle;
	for (i = 0; i < n; i++)
		trampfd_set((void *)t[i], target_data, data + i);
}

static void library_free(trampoline_t *t, void *handle)
{
	(void)handle;
	trampfd_free((void *)t);
}

const struct method method_kernel = {
	.name = "libtrampfd, kernel",
	.create = kernel_create,
	.set = library_set,
	.free = library_free,
};

const struct method method_library = {
	.name = "libtrampfd, own text",
	.create = text_create,
	.set = library_set,
	.free = library_free,
};
#endif
