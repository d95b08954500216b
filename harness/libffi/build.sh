#!/bin/bash
# Builds libffi for an ABI in $WORK/libffi/<version>/<abi>-<flavour>, as Debian does except
# for the flavour, adds the tests of tests/ to its suite, and prints the directory.
#   build.sh ABI FLAVOUR
# debian    dynamic trampolines
# static    libffi's static trampolines
# trampfd   the patches of <version>/, with libtrampfd linked into libffi.so
# Environment: LIBFFI, the version: 3.8.0 (default) or 3.4.8, that of trixie
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/arch.sh
. "$ROOT/harness/kernel/arch.sh"
# shellcheck source=harness/guest/apt.sh
. "$ROOT/harness/guest/apt.sh"

here=$ROOT/harness/libffi
version=${LIBFFI:-3.8.0}
patches=("$here/$version"/*.patch)
apt=$CACHE/libffi/apt
abi=$1 flavour=$2
out=$WORK/libffi/$version/$abi-$flavour
log=$LOG/libffi-$version-$abi-$flavour.log

source_package() {
	local log=$LOG/libffi-source.log status
	mkdir -p "$CACHE/libffi"
	exec 7>"$CACHE/libffi/source.lock"
	flock 7
	[ ! -d "$CACHE/libffi/$version" ] || return 0
	say "fetching the source of libffi $version ..."
	logged "$log" "fetch_$version"
	[ "$status" = 0 ] ||
		die "apt-get could not fetch the source of libffi $version; is there a network?" \
			"$(grep -m1 '^E:' "$log") (log: $log)"
	mv "$apt/libffi-$version" "$CACHE/libffi/$version"
	rm -rf "$apt"
}

# With Debian's patches
fetch_3.4.8() { fetch_source trixie libffi=3.4.8-2; }

# Debian's change nothing for Linux.
fetch_3.8.0() {
	fetch_source sid --tar-only libffi=3.8.0-2
	tar -xf libffi_3.8.0.orig.tar.*
}

patched_source() {
	local patch
	cp -R "$CACHE/libffi/$version" "$out/source"
	cd "$out/source"
	if [ "$flavour" = trampfd ]; then
		for patch in "${patches[@]}"; do patch -p1 --fuzz=0 <"$patch"; done
	fi
	cp "$here"/tests/*.c testsuite/libffi.closures/
	autoreconf -fi
}

# The same options as debian/rules
flags() { # NAME
	DEB_BUILD_MAINT_OPTIONS='' dpkg-architecture -a"$debarch" -f -c dpkg-buildflags --get "$1"
}

configure() {
	local cflags trampolines=--disable-exec-static-tramp
	cflags="$(flags CFLAGS) -ffile-prefix-map=$out=."
	[ "$flavour" != static ] || trampolines=--enable-exec-static-tramp
	[ "$flavour" != trampfd ] || trampolines+=" --with-trampfd"
	mkdir "$out/build"
	cd "$out/build"
	# shellcheck disable=SC2086 # words
	../source/configure --host="${cross%-}" --build="$(dpkg-architecture -q DEB_BUILD_GNU_TYPE)" \
		--prefix=/usr --enable-pax_emutramp $trampolines --without-gcc-arch --disable-docs \
		--disable-multi-os-directory CC="$cc" CXX="$(fact cxx "$abi")" \
		CPPFLAGS="$(flags CPPFLAGS)" CFLAGS="$cflags" CXXFLAGS="$(flags CXXFLAGS)" \
		CCASFLAGS="$cflags -Wa,--gdwarf-5" LDFLAGS="-Wl,-z,defs $(flags LDFLAGS)" \
		TRAMPFD_CFLAGS="-I$TREE/tools/lib/trampfd -isystem $include" \
		TRAMPFD_LIBS="$out/libtrampfd/libtrampfd.a"
}

libtrampfd() {
	mkdir "$out/libtrampfd"
	make -C "$TREE/tools/lib/trampfd" OUTPUT="$out/libtrampfd" CC="$cc" \
		KHDR_INCLUDES="-isystem $include" "$out/libtrampfd/libtrampfd.a"
}

build() {
	[ "$flavour" != trampfd ] || libtrampfd
	patched_source
	configure
	make -j"$(nproc)" MAKEINFO=true
}

case $flavour in
debian | static | trampfd) ;;
*) die "no such flavour: '$flavour' (there are: debian static trampfd)" ;;
esac
[ -e "${patches[0]}" ] || die "no such version of libffi: '$version' (there are: 3.8.0 3.4.8)"
cc=$(fact cc "$abi")
cross=$(fact cross "$abi")
debarch=$(fact debarch "$abi")
open_work
mkdir -p "$WORK/libffi/$version"
lock "$out"
include=$("$ROOT/harness/kernel/headers.sh" "$abi")
key=$({
	echo "$version"
	find "${patches[@]}" "$here/build.sh" "$here/tests" -type f -print0 | sort -z | xargs -0 cat
	find "$TREE/tools/lib/trampfd" -maxdepth 1 -type f -name '*.[chS]' -print0 |
		sort -z | xargs -0 cat
} | sha256sum)
if [ "$(cat "$out/.key" 2>/dev/null)" != "$key" ]; then
	source_package
	rm -rf "$out" && mkdir "$out"
	say "building libffi for $abi, $flavour ..."
	logged "$log" build
	[ "$status" = 0 ] || die "libffi does not build for $abi, $flavour:" \
		"$(grep -m3 -iE 'error|FAILED|\*\*\*' "$log") (log: $log)"
	echo "$key" >"$out/.key"
fi
echo "$out"
