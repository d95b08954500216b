#!/bin/bash
# Builds the selftests for an ABI in $WORK/selftests/<abi>, with the headers of the
# overlaid tree, and lists them there in the file `tests`. For a big-endian ABI builds
# only the freestanding test, because Debian has no C library for it. Builds from
# scratch each time, because the selftests' makefile does not track kernel headers;
# ccache makes this quick.
#   selftests.sh ABI
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

cc=$(fact cc "$1")
headers=$(fact headers "$1")
include=$("$ROOT/harness/kernel/headers.sh" "$1")
out=$WORK/selftests/$1
log=$LOG/selftests-$1.log

smake() {
	make -C "$TREE/tools/testing/selftests/trampfd" OUTPUT="$out" ARCH="$headers" CC="ccache $cc" \
		KHDR_INCLUDES="-isystem $include" "$@"
}

build() {
	case $1 in
	*_be) smake "$out/freestanding_test" ;;
	*) smake -j"$(nproc)" all ;;
	esac
}

list() {
	case $1 in
	*_be) echo freestanding_test ;;
	*) smake -s --no-print-directory COLLECTION=trampfd emit_tests | sed -n 's/^trampfd://p' ;;
	esac
}

rm -rf "$out" && mkdir -p "$out"
build "$1" >"$log" 2>&1 ||
	die "the selftests for $1 do not compile: $(grep -m3 -E 'error|\*\*\*' "$log") (log: $log)"
list "$1" | tee "$out/tests"
