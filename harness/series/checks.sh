#!/bin/bash
# Runs one check of the patches in $WORK/series. harness/series/check-series.sh runs all
# of them, harness/check/check.sh the quick ones.
#   checks.sh CHECK [ARGUMENT...]
#   checks.sh --quick      prints the names of the quick checks
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/kernel/overlay.sh
. "$ROOT/harness/kernel/overlay.sh"

overlaid_tree=$TREE
TREE=$WORK/series/linux # a repository with the patches applied

git() { GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 command git -C "$TREE" "$@"; }
base() { git tag -l 'base-*'; }
at() { git checkout -q --force --detach "$1"; } # COMMIT, or "applied": all patches
patches() { printf '%s\n' "$WORK"/series/*.patch | grep -v /0000-; }

# git am applies the patches to Debian's sources, and the result equals the tested tree.
applies_and_is_the_tested_tree() {
	local patches
	mapfile -t patches < <(patches)
	rm -rf "$TREE/.git/rebase-apply"
	at "$(base)"
	git clean -q -ffdx
	git -c user.name=tester -c user.email=tester@localhost am "${patches[@]}"
	git branch -f applied
	diff -r --brief --no-dereference -x .git -x .trampfd-base -x '.checkpatch-camelcase*' "$TREE" "$overlaid_tree"
}

checkpatch() {
	local patch status=0
	at applied && cd "$TREE"
	for patch in $(patches); do
		set -- --strict --summary-file --show-types
		# harness/series/series.sh has reported that the submitter must sign.
		grep -q '^Signed-off-by: ' "$patch" || set -- "$@" --no-signoff
		perl scripts/checkpatch.pl "$@" "$patch" || status=1
	done
	return $status
}

# The cover letter too
spelling() { cd "$ROOT" && codespell "$WORK"/series/*.patch; }

# get_maintainer.pl finds our entry for each of our files.
maintainer_of_each_file() {
	local file
	at applied && cd "$TREE"
	for file in $(ours .); do
		perl scripts/get_maintainer.pl --nogit --nogit-fallback --no-rolestats -f "$file" |
			grep -qxF "$(sed -n 's/^M:\t//p' "$ROOT/MAINTAINERS")" ||
			{ echo "$file: get_maintainer.pl does not find our entry" && return 1; }
	done
}

comments() {
	local files
	at applied && cd "$TREE"
	mapfile -t files < <(ours '^(arch|fs|include|kernel|mm|samples|tools/lib)/.*\.[ch]$')
	perl scripts/kernel-doc -none -Werror "${files[@]}"
}

# The rules for Coccinelle as scripts/coccicheck applies them, which takes a
# directory or one file of a build. Skip rules that need OCaml, and rules without
# report mode.
semantic_patches() {
	local rule rules files status=0
	at applied && cd "$TREE"
	mapfile -t files < <(ours '\.c$')
	mapfile -t rules < <(grep -rL --include='*.cocci' script:ocaml scripts/coccinelle |
		xargs grep -l '^virtual .*report' | sort)
	for rule in "${rules[@]}"; do
		echo "== $rule"
		# shellcheck disable=SC2046 # words
		spatch -D report --no-show-diff --very-quiet --cocci-file "$rule" \
			$(sed -n 's|^// Options:||p' "$rule") -I include "${files[@]}" | tee "$WORK/series/found"
		[ ! -s "$WORK/series/found" ] || status=1
	done
	return $status
}

# Builds and installs the selftests the standard way, without the harness.
selftests_install() {
	local out=$WORK/series/kselftest
	at applied
	rm -rf "$out/install"
	kmake x86_64 "$out" headers
	make -C "$TREE/tools/testing/selftests" TARGETS=trampfd O="$out" ARCH=x86_64 INSTALL_PATH="$out/install" install
	# The tests write to /dev/stdout, which init systems create, but not the kernel.
	printf '%s\n' '#!/bin/sh' 'ln -s /proc/self/fd/1 /dev/stdout' 'exec /kselftest/run_kselftest.sh' >"$out/run"
}

# The files of the installed selftests, for the guest
selftests_files() {
	cd "$WORK/series/kselftest/install"
	find . -type f -printf "$PWD/%P:kselftest/%P "
}

# Each architecture has its own option for 32-bit tasks. kunit.py starts QEMU with
# KVM before TCG; where /dev/kvm exists but cannot run a guest, the guest hangs. Wrap
# QEMU to use TCG, as vm.sh does.
kunit_runs() { # ARCH
	local cross append compat=CONFIG_COMPAT=y bin=$WORK/series/bin
	cross=$(fact cross "$1")
	append=$(fact append "$1")
	mkdir -p "$bin"
	# shellcheck disable=SC2016 # the $ are the script's
	printf '%s\n' '#!/bin/bash' 'exec "/usr/bin/${0##*/}" "${@/#kvm/tcg}"' >"$bin/qemu"
	chmod +x "$bin/qemu"
	ln -sf qemu "$bin/qemu-system-x86_64"
	ln -sf qemu "$bin/qemu-system-aarch64"
	[ "$1" != x86_64 ] || compat=CONFIG_IA32_EMULATION=y
	at applied && cd "$TREE"
	PATH=$bin:$PATH PYTHONDONTWRITEBYTECODE=1 python3 tools/testing/kunit/kunit.py run --arch="$1" \
		--kunitconfig=fs/trampfd --kconfig_add="$compat" \
		--build_dir="$WORK/series/kunit-$1" --cross_compile="$cross" --make_options=CC="$ROOT/harness/kernel/ccache.sh ${cross}gcc" \
		--jobs="$(nproc)" --timeout=3600 ${append:+--kernel_args="$append"}
}

how_many() { patches | wc -l; }

# Builds the kernel at a patch, with CONFIG_TRAMPFD as soon as it exists (yes) or
# without it (no), and with harness/kernel/config/series.config. From one patch to the
# next, only what changed is compiled.
builds() { # PATCH yes|no
	local out=$WORK/series/with-$2 config commit
	config=$("$ROOT/harness/kernel/kernel.sh" --config x86_64-series)
	commit=$(git rev-list --reverse "$(base)..applied" | sed -n "${1}p")
	at "$commit"
	mkdir -p "$out"
	# Remove objects of later patches: without the source, Kbuild keeps the object.
	(cd "$out" && git diff --name-only --diff-filter=D applied "$commit" -- '*.c' | sed 's/c$/o/' | xargs -r rm -f)
	cp "$config" "$out/.config"
	[ "$2" = yes ] || "$TREE/scripts/config" --file "$out/.config" -d TRAMPFD -d TRAMPFD_KUNIT_TEST -d UAPI_HEADER_TEST
	kmake x86_64 "$out" olddefconfig
	kmake x86_64 "$out"
	# The configuration must include what this and earlier patches add.
	if [ "$2" = yes ] && grep -q 'select HAVE_ARCH_TRAMPFD' "$TREE/arch/x86/Kconfig"; then
		grep -x CONFIG_TRAMPFD=y "$out/.config"
	fi
}

quick="applies_and_is_the_tested_tree checkpatch spelling maintainer_of_each_file comments"

open_work
lock "$TREE"
if [ "$1" = --quick ]; then echo "$quick"; else "$@"; fi
