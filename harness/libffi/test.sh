#!/bin/bash
# Runs libffi's test suite and our additional tests in a guest, and prints the path of a
# file with the results.
#   test.sh [--sandbox] [--static] ABI FLAVOUR [NAME.exp...]
# FLAVOUR is one of build.sh, NAME.exp are parts of the suite. --sandbox: in a sandbox in
# which memory cannot be written and later executed, also not through two mappings.
# --static: linked with libffi.a (flavour trampfd only).
# Environment: LIBFFI_TEST_OPTIMIZATION, compiler flags, default -O0, then -O2; KERNEL,
# default the one with the name of the ABI; TRAMPFD_BACKEND, for libtrampfd.
#
# The programs are compiled once, with flavour trampfd, and run with the libffi.so of each
# flavour. The headers are the same except fficonfig.h, which one test reads to find out
# whether a closure's code is the closure itself.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

here=$ROOT/harness/libffi
sandbox='' static=''
if [ "$1" = --sandbox ]; then sandbox=-sandbox && shift; fi
if [ "$1" = --static ]; then static=-static && shift; fi
abi=$1 flavour=$2
shift 2
[ -z "$static" ] || [ "$flavour" = trampfd ] || die "--static is for trampfd alone"
ours=$("$here/build.sh" "$abi" trampfd)
out=$("$here/build.sh" "$abi" "$flavour")
cc=$(fact cc "$abi")
cross=$(fact cross "$abi")
suffix="$static${*/#/-}${LIBFFI_TEST_OPTIMIZATION:-}"
suffix=${suffix//.exp/}
programs=$ours/programs${suffix// /}
kernel=${KERNEL:-$abi}
how=$sandbox${KERNEL:+-$KERNEL}${TRAMPFD_BACKEND:+-$TRAMPFD_BACKEND}
results=$out/results${suffix// /}$how
log=$LOG/libffi-test-$abi-$flavour${suffix// /}$how

suite() { # PASS DIRECTORY OUTDIR [NAME.exp...]
	local pass=$1 dir=$2 outdir=$3
	shift 3
	mkdir -p "$outdir"
	DEJAGNU=$here/site.exp GUEST_PASS=$pass GUEST_DIR=$dir GUEST_STATIC=${static:+$ours} \
		make -C "$ours/build/testsuite" check-DEJAGNU \
		RUNTESTFLAGS="--target_board=guest --outdir=$outdir $*" \
		>"$log-$pass.log" 2>&1 </dev/null
}

# Copies the shared libraries of a program from its compiler's directories.
copy_libraries() { # PROGRAM
	local name from
	for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		[ ! -e "$programs/lib/$name" ] || continue
		from=$($cc -print-file-name="$name")
		case $name in libffi*) from=$ours/build/.libs/$name ;; esac
		[ -e "$from" ] || die "$1 needs $name, which $cc does not have"
		cp -L "$from" "$programs/lib/"
		copy_libraries "$programs/lib/$name"
	done
}

collect() {
	local program include
	rm -rf "$programs" && mkdir -p "$programs/lib"
	say "libffi for $abi: compiling its tests${static:+, static} ..."
	$cc -fPIC -O2 -Wall -Wextra -c -o "$ours/maps.o" "$here/maps.c"
	suite collect "$programs" "$programs/dejagnu" "$@" || : # what was not run has no output to fit
	compgen -G "$programs/*.exe" >/dev/null ||
		die "no test compiles for $abi, $flavour (log: $log-collect.log)"
	include=$("$ROOT/harness/kernel/headers.sh" "$abi")
	$cc -shared -o "$programs/maps.so" "$ours/maps.o"
	$cc -static -O2 -Wall -Wextra -isystem "$include" \
		-o "$programs/sandbox" "$ROOT/harness/guest/sandbox.c"
	for program in "$programs"/*.exe "$programs/maps.so"; do copy_libraries "$program"; done
	"${cross}strip" "$programs"/*.exe
	readelf -lW "$(compgen -G "$programs/*.exe" | head -n 1)" |
		sed -n 's/.*interpreter: \(.*\)\]/\1/p' >"$programs/interpreter"
	touch "$programs/.collected"
}

run() {
	local files=(lib maps.so interpreter) tar=$results.tar memory=1G
	rm -rf "$results" && mkdir -p "$results/lib"
	[ -n "$static" ] || cp -L "$out/build/.libs/libffi.so.8" "$results/lib/"
	(cd "$programs" && find . -maxdepth 1 -name '*.exe' -printf '%P\n') >"$results/list"
	[ -z "$sandbox" ] || files+=(sandbox)
	files+=(-C "$results" lib) # the later one counts
	tar -I "xz -T0 -2" -cf "$tar" -C "$programs" -T "$results/list" "${files[@]}"
	say "libffi for $abi, $flavour${suffix:+,${suffix//-/ }}${how:+,${how//-/ }}:" \
		"running $(wc -l <"$results/list") programs ..."
	[ -z "$static" ] || memory=6G
	MEM=${MEM:-$memory} TIMEOUT=${TIMEOUT:-3600} FILES=$tar:programs.tar CONSOLE=$log.console \
		"$ROOT/harness/guest/vm.sh" "$kernel" "$here/guest.sh" "${TRAMPFD_BACKEND:-}" \
		>"$log.tar" 2>"$log.log" </dev/null ||
		die "the guest failed: $(tail -n 1 "$log.log") (log: $log.log, console: $log.console)"
	tar -xf "$log.tar" -C "$results"
	rm "$log.tar" "$tar"
}

# Evaluates the results of the programs with runtest, and the results of maps.c.
judge() {
	(cd "$programs" && cp ./*.name ./*.compiler "$results/")
	(cd "$results" && xargs touch <list)
	suite judge "$results" "$results/dejagnu" "$@" || :
	[ -e "$results/dejagnu/libffi.sum" ] || die "no results (log: $log-judge.log)"
}

report() {
	local sum=$results/dejagnu/libffi.sum ended looked
	ended=$(grep -lx 0 "$results"/*.status | wc -l)
	looked=$(grep -lE '^[0-9]+ mappings$' "$results"/*.maps | wc -l)
	grep -lvE '^[0-9]+ mappings$' "$results"/*.maps >"$results/forbidden" || :
	say "libffi for $abi, $flavour${suffix:+,${suffix//-/ }}${how:+,${how//-/ }}:" \
		"$(sed -n 's/^# of \(.*[^\t]\)\t\t*\([0-9]*\)$/\2 \1,/p' "$sum" | paste -sd' ' | sed 's/,$//')"
	say "  of $looked programs that got to their end $(wc -l <"$results/forbidden")" \
		"had memory both writable and executable"
	[ "$looked" -ge "$ended" ] ||
		die "$ended programs ended well, and only $looked were looked at ($results/*.maps)"
	echo "$sum"
}

open_work
lock "$ours-test"
[ -e "$programs/.collected" ] || collect "$@"
run
judge "$@"
report
