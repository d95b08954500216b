#!/bin/bash
# Checks libffi over libtrampfd: whatever of libffi's test suite passes with
# Debian's own passes with ours in the sandbox, where Debian's has no closures.
#   check.sh [--quick] ABI...
# --quick: only the closures of ours, compiled once, none of which may fail.
# LIBFFI_TEST_OPTIMIZATION: as for test.sh
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

here=$ROOT/harness/libffi
failed=

complain() { say "FAILED  $*"; failed=yes; }

# What runtest says of the tests, but how often a test was named so
results() { # WORD SUM
	sed -n "s/^$1: //p" "$2" | sort
}

compare() { # WHAT LIST LIST
	local missing
	missing=$(comm -23 "$2" "$3")
	[ -z "$missing" ] || complain "$1:"$'\n'"$missing"
}

# test.sh, with its .sum in $sum
run() { # ARGUMENT...
	sum=$("$here/test.sh" "$@")
	grep -q '^PASS: ' "$sum" || die "nothing passes: $sum"
}

symbols() { # FLAVOUR
	local out
	out=$("$here/build.sh" "$abi" "$1")
	nm -D --defined-only "$out/build/.libs/libffi.so.8" | cut -d' ' -f2- | sort
}

# Of the closures' tests some fail with Debian's own in the sandbox, or it is none.
check() {
	run "$abi" debian
	results PASS "$sum" >"$lists/debian"
	run --sandbox "$abi" debian
	results PASS "$sum" >"$lists/debian-sandbox"
	run --sandbox "$abi" trampfd
	results PASS "$sum" >"$lists/trampfd"
	[ ! -s "$(dirname "$(dirname "$sum")")/forbidden" ] || complain "$abi: memory both writable and executable"
	compare "$abi: pass with Debian's libffi and not with ours" "$lists/debian" "$lists/trampfd"
	[ -n "$(comm -13 "$lists/debian-sandbox" "$lists/trampfd")" ] || complain "$abi: Debian's closures work in the sandbox"
	symbols debian >"$lists/symbols-debian"
	symbols trampfd >"$lists/symbols-trampfd"
	cmp "$lists/symbols-debian" "$lists/symbols-trampfd" || complain "$abi: other symbols than Debian's"
}

check_quickly() {
	export LIBFFI_TEST_OPTIMIZATION=-O2
	run --sandbox "$abi" trampfd closure.exp
	[ ! -s "$(dirname "$(dirname "$sum")")/forbidden" ] || complain "$abi: memory both writable and executable"
	! grep -E '^(FAIL|UNRESOLVED|ERROR|WARNING): ' "$sum" || complain "$abi: see above"
}

quick=
if [ "$1" = --quick ]; then quick=quick && shift; fi
open_work
lists=$(mktemp -d "$WORK/libffi-check.XXXXXX")
trap 'rm -rf "$lists"' EXIT
for abi; do
	if [ -n "$quick" ]; then check_quickly; else check; fi
done
[ -z "$failed" ]
