#!/bin/bash
# Makes or updates $WORK/linux: Debian's kernel sources with our files, our entry in
# MAINTAINERS, and the hunks of series/hunks. Writes only files that differ, so that the
# next build compiles only these. If anything fails, the tree stays unchanged.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/overlay.sh
. "$ROOT/harness/kernel/overlay.sh"

space=9 # GiB: sources 1.7, twice; each kernel under 0.5, selftests, ccache 2
stage=$WORK/stage
overlaid=$WORK/overlaid # a list of the files of the tree that differ from Debian's

unpack() {
	local version=$1 free start=$SECONDS
	free=$(df --output=avail -BG "$WORK" | tr -dc 0-9)
	[ "$free" -ge $space ] ||
		die "$WORK has $free GiB free and $space are needed: make room, or set TRAMPFD_CACHE to a directory elsewhere"
	say "unpacking $package $version ..."
	rm -rf "$WORK/unpack" && mkdir "$WORK/unpack"
	tar -xJf "$tarball" --strip-components=1 -C "$WORK/unpack" ||
		die "cannot unpack $tarball: reinstall the package $package"
	# Remove all objects: they may be newer than the sources of the new version.
	rm -rf "$TREE" "$WORK/pristine" "$overlaid"
	find "$WORK" -mindepth 1 -maxdepth 1 -type d ! -name unpack ! -name log -exec rm -rf {} +
	echo "$version" >"$WORK/unpack/.trampfd-base"
	mv "$WORK/unpack" "$TREE"
	say "unpacked in $(elapsed "$start")"
}

# Copies the directories of the checkout that the kernel has too.
stage_files() {
	local dir
	for dir in "$ROOT"/*/; do
		dir=$(basename "$dir")
		[ ! -d "$TREE/$dir" ] || [ -L "$ROOT/$dir" ] || cp -R "$ROOT/$dir" "$stage/"
	done
	find "$stage" -type f | cut -c$((${#stage} + 2))- | while read -r file; do
		[ ! -e "$TREE/$file" ] || grep -qxF "$file" "$overlaid" ||
			die "$file is the kernel's own: change it by a hunk in series/hunks"
	done
}

# Copies the original of a kernel file into the stage, to be changed there.
stage_original() { # FILE
	[ ! -e "$stage/$1" ] || return 0
	if [ ! -e "$WORK/pristine/$1" ]; then
		[ -e "$TREE/$1" ] || return 0
		mkdir -p "$(dirname "$WORK/pristine/$1")"
		cp -p "$TREE/$1" "$WORK/pristine/$1.new"
		mv "$WORK/pristine/$1.new" "$WORK/pristine/$1"
	fi
	mkdir -p "$(dirname "$stage/$1")"
	cp "$WORK/pristine/$1" "$stage/$1"
}

stage_hunks() {
	local name patch=$WORK/hunk.patch file log=$LOG/hunks.log
	: >"$log"
	fit_base "$stage" >>"$log" 2>&1 || die "series/backport-$BASE/files.patch does not apply to our files (log: $log)"
	for name in $(hunks); do
		echo "== $name" >>"$log"
		hunk "$name" >"$patch" 2>>"$log" || does_not_apply "$name" "$log"
		while read -r file; do stage_original "$file"; done < <(sed -n 's|^+++ b/\([^[:space:]]*\).*|\1|p' "$patch")
		patch -d "$stage" -p1 -F0 --no-backup-if-mismatch <"$patch" >>"$log" 2>&1 || does_not_apply "$name" "$log"
	done
	rm -f "$patch"
}

does_not_apply() { # HUNK LOG
	local tested name
	name=$(of_base "$1") name=${name#"$ROOT/"}
	tested=$(sed -n "s/^$package  *//p" "$ROOT/series/bases")
	[ "$tested" != "$version" ] || die "$name does not apply to $package $version (log: $2)"
	die "$name does not apply to $package $version; the version that series/bases records as tested is $tested.
Install that one (apt-get install $package=$tested), or make the hunk fit $version and record it (log: $2)"
}

stage_maintainers() {
	[ -e "$ROOT/MAINTAINERS" ] || return 0
	stage_original MAINTAINERS
	maintainers "$ROOT/MAINTAINERS" "$WORK/pristine/MAINTAINERS" >"$stage/MAINTAINERS"
}

# Makes the tree equal to the stage. At any time the list contains all files that may
# differ from Debian's, so that the next run repairs an interrupted one.
install_stage() {
	local file
	cp "$overlaid" "$WORK/overlaid.old"
	find "$stage" -type f | cut -c$((${#stage} + 2))- | sort >"$WORK/overlaid.new"
	sort -u "$WORK/overlaid.old" "$WORK/overlaid.new" >"$WORK/overlaid.both"
	mv "$WORK/overlaid.both" "$overlaid"
	rsync -rc --perms "$stage/" "$TREE/"
	comm -23 "$WORK/overlaid.old" "$WORK/overlaid.new" | while read -r file; do
		if [ -e "$WORK/pristine/$file" ]; then
			cp "$WORK/pristine/$file" "$TREE/$file" # with the time of now, for make
		else
			rm -f "$TREE/$file"
			rmdir -p --ignore-fail-on-non-empty "$(dirname "$TREE/$file")" 2>/dev/null || :
		fi
	done
	mv "$WORK/overlaid.new" "$overlaid"
	rm -rf "$WORK/overlaid.old" "$stage"
}

open_work
lock "$TREE"
version=$(dpkg-query -W -f '${Version}' "$package")
[ "$(cat "$TREE/.trampfd-base" 2>/dev/null)" = "$version" ] || unpack "$version"
[ -e "$overlaid" ] || : >"$overlaid"
rm -rf "$stage" && mkdir -p "$stage" "$WORK/pristine"
stage_files
stage_hunks
stage_maintainers
install_stage
