#!/bin/bash
# Installs the Debian packages of a list that are missing. With none missing apt
# is not called, so that a build needs no network and no root.
#   packages.sh [LIST]   a file of harness/, default packages.txt; what only some
#                        targets need has a list of its own, packages-*.txt
# shellcheck source=harness/env.sh
. "$(dirname "$0")/env.sh"

list=harness/${1:-packages.txt}

missing() {
	local package
	sed 's/#.*//' "$ROOT/$list" | while read -r package; do
		[ -z "$package" ] ||
			dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			echo "$package"
	done
}

install() { # PACKAGE...
	apt-get update && apt-get install --no-install-recommends --no-remove -y "$@"
}

[ -f "$ROOT/$list" ] || die "there is no $list (the lists: $(cd "$ROOT/harness" && echo packages*.txt))"
command -v dpkg-query >/dev/null || die "this is no Debian: $list lists what Debian 12 calls the packages needed"
mapfile -t packages < <(missing)
[ ${#packages[@]} != 0 ] || exit 0
[ "$(id -u)" = 0 ] || die "packages are missing, and only root can install them:
  apt-get install --no-install-recommends ${packages[*]}"

open_work
log=$LOG/packages.log
say "installing ${#packages[@]} packages: ${packages[*]} (log: $log)"
DEBIAN_FRONTEND=noninteractive install "${packages[@]}" >"$log" 2>&1 </dev/null || {
	grep -E '^(E|Err|W):|^ .*(Conflicts|Depends|Breaks):|Packages need to be removed' "$log" | tail -n 8 >&2
	die "apt-get could not install: ${packages[*]}
  No network: connect it, or install them by hand. A conflict (gcc-multilib and the
  gcc-*-linux-gnu exclude each other): remove the package that apt names. Log: $log"
}
