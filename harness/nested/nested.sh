#!/bin/bash
# Tests nested functions of C, Fortran and Ada whose addresses are taken, compiled with
# -ftrampoline-impl=heap, in a guest: with libgcc and with libtrampfd-gcc; without a sandbox,
# and in a sandbox in which memory cannot be written and later executed. Prints a table, and
# fails unless all work in both with libtrampfd-gcc.
#   nested.sh [ABI...]          default: x86_64 and arm64, for which GCC has this option
#   nested.sh --cost [ABI...]   also measures a million calls that each make one
#   nested.sh --quick [ABI...]  only C and C++, without the compilers of Fortran and Ada
# Environment: GCC, the suffix of the compilers, such as -16; default -14
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/root/need.sh
. "$ROOT/harness/root/need.sh"

here=$ROOT/harness/nested
gcc=${GCC:--14}

# Debian does not have unversioned names of all compilers.
compilers() { # ABI
	local prefix
	prefix=$(fact cc "$1")
	prefix=${prefix%gcc}
	cc=${prefix}gcc$gcc cxx=${prefix}g++$gcc fortran=${prefix}gfortran$gcc
	gnatmake=${prefix}gnatmake$gcc
}

wraps=-Wl,--wrap=mmap,--wrap=mmap64,--wrap=munmap,--wrap=mprotect,--wrap=mremap
heap=-ftrampoline-impl=heap

# With RUNTIME "gcc" nothing of ours is linked.
compile() { # RUNTIME
	local ours=()
	[ "$1" = gcc ] || ours=("$library/libtrampfd-gcc.a" "$library/libtrampfd.a")
	# libtrampfd-gcc comes before GCC's library, which the compiler names last.
	$cxx -static -O2 -pthread -o "$out/calls.$1" "$out/calls.o" "$out/throw.o" "${ours[@]}"
	$cc -static -O2 $wraps -pthread -o "$out/cost.$1" "$out/cost.o" "${ours[@]}"
	[ -z "$quick" ] || return 0
	$fortran -static -fopenmp -o "$out/quadrature.$1" "$out/quadrature.o" "${ours[@]}"
	mkdir -p "$out/ada"
	(cd "$out/ada" && $gnatmake -q -O2 -gnat2022 $heap -ftrampolines "$here/sorting.adb" \
		-o "$out/sorting.$1" -bargs -static -largs -static "${ours[@]}" -lpthread)
}

programs() { # ABI
	local include
	compilers "$1"
	library=$WORK/library/$1
	[ -e "$library/libtrampfd-gcc.a" ] || "$ROOT/harness/check/library.sh" "$1"
	include=$("$ROOT/harness/kernel/headers.sh" "$1")
	$cc -O2 -Wall -Wextra $heap -fexceptions -pthread -c -o "$out/calls.o" "$here/calls.c"
	$cxx -O2 -Wall -Wextra -c -o "$out/throw.o" "$here/throw.cc"
	$cc -O2 -Wall -Wextra $heap -c -o "$out/cost.o" "$here/cost.c"
	[ -n "$quick" ] || $fortran -O2 -Wall -fopenmp $heap -J "$out" -c -o "$out/quadrature.o" "$here/quadrature.f90"
	$cc -static -O2 -isystem "$include" -o "$out/sandbox" "$ROOT/harness/guest/sandbox.c"
	compile gcc
	compile trampfd
}

guest() { # KERNEL ARGUMENT...
	local kernel=$1 files='' file
	shift
	for file in "$out"/*.{gcc,trampfd} "$out/sandbox"; do files+=" $file"; done
	TIMEOUT=${TIMEOUT:-900} FILES=$files "$ROOT/harness/guest/vm.sh" "$kernel" "$here/guest.sh" "$@" \
		</dev/null
}

# Runs the programs without and in the sandbox, with each run-time.
check() { # ABI
	local kernel bad programs=(calls quadrature sorting)
	[ -z "$quick" ] || programs=(calls)
	kernel=$(fact kernel "$1")
	[ -e "$WORK/$kernel/$(fact image "$kernel")" ] || "$ROOT/harness/kernel/kernel.sh" "$kernel"
	guest "$kernel" try "${programs[@]}" >"$out/results"
	echo "$1, GCC ${gcc#-}:"
	sort -s -k3,3 "$out/results" | expand -t 14
	bad=$(awk -F '\t' '$2 == "trampfd" && $4 != "ok"' "$out/results")
	[ "$(grep -c '	trampfd	.*	ok$' "$out/results")" = $((2 * ${#programs[@]})) ] ||
		{ failed=yes && say "FAILED  with ours, $1:"$'\n'"$bad"; }
	# The sandbox is one.
	! grep -q '	gcc	sandbox	ok$' "$out/results" ||
		{ failed=yes && say "FAILED  GCC's own run-time works in the sandbox, $1"; }
	[ -n "$cost" ] || return 0
	echo "              pattern instructions, mapping calls; W and X, KiB"
	ICOUNT=yes guest "$kernel" cost "$NUMBER" | tee "$out/cost" | expand -t 14
}

cost='' quick='' failed='' NUMBER=${NUMBER:-1000000}
case ${1:-} in
--cost) cost=yes && shift ;;
--quick) quick=yes && shift ;;
esac
[ $# != 0 ] || set -- x86_64 arm64
open_work
[ -n "$quick" ] || need_packages "gfortran$gcc" "gfortran$gcc-aarch64-linux-gnu" \
	"gnat$gcc" "gnat$gcc-aarch64-linux-gnu"
for abi; do
	out=$WORK/nested/$abi
	rm -rf "$out" && mkdir -p "$out"
	programs "$abi" >"$LOG/nested-$abi.log" 2>&1 ||
		die "they do not compile for $abi: $(grep -m3 -iE 'error|undefined' "$LOG/nested-$abi.log")" \
			"(log: $LOG/nested-$abi.log)"
	check "$abi"
done
[ -z "$failed" ]
