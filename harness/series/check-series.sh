#!/bin/bash
# Everything that the series has to pass before it is mailed: what harness/check/check.sh
# does with it, each patch by itself, and the kernel's own tools.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/check/steps.sh
. "$ROOT/harness/check/steps.sh"

gate() { step "$1" "$ROOT/harness/series/series-gate.sh" "${@:2}"; } # NAME GATE...

open_work
step "tree" "$ROOT/harness/kernel/tree.sh"
step "series" "$ROOT/harness/series/series.sh"
for gate in $("$ROOT/harness/series/series-gate.sh" --quick); do
	gate "${gate//_/ }" "$gate"
done
for arch in $(fact --arches) x86_64-lsm; do # with IPE
	step "kernel $arch" "$ROOT/harness/kernel/kernel.sh" "$arch"
	step "sparse and W=1, $arch" "$ROOT/harness/kernel/kernel.sh" --lint "$arch"
	step "clang, $arch" "$ROOT/harness/kernel/kernel.sh" --clang "$arch"
done
gate "semantic patches (Coccinelle)" semantic_patches
gate "selftests build and install the standard way" selftests_install
FILES=$("$ROOT/harness/series/series-gate.sh" selftests_files) TIMEOUT=${TIMEOUT:-1800} \
	guest_tap "run_kselftest.sh" '' x86_64 "$WORK/series/kselftest/run"
for arch in x86_64 arm64; do
	gate "kunit.py, $arch" kunit_runs "$arch"
done
for patch in $(seq "$("$ROOT/harness/series/series-gate.sh" how_many)"); do
	for with in yes no; do
		gate "patch $patch builds, CONFIG_TRAMPFD: $with" builds "$patch" "$with"
	done
done
tally
