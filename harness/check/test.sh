#!/bin/bash
# Runs one selftest, or all tests of a program, in a guest, for each ABI of the kernel.
#   test.sh KERNEL PROGRAM[.TEST]   such as x86_64 map_test.code_is_never_mapped_writable;
#                                   TEST is TEST or FIXTURE.TEST, as in the results
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

[ -n "${2:-}" ] || die "usage: make test T=map_test.code_is_never_mapped_writable," \
	"or T=map_test for all tests of a program"
kernel=$1 program=${2%%.*} test=${2#*.}
[ "$test" != "$2" ] || test=
abis=$(fact abis "$kernel")
open_work
programs='' ran='' status=0
for abi in $abis; do
	tests=$("$ROOT/harness/check/selftests.sh" "$abi")
	programs+=" $tests"
	grep -qx "$program" <<<"$tests" || continue
	say "$2, $abi on $kernel:"
	options=()
	# The harness of the kernel's selftests filters by fixture and by test.
	case $test in
	'') ;;
	*.*) options=(-f "${test%%.*}" -t "${test#*.}") ;;
	*) options=(-t "$test") ;;
	esac
	"$ROOT/harness/guest/vm.sh" "$kernel" "$WORK/selftests/$abi/$program" "${options[@]}" </dev/null ||
		status=$?
	ran=yes
done
# shellcheck disable=SC2086 # words
[ -n "$ran" ] || die "no such program: '$program'; for $kernel there are:" \
	"$(printf '%s\n' $programs | sort -u | xargs)"
exit $status
