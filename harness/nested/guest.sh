#!/bin/sh
# shellcheck shell=dash
#   guest.sh try NAME...      each of /NAME.RUNTIME, free and in the sandbox
#   guest.sh cost             /cost.RUNTIME
# A line for each: NAME, RUNTIME, "free" or "sandbox", and "ok" or what was wrong.
set -eu

try() { # NAME RUNTIME HOW COMMAND...
	local name=$1 runtime=$2 how=$3 status=0 said
	shift 3
	"$@" >/tmp/said 2>&1 </dev/null || status=$?
	said=$(tail -n 1 /tmp/said)
	if [ $status != 0 ] || [ "$said" != 'called back' ]; then
		[ $status -le 128 ] || said="signal $((status - 128)) $said"
		printf '%s\t%s\t%s\t%s\n' "$name" "$runtime" "$how" "$said"
		return
	fi
	printf '%s\t%s\t%s\tok\n' "$name" "$runtime" "$how"
}

mount -t tmpfs -o noexec tmpfs /tmp
what=$1
shift
for runtime in gcc trampfd; do
	if [ "$what" = cost ]; then
		"/cost.$runtime" "$@" | sed "s/^/$runtime	/"
		continue
	fi
	for name; do
		try "$name" $runtime free "/$name.$runtime"
		try "$name" $runtime sandbox /sandbox "/$name.$runtime"
	done
done
