#!/bin/bash
# Measures which lines and branches of our kernel files the selftests run, writes an HTML
# report, and fails if the coverage is below the goals.
#   coverage.sh ARCH
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

# In the guest: runs all tests, then writes an archive of the kernel's counters (gcov.rst)
# and the names of failed tests. Nothing else may write to its output.
guest_script() {
	printf '%s\n' '#!/bin/sh' 'mkdir /tmp/gcov'
	for abi in $abis; do
		for test in $(<"$WORK/selftests/$abi/tests"); do
			echo "/$abi/$test >/dev/null 2>&1 </dev/null || echo $abi/$test >>/tmp/gcov/failed"
		done
	done
	cat <<-'END'
		cd /sys/kernel/debug/gcov
		find . -name '*.gcda' | grep -E 'fs/trampfd|kernel/trampfd' | while read -r file; do
			mkdir -p "/tmp/gcov/$(dirname "$file")"
			cat "$file" >"/tmp/gcov/$file"
		done
		cd /tmp/gcov && tar cf - .
	END
}

arch=$1
abis=$(fact abis "$arch-gcov")
cross=$(fact cross "$arch-gcov")
open_work
"$ROOT/harness/kernel/kernel.sh" "$arch-gcov"
run=$(mktemp -d "$WORK/coverage.XXXXXX")
trap 'rm -rf "$run"' EXIT
files=
for abi in $abis; do
	"$ROOT/harness/check/selftests.sh" "$abi" >/dev/null
	for test in $(<"$WORK/selftests/$abi/tests"); do
		files+=" $WORK/selftests/$abi/$test:$abi/$test"
	done
done
guest_script >"$run/script"
FILES=$files TIMEOUT=${TIMEOUT:-600} \
	"$ROOT/harness/guest/vm.sh" "$arch-gcov" "$run/script" >"$run/gcda.tar" </dev/null

tar -xf "$run/gcda.tar" -C "$run" --no-same-owner
[ ! -e "$run/failed" ] ||
	die "tests failed: $(paste -sd' ' "$run/failed"); run them: make check ARCH=$arch"
# The counters name the files by their paths at build time.
find "$WORK/$arch-gcov" -name '*.gcda' -delete
cp -R "$run$WORK/$arch-gcov/." "$WORK/$arch-gcov/"
report=$WORK/coverage/$arch
mkdir -p "$report"
cd "$TREE"
gcovr --gcov-executable "${cross}gcov" --root "$TREE" \
	--filter '.*/trampfd[^/]*/?[^/]*\.[ch]$' --exclude '.*kunit.*' \
	--branches --exclude-unreachable-branches --fail-under-line 95 --fail-under-branch 85 \
	--html-details "$report/index.html" --print-summary --txt - "$WORK/$arch-gcov"
say "report: $report/index.html"
