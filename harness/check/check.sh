#!/bin/bash
# Runs every check, the quick ones first, and counts the results in its last line. If a
# check fails, the others still run.
#   check.sh [--all] [ARCH...]            default: every architecture, those that are
#                                         `brief` in arches.toml with a test of each promise
#   check.sh [--all] --kernels KERNEL...  only the checks in these kernels, such as
#                                         x86_64, arm64-64k or i386-without-trampfd
# If BASE is set, uses only this base. Otherwise uses the first of series/bases, and the
# others for checks in kernels. TIMEOUT: seconds for each guest, for busy machines.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/kernel/overlay.sh
. "$ROOT/harness/kernel/overlay.sh"
# shellcheck source=harness/check/results.sh
. "$ROOT/harness/check/results.sh"

guest_kunit() { # KERNEL
	local abis cat=$WORK/$1/cat
	abis=$(fact abis "$1")
	check "programs for $1" nolibc_cc "${abis%% *}" "$cat" "$ROOT/harness/guest/cat.c"
	APPEND=kunit.enable=1 guest_tap "KUnit on $1" '    ' "$1" "$cat" /sys/kernel/debug/kunit/trampfd/results
}

lint_scripts() { cd "$ROOT" && shellcheck harness/*.sh harness/*/*.sh .ci/run; }

# checkpatch checks the spelling of kernel files, this of all others.
lint_spelling() {
	cd "$ROOT"
	find . -type f ! -path './.git/*' ! -path './build/*' -print0 | xargs -0 codespell
}

lint_style() {
	cd "$TREE"
	mapfile -t files < <(ours .)
	perl scripts/checkpatch.pl --strict --file "${files[@]}"
	# enosys.c tests for ENOSYS; libFuzzer's interface has CamelCase names.
	perl scripts/checkpatch.pl --strict --ignore ENOSYS,CAMELCASE --file \
		"$ROOT"/harness/{bench,check,fuzz,guest,libffi,lsm}/*.[ch] \
		"$ROOT"/harness/runtimes/closures.c
}

lint_man() {
	local page said
	for page in "$ROOT"/man/man?/* "$ROOT"/tools/lib/trampfd/*.[37]; do
		mandoc -Tlint -W warning "$page"
		said=$(MANROFFOPT='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
		[ -z "$said" ] || { echo "$page: $said" && return 1; }
	done
}

# Includes the header twice, to test its guard, with only the kernel's headers available.
header_stands_alone() { # ABI
	local include cc cxx
	cc=$(fact cc "$1")
	cxx=$(fact cxx "$1")
	include=$("$ROOT/harness/kernel/headers.sh" "$1")
	set -- -Wall -Wextra -Werror -fsyntax-only -nostdinc -isystem "$include" \
		-include linux/trampfd.h -include linux/trampfd.h
	$cc -std=c90 "$@" -x c /dev/null
	$cxx -std=c++98 "$@" -x c++ /dev/null
}

# The programs in a directory; none if they were not built, which a check has reported
programs_in() { # DIRECTORY
	[ ! -e "$1/tests" ] || cat "$1/tests"
}

# In kernels with debugging options a test can exceed the default timeout of vm.sh.
run_selftests() { # KERNEL ABI
	local test dir=$WORK/selftests/$2 TIMEOUT=${TIMEOUT:-900}
	export TIMEOUT
	for test in $(programs_in "$dir"); do
		guest_tap "$test, $2 on $1${CPU:+, $CPU}" '' "$1" "$dir/$test"
	done
}

is_library_tested() { # ABI
	case $1 in *_be) return 1 ;; esac # Debian has no C library for these.
}

# Costs are recorded for the main kernel of each ABI.
is_cost_known() { # KERNEL ABI
	[ "$(fact kernel "$2")" = "$1" ]
}

# If the kernel has trampolines, the tests use both backends, otherwise the library's
# choice. Without --all they use 100,000 trampolines instead of a million.
library_tests() { # KERNEL
	local abi abis dir test TIMEOUT=${TIMEOUT:-900}
	export TIMEOUT
	abis=$(fact abis "$1")
	for abi in $abis; do
		is_library_tested "$abi" || continue
		dir=$WORK/library/$abi
		for test in $(programs_in "$dir"); do
			# shellcheck disable=SC2086 # none or one
			guest_tap "$test, $abi on $1" '' "$1" "$dir/$test" $quick
			# Debian's C library for armhf can only be loaded with pages of 4 KiB.
			case $abi,$1 in arm,*-16k | arm,*-64k) continue ;; esac
			# shellcheck disable=SC2086
			FILES=$(xargs <"$dir/shared.files") guest_tap "$test, shared library, $abi on $1" \
				'' "$1" "$dir/shared-$test" $quick
		done
	done
}

# All checks in a kernel, except those of the harness itself
test_kernel() { # KERNEL
	local abi abis
	guest_kunit "$1"
	abis=$(fact abis "$1")
	for abi in $abis; do
		check "trampolines as the assembler makes them, $abi on $1" "$ROOT/harness/check/sequences.sh" "$1" "$abi"
		run_selftests "$1" "$abi"
	done
	library_tests "$1"
}

# A script for the guest: runs tests, then looks for leaks. kmemleak reports only objects
# older than some seconds (kmemleak.rst).
suite_script() { # PATH...
	printf '%s\n' '#!/bin/sh' "$@"
	cat <<-'END'
		leaks=/sys/kernel/debug/kmemleak
		[ -e $leaks ] || exit 0
		echo 1..1
		echo scan >$leaks
		sleep 6
		echo scan >$leaks
		if [ -z "$(cat $leaks)" ]; then
			echo "ok 1 no memory leak"
		else
			sed 's/^/# /' $leaks
			echo "not ok 1 no memory leak"
		fi
	END
}

# Runs selftests in one boot.
guest_suite() { # NAME KERNEL ABI TEST...
	local name=$1 kernel=$2 abi=$3 dir=$WORK/selftests/$3 files test TIMEOUT=${TIMEOUT:-3600}
	export TIMEOUT
	shift 3
	suite_script "${@/#//$abi/}" >"$dir/suite"
	files=$(for test; do echo "$dir/$test:$abi/$test"; done | xargs)
	FILES=$files guest_tap "$name, $abi on $kernel" '' "$kernel" "$dir/suite"
}

# Runs all tests in one boot of a kernel with debugging options, whose messages are
# failures (harness/guest/vm.sh), and the library's tests with few trampolines.
test_checkers() { # KERNEL
	local abi abis tests TIMEOUT=${TIMEOUT:-3600} quick=--quick
	export TIMEOUT
	guest_kunit "$1"
	abis=$(fact abis "$1")
	for abi in $abis; do
		mapfile -t tests < <(programs_in "$WORK/selftests/$abi")
		guest_suite "all selftests" "$1" "$abi" "${tests[@]}"
	done
	library_tests "$1"
}

# The instructions of a call are those of sequences.py, so that its cost needs no run.
check_briefly() { # ARCH
	local abi tests
	abi=$(fact abis "$1")
	guest_kunit "$1"
	check "trampolines as the assembler makes them, $abi on $1" \
		"$ROOT/harness/check/sequences.sh" "$1" "$abi"
	mapfile -t tests < <(grep -xE "(call|create|isolation|map|protect_.*|share|$abi)_test" \
		"$WORK/selftests/$abi/tests")
	guest_suite "selftests of each promise" "$1" "$abi" "${tests[@]}"
	guest_tap "library_test, $abi on $1" '' "$1" "$WORK/library/$abi/library_test" --quick
	check "guest: panic is reported, $1" "$ROOT/harness/check/self-test.sh" panic_is_reported "$1"
}

answers_enosys() { # ARCH ABI
	local include cc program=$WORK/selftests/enosys-$2
	cc=$(fact cc "$2")
	include=$("$ROOT/harness/kernel/headers.sh" "$2")
	$cc -static -O2 -isystem "$include" -o "$program" "$ROOT/harness/check/enosys.c"
	"$ROOT/harness/guest/vm.sh" "$1-without-trampfd" "$program"
}

programs_for() { # ABI
	check "selftests for $1" "$ROOT/harness/check/selftests.sh" "$1"
	! is_library_tested "$1" || check "library for $1" "$ROOT/harness/check/library.sh" "$1"
}

# All checks in a variant of a kernel
check_variant() { # KERNEL
	local abi abis base=${1%%-*}
	check "kernel $1" "$ROOT/harness/kernel/kernel.sh" "$1"
	case $1 in
	*-debug | *-kcsan) test_checkers "$1" ;;
	*-without-trampfd)
		abis=$(fact abis "$1")
		for abi in $abis; do
			check "kernel without trampfd answers ENOSYS, $abi on $base" answers_enosys "$base" "$abi"
		done
		library_tests "$1"
		;;
	*) test_kernel "$1" ;;
	esac
}

# The example program in a document, and its documented output
program_in() { # FILE
	# shellcheck disable=SC2016 # the ` are of the text
	case $1 in
	*.md) sed -n '/^```c$/,/^```$/{/^```/d;p}' "$1" ;;
	*.rst) sed -n '/^\.\. code-block:: c$/,/^[^ ]/{/^\.\./d;s/^    //;/^It /d;p}' "$1" ;;
	*.2) sed -n '/SRC BEGIN/,/SRC END/{/^\./d;s/^\\&$//;s/\\-/-/g;s/\\e/\\/g;p}' "$1" ;;
	esac
}

output_in() { # FILE
	case $1 in
	*.md) sed -n 's/^    make vm RUN=\.\/smallest *# //p' "$1" ;;
	*.rst) sed -n '/^It prints::$/,/^[^ ]/s/^    //p' "$1" ;;
	*.2) sed -n '/^\.RB \$\\~ /,/^\.EE/{/^\./d;p}' "$1" ;;
	esac
}

# The program of the README uses the library.
documented_program_runs() { # FILE KERNEL ABI
	local document=$ROOT/$1 program include cc output library=()
	[ "$1" != README.md ] || library=("$WORK/library/$3/libtrampfd.a")
	program=$WORK/samples/$(basename "$1")-$3
	mkdir -p "$WORK/samples"
	include=$("$ROOT/harness/kernel/headers.sh" "$3")
	cc=$(fact cc "$3")
	program_in "$document" | $cc -static -O2 -Wall -Wextra -Werror -isystem "$include" \
		-I "$TREE/tools/lib/trampfd" -o "$program" -x c - -x none "${library[@]}"
	output=$(output_in "$document")
	[ -n "$output" ]
	diff <(echo "$output") <("$ROOT/harness/guest/vm.sh" "$2" "$program")
}

# Checks a backport: x86_64 and arm64, with --all every architecture.
check_other_base() { # BASE ARCH...
	local base=$1 log said archs
	shift
	mapfile -t archs < <(kernels_of_other_base "$@")
	[ ${#archs[@]} != 0 ] || return 0
	log=$LOG/check-$base.log
	BASE=$base "$ROOT/harness/check/check.sh" ${all:+--all} --kernels "${archs[@]}" 2>&1 | tee "$log" |
		sed -u "/^[0-9]* passed, .* skipped\$/d; s/^\(ok\|FAILED\) /&$base: /" || :
	said=$(tail -n 1 "$log")
	if ! [[ $said =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		failed=$((failed + 1))
		echo "FAILED  $base: no tally at its end  (log: $log)"
		return
	fi
	passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
}

# What check_other_base() tests
kernels_of_other_base() { # ARCH...
	local arch
	for arch; do
		[ -z "$all" ] && [ "$arch" != x86_64 ] && [ "$arch" != arm64 ] || echo "$arch"
	done
}

# In the order in which they are tested: lines "BASE KERNEL"
kernels_ahead() { # ARCH...
	local arch variant base
	for arch; do
		echo "$BASE $arch"
		for variant in $(variants_of "$arch"); do echo "$BASE $arch-$variant"; done
	done
	[ -z "$kernels" ] || return 0
	case " $* " in *" x86_64 "*) echo "$BASE x86_64-lsm" ;; esac
	[ -z "$asked" ] || return 0
	for base in ${bases#"$BASE"}; do kernels_of_other_base "$@" | sed "s/^/$base /"; done
}

# Builds kernels with the processor time that tests leave. The step of a kernel waits for
# it, and builds it again if that failed.
build_ahead() { # ARCH...
	local kernel list
	chrt --idle --pid 0 $BASHPID || :
	mapfile -t list < <(kernels_ahead "$@")
	for kernel in "${list[@]}"; do
		export BASE=${kernel% *}
		if "$ROOT/harness/kernel/tree.sh"; then "$ROOT/harness/kernel/kernel.sh" "${kernel#* }" || :; fi
	done
}

start_building_ahead() { # ARCH...
	set -m # a process group of its own, to be stopped whole
	build_ahead "$@" >"$LOG/ahead.log" 2>&1 9>&1 </dev/null &
	ahead=$!
	set +m
	trap 'kill -- -$ahead 2>/dev/null || :' EXIT
}

all='' quick=--quick kernels=''
while :; do
	case ${1:-} in
	--all) all=all quick='' ;;
	--kernels) kernels=yes ;;
	*) break ;;
	esac
	shift
done
case "$*" in *-*) kernels=yes ;; esac
brief=()
if [ $# = 0 ]; then
	# shellcheck disable=SC2046 # words
	set -- $(fact --arches)
	[ -n "$all" ] || for arch; do [ -z "$(fact brief "$arch")" ] || brief+=("$arch"); done
fi
# The variants of a kernel to check
variants_of() { # ARCH
	if [ -z "$kernels" ] || [ -n "$all" ]; then fact variants "$1"; fi
	[ -z "$all" ] || fact rarer "$1"
}

all_abis=$(for arch; do
	fact abis "$arch" || exit
	for variant in $(variants_of "$arch"); do fact abis "$arch-$variant"; done
done | xargs -n1 | sort -u)
open_work

check "tree" "$ROOT/harness/kernel/tree.sh"
if [ -n "$kernels" ]; then
	start_building_ahead "$@"
	for abi in $all_abis; do programs_for "$abi"; done
	for arch; do
		check_variant "$arch"
		if [ -z "$all" ] || [ -n "$(fact variant "$arch")" ]; then continue; fi
		for variant in $(variants_of "$arch") $(fact checkers "$arch") without-trampfd; do
			check_variant "$arch-$variant"
		done
	done
	tally
	exit
fi
for name in missing_mmdebstrap_is_named missing_network_is_named missing_room_is_named \
	cached_object_follows_what_it_includes second_overlay_changes_nothing \
	overlay_follows_the_checkout bad_hunk_is_refused full_disk_is_named; do
	check "${name//_/ }" "$ROOT/harness/check/self-test.sh" $name
done
start_building_ahead "$@"
check "unfit program is refused" "$ROOT/harness/check/self-test.sh" unfit_program_is_refused
check "scripts (shellcheck)" lint_scripts
check "spelling (codespell)" lint_spelling
check "style (checkpatch)" lint_style
check "series" "$ROOT/harness/series/series.sh"
for name in file_without_a_patch_is_named file_of_two_patches_is_named second_cut_is_the_same \
	series_is_signed_by_its_submitter; do
	check "${name//_/ }" "$ROOT/harness/check/self-test.sh" $name
done
for name in $("$ROOT/harness/series/checks.sh" --quick); do
	check "series: ${name//_/ }" "$ROOT/harness/series/checks.sh" "$name"
done
check "man pages (mandoc, groff)" lint_man
[ -z "$all" ] || check "documents render (htmldocs)" "$ROOT/harness/check/docs.sh"
for abi in $all_abis; do
	check "uapi header alone, $abi" header_stands_alone "$abi"
	programs_for "$abi"
done
for arch; do
	check "kernel $arch" "$ROOT/harness/kernel/kernel.sh" "$arch"
	if [[ " ${brief[*]} " == *" $arch "* ]]; then
		check_briefly "$arch"
		continue
	fi
	check "no warnings in our objects, $arch" "$ROOT/harness/kernel/kernel.sh" --lint "$arch"
	check "second build builds nothing, $arch" "$ROOT/harness/check/self-test.sh" second_build_builds_nothing "$arch"
	for name in status_is_the_programs output_is_exact input_is_exact panic_is_reported oops_is_reported \
		warning_is_reported words_of_programs_are_theirs hang_is_reported lost_status_is_reported; do
		check "guest: ${name//_/ }, $arch" "$ROOT/harness/check/self-test.sh" $name "$arch"
	done
	test_kernel "$arch"
	abis=$(fact abis "$arch")
	for abi in $abis; do
		check "program of the tutorial, $abi on $arch" documented_program_runs \
			Documentation/userspace-api/trampfd.rst "$arch" "$abi"
		is_cost_known "$arch" "$abi" || continue
		check "cost of a trampoline, $abi on $arch" "$ROOT/harness/bench/exact.sh" "$abi"
	done
	cpus=$(fact cpus "$arch")
	for cpu in ${cpus#* }; do
		[ "$cpu" = "$cpus" ] || CPU=$cpu run_selftests "$arch" "${abis%% *}"
	done
	# QEMU has no suitable processor without AArch32, so let the kernel disable it.
	[ "$arch" != arm64 ] || APPEND=arm64.no32bit_el0 guest_tap "arm64_test, arm64 on arm64, no AArch32" \
		'' arm64 "$WORK/selftests/arm64/arm64_test"
	for variant in $(variants_of "$arch"); do check_variant "$arch-$variant"; done
done
case " $* " in *" x86_64 "*)
	for name in debugger_names_trampolines profiler_names_trampolines \
		${all:+debugger_names_trampolines_of_a_core exports_are_those_of_the_version_script \
		installed_library_is_complete suite_passes_on_the_host \
		fast_path_is_short library_has_no_thread_local_storage plugins_come_and_go library_loads_on_musl \
		collector_finds_contexts sanitizers_find_nothing valgrind_finds_nothing links_with_lto example_runs}; do
		check "library: ${name//_/ }" "$ROOT/harness/check/library.sh" "$name"
	done
	check "nested functions of C, x86_64" "$ROOT/harness/nested/nested.sh" --quick x86_64
	check "libffi's closures over libtrampfd" "$ROOT/harness/libffi/check.sh" --quick x86_64
	for name in i386_program_runs_on_x86_64 large_files_are_named; do
		check "guest: ${name//_/ }" "$ROOT/harness/check/self-test.sh" $name
	done
	check "program of the README" documented_program_runs README.md x86_64 x86_64
	check "program of the man page" documented_program_runs man/man2/trampfd_create.2 x86_64 x86_64
	check "kernel x86_64-lsm" "$ROOT/harness/kernel/kernel.sh" x86_64-lsm
	check "no warnings in our objects, x86_64-lsm" "$ROOT/harness/kernel/kernel.sh" --lint x86_64-lsm
	check "policies of security modules" "$ROOT/harness/lsm/lsm.sh" --build
	for module in $("$ROOT/harness/lsm/lsm.sh" --list); do
		GUEST=$ROOT/harness/lsm/lsm.sh guest_tap "security module $module" '' "$module"
	done ;;
esac
for arch; do
	ARCH=$arch check "demonstration on $arch" "$ROOT/harness/check/demo.sh" --check
done
if [ -n "$all" ]; then
	for arch; do
		for variant in $(fact checkers "$arch") without-trampfd; do check_variant "$arch-$variant"; done
	done
	for arch; do
		for version in 3.8.0 3.4.8; do
			LIBFFI=$version check "test suite of libffi $version over libtrampfd, $arch" \
				"$ROOT/harness/libffi/check.sh" "$arch"
		done
	done
	case " $* " in *" x86_64 "*)
		check "callbacks of Debian's runtimes" "$ROOT/harness/runtimes/run.sh"
		check "nested functions of C, Fortran and Ada, and their costs" "$ROOT/harness/nested/nested.sh" --cost
		check "fuzzer, 20 s" "$ROOT/harness/fuzz/fuzz.sh" 20 ;;
	esac
fi
if [ -z "$asked" ]; then
	for base in ${bases#"$BASE"}; do check_other_base "$base" "$@"; done
fi
tally
