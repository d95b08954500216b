#!/bin/bash
# Runs the stress test for SECONDS in a guest with swap, for each ABI of the kernel.
#   stress.sh KERNEL SECONDS
# Environment: SEED repeats the operations of an earlier run.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

usage() { die "usage: stress.sh KERNEL SECONDS (make stress SECONDS=300 ARCH=x86_64); $1"; }

[ $# = 2 ] || usage "two arguments are needed"
kernel=$1 seconds=$2
[[ $seconds =~ ^[1-9][0-9]*$ ]] || usage "'$seconds' is not a number of seconds"
abis=$(fact abis "$kernel")
[ -n "$(fact debarch "$kernel")" ] ||
	die "the stress test needs a C library, and Debian has none for $kernel"
open_work
"$ROOT/harness/kernel/kernel.sh" "$kernel"
run=$(mktemp -d "$WORK/stress.XXXXXX")
trap 'rm -rf "$run"' EXIT

# Swap is a RAM disk of ramdisk_size.
cat >"$run/stress" <<-END
	#!/bin/sh
	busybox mkswap /dev/ram0 >/dev/null && busybox swapon /dev/ram0 || exit 1
	exec /stress_test -t $seconds ${SEED:+-s $SEED}
END
status=0
for abi in $abis; do
	"$ROOT/harness/check/selftests.sh" "$abi" >/dev/null
	say "stress, $abi on $kernel, $seconds s ..."
	# On a busy host the guest's clock is slow.
	FILES=$WORK/selftests/$abi/stress_test APPEND="ramdisk_size=16384" TIMEOUT=$((seconds * 5 + 300)) \
		CONSOLE=$LOG/stress-$abi-$kernel.console \
		"$ROOT/harness/guest/vm.sh" "$kernel" "$run/stress" </dev/null || status=1
done
exit $status
