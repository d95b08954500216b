#!/bin/sh
# shellcheck shell=dash disable=SC2086 # busybox has local too; $sandbox, $command are words
#   guest.sh WAY LIBFFI...
# In the guest: has each runtime of the Debian userland on /dev/vda call C, and C
# call it back, with each libffi in turn: "debian" is the userland's own, others
# are files of /runtimes that take its place. WAY:
# free      nothing is forbidden
# sandbox   no memory can be both written and executed, nor in turn, nor through
#           two mappings (sandbox.c); all that can be written is mounted noexec
# no-proc   likewise, and /proc is not mounted
# cost      nothing is forbidden, and closures.c measures in the place of the runtimes;
#           a LIBFFI/BACKEND says which one of libtrampfd
# A line of output for each: its name, WAY, LIBFFI, and "ok" or what was wrong.
# What the program said follows, after #: the console is the kernel's.
set -eu

way=$1
shift
root=/debian

# name|command; one in parentheses writes code by itself, or gives libffi memory of
# its own for its trampolines: no libffi can help it
runtimes='python3, ctypes|python3 python-ctypes.py
(python3, cffi)|python3 python-cffi.py
python3, GObject|python3 python-gi.py
(pypy3, cffi)|pypy3 python-cffi.py
pypy3 --jit off, cffi|pypy3 --jit off python-cffi.py
ruby, fiddle|ruby ruby-fiddle.rb
(ruby, ffi)|ruby ruby-ffi.rb
guile|guile --no-auto-compile -s guile.scm
guile without its JIT|env GUILE_JIT_THRESHOLD=-1 guile --no-auto-compile -s guile.scm
gjs|gjs gjs.js
gjs without its JIT|env GJS_DISABLE_JIT=1 gjs gjs.js
java, JNA|java -cp /usr/share/java/jna.jar:/opt Jna
java -Xint, JNA|java -Xint -cp /usr/share/java/jna.jar:/opt Jna
java -zero, JNA|java -zero -cp /usr/share/java/jna.jar:/opt Jna
php, FFI|php php.php
perl, FFI::Platypus|perl perl-platypus.pl
perl, GObject|perl perl-glib.pl
lua, lgi|lua5.3 lua-lgi.lua
newlisp|newlisp newlisp.lsp
(luajit, ffi)|luajit luajit.lua
(nested function of GCC 14)|./nested'

use() { # LIBFFI
	unset TRAMPFD_BACKEND
	case $1 in */*) export TRAMPFD_BACKEND="${1#*/}" ;; esac
	set -- "${1%/*}"
	umount "$file" 2>/dev/null || : # none before the first
	[ "$1" = debian ] || bind "/runtimes/$1.so" "$file"
}

bind() { # WHAT WHERE
	mount --bind "$1" "$2"
	mount -o remount,bind,ro "$2"
}

# Print the first line that looks like an error, as a trace may follow; if there is
# none, the last line. Skip source lines that Python quotes (they are indented).
# Remove what differs from run to run: the reason that ruby's ffi gives is what its
# memory happened to hold.
error() { # STATUS
	local said
	grep -avxE -e 'started|Error occurred during initialization of VM' \
		-e '  .*' \
		-e '.*Warning: .*(/proc/|pthread_).*|' /tmp/said >/tmp/errors || :
	said=$(grep -aiE -m1 'error|exception|fail|fault|could not|cannot|unable|unexpected' \
		/tmp/errors || tail -n 1 /tmp/errors)
	[ "$1" -le 128 ] || [ "$1" = 255 ] || said="${said:+$said; }signal $(($1 - 128))"
	echo "${said:-exit status $1}" | tr '\t' ' ' | tr -cd '\n -~' | cut -c1-200 |
		sed 's/0x[0-9a-f]\{4,\}/0x.../g; s/\(attach.: \).* (Runtime/\1... (Runtime/
			s/^\*\* (process:[0-9]*): //; s/\*\*: [0-9:.]*: /**: /'
}

try_all() { # LIBFFI
	echo "$runtimes" | while IFS='|' read -r name command; do
		try $command
		printf '%s\t%s\t%s\t%s\n' "$name" "$way" "$1" "$result"
		sed 's/^/# /' /tmp/said
	done
}

measure() { # LIBFFI
	local nr
	for nr in 1000 100000; do
		printf '%s\t' "$1"
		chroot $root /mnt/closures $nr
	done
}

try() { # COMMAND...
	local status=0
	timeout 120 chroot $root sh -c 'cd /mnt && exec "$@"' - $sandbox "$@" \
		</dev/null >/tmp/said 2>&1 || status=$?
	if [ $status = 0 ] && grep -qx 'called back' /tmp/said; then
		result=ok
	elif grep -qx started /tmp/said; then
		result=$(error $status)
	else
		result="does not start: $(error $status)"
	fi
}

mkdir $root
mount -t ext2 -o ro /dev/vda $root
file=$(readlink -f $root/usr/lib/x86_64-linux-gnu/libffi.so.8)
bind /runtimes $root/mnt
mount --bind /dev $root/dev
mount -t tmpfs tmpfs $root/tmp
[ "$way" = no-proc ] || mount -t proc -o noexec proc $root/proc
sandbox=
case $way in sandbox | no-proc)
	sandbox=./sandbox
	for dir in $root/tmp $root/dev; do mount -o remount,bind,noexec "$dir"; done
	if grep " $root" /proc/mounts | grep ' rw,' | grep -v noexec; then exit 1; fi ;;
esac
export PATH=/usr/bin:/bin:/usr/sbin HOME=/tmp LC_ALL=C.UTF-8

for libffi; do
	use "$libffi"
	if [ "$way" = cost ]; then measure "$libffi"; else try_all "$libffi"; fi
done
