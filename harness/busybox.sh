#!/bin/bash
# Fetches Debian's static busybox of an architecture into the cache and prints
# its path. apt does it with lists and a status of its own: the system's
# architectures and packages stay as they are, and it need not be root's.
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

fetch() {
	rm -rf "$apt" "$dir.new"
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	: >"$apt/status"
	cd "$apt"
	private_apt update || : # one list that fails matters only if it is the one with busybox
	private_apt download busybox-static && dpkg-deb -x busybox-static_*.deb "$dir.new"
}

open_work
mkdir -p "$CACHE/busybox"
lock "$dir"
if [ ! -x "$dir/bin/busybox" ]; then
	say "fetching busybox-static for $debarch ..."
	(fetch) >"$log" 2>&1 </dev/null ||
		die "apt-get could not fetch busybox-static for $debarch; is there a network? $(grep -m1 '^E:' "$log") (log: $log)"
	rm -rf "$dir" "$apt"
	mv "$dir.new" "$dir"
fi
echo "$dir/bin/busybox"
