/* Area:	ffi_closure_alloc
   Purpose:	What could not be allocated for want of descriptors or address
		space can be, as soon as there are some.
   Limitations:	none.
   PR:		none.  */

/* { dg-do run } */
#include "ffitest.h"
#include <sys/resource.h>

static void
number (ffi_cif *cif __UNUSED__, void *resp, void **args __UNUSED__, void *userdata)
{
  *(ffi_arg *) resp = (ffi_arg) (uintptr_t) userdata;
}

static ffi_cif cif;

static ffi_closure *
make (void **code)
{
  ffi_closure *closure = ffi_closure_alloc (sizeof (ffi_closure), code);

  if (closure != NULL)
    CHECK (ffi_prep_closure_loc (closure, &cif, number, (void *) 42, *code) == FFI_OK);
  return closure;
}

static void
limit (int resource, struct rlimit *was, rlim_t now)
{
  struct rlimit limit;

  CHECK (getrlimit (resource, was) == 0);
  limit = *was;
  limit.rlim_cur = now;
  CHECK (setrlimit (resource, &limit) == 0);
}

int
main (void)
{
  struct rlimit space, files;
  ffi_closure *closure;
  void *code;

  CHECK (ffi_prep_cif (&cif, FFI_DEFAULT_ABI, 0, &ffi_type_sint, NULL) == FFI_OK);
  limit (RLIMIT_AS, &space, 4096);
  closure = make (&code);
  CHECK (setrlimit (RLIMIT_AS, &space) == 0);
  ffi_closure_free (closure);

  limit (RLIMIT_NOFILE, &files, 0);
  closure = make (&code);
  CHECK (setrlimit (RLIMIT_NOFILE, &files) == 0);
  if (closure != NULL)
    CHECK (((int (*) (void)) code) () == 42);
  ffi_closure_free (closure);

  closure = make (&code);
  CHECK (closure != NULL);
  CHECK (((int (*) (void)) code) () == 42);
  ffi_closure_free (closure);
  exit (0);
}
