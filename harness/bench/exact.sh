#!/bin/bash
# Checks that the instructions, faults and memory of trampolines of an ABI are within the
# bounds of exact.toml.
#   exact.sh ABI    environment: KERNEL, default the main kernel of the ABI
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

compile() { # OUTPUT SOURCE...
	$cc -static -no-pie -O2 -ftls-model=local-exec -Wall -Wextra -Werror -D_GNU_SOURCE \
		-D"ABI_$abi" -DEXACT -isystem "$include" -o "$out/$1" "${@:2}"
}

# No address is random, so that each run gives the same numbers.
measure() { # PROGRAM ARGUMENT...
	APPEND=norandmaps ICOUNT=yes MEM=1G TIMEOUT=1800 \
		"$ROOT/harness/guest/vm.sh" "$kernel" "$out/$1" "${@:2}" </dev/null
}

abi=$1
cc=$(fact cc "$abi")
open_work
out=$WORK/bench/$abi
mkdir -p "$out"
include=$("$ROOT/harness/kernel/headers.sh" "$abi")
here=$ROOT/harness/bench
kernel=${KERNEL:-$(fact kernel "$abi")}
# As in guest.sh
[ "$(fact srcarch "$kernel")" != x86 ] || export CPU=max,-erms
compile exact "$here"/{exact,trampfd}.c "$here/targets.S"
compile bench-exact "$here"/{bench,table,methods,trampfd}.c "$here/targets.S" \
	-Wl,--wrap=mmap,--wrap=mmap64,--wrap=munmap,--wrap=mprotect,--wrap=mremap
measure exact >"$out/exact.tsv"
numbers=(1 100000)
[ "$abi" != x86_64 ] || numbers+=(1000000)
measure bench-exact "${numbers[@]}" >"$out/bench-exact.tsv"
python3 "$here/exact.py" "$here/exact.toml" "$abi" "$out"/{exact,bench-exact}.tsv
