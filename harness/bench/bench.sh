#!/bin/bash
# The benchmark: measures all methods and ABIs, prints tables and draws plots. Counts of
# instructions, faults and memory come from guests and are repeatable; times depend on
# this machine.
#   bench.sh
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

here=$ROOT/harness/bench
open_work
for abi in x86_64 i386; do "$here/native.sh" $abi >/dev/null; done
"$here/guest.sh" x86_64 1 1000 100000 1000000 3000000 >/dev/null
for abi in i386 arm64 arm; do "$here/guest.sh" $abi 1 1000 100000 >/dev/null; done
for abi in x86_64 i386 arm64 arm riscv64 s390x; do
	"$here/exact.sh" $abi >/dev/null || say "$abi: exact.toml has other numbers"
done
"$here/report.sh"
