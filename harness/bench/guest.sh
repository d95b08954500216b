#!/bin/bash
# Runs the benchmark for an ABI in a guest whose clock counts instructions, and prints the
# path of a file with the lines that harness/bench/bench.c describes. No address is random,
# so that each run gives the same numbers. On x86 the guest's processor has no ERMS, so that
# it zeroes a page in 512 instructions: with ERMS, QEMU counts one for each byte.
#   guest.sh ABI NUMBER...
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

abi=$1
shift
kernel=$(fact kernel "$abi")
[ "$(fact srcarch "$kernel")" != x86 ] || export CPU=max,-erms
out=$("$ROOT/harness/bench/build.sh" "$abi")
results=()
"$ROOT/harness/kernel/kernel.sh" "$kernel"
for flavour in static debian trampfd trixie; do
	say "benchmark: $abi on $kernel, with libffi $flavour ..."
	APPEND=norandmaps ICOUNT=yes MEM=2G TIMEOUT=14400 FILES=$out/sandbox \
		"$ROOT/harness/guest/vm.sh" "$kernel" "$out/bench-$flavour" "$@" >"$out/$flavour.tsv" </dev/null
	results+=("$out/$flavour.tsv")
done
cat "${results[@]}" >"$out/bench.tsv"
echo "$out/bench.tsv"
