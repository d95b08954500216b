/* Area:	closure_call
   Purpose:	Closures are allocated, called and freed by many threads, the
		first ones at the same time, and in a fork()ed child.
   Limitations:	none.
   PR:		none.  */

/* { dg-do run } */
/* { dg-options "-pthread" } */
#include "ffitest.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 500

static ffi_cif cif;
static pthread_barrier_t start;

static void
add (ffi_cif *cif __UNUSED__, void *resp, void **args, void *userdata)
{
  *(ffi_arg *) resp = *(int *) args[0] + (int) (intptr_t) userdata;
}

static void
use (int n)
{
  void *codes[4];
  ffi_closure *closures[4];
  int i;

  for (i = 0; i < 4; i++)
    {
      closures[i] = ffi_closure_alloc (sizeof (ffi_closure), &codes[i]);
      CHECK (closures[i] != NULL);
      CHECK (ffi_prep_closure_loc (closures[i], &cif, add, (void *) (intptr_t) (n + i), codes[i]) == FFI_OK);
    }
  for (i = 0; i < 4; i++)
    {
      CHECK (((int (*) (int)) codes[i]) (1000) == 1000 + n + i);
      ffi_closure_free (closures[i]);
    }
}

static void *
thread (void *arg)
{
  int i;

  pthread_barrier_wait (&start);
  for (i = 0; i < ROUNDS; i++)
    use ((int) (intptr_t) arg * ROUNDS + i);
  return NULL;
}

int
main (void)
{
  ffi_type *types[] = { &ffi_type_sint };
  pthread_t threads[THREADS];
  intptr_t i;
  pid_t child;
  int status;

  CHECK (ffi_prep_cif (&cif, FFI_DEFAULT_ABI, 1, &ffi_type_sint, types) == FFI_OK);
  CHECK (pthread_barrier_init (&start, NULL, THREADS) == 0);
  for (i = 0; i < THREADS; i++)
    CHECK (pthread_create (&threads[i], NULL, thread, (void *) i) == 0);
  for (i = 0; i < THREADS; i++)
    CHECK (pthread_join (threads[i], NULL) == 0);

  /* Not while threads allocate: a child may find dlmalloc's lock held.  */
  child = fork ();
  CHECK (child >= 0);
  if (child == 0)
    {
      use (1);
      _exit (0);
    }
  CHECK (waitpid (child, &status, 0) == child);
  CHECK (status == 0);
  use (2);
  exit (0);
}
