#!/bin/bash
# Compares what a trampoline of an ABI costs with what it is known to cost: exact.c
# says how the lines are to be read. A number that changed, for better or worse, is
# to be understood, and then to be changed here. Over 6.12 code takes one fault more.
#   exact.sh ABI    KERNEL says on which, default the one that most of its programs run on
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

known() { # ABI
	case $1 in
	x86_64) cat <<-END ;;
		DATA 3, 2 VMAs, 64 and 16 faults, 64 and 256 pages
		SLOT 3, 2 VMAs, 64 and 16 faults, 64 and 256 pages
		END
	i386) cat <<-END ;;
		DATA 5, 2 VMAs, 32 and 16 faults, 32 and 256 pages
		SLOT 5, 2 VMAs, 32 and 16 faults, 32 and 256 pages
		PUSH 7, 2 VMAs, 32 and 16 faults, 32 and 256 pages
		END
	arm64) cat <<-END ;;
		DATA 4, 2 VMAs, 64 and 8 faults, 64 and 128 pages
		SLOT 4, 2 VMAs, 64 and 8 faults, 64 and 128 pages
		END
	arm) cat <<-END ;;
		DATA 2, 2 VMAs, 32 and 4 faults, 32 and 64 pages
		SLOT 3, 2 VMAs, 64 and 8 faults, 64 and 128 pages
		END
	riscv64) cat <<-END ;;
		DATA 5, 2 VMAs, 64 and 16 faults, 64 and 256 pages
		SLOT 5, 2 VMAs, 64 and 16 faults, 64 and 256 pages
		END
	esac
}

abi=$1
cc=$(fact cc "$abi")
open_work
out=$WORK/bench/$abi
mkdir -p "$out"
include=$("$ROOT/harness/kernel/headers.sh" "$abi")
here=$ROOT/harness/bench
$cc -static -no-pie -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -D"ABI_$abi" -isystem "$include" \
	-o "$out/exact" "$here/exact.c" "$here/targets.S"
kernel=${KERNEL:-$(fact kernel "$abi")}
ICOUNT=yes "$ROOT/harness/guest/vm.sh" "$kernel" "$out/exact" >"$out/exact.now" </dev/null
cat "$out/exact.now"
diff <(known "$abi") "$out/exact.now"
