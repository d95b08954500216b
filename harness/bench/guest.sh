#!/bin/bash
# Runs the benchmark for an ABI in a guest whose clock counts instructions. The lines
# that harness/bench/bench.c describes are in the file that is printed. No address is
# random, so that they repeat. On x86 the
# guest's processor zeroes a page in 512 instructions, as one without ERMS does: with
# it QEMU counts each byte of 4096 for one.
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
