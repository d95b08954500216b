#!/bin/bash
# Renders the directories of our documents with the kernel's `make htmldocs`. Fails if a
# warning names one of our files.
# shellcheck source=harness/env.sh
. "$(dirname "$0")/../env.sh"

dirs="userspace-api admin-guide/LSM core-api"
out=$WORK/docs
output=$out/Documentation/output
log=$LOG/docs.log

# Sphinx does not repeat the warnings of a document that it has cached.
forget() {
	grep '^Documentation/.*\.rst$' "$WORK/overlaid" | while read -r file; do
		file=${file#Documentation/}
		rm -f "$output/.doctrees/${file%.rst}.doctree"
	done
}

# htmldocs generates these files in the source tree.
tidy() { rm -f "$TREE"/Documentation/networking/netlink_spec/*.rst; }

render() { make -C "$TREE" ARCH=x86_64 O="$out" SPHINXDIRS="$dirs" htmldocs; }

# References from one directory to another are unknown if it is rendered alone.
complaints() {
	grep -F -f <(sed 's|^|/|' "$WORK/overlaid") "$log" |
		grep -vE "WARNING: (unknown document: |toctree .* nonexisting document 'RCU/index')"
}

open_work
mkdir -p "$out"
lock "$out"
start=$SECONDS
[ -d "$output" ] ||
	say "rendering (the first time takes minutes: Sphinx reads all documents there) ..."
forget
trap tidy EXIT
render >"$log" 2>&1 || die "htmldocs failed: $(tail -n 3 "$log") (log: $log)"
[ -e "$output/userspace-api/_images/trampfd.svg" ] ||
	die "the picture is not in the rendered document (log: $log)"
! complaints >&2 || die "Sphinx or kernel-doc complains of files of ours, above (log: $log)"
say "rendered in $(elapsed "$start"): $output/userspace-api/trampfd.html"
