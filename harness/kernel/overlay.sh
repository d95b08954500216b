# shellcheck shell=bash
# Sourced after env.sh: what the checkout adds to the kernel tree.

# Our files of the kernel tree, relative to it.
ours() { # REGEX
	comm -23 <(sort "$WORK/overlaid") <(cd "$WORK/pristine" && find . -type f | cut -c3- | sort) | grep -E "$1" || :
}

# What another base than the first has of its own: files.patch, which makes our
# files fit it; hunks and patches, each instead of the one of the same name in
# series/, or more.
backport=$ROOT/series/backport-$BASE

# Where this base has a file of series/.
of_base() { # FILE
	if [ -e "$backport/${1#series/}" ]; then echo "$backport/${1#series/}"; else echo "$ROOT/$1"; fi
}

# The names of the files of a directory of series/ that this base has, in order.
names_of_base() { # DIRECTORY
	find "$ROOT/$1" "$backport/${1#series/}" -maxdepth 1 -type f -printf "$1/%f\n" 2>/dev/null | sort -u || :
}

# The hunks into files of the kernel: patches, and programs that print one.
hunks() { names_of_base series/hunks; }

# A hunk, whatever makes it.
hunk() { # NAME
	case $1 in
	*.py) python3 "$(of_base "$1")" "$(cat "$ROOT/series/syscall-nr")" "$WORK/pristine" "$TREE" ;;
	*) cat "$(of_base "$1")" ;;
	esac
}

# Makes copies of our files fit the base.
fit_base() { # DIRECTORY
	[ ! -e "$backport/files.patch" ] || patch -d "$1" -p1 -F0 --no-backup-if-mismatch <"$backport/files.patch"
}

# Our entry goes before the first title that sorts after its own.
maintainers() { # ENTRY ORIGINAL
	awk 'NR == FNR { ours = ours $0 "\n"; if (NR == 1) title = $0; next }
	     /^Maintainers List$/ { list = 1 }
	     list && !done && blank && /^[A-Z0-9]/ && $0 > title { printf "%s\n", ours; done = 1 }
	     { blank = ($0 == ""); print }' "$1" "$2"
}
