# shellcheck shell=bash
# Sourced after env.sh: facts of kernels and ABIs (arches.toml), and commands to build
# for them.

fact() { python3 -IS "$ROOT/harness/kernel/fact.py" "$@"; } # FACT KERNEL|ABI

# Reads all facts at once, for scripts that need many: read_facts facts x86_64, then
# ${facts[image]}.
read_facts() { # ARRAY KERNEL|ABI
	local -n array=$1
	local lines line
	lines=$(fact --all "$2") || return
	# shellcheck disable=SC2034 # the caller's
	while IFS= read -r line; do array[${line%%=*}]=${line#*=}; done <<<"$lines"
}

# Calls the kernel's make for a build directory. Objects do not depend on user, place and
# time, so that the compiler cache has hits.
kmake() { # KERNEL DIRECTORY ARGUMENT...
	local -A facts
	local cross
	read_facts facts "$1"
	cross=${facts[cross]}
	make -C "$TREE" O="$2" ARCH="${facts[make_arch]}" \
		CROSS_COMPILE="$cross" CC="$ROOT/harness/kernel/ccache.sh ${cross}gcc${facts[gcc]}" LOCALVERSION= \
		KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_USER=trampfd KBUILD_BUILD_HOST=trampfd \
		-j"$(nproc)" "${@:3}"
}

# Compiles a freestanding program with the kernel's nolibc.
nolibc_cc() { # ABI OUTPUT SOURCE [FLAG...]
	local out=$2 source=$3 include cc
	include=$("$ROOT/harness/kernel/headers.sh" "$1")
	cc=$(fact cc "$1")
	shift 3
	$cc -static -nostdlib -O2 -Wall -Wextra -Werror -fno-stack-protector -fno-asynchronous-unwind-tables \
		-I "$TREE/tools/include/nolibc" -isystem "$include" "$@" -o "$out" "$source" -lgcc
}
