#!/bin/bash
# Demonstrates trampfd: demo.c runs samples/trampfd/closures.c in a sandbox in a guest,
# where it sorts the kernel's MAINTAINERS file. The host disassembles the bytes that
# demo.c reads from the file of trampolines.
#   demo.sh [--check]    ARCH selects the kernel, default x86_64
#   --check              also fail unless the output is as expected
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# The sample by itself, as a user would build it, and the programs of the demonstration
build_programs() { # ABI
	local include cc sample=$ROOT/samples/trampfd/closures.c
	cc=$(fact cc "$1")
	include=$("$ROOT/harness/kernel/headers.sh" "$1")
	programs=$WORK/samples/$1
	mkdir -p "$programs"
	compile() { # PROGRAM ARGUMENT...
		local program=$programs/$1
		shift
		$cc -static -O2 -Wall -Wextra -Werror -isystem "$include" -o "$program" "$@" ||
			die "cannot compile $program"
	}
	compile closures "$sample"
	compile closures.o -c -Dmain=sample "$sample"
	compile demo "$programs/closures.o" "$ROOT/harness/check/demo.c"
	compile sandbox "$ROOT/harness/guest/sandbox.c"
}

# Copies its input and adds a disassembly of the line of bytes. Trampoline 0 is at
# offset 0, so addresses are offsets in the file.
disassemble() {
	local line
	while IFS= read -r line; do
		printf '%s\n' "$line"
		[[ $line == *bytes:* ]] || continue
		# shellcheck disable=SC2086 # one argument each byte
		printf '%b' "$(printf '\\x%s' ${line#*bytes:})" >"$bytes"
		echo
		$disassembler -b binary -D "$bytes" |
			sed -n 's/^ *\([0-9a-f]*\):\t[0-9a-f ]*\t\(.*\)$/    \1  \2/p' | grep -v 'int3$' | expand
	done
}

demo() {
	FILES="$TREE/MAINTAINERS $programs/demo" \
		"$ROOT/harness/guest/vm.sh" "$arch" "$programs/sandbox" /demo MAINTAINERS | disassemble
}

expect() { # WHAT PATTERN
	grep -qE -- "$2" "$shown" || { say "demo: not seen: $1 ($2)"; missing=yes; }
}

check() {
	missing=
	demo | tee "$shown"
	expect "an RWX mapping refused" 'both writable and executable \(mmap\) +EACCES'
	expect "W then X refused" 'then made executable \(mprotect\) +EACCES'
	expect "a memfd refused" '\(memfd_create\) +EPERM'
	expect "three sorts, each through its closure" 'closure at 0x[0-9a-f]+, called [0-9]{6} times'
	expect "the longest line of the file first" \
		"^        $(awk 'length > n { n = length; l = $0 } END { print substr(l, 1, 16) }' \
			"$TREE/MAINTAINERS" | sed 's/[][\.*^$+?(){}|]/\\&/g')"
	expect "code r-x" 'r-xp .*anon_inode:\[trampfd\]'
	expect "a table rw-" 'rw-p .*anon_inode:\[trampfd\]'
	expect "no mapping both w and x" 'executable at once: 0$'
	case ${abis%% *} in
	arm64)
		expect "a landing pad" '0  bti +c'
		expect "a jump through the table" 'br +x16'
		;;
	arm) expect "a jump through the table" 'ldr +pc, \[r2, #4\]' ;;
	riscv64)
		expect "a landing pad" '0  auipc +zero,0x0'
		expect "a jump through the table" 'jr +t1'
		;;
	ppc64le)
		expect "a load from the table" 'ld +r12,8\(r5\)'
		expect "a jump through the table" 'bctr'
		;;
	s390x) expect "a jump through the table" 'br +%r1' ;;
	loongarch64) expect "a jump through the table" 'jr +[$]t0' ;;
	*)
		expect "a landing pad" '0  endbr(64|32)'
		expect "a jump through the table" 'jmp +\*0x'
		;;
	esac
	[ "$(sed -n 's/.*called \([0-9]*\) times/\1/p' "$shown" | sort -u | wc -l)" = 3 ] ||
		{ say "demo: the three closures do not have separate counters"; missing=yes; }
	awk '/share of memory/ { share[++n] = $(NF - 1) }
		END { exit !(n == 2 && share[1] == 2 * share[2]) }' "$shown" ||
		{ say "demo: two processes do not share the code"; missing=yes; }
	[ -z "$missing" ]
}

arch=${ARCH:-x86_64}
abis=$(fact abis "$arch")
disassembler=$(fact disassembler "${abis%% *}")
open_work
bytes=$(mktemp "$WORK/demo.XXXXXX")
shown=$bytes.shown
trap 'rm -f "$bytes" "$shown"' EXIT
build_programs "${abis%% *}"
if [ "${1:-}" = --check ]; then check; else demo; fi
