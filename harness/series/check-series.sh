#!/bin/bash
# Runs every check of the series: the quick ones of harness/check/check.sh, each patch by
# itself, and the kernel's own tools.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/check/results.sh
. "$ROOT/harness/check/results.sh"

check_series() { check "$1" "$ROOT/harness/series/checks.sh" "${@:2}"; } # NAME CHECK...

open_work
check "tree" "$ROOT/harness/kernel/tree.sh"
check "series" "$ROOT/harness/series/series.sh"
for name in $("$ROOT/harness/series/checks.sh" --quick); do
	check_series "${name//_/ }" "$name"
done
for arch in $(fact --arches) x86_64-lsm; do # x86_64-lsm has IPE
	check "kernel $arch" "$ROOT/harness/kernel/kernel.sh" "$arch"
	check "sparse and W=1, $arch" "$ROOT/harness/kernel/kernel.sh" --lint "$arch"
	check "clang, $arch" "$ROOT/harness/kernel/kernel.sh" --clang "$arch"
done
check_series "semantic patches (Coccinelle)" semantic_patches
check_series "selftests build and install the standard way" selftests_install
FILES=$("$ROOT/harness/series/checks.sh" selftests_files) TIMEOUT=${TIMEOUT:-1800} \
	guest_tap "run_kselftest.sh" '' x86_64 "$WORK/series/kselftest/run"
for arch in x86_64 arm64; do
	check_series "kunit.py, $arch" kunit_runs "$arch"
done
for patch in $(seq "$("$ROOT/harness/series/checks.sh" how_many)"); do
	for with in yes no; do
		check_series "patch $patch builds, CONFIG_TRAMPFD: $with" builds "$patch" "$with"
	done
done
tally
