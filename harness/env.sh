# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source this
# Sourced by every script of the harness: restarts the script in the tool root, and
# defines paths and functions for messages.
#
# All output is outside of the checkout, below $CACHE:
#   root/                the tool root (harness/root/enter.sh)
#   ccache/              compiled objects, shared by all checkouts
#   busybox/<debarch>/   a static busybox for each guest architecture
#   checkouts/<name>/    $CHECKOUT, of this checkout only:
#     origin             the path of the checkout
#     <base>/            $WORK, output for one of series/bases:
#       linux/ pristine/ the overlaid kernel tree; the originals of the files patched there
#       <arch>/          a kernel's build directory (O=)
#       headers/<abi>/ selftests/<abi>/ log/
#       series/          the patches, and linux/, a repository to cut and try them in

set -eu -o pipefail
export LC_ALL=C

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${TRAMPFD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trampfd}
CHECKOUT=$CACHE/checkouts/$(basename "$ROOT" | tr -c 'A-Za-z0-9._\n-' _)
CHECKOUT+=-$(printf %s "$ROOT" | sha256sum | cut -c1-8)
[ -d /var/lib/trampfd-root ] || exec "$ROOT/harness/root/enter.sh" bash "$(realpath "$0")" "$@"

# The kernel sources: those that BASE names, by default the first of series/bases.
asked=${BASE:-}
bases=$(sed -n 's/^linux-source-\([^ ]*\) .*/\1/p' "$ROOT/series/bases")
export BASE=${asked:-${bases%%$'\n'*}}
package=linux-source-$BASE
tarball=/usr/src/$package.tar.xz
WORK=$CHECKOUT/$BASE
TREE=$WORK/linux
LOG=$WORK/log

# If make called us, do not pass its variables to the kernel's make, which has other
# values of ARCH= and no access to the job server.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
export -n ARCH RUN O CC

# Cache hits do not depend on the path of the checkout or the cache. DEPEND uses the
# compiler's list of included files instead of the preprocessor: a miss takes 25% less time.
export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$WORK CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
export CCACHE_SLOPPINESS=time_macros CCACHE_MAXSIZE=2G

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

grep -qxF "$BASE" <<<"$bases" || die "there is no base '$BASE': series/bases has $(xargs <<<"$bases")"
case $CACHE in
*[[:space:]:]*)
	die "the kernel cannot be built below '$CACHE' (space or colon):" \
		"set TRAMPFD_CACHE to another directory"
	;;
esac

# Creates the work directory of this checkout, and removes those of deleted checkouts.
open_work() {
	local origin
	mkdir -p "$LOG"
	# Replace the file at once: a script of another checkout must not find it empty.
	printf '%s\n' "$ROOT" >"$CHECKOUT/origin.$$"
	mv "$CHECKOUT/origin.$$" "$CHECKOUT/origin"
	ln -sfn "$CHECKOUT" "$ROOT/build"
	for origin in "$CACHE"/checkouts/*/origin; do
		[ ! -d "$(cat "$origin")" ] || continue
		say "removing ${origin%/origin}: its checkout $(cat "$origin") is gone"
		rm -rf "${origin%/origin}"
	done
}

# Waits until no other command builds in DIRECTORY, and prevents others from doing so.
lock() { # DIRECTORY
	exec 8>"$1.lock"
	flock -n 8 || { say "waiting for another build in $1 ..." && flock 8; }
}

# Runs a command with set -e and its output in LOG, and sets $status. Do not use it in a
# condition, where bash ignores set -e.
logged() { # LOG COMMAND...
	local log=$1
	shift
	set +e
	(set -e; "$@") >"$log" 2>&1 </dev/null
	status=$?
	set -e
}

elapsed() { # SECONDS at the start
	local s=$((SECONDS - $1))
	if [ $s -lt 60 ]; then echo "${s}s"; else echo "$((s / 60))m$((s % 60))s"; fi
}

# Runs a command with its output in LOG and shows progress on PROGRESS_FD, default
# standard error: the number of lines that match PATTERN, of about TOTAL if that is known.
progress() { # LABEL LOG PATTERN TOTAL COMMAND...
	local label=$1 log=$2 pattern=$3 total=${4:+ of about $4}
	local start=$SECONDS every=20 next end='\n' fd=${PROGRESS_FD:-2} job status=0
	shift 4
	if [ -t "$fd" ]; then every=1 end='  \r'; fi
	next=$((start + every))
	set -m # a process group of its own, so that a signal reaches all of it
	"$@" >"$log" 2>&1 </dev/null &
	job=$!
	set +m
	# Wait until make has removed incomplete targets.
	trap 'kill -- -$job 2>/dev/null || :
		wait $job || :
		say "$label: interrupted"
		exit 130' INT TERM HUP
	while kill -0 $job 2>/dev/null; do
		sleep 1
		if [ "$SECONDS" -ge "$next" ] && kill -0 $job 2>/dev/null; then
			next=$((SECONDS + every))
			printf "%s: %s%s objects, %s$end" "$label" \
				"$(grep -c "$pattern" "$log")" "$total" "$(elapsed $start)" >&"$fd"
		fi
	done
	wait $job || status=$?
	trap - INT TERM HUP
	[ ! -t "$fd" ] || printf '\r\033[K' >&"$fd"
	return $status
}
