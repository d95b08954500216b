#!/bin/bash
# Tests of the harness itself. Each is a function that fails if the harness does not
# behave as its name says.
#   self-test.sh TEST [ARCH]
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

vm() { TIMEOUT=${TIMEOUT:-60} CONSOLE=$scratch/console "$ROOT/harness/guest/vm.sh" "$@" </dev/null; }

# Runs a command that must exit with CODE and print a line that matches REGEX.
expect() { # CODE REGEX COMMAND...
	local code=$1 regex=$2 status=0
	shift 2
	"$@" >"$scratch/said" 2>&1 || status=$?
	cat "$scratch/said"
	[ "$status" = "$code" ] || die "ended with $status, not $code: $*"
	[ -z "$regex" ] || grep -qE "$regex" "$scratch/said" || die "did not say '$regex': $*"
}

status_is_the_programs() {
	expect 0 '' vm "$arch" busybox true
	expect 42 '' vm "$arch" busybox sh -c 'exit 42'
	expect 139 'killed by signal 11 .SIGSEGV' vm "$arch" busybox sh -c 'kill -SEGV $$'
}

output_is_exact() {
	head -c 1000000 /dev/urandom >"$scratch/noise"
	FILES=$scratch/noise:in/noise vm "$arch" busybox cat /in/noise >"$scratch/heard"
	cmp "$scratch/noise" "$scratch/heard"
}

input_is_exact() {
	head -c 300000 /dev/urandom >"$scratch/noise"
	CONSOLE=$scratch/console "$ROOT/harness/guest/vm.sh" "$arch" busybox cat <"$scratch/noise" >"$scratch/heard"
	cmp "$scratch/noise" "$scratch/heard"
}

i386_program_runs_on_x86_64() {
	expect 0 '^four$' vm x86_64 "$("$ROOT/harness/guest/busybox.sh" i386)" echo four
}

unfit_program_is_refused() {
	expect 125 'no such file' vm "$arch" /nothing
	expect 125 'linked dynamically' vm x86_64 /bin/ls
	expect 125 'kernel runs: i386' vm i386 "$("$ROOT/harness/guest/busybox.sh" amd64)" true
}

large_files_are_named() {
	truncate -s 300M "$scratch/large"
	FILES=$scratch/large expect 125 'do not fit .*MEM=' vm "$arch" busybox true
}

panic_is_reported() { expect 121 'panicked: .*sysrq' vm "$arch" busybox sh -c 'echo c >/proc/sysrq-trigger'; }
oops_is_reported() { expect 122 'oopsed: .*BUG: ' vm "$arch" busybox sh -c 'echo "BUG: a test" >/dev/kmsg'; }
warning_is_reported() {
	expect 123 'complained: .*WARNING: ' vm "$arch" busybox sh -c 'echo "WARNING: a test" >/dev/kmsg'
}
words_of_programs_are_theirs() { expect 0 '' vm "$arch" busybox sh -c 'echo "WARNING: a test" >/dev/console'; }
hang_is_reported() { TIMEOUT=5 expect 120 'time-out.* last: \[ *[0-9]' vm "$arch" busybox sleep 1000; }
lost_status_is_reported() { expect 124 'without a status' vm "$arch" busybox reboot -f; }

second_build_builds_nothing() {
	"$ROOT/harness/kernel/tree.sh"
	"$ROOT/harness/kernel/kernel.sh" "$arch"
	! grep -E '^  (CC|AS|AR|LD|UPD) ' "$LOG/kernel-$arch.log"
}

# Copies this checkout, with its own cache and a kernel tree of hard links.
copy_checkout() {
	local work
	mkdir "$scratch/copy"
	(cd "$ROOT" && tar -c --exclude=./.git --exclude=./build .) | tar -x -C "$scratch/copy"
	export TRAMPFD_CACHE=$scratch/cache
	work=$(bash -c '. "$0/harness/env.sh"; echo "$WORK"' "$scratch/copy")
	mkdir -p "$work"
	cp -al "$TREE" "$work/linux"
	cp -a "$WORK/pristine" "$WORK/overlaid" "$work/"
	tree=$work/linux
	touch "$scratch/then"
	sleep 0.1
}

changed() { find "$tree" -newer "$scratch/then" -type f -printf '%P\n'; }

second_overlay_changes_nothing() {
	copy_checkout
	"$scratch/copy/harness/kernel/tree.sh"
	[ -z "$(changed)" ] || die "changed: $(changed)"
}

overlay_follows_the_checkout() {
	copy_checkout
	echo "# a test" >"$scratch/copy/fs/harness-test"
	"$scratch/copy/harness/kernel/tree.sh"
	[ "$(changed)" = fs/harness-test ] || die "changed: $(changed)"
	rm "$scratch/copy/fs/harness-test"
	"$scratch/copy/harness/kernel/tree.sh"
	[ ! -e "$tree/fs/harness-test" ] || die "a file that left the checkout stayed in the tree"
}

# .incbin is how the kernel's image includes its compressed self.
cached_object_follows_what_it_includes() {
	local object cc=("$ROOT/harness/kernel/ccache.sh" x86_64-linux-gnu-gcc "-Wp,-MMD,d" -c -o)
	export CCACHE_DIR=$scratch/ccache
	cd "$scratch"
	for object in one two; do
		echo "$object" >included
		echo '#include "included.h"' >c.c
		echo "const char *const c = \"$object\";" >included.h
		echo '.incbin "included"' >s.S
		"${cc[@]}" "$object.o" c.c
		"${cc[@]}" "$object-s.o" s.S
		grep -q "$object" "$object.o"
		grep -q "$object" "$object-s.o"
	done
	"${cc[@]}" again.o c.c
	ccache --print-stats | grep -qx "direct_cache_hit.1"
}

bad_hunk_is_refused() {
	copy_checkout
	printf '%s\n' '--- a/fs/open.c' '+++ b/fs/open.c' '@@ -1,1 +1,1 @@' '-no such line' '+another' \
		>"$scratch/copy/series/hunks/zz-bad.patch"
	expect 1 'zz-bad.patch does not apply to linux-source' "$scratch/copy/harness/kernel/tree.sh"
	[ -z "$(changed)" ] || die "changed: $(changed)"
}

file_without_a_patch_is_named() {
	copy_checkout
	echo "/* a test */" >"$scratch/copy/fs/trampfd/harness-test.c"
	"$scratch/copy/harness/kernel/tree.sh"
	expect 1 'no patch .* names fs/trampfd/harness-test.c$' "$scratch/copy/harness/series/series.sh"
}

file_of_two_patches_is_named() {
	copy_checkout
	echo fs/trampfd/inode.c >>"$scratch/copy/series/patches/30-kunit.txt"
	expect 1 'more than one patch .* names fs/trampfd/inode.c$' "$scratch/copy/harness/series/series.sh"
}

second_cut_is_the_same() {
	"$ROOT/harness/series/series.sh"
	"$ROOT/harness/series/series.sh" "$scratch/series"
	cat "$scratch"/series/*.patch | cmp - <(cat "$WORK"/series/*.patch)
}

# With and without a submitter in git's configuration
series_is_signed_by_its_submitter() {
	copy_checkout
	git -C "$scratch/copy" init -q
	git -C "$scratch/copy" -c user.name=x -c user.email=x@x commit -q --allow-empty -m x
	mkdir "$(dirname "$tree")/series"
	# This saves the import of the sources.
	git clone -q --shared --no-checkout "$WORK/series/linux" "$(dirname "$tree")/series/linux"
	export GIT_CONFIG_GLOBAL=$scratch/gitconfig GIT_CONFIG_NOSYSTEM=1
	: >"$GIT_CONFIG_GLOBAL"
	expect 0 'no user.name and user.email: .*no Signed-off-by' "$scratch/copy/harness/series/series.sh"
	! grep -l '^Signed-off-by: submitter' "$(dirname "$tree")"/series/0*.patch || die "signed by nobody"
	git config --global user.name "A Submitter"
	git config --global user.email a@submitter.example
	"$scratch/copy/harness/series/series.sh"
	grep -qx 'Signed-off-by: A Submitter <a@submitter.example>' "$(dirname "$tree")"/series/0001-*.patch ||
		die "not signed"
}

# Replaces a command that the harness calls.
stand_in() { # COMMAND SCRIPT
	mkdir -p "$scratch/bin"
	printf '#!/bin/sh\n%s\n' "$2" >"$scratch/bin/$1"
	chmod +x "$scratch/bin/$1"
}

full_disk_is_named() {
	copy_checkout
	rm -rf "$tree"
	stand_in df 'echo Avail; echo 3G'
	PATH=$scratch/bin:$PATH expect 1 'has 3 GiB free and [0-9]+ are needed' "$scratch/copy/harness/kernel/tree.sh"
	[ ! -e "$tree" ] || die "unpacked despite the lack of room"
}

# Enters a tool root that does not exist yet, with stand-ins.
tool_root() { # COMMAND...
	TRAMPFD_CACHE=$scratch/cache TRAMPFD_MIRROR=nowhere/debian/ PATH=$scratch/bin:$PATH "$ROOT/harness/root/enter.sh" "$@"
}

missing_network_is_named() {
	stand_in mmdebstrap 'echo "E: Temporary failure resolving a name" >&2; exit 100'
	expect 1 'cannot make a Debian 13 root' tool_root true
	grep -q 'Temporary failure' "$scratch/said" || die "did not pass on what apt said"
	grep -q 'Is there a network' "$scratch/said" || die "did not name the remedy"
	[ ! -e "$scratch/cache/root" ] || die "left an incomplete root"
}

missing_room_is_named() {
	stand_in df 'echo Avail; echo 3G'
	expect 1 'has 3 GiB free and the tool root needs [0-9]+: make room' tool_root true
	[ ! -e "$scratch/cache/root" ] || die "made it despite the lack of room"
}

# Neither mmdebstrap exists, nor apt-get to install it.
missing_mmdebstrap_is_named() {
	local command
	mkdir "$scratch/bin"
	for command in cat cut df dirname flock grep id mkdir sed sha256sum tr; do
		ln -s "$(command -v $command)" "$scratch/bin/"
	done
	# PATH= before a function would apply to the function too, and bash is not in it.
	expect 1 'mmdebstrap is needed: apt-get install' env PATH="$scratch/bin" TRAMPFD_CACHE="$scratch/cache" \
		"$BASH" "$ROOT/harness/root/enter.sh" true
}

open_work
arch=${2:-x86_64}
scratch=$(mktemp -d "$WORK/selftest.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
"$1"
