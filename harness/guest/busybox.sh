#!/bin/bash
# Fetches Debian's static busybox of an architecture into the cache and prints
# its path.
#   busybox.sh DEBARCH
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/guest/apt.sh
. "$ROOT/harness/guest/apt.sh"

debarch=$1
dir=$CACHE/busybox/$debarch
apt=$CACHE/busybox/apt-$debarch
log=$LOG/busybox-$debarch.log

open_work
mkdir -p "$CACHE/busybox"
lock "$dir"
if [ ! -x "$dir/bin/busybox" ]; then
	say "fetching a static busybox for $debarch ..."
	rm -rf "$dir.new"
	logged "$log" fetch_package "$debarch" "$dir.new" busybox-static
	[ "$status" = 0 ] || die "could not fetch busybox for $debarch; is there a network?" \
		"$(grep -m1 '^E:' "$log") (log: $log)"
	rm -rf "$dir" "$apt"
	mv "$dir.new/usr" "$dir"
	rm -rf "$dir.new"
fi
echo "$dir/bin/busybox"
