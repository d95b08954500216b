#!/bin/bash
# Builds libtrampfd (tools/lib/trampfd) and its tests, or runs a check on this machine,
# with the library backend, because the kernel here has no trampfd.
#   library.sh ABI       builds in $WORK/library/<abi>: static tests, with their names in
#                        the file `tests`; and for the shared library a script
#                        shared-TEST for each, which needs FILES="$(xargs <shared.files)"
#   library.sh CHECK     runs a check: a function below, named after what it checks
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# Maximum for a pair of alloc and free, including the loop, on x86_64
INSTRUCTIONS_MAX=82

lmake() { # ABI OUTPUT TARGET... [VARIABLE=...]
	local abi=$1 out=$2 include cc
	shift 2
	include=$("$ROOT/harness/kernel/headers.sh" "$abi")
	cc=$(fact cc "$abi")
	make -C "$TREE/tools/lib/trampfd" OUTPUT="$out" KHDR_INCLUDES="-isystem $include" \
		CC="ccache $cc" "$@"
}

# vm.sh refuses dynamically linked programs, so a script executes the dynamic linker.
shared_for_guest() { # ABI DIRECTORY
	local interpreter file cc test
	cc=$(fact cc "$1")
	interpreter=$(readelf -lW "$2/library_test_shared" | sed -n 's/.*interpreter: \(.*\)]$/\1/p')
	# pthread_cancel() loads libgcc_s.
	for file in libc.so.6 libgcc_s.so.1 "${interpreter##*/}"; do
		echo "$($cc -print-file-name="$file"):lib/$file"
	done >"$2/shared.files"
	echo "$2/libtrampfd.so.0:lib/libtrampfd.so.0" >>"$2/shared.files"
	for test in "${tests[@]}"; do
		echo "$2/${test}_shared" >>"$2/shared.files"
		printf '#!/bin/sh\nexec /lib/%s --library-path /lib /%s_shared "$@"\n' \
			"${interpreter##*/}" "$test" >"$2/shared-$test"
		chmod +x "$2/shared-$test"
	done
}

tests=(library_test process_test text_test unwind_test)

build() { # ABI
	local out=$WORK/library/$1 log=$LOG/library-$1.log
	rm -rf "$out" && mkdir -p "$out"
	lmake "$1" "$out" all tests CFLAGS="-O2 -g -Werror" >"$log" 2>&1 ||
		die "libtrampfd for $1 does not compile: $(grep -m3 -E 'error: |\*\*\*' "$log") (log: $log)"
	echo "${tests[@]}" >"$out/tests"
	shared_for_guest "$1" "$out"
}

scratch() {
	rm -rf "$WORK/library/$1" && mkdir -p "$WORK/library/$1"
	echo "$WORK/library/$1"
}

exports_are_those_of_the_version_script() {
	local out abi
	for abi in x86_64 i386 arm64 arm riscv64 ppc64le s390x loongarch64; do
		out=$WORK/library/$abi
		[ -d "$out" ] || continue
		diff <(sed -n 's/^\t\t\([a-z_]*\);/\1/p' "$TREE/tools/lib/trampfd/libtrampfd.map" | sort) \
			<(nm -D --defined-only "$out/libtrampfd.so.0" |
				awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
		# All names have our prefix, so that they do not clash in a static program.
		nm -g --defined-only "$out/libtrampfd.a" |
			awk 'NF == 3 && $3 !~ /^(trampfd_|__x86[.]get_pc_thunk)/ { print $3; found = 1 } END { exit found }'
		# A callback may exist after dlclose().
		readelf -dW "$out/libtrampfd.so.0" | grep -q 'FLAGS_1.*NODELETE'
		# No constructors
		readelf -SW "$out/libtrampfd.a" |
			awk '/\.(init_array|ctors|preinit_array)/ { print; found = 1 } END { exit found }'
	done
}

# Installs the library, and compiles C and C++ programs with pkg-config and without the
# source tree.
installed_library_is_complete() {
	local out include flags std page
	out=$(scratch installed)
	lmake x86_64 "$out/obj" install DESTDIR="$out/root" prefix=/usr CFLAGS=-O2
	export PKG_CONFIG_LIBDIR=$out/root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$out/root
	cat >"$out/main.c" <<-END
		static void f(void) { }
		int main(void) { return !trampfd_is_trampoline(trampfd_alloc(0, (void *)f, 0)); }
	END
	flags=$(pkg-config --cflags --libs libtrampfd)
	include="-I $out/root/usr/include -include trampfd.h -include trampfd.h"
	for std in c99 c++98; do
		set -- gcc -x c
		[ $std = c99 ] || set -- g++ -x c++
		# shellcheck disable=SC2086 # words
		"$@" -Wall -Wextra -Werror -std=$std $include -o "$out/main" "$out/main.c" -x none $flags
		LD_LIBRARY_PATH=$out/root/usr/lib "$out/main"
	done
	gcc -static -I "$out/root/usr/include" -include trampfd.h -o "$out/main" "$out/main.c" \
		-L"$out/root/usr/lib" -ltrampfd
	"$out/main"
	for page in $(sed -n '/PRIVATE/q;s/^\t\t\([a-z_]*\);/3 \1/p' "$TREE/tools/lib/trampfd/libtrampfd.map" | tr ' ' :) \
		3:libtrampfd 7:libtrampfd; do
		MANPATH=$out/root/usr/share/man man --warnings "${page%:*}" "${page#*:}" \
			>"$out/page" 2>"$out/warnings"
		[ -s "$out/page" ] && [ ! -s "$out/warnings" ]
	done
}

# dlopen() can fail for a library with thread-local storage of the initial-exec model.
library_has_no_thread_local_storage() {
	local out abi file
	for abi in x86_64 i386 arm64 arm riscv64 ppc64le s390x loongarch64; do
		out=$WORK/library/$abi
		[ -d "$out" ] || continue
		lmake "$abi" "$out" "$out/plugin.so"
		for file in libtrampfd.so.0 plugin.so; do
			if readelf -lW "$out/$file" | grep TLS; then return 1; fi
		done
	done
}

# Loads and unloads two copies of a plugin that is linked with the static library.
plugins_come_and_go() {
	local out
	out=$(scratch plugins)
	lmake x86_64 "$out" "$out/plugin.so" "$out/host" CFLAGS="-O2 -Werror"
	cp "$out/plugin.so" "$out/plugin2.so"
	"$out/host" 1000 "$out/plugin.so" "$out/plugin2.so"
	"$out/host" 100000 "$out/plugin.so"
}

library_loads_on_musl() {
	local out
	out=$(scratch musl)
	lmake x86_64 "$out" all "$out/plugin.so" "$out/host" "$out/checked" CC=musl-gcc CFLAGS=-O2
	"$out/host" 10 "$out/plugin.so"
	LD_LIBRARY_PATH=$out "$out/checked"
}

# Runs the example of libtrampfd(7) with 100 contexts that only slots point to.
collector_finds_contexts() {
	local out
	out=$(scratch collector)
	lmake x86_64 "$out" all CFLAGS=-O2
	sed -n '/^\.\\" harness/,/^\.EE/{/^\./d;p}' "$TREE/tools/lib/trampfd/libtrampfd.7" >"$out/roots.c"
	cat >"$out/main.c" <<-'END'
		#include <gc.h>
		#include <stdio.h>
		#include "roots.c"

		static int collected;

		static void count(void *context, void *data) { collected++; }
		static void f(void) { }

		static void make(struct trampfd_pool *pool)
		{
			for (int i = 0; i < 100; i++) {
				void *context = GC_MALLOC(64);

				GC_REGISTER_FINALIZER(context, count, NULL, NULL, NULL);
				trampfd_alloc(pool, (void *)f, context);
			}
		}

		int main(int argc, char **argv)
		{
			GC_INIT();
			if (argc == 1)
				trampfd_use_gc();
			make(NULL);
			for (int i = 0; i < 4; i++)
				GC_gcollect();
			GC_invoke_finalizers();
			printf("%d of 100 collected\n", collected);
			return 0;
		}
	END
	gcc -O2 -I "$TREE/tools/lib/trampfd" -isystem "$("$ROOT/harness/kernel/headers.sh" x86_64)" \
		-o "$out/main" "$out/main.c" "$out/libtrampfd.a" -lgc -pthread
	"$out/main" | grep -qx '0 of 100 collected'
	"$out/main" without | tee /dev/stderr | grep -q '^[1-9]'
}

# Instruments the program only, then also the library.
sanitizers_find_nothing() {
	local out cc flag plain
	plain=$(scratch plain)
	lmake x86_64 "$plain" "$plain/checked"
	for cc in gcc clang-22; do
		for flag in thread address,undefined; do
			out=$(scratch "sanitized-$cc-${flag%,*}")
			lmake x86_64 "$out" "$out/checked" CC="$cc" CFLAGS="-O1 -g -fsanitize=$flag"
			LD_LIBRARY_PATH=$out "$out/checked" 2>&1 | tee "$out/log"
			LD_LIBRARY_PATH=$plain "$out/checked" 2>&1 | tee -a "$out/log"
			if grep -E 'ERROR: |WARNING: |runtime error' "$out/log"; then return 1; fi
			[ "$(grep -c '^done$' "$out/log")" = 2 ]
		done
	done
}

valgrind_finds_nothing() {
	local out tool
	out=$(scratch valgrind)
	lmake x86_64 "$out" "$out/checked"
	for tool in helgrind drd memcheck; do
		LD_LIBRARY_PATH=$out valgrind -q --error-exitcode=1 --tool=$tool "$out/checked" 500
	done
}

links_with_lto() {
	local out
	out=$(scratch lto)
	lmake x86_64 "$out/gcc" all "$out/gcc/checked" CC=gcc AR=gcc-ar CFLAGS="-O2 -flto -Werror"
	lmake x86_64 "$out/clang" all "$out/clang/checked" CC=clang-22 AR=llvm-ar-22 CFLAGS="-O2 -flto -Werror"
	gcc -O2 -flto -I "$TREE/tools/lib/trampfd" -isystem "$("$ROOT/harness/kernel/headers.sh" x86_64)" \
		-o "$out/checked" "$TREE/tools/lib/trampfd/tests/checked.c" "$out/gcc/libtrampfd.a" -pthread
	for out in "$out/checked" "$out/gcc/checked" "$out/clang/checked"; do
		LD_LIBRARY_PATH=${out%/*} "$out"
	done
}

instructions() { # PAIRS THREADS
	TRAMPFD_BACKEND=library valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$WORK/library/x86_64/library_test" --pairs "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}

# The program that GDB and perf observe
build_observed() { # DIRECTORY
	lmake x86_64 "$1" "$1/observed" "$1/observed_static" CFLAGS="-O2 -g -Werror"
}

gdb_with() { # DIRECTORY SCRIPT|'' ARGUMENT...
	local dir=$1 script=$2
	shift 2
	LD_LIBRARY_PATH=$dir gdb -nx -q -batch -iex 'set debuginfod enabled off' \
		${script:+-x "$script"} "$@" 2>&1
}

# Whether consecutive lines of a file match these regular expressions
has_lines() { # FILE REGEX...
	python3 - "$@" <<-'END'
		import re, sys
		lines = open(sys.argv[1], errors="replace").read().splitlines()
		wanted = sys.argv[2:]
		if not any(all(map(re.search, wanted, lines[i:])) for i in range(len(lines) - len(wanted) + 1)):
		    sys.exit("not in %s: %s" % (sys.argv[1], wanted))
	END
}

# GDB loads the installed script with the library. At each instruction of a trampoline a
# backtrace has its name and its caller, and "finish" returns to the caller.
debugger_names_trampolines() {
	local out script step commands
	out=$(scratch debugger)
	build_observed "$out"
	lmake x86_64 "$out/obj" install DESTDIR="$out/root" prefix=/usr CFLAGS=-O2
	script=$(find "$out/root" -name '*-gdb.py')
	[ "$script" = "$out/root/usr/share/gdb/auto-load/usr/lib/libtrampfd.so.0.1-gdb.py" ]
	commands=(-ex 'break caller' -ex run -ex 'info trampolines')
	for step in stepi stepi backtrace stepi backtrace stepi backtrace finish; do
		commands+=(-ex "$step")
	done
	# GDB looks for scripts in this directory by the path of the library.
	mkdir -p "$out/scripts$out/root/usr"
	ln -s "${script%/*}" "$out/scripts$out/root/usr/lib"
	gdb_with "$out/root/usr/lib" '' -iex "set auto-load scripts-directory $out/scripts" \
		-iex "set auto-load safe-path $out" "${commands[@]}" "$out/observed" >"$out/loaded"
	gdb_with "$out" "$script" "${commands[@]}" "$out/observed" >"$out/log"
	cat "$out/log"
	has_lines "$out/log" ' library, DATA, stride 32: 3 of 125 in use$' '^ +3 of compare$' \
		' library, SLOT, stride 64: 2 of 62 in use$' '^ +2 of visit$' '^5 trampolines in use$'
	[ "$(grep -c '^#0 .* in trampoline of compare, context 0xc0de ()' "$out/log")" = 3 ]
	[ "$(grep -c '^#1 .* in caller ' "$out/log")" = 3 ]
	has_lines "$out/log" '^#2 .* in main ' '^caller '
	grep -q '^5 trampolines in use$' "$out/loaded"
	# Stripped, and with the static library
	strip "$out/libtrampfd.so.0" "$out/observed"
	gdb_with "$out" "$script" -ex 'set breakpoint pending on' -ex 'break exit' -ex run -ex 'info trampolines' "$out/observed" |
		tee /dev/stderr | grep -q '^5 trampolines in use$'
	gdb_with "$out" "$script" -ex 'set breakpoint pending on' -ex 'break exit' -ex run -ex 'info trampolines' "$out/observed_static" |
		tee /dev/stderr | grep -q '^ *3 of compare$'
}

# In a core of a kernel with trampfd, which contains no code of trampolines
debugger_names_trampolines_of_a_core() {
	local out
	out=$(scratch core)
	build_observed "$out"
	cat >"$out/dump" <<-'END'
		#!/bin/sh
		ulimit -c unlimited
		cd /tmp
		echo /tmp/core >/proc/sys/kernel/core_pattern
		echo 0 >/proc/sys/kernel/core_uses_pid
		/observed_static --abort || exit
		gzip -c core | base64
	END
	FILES="$out/observed_static" "$ROOT/harness/guest/vm.sh" x86_64 "$out/dump" </dev/null |
		base64 -d | gzip -dc >"$out/core"
	gdb_with "$out" "$TREE/tools/lib/trampfd/trampfd-gdb.py" -ex backtrace -ex 'info trampolines' \
		"$out/observed_static" "$out/core" | tee "$out/log"
	has_lines "$out/log" '^#0 .* in trampoline of compare, context 0xc0de ()' '^#1 .* in caller ' '^#2 '
	has_lines "$out/log" ' kernel, DATA, stride 32: 3 of ' '^ +3 of compare$'
}

# Uses the CPU clock, because a virtual machine may have no performance counters.
profiler_names_trampolines() {
	local out
	out=$(scratch profiler)
	build_observed "$out"
	if ! perf record -q -e cpu-clock:u -o "$out/data" true; then
		say "perf is not permitted on this machine: not checked"
		return
	fi
	for TRAMPFD_PERF_MAP in '' yes; do
		[ -z "$TRAMPFD_PERF_MAP" ] || export TRAMPFD_PERF_MAP
		LD_LIBRARY_PATH=$out perf record -q -e cpu-clock:u -o "$out/data" "$out/observed" 20000000
		perf report -i "$out/data" --stdio --percent-limit 1 2>&1 |
			tee /dev/stderr "$out/report${TRAMPFD_PERF_MAP:+-named}" >/dev/null
	done
	rm -f /tmp/perf-"$(sed -n 's/.*\[JIT\] tid \([0-9]*\).*/\1/p' "$out/report-named" | head -n 1)".map
	if grep 'trampoline of' "$out/report"; then return 1; fi
	grep -q '\[\.\] trampoline of compare$' "$out/report-named"
	grep -q '\[\.\] trampoline of visit$' "$out/report-named"
}

fast_path_is_short() {
	local few many each threads
	for threads in 1 2 4; do
		few=$(instructions 100000 $threads)
		many=$(instructions 200000 $threads)
		each=$(((many - few) / 100000 / threads))
		echo "$each instructions for a pair of alloc and free, including the loop," \
			"in $threads threads"
		[ "$few" -gt 100000 ]
		[ $each -le $INSTRUCTIONS_MAX ]
	done
}

suite_passes_on_the_host() {
	local out=$WORK/library/x86_64 test
	for test in $(<"$out/tests"); do
		(cd "$out" && "./$test")
		LD_LIBRARY_PATH=$out "$out/${test}_shared"
	done
	/lib64/ld-linux-x86-64.so.2 --library-path "$out" "$out/library_test_shared" \
		-t trampolines_load_their_own_slot
}

example_runs() {
	local out
	out=$(scratch example)
	lmake x86_64 "$out" examples CFLAGS="-O2 -Werror"
	"$out/callbacks" | tee "$out/log"
	grep -qx 'connections told to the first watch: 2, to the second: 1' "$out/log"
}

open_work
case ${1:-} in
x86_64 | i386 | arm64 | arm | riscv64 | ppc64le | s390x | loongarch64) build "$1" ;;
*_*) "$1" ;;
*) die "usage: library.sh ABI or CHECK (see the comment at its start)" ;;
esac
