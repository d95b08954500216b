/* Area:	ffi_closure_alloc
   Purpose:	Closures of any size, many at once, freed in another order.
   Limitations:	none.
   PR:		none.  */

/* { dg-do run } */
#include "ffitest.h"

#define NR 3000

static void
number (ffi_cif *cif __UNUSED__, void *resp, void **args __UNUSED__, void *userdata)
{
  *(ffi_arg *) resp = (ffi_arg) (uintptr_t) userdata;
}

static ffi_closure *closures[NR];
static void *codes[NR];
static ffi_cif cif;

static size_t
size_of (int i)
{
  return sizeof (ffi_closure) + (i % 7 == 0 ? 0 : i * 5);
}

static void
make (int i)
{
  closures[i] = ffi_closure_alloc (size_of (i), &codes[i]);
  CHECK (closures[i] != NULL);
  memset (closures[i] + 1, i & 0xff, size_of (i) - sizeof (ffi_closure));
  CHECK (ffi_prep_closure_loc (closures[i], &cif, number, (void *) (uintptr_t) (i + 1), codes[i]) == FFI_OK);
}

static void
check (int i)
{
  unsigned char *rest = (unsigned char *) (closures[i] + 1);
  size_t n;

  CHECK (((int (*) (void)) codes[i]) () == i + 1);
  for (n = 0; n < size_of (i) - sizeof (ffi_closure); n++)
    CHECK (rest[n] == (i & 0xff));
}

int
main (void)
{
  int i;

  CHECK (ffi_prep_cif (&cif, FFI_DEFAULT_ABI, 0, &ffi_type_sint, NULL) == FFI_OK);
  for (i = 0; i < NR; i++)
    make (i);
  for (i = 0; i < NR; i += 3)
    ffi_closure_free (closures[i]);
  for (i = 0; i < NR; i += 3)
    make (i);
  for (i = NR - 1; i >= 0; i--)
    check (i);
  for (i = 0; i < NR; i++)
    ffi_closure_free (closures[(i * 7) % NR]);
  exit (0);
}
