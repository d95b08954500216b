#!/bin/bash
# Installs the Debian packages of packages.txt that are missing. With none
# missing apt is not called, so that a build needs no network and no root.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/env.sh"

missing() {
	local package
	sed 's/#.*//' "$ROOT/harness/packages.txt" | while read -r package; do
		[ -z "$package" ] ||
			dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			echo "$package"
	done
}

install() { # PACKAGE...
	apt-get update && apt-get install --no-install-recommends --no-remove -y "$@"
}

command -v dpkg-query >/dev/null || die "this is no Debian: harness/packages.txt lists what Debian 12 calls the packages needed"
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
