/* Area:	closure_call
   Purpose:	Each calling convention of i386, raw closures too; a register
		that carries an argument reaches the closure as it was.
   Limitations:	as many arguments of FFI_REGISTER as there are registers, for
		libffi does not pop the others.
   PR:		none.  */

/* { dg-do run { target i?86-*-* } } */
#include "ffitest.h"

typedef int (*cdecl_fn) (int, int, int);
typedef int (__attribute__((stdcall)) *stdcall_fn) (int, int, int);
typedef int (__attribute__((fastcall)) *fastcall_fn) (int, int, int);
typedef int (__attribute__((thiscall)) *thiscall_fn) (int, int, int);
typedef int (__attribute__((regparm (3))) *register_fn) (int, int, int);

static ffi_type *types[] = { &ffi_type_sint, &ffi_type_sint, &ffi_type_sint };

static void
digits (ffi_cif *cif __UNUSED__, void *resp, void **args, void *userdata)
{
  *(ffi_arg *) resp = (intptr_t) userdata * 1000 + *(int *) args[0] * 100
    + *(int *) args[1] * 10 + *(int *) args[2];
}

static void
raw_digits (ffi_cif *cif __UNUSED__, void *resp, ffi_raw *args, void *userdata)
{
  *(ffi_arg *) resp = (intptr_t) userdata * 1000 + args[0].sint * 100
    + args[1].sint * 10 + args[2].sint;
}

static void *
prepare (ffi_abi abi, ffi_cif *cif)
{
  void *code;
  ffi_closure *closure = ffi_closure_alloc (sizeof (ffi_closure), &code);

  CHECK (closure != NULL);
  CHECK (ffi_prep_cif (cif, abi, 3, &ffi_type_sint, types) == FFI_OK);
  CHECK (ffi_prep_closure_loc (closure, cif, digits, (void *) 1, code) == FFI_OK);
  return code;
}

static void *
prepare_raw (ffi_abi abi, ffi_cif *cif)
{
  void *code;
  ffi_raw_closure *closure = ffi_closure_alloc (sizeof (ffi_raw_closure), &code);

  CHECK (closure != NULL);
  CHECK (ffi_prep_cif (cif, abi, 3, &ffi_type_sint, types) == FFI_OK);
  CHECK (ffi_prep_raw_closure_loc (closure, cif, raw_digits, (void *) 1, code) == FFI_OK);
  return code;
}

int
main (void)
{
  ffi_cif sysv, cdecl, stdcall, fastcall, thiscall, regs, raw;

  CHECK (((cdecl_fn) prepare (FFI_SYSV, &sysv)) (2, 3, 4) == 1234);
  CHECK (((cdecl_fn) prepare (FFI_MS_CDECL, &cdecl)) (2, 3, 4) == 1234);
  CHECK (((stdcall_fn) prepare (FFI_STDCALL, &stdcall)) (2, 3, 4) == 1234);
  CHECK (((fastcall_fn) prepare (FFI_FASTCALL, &fastcall)) (2, 3, 4) == 1234);
  CHECK (((thiscall_fn) prepare (FFI_THISCALL, &thiscall)) (2, 3, 4) == 1234);
  CHECK (((cdecl_fn) prepare_raw (FFI_SYSV, &raw)) (2, 3, 4) == 1234);
  CHECK (((register_fn) prepare (FFI_REGISTER, &regs)) (2, 3, 4) == 1234);
  exit (0);
}
