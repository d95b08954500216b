# shellcheck shell=bash
# Sourced after env.sh by scripts that run checks: runs them and counts the results. If a
# check fails, the others still run.

passed=0 failed=0 skipped=0
export PROGRESS_FD=9 # builds show their progress although their output goes to a log
exec 9>&2

log_of() { echo "$LOG/check-$(printf %s "$1" | tr -cs 'A-Za-z0-9_\n' -)"; }

# Runs a command as one check.
check() { # NAME COMMAND...
	local name=$1 log status start=$SECONDS
	log=$(log_of "$name").log
	shift
	logged "$log" "$@"
	if [ "$status" = 0 ]; then
		passed=$((passed + 1))
		echo "ok      $name  $(elapsed "$start")"
	else
		failed=$((failed + 1))
		echo "FAILED  $name  $(elapsed "$start")  (log: $log)"
		tail -n 15 "$log" | sed 's/^/        /'
	fi
}

count() { grep -acE "$1" "$2" || :; }

# Runs a program in a guest and counts the test results in its output (TAP). If the
# guest fails in another way, counts one more failure. GUEST: the command that boots
# the guest, default vm.sh.
guest_tap() { # NAME INDENT ARCH PROGRAM...
	local name=$1 in=$2 log good bad skips want status=0 why='' start=$SECONDS
	log=$(log_of "$name")
	shift 2
	CONSOLE=$log.console "${GUEST:-$ROOT/harness/guest/vm.sh}" "$@" \
		>"$log.tap" 2>"$log.log" </dev/null || status=$?
	bad=$(count "^${in}not ok " "$log.tap")
	skips=$(count "^${in}ok .*# SKIP|^${in}1\.\.0 # SKIP" "$log.tap")
	good=$(($(count "^${in}ok " "$log.tap") - $(count "^${in}ok .*# SKIP" "$log.tap")))
	want=$(sed -n "s/^${in}1\.\.\([0-9]*\).*/\1/p" "$log.tap" | paste -sd+ | bc)

	if [ -z "$want" ]; then
		why="no plan in its output"
	elif [ "$want" != 0 ] && [ "$want" != $((good + bad + skips)) ]; then
		why="$want tests planned, $((good + bad + skips)) reported"
	elif [ "$status" -ge 120 ]; then
		why=$(grep '^vm: ' "$log.log" | tail -n 1)
	elif [ "$status" != 0 ] && [ "$bad" = 0 ] && { [ "$status" != 4 ] || [ "$skips" = 0 ]; }; then
		why="exit status $status" # 4 is KSFT_SKIP
	fi
	passed=$((passed + good)) skipped=$((skipped + skips)) failed=$((failed + bad))
	if [ -z "$why" ] && [ "$bad" = 0 ]; then
		echo "ok      $name: $good passed, $skips skipped  $(elapsed "$start")"
		return
	fi
	echo "FAILED  $name: $good passed, $bad failed, $skips skipped${why:+; $why} " \
		"$(elapsed "$start")  (logs: $log.*)"
	grep -aE "^${in}not ok " "$log.tap" | sed 's/^/        /' || :
	[ -n "$why" ] || return 0
	failed=$((failed + 1))
	tail -n 5 "$log.tap" "$log.log" | sed 's/^/        /'
}

tally() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ] && [ $passed != 0 ]
}
