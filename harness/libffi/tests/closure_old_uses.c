/* Area:	ffi_prep_closure, ffi_closure_free
   Purpose:	Uses that dynamic trampolines allow: a closure that is prepared
		without its code address, of any size, prepared again, and freed
		by its code address.
   Limitations:	none.
   PR:		none.  */

/* { dg-do run } */
#include "ffitest.h"
#include <unistd.h>

static void
add (ffi_cif *cif __UNUSED__, void *resp, void **args, void *userdata)
{
  *(ffi_arg *) resp = *(int *) args[0] + (int) (intptr_t) userdata;
}

static int
call (void *code)
{
  return ((int (*) (int)) code) (40);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

int
main (void)
{
  static const size_t sizes[] = { sizeof (ffi_closure), 1000, 10000 };
  ffi_type *types[] = { &ffi_type_sint };
  ffi_closure *closure;
  void *code;
  ffi_cif cif;
  size_t i;

  CHECK (ffi_prep_cif (&cif, FFI_DEFAULT_ABI, 1, &ffi_type_sint, types) == FFI_OK);
  for (i = 0; i < sizeof (sizes) / sizeof (sizes[0]); i++)
    {
      closure = ffi_closure_alloc (sizes[i], &code);
      CHECK (closure != NULL);
      CHECK (ffi_prep_closure (closure, &cif, add, (void *) 1) == FFI_OK);
#ifdef FFI_EXEC_TRAMPFD
      /* Of the others, only static trampolines have set a trampoline.  */
      CHECK (call (code) == 41);
#endif
      CHECK (ffi_prep_closure_loc (closure, &cif, add, (void *) 2, code) == FFI_OK);
      CHECK (call (code) == 42);
      CHECK (closure->cif == &cif && closure->fun == add);
      closure->user_data = (void *) 3;
      CHECK (call (code) == 43);
#ifdef FFI_EXEC_TRAMPFD
      ffi_closure_free (code);
#else
      ffi_closure_free (closure);
#endif
    }
  exit (0);
}
