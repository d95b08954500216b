#!/bin/sh
# Runs a compiler of the kernel, with ccache if it compiles C:
#   ccache.sh COMPILER [ARGUMENT...]
# With CCACHE_DEPEND the compiler says which files an object is made of, and it does not
# name what .incbin in assembly reads, such as vdso.so and the compressed kernel.
for argument; do
	case $argument in *.S) exec "$@" ;; esac
done
exec ccache "$@"
