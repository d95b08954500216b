#!/bin/bash
# Generates the patches to be mailed, and prints how much each adds. Each
# series/patches/NN-NAME.txt is a patch, in this order: its message, a line "---", and a
# line for each
#   - file, or directory/, of the checkout that is new to the kernel tree
#   - hunk of series/hunks
# Files of series/backport-<base> replace those of the same name.
# Each file and each hunk belongs to one patch. If a patch adds files, it also adds their
# lines F: of our entry in MAINTAINERS.
#   series.sh [DIRECTORY]   writes to DIRECTORY, default build/series
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"
# shellcheck source=harness/kernel/overlay.sh
. "$ROOT/harness/kernel/overlay.sh"

mapfile -t texts < <(names_of_base series/patches | while read -r text; do of_base "$text"; done)
repository=$WORK/series/linux
fitted=$WORK/series/ours
dest=${1:-$WORK/series}
# A tag: git does not permit all characters of a version in names.
base=base-$(dpkg-query -W -f '${Version}' "$package" | tr -c 'A-Za-z0-9.\n-' _)

message() { sed '/^---$/,$d' "$1"; } # PATCH
content() { sed '1,/^---$/d' "$1"; }

things() {
	hunks
	ours .
}

# Prints each file and hunk with its patch.
assign() {
	local patch name
	for patch in "${texts[@]}"; do
		while read -r name; do
			# shellcheck disable=SC2016 # the $ are awk's
			things | awk -v name="$name" -v patch="${patch##*/}" '
				$0 == name || (name ~ "/$" && index($0, name) == 1) { print patch, $0; found = 1 }
				END { exit !found }' || die "${patch#"$ROOT/"} names $name, which does not exist"
		done < <(content "$patch")
	done
}

check_assignment() {
	local wrong
	wrong=$(comm -23 <(things | sort) <(cut -d' ' -f2 "$assignment" | sort))
	[ -z "$wrong" ] || die "no patch in series/patches names $(xargs <<<"$wrong")"
	wrong=$(cut -d' ' -f2 "$assignment" | sort | uniq -d)
	[ -z "$wrong" ] || die "more than one patch in series/patches names $(xargs <<<"$wrong")"
}

# The user's configuration does not affect the patches.
git() { GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 command git -C "$repository" "$@"; }
checkout_git() { command git -c safe.directory="$ROOT" -C "$ROOT" "$@"; }

# Commits Debian's sources, with the same hash on every machine.
import() {
	local start=$SECONDS
	! git rev-parse -q --verify "$base" >/dev/null 2>&1 || return 0
	say "importing $package into a repository ..."
	rm -rf "$repository" && mkdir -p "$repository"
	tar -xJf "$tarball" --strip-components=1 -C "$repository" ||
		die "cannot unpack $tarball: reinstall the package $package"
	git init -q -b trampfd
	git config gc.auto 0
	git config core.trustctime false # hard links to the files change their ctime
	git add -f .
	GIT_AUTHOR_NAME=$package GIT_AUTHOR_EMAIL='' GIT_AUTHOR_DATE='@0 +0000' \
		GIT_COMMITTER_NAME=$package GIT_COMMITTER_EMAIL='' GIT_COMMITTER_DATE='@0 +0000' \
		git commit -q --no-verify -m "Debian's $package $(dpkg-query -W -f '${Version}' "$package")"
	git tag "$base"
	say "imported in $(elapsed "$start")"
}

# Sets the author and committer: the name and address of git's configuration. Without
# these the patches have no Signed-off-by, because only the submitter can certify the DCO
# (submitting-patches.rst). The date is that of the last commit.
identify() {
	checkout_git rev-parse -q --verify HEAD >/dev/null ||
		die "$ROOT is not a git checkout with a commit, whose date the patches get"
	export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
	if GIT_AUTHOR_NAME=$(checkout_git config user.name) && GIT_AUTHOR_EMAIL=$(checkout_git config user.email); then
		signoff=--signoff
	else
		signoff='' GIT_AUTHOR_NAME=submitter GIT_AUTHOR_EMAIL=submitter@localhost
		say "git's configuration has no user.name and user.email: the patches have no Signed-off-by," \
			"which the submitter must add, and From: $GIT_AUTHOR_NAME <$GIT_AUTHOR_EMAIL>"
	fi
	GIT_AUTHOR_DATE=$(checkout_git log -1 --format=%cI)
	GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
}

# Our entry, with the lines F: of these files alone.
entry_for() { # FILE...
	local line pattern file
	while IFS= read -r line; do
		case $line in
		F:*)
			pattern=${line#F:?}
			[ "${pattern%/}" = "$pattern" ] || pattern+='*'
			# shellcheck disable=SC2053 # a pattern
			for file; do [[ $file == $pattern ]] && echo "$line" && break; done || : ;;
		*) echo "$line" ;;
		esac
	done <"$ROOT/MAINTAINERS"
}

# Our files as they are for this base
fit_files() {
	rm -rf "$fitted" && mkdir "$fitted"
	(cd "$ROOT" && ours . | xargs cp --parents -t "$fitted")
	fit_base "$fitted" >"$LOG/series-files.log" 2>&1 ||
		die "series/backport-$BASE/files.patch does not apply to our files (log: $LOG/series-files.log)"
}

put() { # FILE PATH
	git update-index --add --cacheinfo \
		"100$([ -x "$1" ] && echo 755 || echo 644),$(git hash-object -w --no-filters "$1"),$2"
}

# Without a working tree, so that what was built of one stays new.
commit_patches() {
	local patch thing tree parent files=()
	export GIT_INDEX_FILE=$WORK/series/index
	parent=$(git rev-parse "$base")
	git read-tree "$base"
	for patch in "${texts[@]}"; do
		while read -r thing; do
			case $thing in
			series/hunks/*) hunk "$thing" | git apply --cached || die "$thing does not apply at ${patch#"$ROOT/"}" ;;
			*) put "$fitted/$thing" "$thing" && files+=("$thing") ;;
			esac
		done < <(sed -n "s|^${patch##*/} ||p" "$assignment")
		if [ ${#files[@]} != 0 ]; then
			entry_for "${files[@]}" >"$WORK/series/entry"
			git show "$base:MAINTAINERS" | maintainers "$WORK/series/entry" - >"$WORK/series/maintainers"
			put "$WORK/series/maintainers" MAINTAINERS
		fi
		tree=$(git write-tree)
		[ "$tree" != "$(git rev-parse "$parent^{tree}")" ] || die "${patch#"$ROOT/"} changes nothing"
		parent=$(message "$patch" | git commit-tree "$tree" -p "$parent")
	done
	unset GIT_INDEX_FILE
	git update-ref refs/heads/trampfd "$parent"
	rm "$WORK/series/index" "$WORK/series/entry" "$WORK/series/maintainers"
}

open_work
mkdir -p "$WORK/series" "$dest"
lock "$WORK/series"
[ -e "$WORK/overlaid" ] || die "there is no overlaid tree yet: make tree"
assignment=$WORK/series/assignment
assign >"$assignment"
check_assignment
import
identify
fit_files
commit_patches
rm -f "$dest"/*.patch
git -c branch.trampfd.description="$(cat "$(of_base series/cover-letter.txt)")" format-patch -q -o "$dest" \
	--cover-letter --cover-from-description=subject --base="$base" ${signoff:+"$signoff"} --no-signature "$base..trampfd"
# shellcheck disable=SC2016 # the $ are awk's
git log --reverse --numstat --format='= %s' "$base..trampfd" | awk '
	function show() { if (subject != "") printf "%3d %+6d %+5d  %s\n", ++n, added, -removed, subject }
	/^=/ { show(); subject = substr($0, 3); added = removed = 0; next }
	NF { added += $1; removed += $2; all += $1 }
	END { show(); printf "%d patches, %d lines added\n", n, all }'
say "in $dest"
