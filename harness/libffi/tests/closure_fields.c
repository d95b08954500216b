/* Area:	closure_call
   Purpose:	Fields of ffi_closure that are written after it was prepared count.
   Limitations:	none.
   PR:		none.  */

/* { dg-do run } */
#include "ffitest.h"

static void
add (ffi_cif *cif __UNUSED__, void *resp, void **args, void *userdata)
{
  *(ffi_arg *) resp = *(int *) args[0] + (int) (intptr_t) userdata;
}

static void
subtract (ffi_cif *cif, void *resp, void **args, void *userdata)
{
  CHECK (cif->nargs == 2);
  *(ffi_arg *) resp = *(int *) args[0] - *(int *) args[1] - (int) (intptr_t) userdata;
}

int
main (void)
{
  ffi_type *types[] = { &ffi_type_sint, &ffi_type_sint };
  ffi_cif one, two;
  void *code;
  ffi_closure *closure = ffi_closure_alloc (sizeof (ffi_closure), &code);

  CHECK (closure != NULL);
  CHECK (ffi_prep_cif (&one, FFI_DEFAULT_ABI, 1, &ffi_type_sint, types) == FFI_OK);
  CHECK (ffi_prep_cif (&two, FFI_DEFAULT_ABI, 2, &ffi_type_sint, types) == FFI_OK);
  CHECK (ffi_prep_closure_loc (closure, &one, add, (void *) 1, code) == FFI_OK);
  CHECK (((int (*) (int)) code) (41) == 42);

  closure->user_data = (void *) 2;
  CHECK (((int (*) (int)) code) (41) == 43);

  closure->cif = &two;
  closure->fun = subtract;
  CHECK (((int (*) (int, int)) code) (41, 10) == 29);

  /* Once more, as another kind, in the same place.  */
  CHECK (ffi_prep_closure_loc (closure, &one, add, (void *) 3, code) == FFI_OK);
  CHECK (((int (*) (int)) code) (41) == 44);
  ffi_closure_free (closure);
  exit (0);
}
