# shellcheck shell=bash disable=SC2154 # logged() sets $status
# Sourced after env.sh by scripts that few people run: installs packages into the tool root
# at their first use, instead of for everyone by packages.txt.

need_packages() { # PACKAGE...
	local installed log=$CACHE/root-need.log status
	installed=$(dpkg-query -W -f '${db:Status-Abbrev}\n' "$@" 2>/dev/null | grep -c '^ii' || :)
	[ "$installed" != $# ] || return 0
	exec 7>"$CACHE/root.lock"
	flock 7
	say "installing into the tool root: $* (log: $log)"
	logged "$log" install_needed "$@"
	[ "$status" = 0 ] || die "apt-get could not install $*: is there a network?" \
		"$(grep -m1 '^E:' "$log") (log: $log)"
	exec 7>&-
}

install_needed() {
	apt-get update
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove \
		-o Acquire::Retries=3 -o Dpkg::Options::=--force-unsafe-io "$@"
}
