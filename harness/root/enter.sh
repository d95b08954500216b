#!/bin/bash
# Runs a command in the tool root: a Debian 13 below $CACHE with compilers, QEMU and
# everything else that the harness needs. The machine itself needs only mmdebstrap.
# harness/env.sh restarts every script here. Creates the root if there is none, and
# installs missing packages of packages.txt.
#   enter.sh COMMAND [ARGUMENT...]   in this directory, with this environment
#   enter.sh --update                updates the packages
# The checkout, the cache, $HOME, /tmp and the current directory have the same paths in
# the root as outside. All other files are those of the root.
#
# Uses chroot(8) in a mount namespace; if the user is not root, also in a user namespace
# with the subordinate IDs of /etc/subuid and /etc/subgid.
# Environment: TRAMPFD_CACHE; TRAMPFD_MIRROR, a mirror of Debian, by default that of the
# machine.
set -eu -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
checkout=${here%/harness/root}
cache=${TRAMPFD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trampfd}
root=$cache/root
log=$cache/root.log
space=6 # GiB
# A file in the root for each package list that was installed, because checkouts with
# different lists may share the root.
state=var/lib/trampfd-root
mark=$state/$(cat "$here/packages.txt" "$here/preferences" | sha256sum | cut -c1-16)

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# In a user namespace, this user is root and also has the subordinate IDs.
namespace=(unshare --mount)
if [ "$(id -u)" != 0 ]; then
	namespace+=(--user --map-root-user --map-auto)
elif ! unshare --mount true 2>/dev/null; then
	namespace+=(--propagation unchanged) # a chroot whose / is not a mount point
fi

# The kernel removes the mounts with the namespace, however the command ends.
run_in() { # ROOT COMMAND...
	local in=$1
	shift
	# shellcheck disable=SC2016 # the $ are the inner shell's
	"${exec[@]}" "${namespace[@]}" "$BASH" -eu -c '
		in=$1 pwd=$PWD && shift
		mount --bind "$in" "$in" # unshare --mount needs a mount point at /
		for dir in /proc /sys /dev /tmp "$HOME" '"'$cache' '$checkout'"' "$pwd"; do
			mkdir -p "$in$dir"
			mount --rbind "$dir" "$in$dir"
		done
		exec chroot "$in" /usr/bin/env -C "$pwd" \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' enter "$in" "$@"
}
exec=()

check_namespaces() {
	[ "$(id -u)" != 0 ] || return 0
	command -v newuidmap >/dev/null ||
		die "users other than root need user namespaces for the tool root:" \
			"install the package uidmap, or run this as root"
	[ "$(grep -lE "^($(id -un)|$(id -u)):" /etc/subuid /etc/subgid 2>/dev/null | wc -l)" = 2 ] ||
		die "$(id -un) has no subordinate IDs in /etc/subuid and /etc/subgid:" \
			"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)," \
			"or run this as root"
	"${namespace[@]}" true 2>/dev/null ||
		die "this system does not permit $(id -un) to create user namespaces" \
			"(sysctl kernel.unprivileged_userns_clone," \
			"kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces):" \
			"allow them, or run this as root"
}

need_mmdebstrap() {
	! command -v mmdebstrap >/dev/null || return 0
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		die "mmdebstrap is needed: apt-get install --no-install-recommends mmdebstrap uidmap, as root"
	fi
	say "installing mmdebstrap (log: $log)"
	{
		apt-get update &&
			DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap
	} >"$log" 2>&1 </dev/null ||
		failed "apt-get could not install mmdebstrap"
}

mirror() {
	local mirror=${TRAMPFD_MIRROR:-}
	# shellcheck disable=SC2016 # apt's $
	[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null |
		sort -u | grep -m 1 '/debian/$') ||
		die "cannot find a mirror of Debian: set TRAMPFD_MIRROR to one that has trixie," \
			"trixie-backports and sid"
	echo "${mirror%/}"
}

sources() { # SUITE...
	local suite
	for suite; do echo "deb $(mirror) $suite main"; done
}

failed() { # WHAT
	grep -E '^(E|Err|W|mmdebstrap|tar|dpkg):?' "$log" | tail -n 6 >&2 || :
	die "$1
  Is there a network, and does the mirror have trixie, trixie-backports and sid?
  The existing root is unchanged; the next command tries again. Log: $log"
}

# Prints the options with which the machine's apt reaches its mirror, such as proxies.
acquire() {
	apt-config dump 2>/dev/null |
		grep -E '^Acquire::(Check|Max-ValidTime|Retries|https?|Proxy)' || :
}

make_root() { # ROOT
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e $keyring ] ||
		die "there is no $keyring to verify packages with: install debian-archive-keyring"
	set -- "$1" --variant=apt --architectures=amd64 --keyring=$keyring --include=ca-certificates \
		--aptopt="$cache/apt.conf" trixie
	mkdir -p "$1"
	acquire >"$cache/apt.conf"
	if [ "$(id -u)" = 0 ]; then
		sources trixie trixie-updates | mmdebstrap "${@:2}" "$1" -
	else
		sources trixie trixie-updates | mmdebstrap --mode=unshare "${@:2}" - - |
			"${namespace[@]}" tar -xC "$1" --exclude='./dev/*'
	fi
}

# apt downloads all packages before it changes anything.
install_packages() { # ROOT
	local packages
	mapfile -t packages < <(sed -n '/^[a-z]/p' "$here/packages.txt")
	sources trixie trixie-updates trixie-backports sid |
		run_in "$1" tee /etc/apt/sources.list >/dev/null
	run_in "$1" tee /etc/apt/preferences.d/trampfd <"$here/preferences" >/dev/null
	# Outside of the namespace, so that the owner is the same
	[ ! -e /etc/resolv.conf ] || cp -fL /etc/resolv.conf "$1/etc/resolv.conf"
	run_in "$1" dpkg --configure -a
	run_in "$1" apt-get update
	run_in "$1" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends --no-remove \
		-o Acquire::Retries=3 -o Dpkg::Options::=--force-unsafe-io "${packages[@]}"
	run_in "$1" apt-get clean
	run_in "$1" mkdir -p "/$state"
	run_in "$1" touch "/$mark"
}

# Shows the progress of apt from its log: every 20 s, on a terminal each second.
show_progress() {
	local every=20 next end='\n'
	if [ -t 2 ]; then every=1 end='  \r'; fi
	next=$((SECONDS + every))
	while sleep 1 && kill -0 $$; do
		[ $SECONDS -ge $next ] || continue
		next=$((SECONDS + every))
		# shellcheck disable=SC2016 # the $ are awk's
		printf "tool root: %s%s s$end" "$(awk '
			/ newly installed, / { all = $1 + $3; fetched = unpacked = ready = 0 }
			/^Get:/ { fetched++ }
			/^Unpacking / { unpacked++ }
			/^Setting up / { ready++ }
			END {
				if (all)
					printf "%d packages: %d fetched, %d unpacked, %d set up, ",
						all, fetched, unpacked, ready
			}' "$log")" $((SECONDS - start)) >&2
	done
}

logged() { # WHAT COMMAND...
	local status progress
	show_progress 7>&- &
	progress=$!
	set +e # in a condition bash would ignore set -e
	(set -e; "${@:2}") >>"$log" 2>&1 </dev/null
	status=$?
	set -e
	kill $progress
	wait $progress 2>/dev/null || :
	[ ! -t 2 ] || printf '\r\033[K' >&2
	[ $status = 0 ] || failed "$1"
}

open_root() {
	local start=$SECONDS free
	mkdir -p "$cache"
	exec 7>"$root.lock"
	flock -n 7 || {
		say "waiting for another command that is changing the tool root $root ..."
		flock 7
	}
	[ ! -e "$root/$mark" ] || [ -n "$update" ] || return 0
	check_namespaces
	: >"$log"
	if [ ! -e "$root" ]; then
		free=$(df --output=avail -BG "$cache" | tr -dc 0-9)
		[ "$free" -ge $space ] || die "$cache has $free GiB free and the tool root needs $space:" \
			"make room, or set TRAMPFD_CACHE to a directory elsewhere"
		need_mmdebstrap
		say "making the tool root $root: Debian 13 with compilers and QEMU," \
			"about 1.2 GiB to fetch, $space GiB on disk (log: $log)"
		"${namespace[@]}" rm -rf "$root.new"
		logged "cannot make a Debian 13 root" make_root "$root.new"
		logged "cannot install the packages of harness/root/packages.txt" install_packages "$root.new"
		mv "$root.new" "$root"
	else
		say "updating the tool root $root (log: $log)"
		logged "cannot install the packages of harness/root/packages.txt" install_packages "$root"
	fi
	say "tool root: $((SECONDS - start)) s"
}

update=
[ "${1:-}" != --update ] || update=yes
if [ ! -e "$root/$mark" ] || [ -n "$update" ]; then open_root; fi
[ -z "$update" ] || exit 0
exec 7>&-
exec=(exec)
run_in "$root" "$@"
