#!/bin/bash
# Builds the benchmark for an ABI in $WORK/bench/<abi> and prints the directory. Builds of
# libffi have the same symbols, so there is a static program for each; *-static also has
# the methods without libffi. bench-* is for a guest, native-* for this machine.
#   build.sh ABI
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/guest/apt.sh
. "$ROOT/harness/guest/apt.sh"

here=$ROOT/harness/bench
abi=$1
out=$WORK/bench/$abi

# Counts the calls of methods, not those of malloc().
wrap=-Wl,--wrap=mmap,--wrap=mmap64,--wrap=munmap,--wrap=mprotect,--wrap=mremap

compile() { # PROGRAM FLAVOUR NAME [FLAG...]; trixie: its libffi, else the newest
	local program=$1 flavour=$2 name=$3 libffi version=3.8.0 variant=$2
	local sources=("$here"/{"$program",table,methods,libraries}.c "$here/targets.S")
	[ "$program" = native ] || sources+=("$here/trampfd.c")
	shift 3
	[ "$flavour" != trixie ] || { version=3.4.8 && variant=debian; }
	libffi=$(LIBFFI=$version "$ROOT/harness/libffi/build.sh" "$abi" "$variant")
	# shellcheck disable=SC2086 # words
	$cc $link -O2 -ftls-model=local-exec -Wall -Wextra $wrap \
		-D_GNU_SOURCE -D"ABI_$abi" -DFFI_NAME="\"$name\"" -isystem "$include" \
		-I "$TREE/tools/lib/trampfd" -I "$libffi/build/include" -o "$out/$program-$flavour" \
		"${sources[@]}" "$libffi/build/.libs/libffi.a" "$out/libtrampfd.a" "$@"
}

compile_all() { # PROGRAM [FLAG...]
	local program=$1
	shift
	compile "$program" static "libffi 3.8.0, static trampolines" -DFFI_STATIC -I "$ffcall/usr/include" "$@" \
		"$ffcall"/usr/lib/*/libcallback.a "${locks[@]}"
	compile "$program" debian "libffi 3.8.0" "$@"
	compile "$program" trampfd "libffi 3.8.0 over libtrampfd" "$@"
	compile "$program" trixie "libffi 3.4.8" "$@"
}

# Debian's libffcall for the architecture of the ABI
libffcall() {
	local apt=$CACHE/libffcall/apt-$debarch log=$LOG/libffcall-$debarch.log status
	lock "$ffcall"
	[ ! -e "$ffcall" ] || return 0
	rm -rf "$ffcall.new" && mkdir "$ffcall.new"
	say "fetching GNU libffcall for $debarch ..."
	logged "$log" fetch_package "$debarch" "$ffcall.new" libffcall-dev
	[ "$status" = 0 ] || die "could not fetch libffcall-dev of $debarch; is there a network?" \
		"$(grep -m1 '^E:' "$log") (log: $log)"
	rm -rf "$apt"
	mv "$ffcall.new" "$ffcall"
}

# If libffcall has weak references to the C library's locks (Debian 12), they are missing
# in a static program, and libffcall assumes a single thread.
weak_references() { "${cross}nm" --quiet "$@" | awk '$1 == "w" { print "-Wl,-u," $2 }' | sort -u; }

open_work
cc=$(fact cc "$abi")
cross=$(fact cross "$abi")
debarch=$(fact debarch "$abi")
mkdir -p "$CACHE/libffcall"
ffcall=$CACHE/libffcall/$debarch
libffcall
mapfile -t locks < <(weak_references "$ffcall"/usr/lib/*/libcallback.a)
include=$("$ROOT/harness/kernel/headers.sh" "$abi")
mkdir -p "$out"
link="-static -no-pie"
make -C "$TREE/tools/lib/trampfd" OUTPUT="$out" CC="ccache $cc" KHDR_INCLUDES="-isystem $include" \
	"$out/libtrampfd.a" >"$LOG/bench-$abi.log" 2>&1 ||
		die "libtrampfd does not compile (log: $LOG/bench-$abi.log)"
compile_all bench
# Distance of trampolines and targets as in a program with shared libraries
case $abi in
x86_64) link="-static-pie -fPIE" compile_all native -DNATIVE ;;
i386) compile_all native -DNATIVE ;;
esac
for program in "$here/export.c" "$ROOT/harness/guest/sandbox.c"; do
	$cc -static -O2 -Wall -Wextra -isystem "$include" -o "$out/$(basename "$program" .c)" "$program"
done
echo "$out"
