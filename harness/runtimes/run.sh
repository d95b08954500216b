#!/bin/bash
# Has Debian's own language runtimes make callbacks in a guest, in a sandbox in
# which no memory can be both written and executed, with Debian's libffi, with
# the same rebuilt with its static trampolines, and with ours; and prints a table
# of each kernel. Fails if a runtime that starts has no callbacks with ours.
#   run.sh [KERNEL...]    default: with trampfd, and without
#   run.sh --cost         what a closure costs with each of them
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/guest/apt.sh
. "$ROOT/harness/guest/apt.sh"

here=$ROOT/harness/runtimes
out=$WORK/runtimes
image=$CACHE/runtimes/userland.ext2
log=$LOG/runtimes-userland.log
WAYS="free sandbox no-proc"
FLAVOURS="debian static trampfd"

bootstrap() {
	local packages
	packages=$(sed 's/#.*//' "$here/userland.txt" | xargs | tr ' ' ,)
	rm -f "$image"
	suite_from deb trixie >"$CACHE/runtimes/sources"
	# shellcheck disable=SC2016 # the $ are of the hook's shell
	mmdebstrap --variant=minbase --include="$packages" \
		--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook="copy-in $here/Jna.java /opt" \
		--customize-hook='chroot "$1" java -jar /usr/share/java/eclipse-jdt-core-compiler-batch.jar \
			-17 -proc:none -cp /usr/share/java/jna.jar /opt/Jna.java' \
		trixie "$image" "$CACHE/runtimes/sources"
}

userland() {
	local key status
	mkdir -p "$CACHE/runtimes"
	lock "$image"
	key=$({ declare -f bootstrap && cat "$here/userland.txt" "$here/Jna.java"; } | sha256sum)
	[ "$(cat "$image.key" 2>/dev/null)" != "$key" ] || return 0
	rm -f "$image.key"
	say "installing a Debian userland into an image, some minutes (log: $log) ..."
	logged "$log" bootstrap
	[ "$status" = 0 ] || die "mmdebstrap could not make the userland; is there a network?" \
		"$(grep -m1 -E '^(E|dpkg: error)' "$log") (log: $log)"
	echo "$key" >"$image.key"
}

programs() {
	local flavour dir file cc
	rm -rf "$out" && mkdir -p "$out"
	cc=$(fact cc x86_64)
	include=$("$ROOT/harness/kernel/headers.sh" x86_64)
	$cc -static -O2 -Wall -Wextra -isystem "$include" -o "$out/sandbox" "$ROOT/harness/guest/sandbox.c"
	$cc -O2 -Wall -Wextra -Wl,-z,execstack -o "$out/nested" "$here/nested.c"
	for flavour in static trampfd; do
		dir=$(LIBFFI=3.4.8 "$ROOT/harness/libffi/build.sh" x86_64 "$flavour")
		cp "$dir/build/.libs/libffi.so.8" "$out/$flavour.so"
	done
	$cc -O2 -Wall -Wextra -I "$dir/build/include" -o "$out/closures" \
		"$here/closures.c" "$out/$flavour.so"
	files=
	for file in "$out"/* "$here"/{python-*.py,*.{rb,scm,js,php,pl,lua,lsp}}; do
		files+=" $file:runtimes/${file##*/}"
	done
}

guest() { # KERNEL WAY
	# shellcheck disable=SC2086 # words
	MEM=2G TIMEOUT=${TIMEOUT:-3000} DISK=$image FILES=$files CONSOLE=$LOG/runtimes-$1-$2.console \
		"$ROOT/harness/guest/vm.sh" "$1" "$here/guest.sh" "$2" $FLAVOURS </dev/null
}

# Those that start, and are to have libffi's trampolines
without_callbacks() { # RESULTS
	awk -F '\t' '$3 == "trampfd" && $4 != "ok" && $4 !~ /^does not start/ && !/^\(/' "$1"
}

# One guest for each way, at the same time: what runs in each is one process.
check() { # KERNEL
	local way guests=() pid results=$out/results-$1 bad
	"$ROOT/harness/kernel/kernel.sh" "$1"
	say "runtimes on $1 ($WAYS), some minutes (what each says: $results-*) ..."
	for way in $WAYS; do
		guest "$1" "$way" >"$results-$way" &
		guests+=($!)
	done
	for pid in "${guests[@]}"; do wait "$pid" || die "a guest failed, see above"; done
	for way in $WAYS; do grep -av '^#' "$results-$way"; done >"$results"
	echo "Callbacks on $1:"
	python3 "$here/table.py" "$results" "$WAYS" "$FLAVOURS"
	bad=$(without_callbacks "$results")
	[ -z "$bad" ] || { failed=yes && say "FAILED  with ours:"$'\n'"$bad"; }
}

# Instructions, and bytes of memory
cost() {
	local kernel=x86_64-runtimes
	"$ROOT/harness/kernel/kernel.sh" $kernel
	FLAVOURS+=" trampfd/library"
	export ICOUNT=yes
	guest $kernel cost >"$out/cost"
	echo "Instructions and bytes for each closure:"
	printf '%-16s %9s %9s %9s %9s %9s %9s %9s %9s\n' '' '' 'make and' '' 'make, 1st' '' '' 'page' '' \
		libffi closures free call time free Pss tables mappings
	awk '{ printf "%-16s", $1; for (i = 2; i <= NF; i++) printf " %9s", $i; print "" }' "$out/cost"
}

cost=
if [ "${1:-}" = --cost ]; then cost=yes && shift; fi
[ $# != 0 ] || set -- x86_64-runtimes x86_64-runtimes+without-trampfd
open_work
userland
programs
failed=
[ -z "$cost" ] || { cost && exit; }
for kernel; do check "$kernel"; done
[ -z "$failed" ]
