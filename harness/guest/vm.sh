#!/bin/bash
# Boots a kernel (named as in harness/kernel/arches.toml) under QEMU and runs one static
# program, or without a program a shell on the terminal.
#   vm.sh KERNEL [PROGRAM [ARGUMENT...]]
# PROGRAM is a file of the host, which is copied to the guest's /, or "busybox", which
# every guest except the big-endian ones has. Environment:
#   FILES    more files for the guest, "host[:guest] ...", guest paths relative to /
#   DISK     an image, which the guest can read as /dev/vda
#   TIMEOUT  seconds, default 300 (none for a shell)
#   MEM SMP CPU   of the guest, default those of harness/kernel/arches.toml
#   ICOUNT   if not empty: one processor, whose clock advances 1 ns for each instruction,
#            so that runs are exactly repeatable
#   APPEND   added to the kernel's command line
#   CONSOLE  file for the kernel's console, default $WORK/log/vm-<kernel>-<program>.console
# Exit status: that of the program, 128+N if signal N ended it, or one of these with a
# message:
#   120 time-out   121 kernel panic   122 oops or BUG   123 WARN or another complaint of
#   the kernel, even if the program succeeded   124 the guest ended without a status
#   125 the guest could not be started
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

refuse() { say "vm: $*"; exit 125; }

# Refuses programs that the guest cannot run, and explains why.
check_program() { # FILE
	local abi is
	[ -f "$1" ] || refuse "$1: no such file. PROGRAM is a static program of the host, or busybox"
	[ "$(head -c 2 "$1" | tr -d '\0')" != '#!' ] || return 0
	is=$(readelf -hW "$1" 2>/dev/null | awk '
		$1 == "Class:" { class = $2 }
		$1 == "Data:" { data = $(NF - 1) }
		$1 == "Machine:" { print class, data, $NF }')
	[ -n "$is" ] || refuse "$1 is neither an ELF program nor a script"
	for abi in ${facts[abis]}; do
		[ "$is" != "$(fact elf "$abi")" ] || { abi= && break; }
	done
	[ -z "$abi" ] || refuse "$1 is $is; the $kernel kernel runs: ${facts[abis]}." \
		"Compile it for one of these"
	! readelf -lW "$1" | grep -q INTERP ||
		refuse "$1 is linked dynamically, but the guest has no libraries: link it with -static"
}

build_init() {
	init=$WORK/$kernel/harness-init
	[ ! "$init" -nt "$ROOT/harness/guest/init.c" ] || return 0
	nolibc_cc "${facts[abis]%% *}" "$run/init" "$ROOT/harness/guest/init.c" ||
		refuse "init.c does not compile"
	mv "$run/init" "$init"
}

# Prints the list for gen_init_cpio of the kernel. That splits lines at spaces, so use
# links to files of the host.
initramfs() {
	local n=0 file guest
	for file in bin dev proc root sys tmp; do echo "dir /$file 0755 0 0"; done
	echo "nod /dev/console 0600 0 0 c 5 1"
	echo "file /init $init 0755 0 0"
	[ -z "$busybox" ] ||
		printf '%s\n' "slink /bin/sh busybox 0777 0 0" "file /bin/busybox $busybox 0755 0 0"
	[ ! -e "$run/args" ] || echo "file /.run $run/args 0600 0 0"
	for file in "${files[@]}"; do
		guest=${file#*:}
		[ "$guest" != "$file" ] || guest=$(basename "$file")
		file=${file%%:*}
		[ -f "$file" ] || refuse "$file: no such file (FILES)"
		n=$((n + 1))
		ln -s "$(realpath "$file")" "$run/file$n"
		[ "${guest#/}" = "${guest##*/}" ] || parents "$(dirname "/${guest#/}")"
		echo "file /${guest#/} $run/file$n 0755 0 0"
	done
}

parents() { # GUEST DIRECTORY
	[ "$1" = / ] || { parents "$(dirname "$1")"; echo "dir $1 0755 0 0"; }
}

emulate() { # CHANNELS
	local smp=${SMP:-${ICOUNT:+1}}
	[ -z "${DISK:-}" ] || set -- "$@" -device "virtio-blk-${facts[virtio]},drive=disk" \
		-drive "file=$DISK,if=none,id=disk,format=raw,readonly=on"
	# shellcheck disable=SC2086 # a command and its arguments
	exec timeout --foreground -k 5 "$timeout" ${facts[guest]} ${ICOUNT:+-icount shift=0,sleep=off} \
		-smp "${smp:-${facts[smp]}}" -m "${MEM:-${facts[memory]}}" \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$WORK/$kernel/${facts[image]}" -initrd "$run/initramfs" \
		-append "console=${facts[console]} panic=-1 ${facts[append]} ${APPEND:-}" \
		-serial "file:$console_log" -device "virtio-serial-${facts[virtio]},max_ports=3" "$@" \
		-device virtconsole,nr=0,chardev=out \
		-chardev "file,id=status,path=$run/status" -device virtserialport,nr=2,chardev=status
}

# Writes output to a file, which tail shows as it grows: QEMU's virtconsole drops output
# that a pipe does not accept at once. Passes input through a pipe: QEMU makes its input
# nonblocking, and that can be the same terminal as our output.
boot() {
	if [ ! -e "$run/args" ]; then
		emulate -chardev stdio,id=out,signal=off <&0 &
		emulator=$!
	else
		exec 3< <(cat <&0)
		feeder=$!
		: >"$run/output"
		emulate -chardev "file,id=out,path=$run/output" \
			-chardev stdio,id=in -device virtserialport,nr=1,chardev=in <&3 >/dev/null &
		emulator=$!
		tail -q -c +1 -f -s 0.1 --pid=$emulator "$run/output" &
		viewer=$!
	fi
	ended=0
	wait "$emulator" || ended=$?
	[ -z "$viewer" ] || wait "$viewer"
}

# Exits with CODE if the console contains a line of the kernel that matches REGEX. Lines of
# the kernel begin with the time, lines of programs do not.
complain() { # CODE WHAT REGEX
	local line
	line=$(grep -a -m1 -E "\[ *[0-9]+\.[0-9]+\].*($3)" "$console_log" | tr -d '\r') || return 0
	say "vm: $2: $line (console: $console_log)"
	exit "$1"
}

last_line() { grep -a . "$console_log" | tail -n 1 | tr -cd '\n -~'; }

verdict() {
	local how number
	complain 121 "the kernel panicked" 'Kernel panic - not syncing'
	complain 122 "the kernel oopsed" \
		'Oops|BUG:|kernel BUG at|general protection fault|Unable to handle kernel|Internal error'
	if [ $ended = 124 ] || [ $ended = 137 ]; then
		say "vm: time-out after $timeout s; the kernel's last: $(last_line)" \
			"(longer: TIMEOUT=; console: $console_log)"
		exit 120
	fi
	complain 123 "the kernel complained" \
		'WARNING:|cut here|INFO: |UBSAN:|KCSAN:|possible recursive locking|kobject_add_internal failed'
	complain 125 "the files do not fit into the guest's memory (increase MEM=)" \
		'incomplete write|Initramfs unpacking failed'
	read -r how number 2>/dev/null <"$run/status" || {
		say "vm: the guest ended without a status (QEMU: $ended, console: $console_log)"
		exit 124
	}
	[ "$how" = exit ] || say "vm: $program was killed by signal $number (SIG$(kill -l "$number"))"
	[ "$how" = exit ] || number=$((128 + number))
	# make replaces the exit status by its own, so print it.
	[ "$how$number" = exit0 ] || say "vm: exit status $number"
	exit "$number"
}

kernel=${1:-x86_64}
shift || :
declare -A facts
read_facts facts "$kernel"
open_work
busybox=
[ -z "${facts[debarch]}" ] ||
	busybox=$("$ROOT/harness/guest/busybox.sh" "${facts[debarch]}") || exit 125
run=$(mktemp -d "$WORK/vm.XXXXXX")
emulator='' feeder='' viewer=''
trap 'kill $emulator $feeder 2>/dev/null || :; rm -rf "$run"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

read -ra files <<<"${FILES:-}"
program=${1:-shell}
[ -n "$busybox" ] || { [ "$program" != shell ] && [ "$program" != busybox ]; } ||
	refuse "Debian has no busybox for $kernel: name a PROGRAM"
timeout=${TIMEOUT:-0}
if [ $# != 0 ]; then
	timeout=${TIMEOUT:-300}
	shift
	guest_program=/bin/busybox
	if [ "$program" != busybox ]; then
		check_program "$program"
		files+=("$program")
		guest_program=/$(basename "$program")
	fi
	printf '%s\0' "$guest_program" "$@" >"$run/args"
fi
[ -e "$WORK/$kernel/${facts[image]}" ] ||
	refuse "the kernel $kernel is not built: make kernel ARCH=$kernel"
console_log=${CONSOLE:-$LOG/vm-$kernel-$(basename "$program").console}
: >"$console_log"
build_init
initramfs >"$run/list"
"$WORK/$kernel/usr/gen_init_cpio" "$run/list" >"$run/initramfs" ||
	refuse "cannot make the initramfs"
boot
verdict
