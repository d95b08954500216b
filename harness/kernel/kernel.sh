#!/bin/bash
# Builds a kernel in $WORK/<KERNEL>: ARCH, or ARCH-VARIANT with
# harness/kernel/config/VARIANT.config over the other fragments (ARCH-ONE+TWO: both).
#   kernel.sh KERNEL            the kernel
#   kernel.sh --config KERNEL   only its configuration; prints the path
#   kernel.sh --lint KERNEL     only our objects, with extra warnings of the compiler and
#                               sparse, in $WORK/<KERNEL>-lint
#   kernel.sh --clang KERNEL    the same with clang
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"

lint=
case $1 in --config | --lint | --clang) lint=${1#--} && shift ;; esac
kernel=$1
name=$kernel${lint:+-$lint}
out=$WORK/$name
log=$LOG/kernel-$name.log
start=$SECONDS
declare -A facts
read_facts facts "$kernel"
variant=${facts[variant]} srcarch=${facts[srcarch]} image=${facts[image]}
llvm=-22 # version of LLVM's tools

# Kbuild options are by file name, without the directory of the object.
profiled=()
if [ "$variant" = gcov ]; then
	for object in geometry code inode trampfd trampfd_a32 ../../arm/kernel/trampfd_a32; do
		profiled+=("GCOV_PROFILE_$object.o=y")
	done
elif [ "$variant" = kcov ]; then
	# Also the files of mm/ and fs/ on which the guarantees depend
	for object in geometry code inode trampfd mmap vma mprotect mremap madvise mlock gup \
		userfaultfd read_write splice; do
		profiled+=("KCOV_INSTRUMENT_$object.o=y")
	done
fi

compile() { kmake "$kernel" "$out" "${compiler[@]}" "$@"; } # ARGUMENT...

# Prints the fragments of the configuration: later ones override earlier ones. Options of
# one base are in config/<base>/; options that clang needs, in config/<base>/clang.config.
fragments() {
	local file part configs=$ROOT/harness/kernel/config
	for part in common "${facts[arch]}" selftests ${variant//+/ } ${lint:+"$lint"}; do
		for file in "$configs/$part.config" "$configs/$BASE/$part.config"; do
			[ ! -f "$file" ] || echo "$file"
		done
		[ "$part" != selftests ] || echo "$TREE/tools/testing/selftests/trampfd/config"
	done
}

# Starts from tinyconfig. merge_config.sh only merges (-m): its own make ignores CC=.
make_config() {
	local tiny=("$TREE/kernel/configs/tiny.config" "$TREE/arch/$srcarch/configs/tiny.config")
	[ -f "${tiny[1]}" ] || unset 'tiny[1]'
	fragments | (
		cd "$out" &&
			KCONFIG_CONFIG=.requested xargs "$TREE/scripts/kconfig/merge_config.sh" -m "${tiny[@]}"
	) &&
		compile KCONFIG_ALLCONFIG="$out/.requested" allnoconfig
}

# Makes the configuration if our fragments or Kconfig files have changed.
configure() {
	local key left
	key=$(
		fragments | xargs cat | sha256sum
		cd "$TREE"
		{ grep Kconfig "$WORK/overlaid" || :; } | xargs -r sha256sum
	)
	[ "$(cat "$out/.fragments" 2>/dev/null)" != "$key" ] || return 0
	say "configuring the kernel $name ..."
	rm -f "$out/.fragments"
	make_config >"$log" 2>&1 ||
		die "cannot configure the kernel $name: $(tail -n 3 "$log") (log: $log)"
	left=$(fragments | xargs python3 "$ROOT/harness/kernel/unmet.py" "$out/.config")
	[ -z "$left" ] || die "the configuration of $name lacks options of the fragments" \
		"(is a dependency missing? see $out/.config):"$'\n'"$left"
	echo "$key" >"$out/.fragments"
}

failed() {
	grep -nE '(error|Error|undefined reference|\*\*\*)' "$log" | head -n 20 >&2 || :
	die "kernel $name failed after $(elapsed "$start") (log: $log)"
}

build() {
	local total=
	[ -e "$out/$image" ] || total=${facts[objects]}
	progress "kernel $name" "$log" '^  \(CC\|AS\) ' "$total" \
		compile "${profiled[@]}" "${image##*/}" || failed
	say "kernel $name: $(grep -c '^  \(CC\|AS\) ' "$log") objects, $(elapsed "$start")," \
		"image $(($(stat -c %s "$out/$image") / 1024)) KiB"
}

# Uses a build directory of its own: other flags would recompile the kernel.
warnings() {
	local ours files borrowed=${facts[borrowed]} start=$SECONDS
	# sparse has no contexts for functions that return with a lock only if they succeed.
	local options=-Wno-context check
	local others='tools|samples|Documentation'
	[ "$variant" = lsm ] || others+='|security' # only x86_64-lsm has these modules
	check="sparse $options"
	# Debian's sparse does not support all options of gcc for riscv.
	[ "$srcarch" != riscv ] ||
		check="bash -c 'exec sparse $options -D__typeof_unqual__=__typeof__ \"\$\${@/#-march=*/-march=rv64imac}\"' sparse"
	cd "$TREE"
	files="^(arch/$srcarch/${borrowed:+|$borrowed}|[^a]).*\.[ch]$"
	mapfile -t ours < <(grep -E "$files" "$WORK/overlaid" |
		grep -vE "^($others)/")
	# Kbuild names an object of another architecture by this path.
	mapfile -t objects < <(printf '%s\n' "${ours[@]}" |
		sed -n "\\#^arch/$srcarch/#!s#^arch/#arch/$srcarch/kernel/../../#; s/c\$/o/p")
	(cd "$out" && rm -f "${objects[@]}")
	compile W=1 C=$sparse CHECK="$check" "${objects[@]}" >"$log" 2>&1 || failed
	# For sparse 0.6.4, __builtin_strlen() in MODULE_INFO() is no constant.
	! printf '%s\n' "${ours[@]#arch/}" | grep -F -f - "$log" |
		grep -vE '^  [A-Z]|_kunit\.c:.* error: bad constant expression$' ||
		die "warnings in our files (log: $log)"
}

# Like lock(), and shows the progress of another command that builds this kernel.
lock_showing_progress() {
	local objects
	exec 8>"$out.lock"
	until flock -w 20 8; do
		objects=$(grep -c '^  \(CC\|AS\) ' "$log" 2>/dev/null || :)
		say "kernel $name: ${objects:-0} of about ${facts[objects]} objects, by another command"
	done 2>&"${PROGRESS_FD:-2}"
}

open_work
mkdir -p "$out"
lock_showing_progress
# A configuration names files of harness/<variant> by this link.
[ -z "$variant" ] || [ ! -d "$ROOT/harness/$variant" ] ||
	ln -sfn "$ROOT/harness/$variant" "$out/$variant"
sparse=0 compiler=()
case $lint in
lint) sparse=2 ;;
clang) # LLVM's objcopy does not support x32.
	compiler=(CROSS_COMPILE='' LLVM="$llvm" CC="$ROOT/harness/kernel/ccache.sh clang$llvm" OBJCOPY="${facts[cross]}objcopy")
	;;
esac
configure
case $lint in
'') build ;;
config) echo "$out/.config" ;;
*) warnings ;;
esac
