#!/bin/bash
# Makes a static busybox of an architecture in the cache and prints its path:
# Debian's, or where Debian 12 has none, one compiled from Debian's source with
# the applets of busybox.config. apt does it with lists and a status of its own:
# the system's architectures and packages stay as they are, and it need not be
# root's.
#   busybox.sh DEBARCH
# shellcheck source=harness/env.sh
. "$(dirname "$0")/env.sh"

debarch=$1
dir=$CACHE/busybox/$debarch
apt=$CACHE/busybox/apt-$debarch
log=$LOG/busybox-$debarch.log

private_apt() {
	apt-get -o APT::Architecture="$debarch" -o APT::Architectures="$debarch" -o APT::Sandbox::User= -o Acquire::Retries=3 \
		-o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" \
		-o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@"
}

open_apt() {
	rm -rf "$apt" "$dir.new"
	mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/sources"
	: >"$apt/status"
	cd "$apt"
}

fetch() {
	open_apt
	private_apt update || : # one list that fails matters only if it is the one with busybox
	private_apt download busybox-static && dpkg-deb -x busybox-static_*.deb "$dir.new"
}

# From where the system has its packages there are their sources too.
build() {
	local file
	open_apt
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$file" ] || sed 's/^deb[[:space:]]/deb-src /; s/^Types:.*/Types: deb-src/' "$file" >"$apt/sources/${file##*/}"
	done
	set -- -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources"
	private_apt "$@" update || :
	private_apt "$@" source --download-only busybox && mkdir source && tar -xf busybox_*.orig.tar.* --strip-components=1 -C source &&
		bmake allnoconfig && bconfig && bmake -j"$(nproc)" busybox &&
		mkdir -p "$dir.new/bin" && cp source/busybox "$dir.new/bin/"
}

# Its Kconfig keeps the first value that it reads, and asks in spite of allnoconfig.
bconfig() {
	cat "$ROOT/harness/busybox.config" source/.config >source/.first && mv source/.first source/.config &&
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
	($how) >"$log" 2>&1 </dev/null ||
		die "could not $how busybox for $debarch; is there a network? $(grep -m1 -E '^E:|error|Error' "$log") (log: $log)"
	rm -rf "$dir" "$apt"
	mv "$dir.new" "$dir"
fi
echo "$dir/bin/busybox"
