#!/bin/bash
# Fuzzes the system call and operations on its files in a guest: see
# harness/fuzz/fuzz.c. The engine keeps inputs that increase the coverage of our kernel
# files and of some that they use.
#   fuzz.sh [SECONDS]     continue with the corpus of the last run
#   fuzz.sh INPUT         run one input, such as one of $WORK/fuzz/crashes
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

arch=x86_64 # fuzz.c supports only x86_64
kernel=$arch-kcov
objects="fs/trampfd/geometry.o fs/trampfd/code.o fs/trampfd/inode.o arch/x86/kernel/trampfd.o"
dir=$WORK/fuzz
# The program handles faults itself. An input takes milliseconds; a minute is a hang.
options="-handle_segv=0 -handle_bus=0 -handle_ill=0 -rss_limit_mb=0 -timeout=60"
options+=" -max_len=128 -len_control=0 -print_final_stats=1 -artifact_prefix=/tmp/fuzz/crashes/"
# Messages to suppress
quiet='/NEW \|REDUCE \|RELOAD \|WARNING: Failed\|Recommended\|recommended\|# Uses: /d'

build_program() {
	local include engine cc
	include=$("$ROOT/harness/kernel/headers.sh" $arch)
	engine=$(ls /usr/lib/llvm-19/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a) ||
		die "libFuzzer is missing: install the package libclang-rt-19-dev"
	cc=$(fact cc $arch)
	$cc -static -O2 -Wall -Wextra -Wno-missing-field-initializers -isystem "$include" \
		-o "$dir/fuzz" "$ROOT/harness/fuzz/fuzz.c" "$engine" -lstdc++ -lm
}

# A script for the guest. It prints the resulting files as text after the program's
# output. If the kernel kills the program or it hangs, the script saves its input.
guest_script() { # MINUTES ARGUMENT...
	local minutes=$1
	shift
	cat <<-END
		#!/bin/sh
		tar xzf /corpus.tar.gz -C /tmp
		cd /tmp/fuzz
		(/fuzz $options $*; echo \$? >status) &
		n=0
		until [ -s status ] || [ \$n = $((minutes * 60)) ] || { dmesg | grep -q Oops && sleep 5; }; do
			sleep 1
			n=\$((n + 1))
		done
		[ -e pcs ] || [ -n "\$(ls crashes)" ] ||
			cp running "crashes/lost-\$(sha1sum <running | cut -c1-40)"
		echo "== left"
		tar cf - crashes corpus \$(ls pcs 2>/dev/null) | gzip | base64
		exit "\$(cat status)"
	END
}

coverage() {
	# shellcheck disable=SC2086 # words
	(cd "$WORK/$kernel" && python3 "$ROOT/harness/fuzz/coverage.py" "$dir/pcs" vmlinux $objects)
}

# Runs the program and extracts the resulting files from the output. On a busy host the
# guest's clock, by which the engine ends, is several times slower.
fuzz() { # MINUTES ARGUMENT...
	local run status=0
	run=$(mktemp -d "$dir/run.XXXXXX")
	# shellcheck disable=SC2064 # the directory of now
	trap "rm -rf '$run'" EXIT
	mkdir -p "$run/fuzz/crashes" "$run/left" "$dir/corpus" "$dir/crashes"
	cp -R "$dir/corpus" "$run/fuzz/"
	tar -czf "$run/corpus.tar.gz" -C "$run" fuzz
	guest_script "$@" >"$run/fuzz.guest"
	FILES="$dir/fuzz $run/corpus.tar.gz ${input:+$input:input}" \
		SMP=${SMP:-1} MEM=1G TIMEOUT=$(($1 * 300)) \
		CONSOLE=$LOG/fuzz.console "$ROOT/harness/guest/vm.sh" $kernel "$run/fuzz.guest" </dev/null |
		tee "$LOG/fuzz.log" | sed -u "/^== left/,\$d; $quiet" || status=$?
	sed '1,/^== left/d' "$LOG/fuzz.log" | base64 -d | tar -xz -C "$run/left" --no-same-owner ||
		die "the guest printed no files (log: $LOG/fuzz.log, console: $LOG/fuzz.console)"
	cp -R "$run/left/crashes/." "$dir/crashes/"
	if [ -z "$input" ]; then
		rm -rf "$dir/corpus"
		mv "$run/left/corpus" "$dir/corpus"
		[ ! -e "$run/left/pcs" ] || { mv "$run/left/pcs" "$dir/pcs" && coverage; }
		say "corpus: $(find "$dir/corpus" -type f | wc -l) inputs, in $dir/corpus"
	fi
	for crash in "$run"/left/crashes/*; do
		[ ! -e "$crash" ] || say "to repeat: make fuzz INPUT=$dir/crashes/$(basename "$crash")"
	done
	[ $status = 0 ] || die "the fuzzer failed: see above, $LOG/fuzz.log and $LOG/fuzz.console"
}

open_work
mkdir -p "$dir"
"$ROOT/harness/kernel/kernel.sh" $kernel
build_program
input=
case ${1:-60} in
*[!0-9]*)
	input=$(realpath "$1")
	[ -f "$input" ] || die "$1: neither a number of seconds nor an input"
	fuzz 2 /input
	;;
*) fuzz $((${1:-60} / 60 + 5)) "-max_total_time=${1:-60}" corpus ;;
esac
