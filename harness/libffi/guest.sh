#!/bin/sh
# In the guest: runs each program of /programs.tar, in the sandbox if there is one, and
# writes a tar file with their exit statuses, output and results of maps.c.
#   guest.sh [BACKEND]    TRAMPFD_BACKEND for libtrampfd
set -eu

[ -z "${1:-}" ] || export TRAMPFD_BACKEND="$1"
mkdir /programs /tmp/results
mount -t tmpfs programs /programs
tar -xJf /programs.tar -C /programs
interpreter=$(cat /programs/interpreter)
if [ -n "$interpreter" ]; then # of shared programs
	mkdir -p "${interpreter%/*}"
	ln -s "/programs/lib/${interpreter##*/}" "$interpreter"
fi
sandbox=
if [ -e /programs/sandbox ]; then
	sandbox=./sandbox
	mount -o remount,ro /programs
	for dir in /tmp /dev/shm /dev/pts /dev /sys/kernel/debug /sys /proc; do
		mount -o remount,noexec $dir
	done
	mount -o remount,ro /
	if grep ' rw,' /proc/mounts | grep -v noexec; then exit 1; fi
fi

cd /programs
for program in *.exe; do
	result=/tmp/results/${program%.exe} status=0
	LD_LIBRARY_PATH=/programs/lib LD_PRELOAD=/programs/maps.so MAPS=$result.maps \
		timeout 120 $sandbox "./$program" >"$result.output" 2>&1 </dev/null || status=$?
	echo $status >"$result.status"
	echo "$program: $status" >/dev/console
done
tar -cf - -C /tmp/results .
