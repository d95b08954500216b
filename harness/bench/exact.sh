#!/bin/bash
# Holds what a trampoline of an ABI costs, in instructions, faults and memory, to what
# exact.toml says.
#   exact.sh ABI    KERNEL says on which, default the one that most of its programs run on
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

compile() { # OUTPUT SOURCE...
	$cc -static -no-pie -O2 -ftls-model=local-exec -Wall -Wextra -Werror -D_GNU_SOURCE \
		-D"ABI_$abi" -DEXACT -isystem "$include" -o "$out/$1" "${@:2}"
}

# The same for each run: no address is random.
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
