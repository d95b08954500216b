#!/bin/bash
# Builds libtrampfd (tools/lib/trampfd) and its tests, or checks a promise of it
# on this machine, whose kernel has no trampolines: those of the library's text.
#   library.sh ABI       in $WORK/library/<abi>: library_test, static, and what a
#                        guest needs for the shared one: the program `shared` and
#                        the list of FILES in shared.files
#   library.sh PROMISE   one of those below, named after what it checks
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# A pair of alloc and free, with the loop around it, on x86_64
INSTRUCTIONS_MAX=82

lmake() { # ABI OUTPUT TARGET... [VARIABLE=...]
	local abi=$1 out=$2 include cc
	shift 2
	include=$("$ROOT/harness/kernel/headers.sh" "$abi")
	cc=$(fact cc "$abi")
	make -C "$TREE/tools/lib/trampfd" OUTPUT="$out" KHDR_INCLUDES="-isystem $include" \
		CC="ccache $cc" "$@"
}

# The dynamic linker is run by a script: vm.sh takes no program that needs one.
shared_for_guest() { # ABI DIRECTORY
	local interpreter file cc
	cc=$(fact cc "$1")
	interpreter=$(readelf -lW "$2/library_test_shared" | sed -n 's/.*interpreter: \(.*\)]$/\1/p')
	{
		for file in libc.so.6 "${interpreter##*/}"; do
			echo "$($cc -print-file-name="$file"):lib/$file"
		done
		echo "$2/libtrampfd.so.0:lib/libtrampfd.so.0"
		echo "$2/library_test_shared"
	} >"$2/shared.files"
	printf '#!/bin/sh\nexec /lib/%s --library-path /lib /library_test_shared "$@"\n' \
		"${interpreter##*/}" >"$2/shared"
	chmod +x "$2/shared"
}

build() { # ABI
	local out=$WORK/library/$1 log=$LOG/library-$1.log
	rm -rf "$out" && mkdir -p "$out"
	lmake "$1" "$out" all tests CFLAGS="-O2 -g -Werror" >"$log" 2>&1 ||
		die "libtrampfd for $1 does not compile: $(grep -m3 -E 'error: |\*\*\*' "$log") (log: $log)"
	shared_for_guest "$1" "$out"
}

scratch() {
	rm -rf "$WORK/library/$1" && mkdir -p "$WORK/library/$1"
	echo "$WORK/library/$1"
}

exports_are_those_of_the_version_script() {
	local out abi
	for abi in x86_64 i386 arm64 arm riscv64; do
		out=$WORK/library/$abi
		[ -d "$out" ] || continue
		diff <(sed -n 's/^\t\t\([a-z_]*\);/\1/p' "$TREE/tools/lib/trampfd/libtrampfd.map" | sort) \
			<(nm -D --defined-only "$out/libtrampfd.so.0" |
				awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
		# In a static program no name of ours can clash with one of its own.
		nm -g --defined-only "$out/libtrampfd.a" |
			awk 'NF == 3 && $3 !~ /^trampfd_/ { print $3; found = 1 } END { exit found }'
		# There may always be callbacks.
		readelf -dW "$out/libtrampfd.so.0" | grep -q 'FLAGS_1.*NODELETE'
		# Nothing of ours runs before main().
		readelf -SW "$out/libtrampfd.a" |
			awk '/\.(init_array|ctors|preinit_array)/ { print; found = 1 } END { exit found }'
	done
}

# Installed, found by pkg-config, used by C and C++ with nothing of the tree.
installed_library_is_complete() {
	local out include flags std
	out=$(scratch installed)
	lmake x86_64 "$out/obj" install install_uapi_headers DESTDIR="$out/root" prefix=/usr CFLAGS=-O2
	export PKG_CONFIG_LIBDIR=$out/root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$out/root
	cat >"$out/main.c" <<-END
		static void f(void) { }
		int main(void) { return !trampfd_is_trampoline(trampfd_alloc(0, (void *)f, 0)); }
	END
	# The kernel's header alone of those that are not yet Debian's
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
	[ -e "$out/root/usr/share/man/man3/libtrampfd.3" ]
}

# Those tests that do not measure memory, of which a sanitizer takes its own.
suite_with() { # FLAG
	local out options=() test
	out=$(scratch "sanitized${1//[^a-z]/-}")
	for test in backend_that_is_asked_for_is_used every_register_and_mode_works \
		each_trampoline_has_its_own_slot allocated_and_freed_in_any_order slots_are_used_again \
		pool_leaves_nothing_behind threads_use_the_same_pool fork_while_threads_allocate \
		stopped_thread_holds_up_no_other thread_that_ends_keeps_nothing \
		what_threads_have_at_hand_does_not_keep_memory what_a_thread_freed_is_there_for_others \
		signal_handlers_call_trampolines nested_functions_of_gcc \
		library_takes_the_place_of_the_kernel; do options+=(-t "$test"); done
	lmake x86_64 "$out" "$out/library_test_shared" CFLAGS="-O1 -g $1 -DTHREAD_STEPS=5000"
	LD_LIBRARY_PATH=$out ASAN_OPTIONS=detect_leaks=0 \
		"$out/library_test_shared" "${options[@]}" 2>&1 | tee "$out/log"
	if grep -E 'ERROR: |WARNING: |runtime error' "$out/log"; then return 1; fi
}

sanitizers_find_nothing() {
	suite_with -fsanitize=thread
	suite_with -fsanitize=address,undefined
}

# The library alone, by the difference of two runs
instructions() { # PAIRS THREADS
	TRAMPFD_BACKEND=library valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$WORK/library/x86_64/library_test" --pairs "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}

fast_path_is_short() {
	local few many each threads
	for threads in 1 2 4; do
		few=$(instructions 100000 $threads)
		many=$(instructions 200000 $threads)
		each=$(((many - few) / 100000 / threads))
		echo "$each instructions for a pair of alloc and free, the loop around it included," \
			"in $threads threads"
		[ "$few" -gt 100000 ]
		[ $each -le $INSTRUCTIONS_MAX ]
	done
}

suite_passes_on_the_host() {
	local out=$WORK/library/x86_64
	(cd "$out" && ./library_test)
	LD_LIBRARY_PATH=$out "$out/library_test_shared"
	# By a name that is no more once it is found, and by the dynamic linker
	(cd "$out" && LD_LIBRARY_PATH=. ./library_test_shared -t each_trampoline_has_its_own_slot)
	/lib64/ld-linux-x86-64.so.2 --library-path "$out" "$out/library_test_shared" \
		-t each_trampoline_has_its_own_slot
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
x86_64 | i386 | arm64 | arm | riscv64) build "$1" ;;
*_*) "$1" ;;
*) die "usage: library.sh ABI or PROMISE: see the beginning of it" ;;
esac
