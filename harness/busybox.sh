#!/bin/bash
# Makes a static busybox of an architecture in the cache and prints its path:
# Debian's, or where Debian 12 has none, one compiled from Debian's source with
# the applets of busybox.config.
#   busybox.sh DEBARCH
# shellcheck source=harness/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=harness/apt.sh
. "$ROOT/harness/apt.sh"

debarch=$1
dir=$CACHE/busybox/$debarch
apt=$CACHE/busybox/apt-$debarch
log=$LOG/busybox-$debarch.log

fetch() { fetch_package "$debarch" "$dir.new" busybox-static; }

build() {
	fetch_source --download-only busybox
	mkdir source
	tar -xf busybox_*.orig.tar.* --strip-components=1 -C source
	bmake allnoconfig
	bconfig
	bmake -j"$(nproc)" busybox
	mkdir -p "$dir.new/bin"
	cp source/busybox "$dir.new/bin/"
}

# Its Kconfig keeps the first value that it reads, and asks in spite of allnoconfig.
bconfig() {
	cat "$ROOT/harness/busybox.config" source/.config >source/.first
	mv source/.first source/.config
	bmake oldconfig < <(yes '')
}

bmake() { make -C source ARCH="$debarch" CROSS_COMPILE="$debarch-linux-gnu-" CC="ccache $debarch-linux-gnu-gcc" "$@"; }

open_work
mkdir -p "$CACHE/busybox"
lock "$dir"
if [ ! -x "$dir/bin/busybox" ]; then
	how=fetch
	[ "$debarch" != riscv64 ] || how=build
	say "${how}ing a static busybox for $debarch ..."
	rm -rf "$dir.new"
	logged "$log" "$how"
	[ "$status" = 0 ] || die "could not $how busybox for $debarch; is there a network? $(grep -m1 -E '^E:|error|Error' "$log") (log: $log)"
	rm -rf "$dir" "$apt"
	mv "$dir.new" "$dir"
fi
echo "$dir/bin/busybox"
