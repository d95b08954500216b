# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source this
# Sourced by every script of the harness: goes on in the tool root, and knows where
# things are and how to say things.
#
# Everything that is made lies outside the checkout, below $CACHE:
#   root/                the tool root (harness/root/enter.sh)
#   ccache/              compiled objects, shared by all checkouts
#   busybox/<debarch>/   a static busybox for each guest architecture
#   checkouts/<name>/    $CHECKOUT, this checkout's own:
#     origin             the checkout that it belongs to
#     <base>/            $WORK, what is made for one of series/bases:
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

# The kernel that the series is laid over: the first of series/bases unless BASE
# names another.
asked=${BASE:-}
bases=$(sed -n 's/^linux-source-\([^ ]*\) .*/\1/p' "$ROOT/series/bases")
export BASE=${asked:-${bases%%$'\n'*}}
package=linux-source-$BASE
tarball=/usr/src/$package.tar.xz
WORK=$CHECKOUT/$BASE
TREE=$WORK/linux
LOG=$WORK/log

# The variables of a calling make are for the harness's Makefile: the kernel's
# would take ARCH=, and a job server that is not there, for its own.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
export -n ARCH RUN O CC

# Hits must not depend on where the checkout or the cache is. DEPEND: what the compiler
# says that it includes, not a preprocessor run beside it; a miss takes a quarter less.
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

# Gives this checkout its work directory, and removes those of checkouts that are gone.
open_work() {
	local origin
	mkdir -p "$LOG"
	# At no time empty: another checkout's script would take ours for gone.
	printf '%s\n' "$ROOT" >"$CHECKOUT/origin.$$"
	mv "$CHECKOUT/origin.$$" "$CHECKOUT/origin"
	ln -sfn "$CHECKOUT" "$ROOT/build"
	for origin in "$CACHE"/checkouts/*/origin; do
		[ ! -d "$(cat "$origin")" ] || continue
		say "removing ${origin%/origin}: its checkout $(cat "$origin") is gone"
		rm -rf "${origin%/origin}"
	done
}

# Two builds in one directory would spoil each other: the second waits.
lock() { # DIRECTORY
	exec 8>"$1.lock"
	flock -n 8 || { say "waiting for another build in $1 ..." && flock 8; }
}

# Runs a command, to its first failure, with its output in LOG, and sets $status.
# Not for conditions: in them bash goes on after a failure, whatever set -e says.
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

# Runs a command with its output in LOG and shows how far it is (on PROGRESS_FD,
# default standard error); PATTERN tells the lines of the log that count, TOTAL
# about how many there will be, if known.
progress() { # LABEL LOG PATTERN TOTAL COMMAND...
	local label=$1 log=$2 pattern=$3 total=${4:+ of about $4}
	local start=$SECONDS every=20 next end='\n' fd=${PROGRESS_FD:-2} job status=0
	shift 4
	if [ -t "$fd" ]; then every=1 end='  \r'; fi
	next=$((start + every))
	set -m # a process group of its own, to be stopped whole
	"$@" >"$log" 2>&1 </dev/null &
	job=$!
	set +m
	# Waiting lets make remove its half-written targets.
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
