/* Area:	closure_call
   Purpose:	A closure in memory that the application supplies has its
		trampoline there.
   Limitations:	called only where memory may be writable and executable.
   PR:		none.  */

/* { dg-do run } */
#include "ffitest.h"
#include <sys/mman.h>

static void
add (ffi_cif *cif __UNUSED__, void *resp, void **args, void *userdata)
{
  *(ffi_arg *) resp = *(int *) args[0] + (int) (intptr_t) userdata;
}

int
main (void)
{
  static ffi_closure none;
  ffi_type *types[] = { &ffi_type_sint };
  ffi_closure *own, *allocated;
  void *code;
  int executable = 1;
  ffi_cif cif;

  CHECK (ffi_prep_cif (&cif, FFI_DEFAULT_ABI, 1, &ffi_type_sint, types) == FFI_OK);

  own = mmap (NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (own == MAP_FAILED)
    {
      executable = 0;
      own = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
  CHECK (own != MAP_FAILED);

  /* Whatever its memory contains, such as its own address, before any other.  */
  *(void **) own = own;
  CHECK (ffi_prep_closure_loc (own, &cif, add, (void *) 2, own) == FFI_OK);
  CHECK (*(void **) own != own);
  memset (own, 0, sizeof (*own));

  /* One of each kind, one after the other and at the same time.  */
  allocated = ffi_closure_alloc (sizeof (ffi_closure), &code);
  CHECK (allocated != NULL);
  CHECK (ffi_prep_closure_loc (allocated, &cif, add, (void *) 1, code) == FFI_OK);
  CHECK (ffi_prep_closure_loc (own, &cif, add, (void *) 2, own) == FFI_OK);
  CHECK (memcmp (own->tramp, none.tramp, sizeof (none.tramp)) != 0);
  CHECK (own->cif == &cif && own->fun == add && own->user_data == (void *) 2);
  if (executable)
    CHECK (((int (*) (int)) (void *) own) (40) == 42);
  CHECK (((int (*) (int)) code) (41) == 42);
  ffi_closure_free (allocated);
  if (executable)
    CHECK (((int (*) (int)) (void *) own) (40) == 42);
  munmap (own, 4096);
  exit (0);
}
