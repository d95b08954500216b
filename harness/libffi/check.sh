#!/bin/bash
# Checks libffi (version LIBFFI, see build.sh) over libtrampfd: every test of its suite that
# passes with unpatched libffi also passes with the patches in the sandbox, where unpatched
# libffi has no closures. Tests the shared and the static library, on each kernel that runs
# the ABI, and on one without trampfd. Prints a table of passed tests.
#   check.sh [--quick] ABI...
# --quick: only tests of closures, with the patches, compiled once, on one kernel (KERNEL);
# none may fail.
# Environment: LIBFFI_TEST_OPTIMIZATION as for test.sh; LIBFFI_TESTS: parts of the suite
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

here=$ROOT/harness/libffi
failed=

complain() { say "FAILED  $*"; failed=yes; }

kernels_of() { # ABI
	case $1 in
	i386) echo x86_64 i386 ;;
	arm) echo arm64 arm ;;
	*) echo "$1" ;;
	esac
}

# Prints the tests with this result, without the numbers of repeated names.
results() { # WORD SUM
	sed -n "s/^$1: //p" "$2" | sort
}

compare() { # WHAT LIST LIST
	local missing
	missing=$(comm -23 "$2" "$3")
	[ -z "$missing" ] || complain "$1:"$'\n'"$missing"
}

# Runs test.sh, writes the passed tests to $lists/NAME, and prints a row of the table.
run() { # NAME WHAT ARGUMENT...
	local list=$lists/$1 what=$2 sum
	shift 2
	# shellcheck disable=SC2086 # words
	sum=$("$here/test.sh" "$@" ${LIBFFI_TESTS:-})
	grep -q '^PASS: ' "$sum" || die "nothing passes: $sum"
	results PASS "$sum" >"$list"
	printf '%-8s %-14s %-38s %6s %6s\n' "$abi" "$KERNEL" "$what" "$(wc -l <"$list")" \
		"$(grep -cE '^(FAIL|UNRESOLVED|ERROR): ' "$sum")" >>"$lists/table"
	forbidden=$(dirname "$(dirname "$sum")")/forbidden
}

# With the patches, in the sandbox
run_ours() { # WHAT ARGUMENT...
	local what=$1
	shift
	run trampfd "$what" --sandbox "$@" "$abi" trampfd
	[ ! -s "$forbidden" ] || complain "$abi on $KERNEL, $what: memory both writable and executable"
	compare "$abi on $KERNEL, $what: pass unpatched and not with ours" \
		"$lists/debian" "$lists/trampfd"
}

symbols() { # FLAVOUR
	local out
	out=$("$here/build.sh" "$abi" "$1")
	nm -D --defined-only "$out/build/.libs/libffi.so.8" | cut -d' ' -f2- | sort
}

# Without the patches, some tests of closures must fail in the sandbox.
check() {
	local kernels first
	kernels=$(kernels_of "$abi")
	first=${kernels%% *}
	for KERNEL in $kernels $first-without-trampfd; do "$ROOT/harness/kernel/kernel.sh" "$KERNEL"; done
	KERNEL=$first
	run debian "unpatched" "$abi" debian
	run debian-sandbox "unpatched, sandbox" --sandbox "$abi" debian
	run_ours "ours, sandbox"
	[ -n "$(comm -13 "$lists/debian-sandbox" "$lists/trampfd")" ] ||
		complain "$abi: unpatched closures work in the sandbox"
	run_ours "ours, static, sandbox" --static
	for KERNEL in ${kernels#"$first"} $first-without-trampfd; do run_ours "ours, sandbox"; done
	symbols debian >"$lists/symbols-debian"
	symbols trampfd >"$lists/symbols-trampfd"
	cmp "$lists/symbols-debian" "$lists/symbols-trampfd" ||
		complain "$abi: other symbols than unpatched"
}

check_quickly() {
	local sum kernel=${KERNEL:-$(kernels_of "$abi" | cut -d' ' -f1)}
	sum=$(KERNEL=$kernel LIBFFI_TEST_OPTIMIZATION=-O2 \
		"$here/test.sh" --sandbox "$abi" trampfd closure.exp)
	grep -q '^PASS: ' "$sum" || die "nothing passes: $sum"
	[ ! -s "$(dirname "$(dirname "$sum")")/forbidden" ] ||
		complain "$abi: memory both writable and executable"
	! grep -E '^(FAIL|UNRESOLVED|ERROR|WARNING): ' "$sum" || complain "$abi: see above"
}

quick=
if [ "$1" = --quick ]; then quick=quick && shift; fi
export KERNEL=${KERNEL:-}
open_work
lists=$(mktemp -d "$WORK/libffi-check.XXXXXX")
trap 'rm -rf "$lists"' EXIT
for abi; do
	if [ -n "$quick" ]; then check_quickly; else check; fi
done
if [ -z "$quick" ]; then
	printf '%-8s %-14s %-38s %6s %6s\n' ABI kernel libffi passed failed
	cat "$lists/table"
fi
[ -z "$failed" ]
