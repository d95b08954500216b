#!/bin/bash
# Measures the time of calls on this machine, with code of trampolines from a guest and with
# the other methods, and prints the path of a file with the lines that native.c describes.
#   native.sh ABI [ROUNDS]
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

export_code() { # MODE STRIDE
	local file=$out/code.$1.$2
	"$ROOT/harness/guest/vm.sh" "$kernel" "$out/export" "$1" "$2" >"$file" </dev/null
	files+=("$file")
}

abi=$1 rounds=${2:-21}
kernel=$(fact kernel "$abi")
out=$("$ROOT/harness/bench/build.sh" "$abi")
"$ROOT/harness/kernel/kernel.sh" "$kernel"
# The code of the ABI's modes, and of closures
files=()
export_code 0 0
export_code 1 0
case $abi in
x86_64) export_code 1 64 ;;
i386) export_code 2 0 ;;
esac
results=()
for flavour in static debian trampfd trixie; do
	say "native calls: $abi, with libffi $flavour ..."
	TRAMPFD_BACKEND=library "$out/native-$flavour" "$rounds" "${files[@]}" >"$out/native-$flavour.tsv"
	results+=("$out/native-$flavour.tsv")
done
awk -F'\t' '!seen[$1, $2, $3]++' "${results[@]}" >"$out/native.tsv"
echo "$out/native.tsv"
