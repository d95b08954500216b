#define RETVAL_INJECTED 1
#include "trampfd_create.c"
