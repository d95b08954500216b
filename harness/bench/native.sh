#!/bin/bash
# Times calls on this machine: bytes of trampolines from a guest beside the peers'.
#   native.sh ABI [ROUNDS]
# Each libffi is a program of its own, with trampfd's in it again to compare with. The
# lines that native.c describes are in the file that is printed.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

abi=$1 rounds=${2:-21}
kernel=$(fact kernel "$abi")
out=$("$ROOT/harness/bench/build.sh" "$abi")
"$ROOT/harness/kernel/kernel.sh" "$kernel"
files=()
for mode in 0 1 $([ "$abi" != i386 ] || echo 2); do
	"$ROOT/harness/guest/vm.sh" "$kernel" "$out/export" "$mode" 32768 >"$out/code.$mode" </dev/null
	files+=("$mode=$out/code.$mode")
done
results=()
for flavour in static debian trampfd; do
	say "native calls: $abi, with libffi $flavour ..."
	TRAMPFD_BACKEND=library "$out/native-$flavour" "$rounds" "${files[@]}" >"$out/native-$flavour.tsv"
	results+=("$out/native-$flavour.tsv")
done
awk -F'\t' '!seen[$1, $2, $3]++' "${results[@]}" >"$out/native.tsv"
echo "$out/native.tsv"
