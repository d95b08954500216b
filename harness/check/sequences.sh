#!/bin/bash
# Compares a kernel's trampolines of an ABI with the assembled sequences of sequences.py,
# for every mode, register and stride.
#   sequences.sh KERNEL ABI
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# Instructions are little-endian also on big-endian kernels of ARM. On riscv64 the linker
# computes the distances.
assembler() { # ABI -o OUTPUT SOURCE
	case $1 in
	x86_64) as --64 "${@:2}" ;;
	i386) as --32 "${@:2}" ;;
	arm64*) aarch64-linux-gnu-as -march=armv8.5-a "${@:2}" ;;
	arm*) arm-linux-gnueabihf-as -march=armv7-a "${@:2}" ;;
	riscv64)
		riscv64-linux-gnu-as -march=rv64i -mno-relax -o "$3.o" "$4"
		riscv64-linux-gnu-ld --no-relax -Ttext=0 -e 0 -o "$3" "$3.o"
		;;
	ppc64le) powerpc64le-linux-gnu-as -mpower8 "${@:2}" ;;
	s390x) s390x-linux-gnu-as -march=z10 "${@:2}" ;;
	loongarch64) loongarch64-linux-gnu-as "${@:2}" ;;
	esac
}

kernel=$1 abi=$2
sequences=$ROOT/harness/check/sequences.py
objdump=$(fact disassembler "$abi")
open_work
dir=$(mktemp -d "$WORK/sequences.XXXXXX")
trap 'rm -rf "$dir"' EXIT
nolibc_cc "$abi" "$dir/sequences" "$ROOT/harness/check/sequences.c"
"$ROOT/harness/guest/vm.sh" "$kernel" "$dir/sequences" >"$dir/kernel" </dev/null
python3 "$sequences" assembly "$abi" "$dir/kernel" >"$dir/sequences.s"
assembler "$abi" -o "$dir/sequences.o" "$dir/sequences.s"
case $abi in
s390x) format=elf64-big ;;
*64*) format=elf64-little ;;
*) format=elf32-little ;;
esac
objcopy -I $format -O binary -j .text "$dir/sequences.o" "$dir/assembled"
perl -ane 'print pack "H*", $F[5]' "$dir/kernel" >"$dir/generated"
[ -s "$dir/generated" ] || die "the kernel generated no trampolines for $abi"
cmp "$dir/generated" "$dir/assembled" ||
	die "the kernel's trampolines for $abi differ from the assembled sequences"
say "$abi on $kernel: $(wc -l <"$dir/kernel") trampolines equal the assembled sequences"
python3 "$sequences" report "$dir/kernel" "$dir/sequences.o" "${objdump%% *}"
