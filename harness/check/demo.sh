#!/bin/bash
# Shows what trampfd is for: samples/trampfd/closures.c in a guest, sorting the
# kernel's MAINTAINERS file. The bytes that it reads from its trampfd are
# disassembled here, on the host.
#   demo.sh [--check]    ARCH says on which kernel, default x86_64
#   --check              also fail unless everything that is to be seen is there
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# The closures sample of an ABI, built.
build_sample() { # ABI
	local include cc
	cc=$(fact cc "$1")
	include=$("$ROOT/harness/kernel/headers.sh" "$1")
	sample=$WORK/samples/$1/closures
	mkdir -p "${sample%/*}"
	$cc -static -O2 -Wall -Wextra -Werror -isystem "$include" \
		-o "$sample" "$ROOT/samples/trampfd/closures.c" ||
		die "the sample does not compile for $1"
}

# Passes everything through, and the line of bytes disassembled as well.
# Trampoline 0 is at offset 0, so that the addresses are offsets in the file.
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
	FILES=$TREE/MAINTAINERS "$ROOT/harness/guest/vm.sh" "$arch" "$sample" MAINTAINERS | disassemble
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
	*)
		expect "a landing pad" '0  endbr(64|32)'
		expect "a jump through the table" 'jmp +\*0x'
		;;
	esac
	[ "$(sed -n 's/.*called \([0-9]*\) times/\1/p' "$shown" | sort -u | wc -l)" = 3 ] ||
		{ say "demo: the three closures do not count each for itself"; missing=yes; }
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
build_sample "${abis%% *}"
if [ "${1:-}" = --check ]; then check; else demo; fi
