#!/bin/bash
# Measures the kernel part: lines, size of its objects, the trampolines, and what they
# cost in memory and mappings (harness/check/figures.c, in a guest).
#   figures.sh    for the kernel ARCH, default x86_64
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# Lines with code on them: what the compiler's preprocessor leaves of a file.
code_lines() { # FILE
	gcc -fpreprocessed -dD -E -P "$1" 2>/dev/null | grep -c .
}

arch=${ARCH:-x86_64}
abis=$(fact abis "$arch")
borrowed=$(fact borrowed "$arch")
open_work

cd "$ROOT"
echo "Lines: all, and with code alone"
files=(fs/trampfd/{geometry,code,inode}.c "arch/$(fact srcarch "$arch")/kernel/trampfd.c")
[ -z "$borrowed" ] || files+=("$borrowed.c")
[ "$(fact arch "$arch")" != arm ] || files+=(arch/arm/kernel/trampfd_a32.c)
for file in "${files[@]}" include/linux/trampfd.h; do
	printf '%9s %5s  %s\n' "$(wc -l <"$file")" "$(code_lines "$file")" "$file"
done
echo "Size of the objects, $arch"
(cd "$WORK/$arch" && size -t "${files[@]/%.c/.o}")
for variant in without-trampfd without-tests; do
	"$ROOT/harness/kernel/kernel.sh" "$arch-$variant"
done
echo "vmlinux with trampfd (without its KUnit tests), and without, $arch"
size "$WORK/$arch"-without-{tests,trampfd}/vmlinux
python3 -B "$TREE/scripts/bloat-o-meter" -c "$WORK/$arch"-without-{trampfd,tests}/vmlinux |
	grep '^add/\|^Total'
for abi in $abis; do
	echo "Trampolines of $abi"
	"$ROOT/harness/check/sequences.sh" "$arch" "$abi"
done
cc=$(fact cc "${abis%% *}")

program=$WORK/samples/figures-$arch
mkdir -p "$WORK/samples"
include=$("$ROOT/harness/kernel/headers.sh" "${abis%% *}")
$cc -static -O2 -Wall -isystem "$include" -o "$program" "$ROOT/harness/check/figures.c"
echo "Cost, in a guest of $arch"
MEM=2G "$ROOT/harness/guest/vm.sh" "$arch" "$program"
