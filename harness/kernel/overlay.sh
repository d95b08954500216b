# shellcheck shell=bash
# Sourced after env.sh: our files and hunks in the kernel tree.

# Prints the paths of our files in the kernel tree.
ours() { # REGEX
	comm -23 <(sort "$WORK/overlaid") <(cd "$WORK/pristine" && find . -type f | cut -c3- | sort) | grep -E "$1" || :
}

# Differences of a base from the first one: files.patch adapts our files; hunks and patches
# replace those of the same name in series/, or are additional.
backport=$ROOT/series/backport-$BASE

# Prints the path of this base's version of a file of series/.
of_base() { # FILE
	if [ -e "$backport/${1#series/}" ]; then echo "$backport/${1#series/}"; else echo "$ROOT/$1"; fi
}

# Prints the names of this base's files in a directory of series/, in order.
names_of_base() { # DIRECTORY
	find "$ROOT/$1" "$backport/${1#series/}" -maxdepth 1 -type f -printf "$1/%f\n" 2>/dev/null | sort -u || :
}

# Prints the names of the hunks for kernel files: patches, and programs that print one.
hunks() { names_of_base series/hunks; }

# Prints a hunk.
hunk() { # NAME
	case $1 in
	*.py) python3 "$(of_base "$1")" "$(cat "$ROOT/series/syscall-nr")" "$WORK/pristine" "$TREE" ;;
	*) cat "$(of_base "$1")" ;;
	esac
}

# Adapts copies of our files to the base.
fit_base() { # DIRECTORY
	[ ! -e "$backport/files.patch" ] || patch -d "$1" -p1 -F0 --no-backup-if-mismatch <"$backport/files.patch"
}

# Prints MAINTAINERS with our entry in alphabetical order.
maintainers() { # ENTRY ORIGINAL
	awk 'NR == FNR { ours = ours $0 "\n"; if (NR == 1) title = $0; next }
	     /^Maintainers List$/ { list = 1 }
	     list && !done && blank && /^[A-Z0-9]/ && $0 > title { printf "%s\n", ours; done = 1 }
	     { blank = ($0 == ""); print }' "$1" "$2"
}
