# shellcheck shell=bash
# Sourced after env.sh: what the checkout adds to the kernel tree.

# Our files of the kernel tree, relative to it.
ours() { # REGEX
	comm -23 <(sort "$WORK/overlaid") <(cd "$WORK/pristine" && find . -type f | cut -c3- | sort) | grep -E "$1" || :
}

# A file of series/hunks, with the number of the system call.
hunk() { # FILE
	local nr
	nr=$(cat "$ROOT/series/syscall-nr")
	sed "s/@NR@/$nr/g; s/@NR_NEXT@/$((nr + 1))/g" "$1"
}

# Our entry goes before the first title that sorts after its own.
maintainers() { # ENTRY ORIGINAL
	awk 'NR == FNR { ours = ours $0 "\n"; if (NR == 1) title = $0; next }
	     /^Maintainers List$/ { list = 1 }
	     list && !done && blank && /^[A-Z0-9]/ && $0 > title { printf "%s\n", ours; done = 1 }
	     { blank = ($0 == ""); print }' "$1" "$2"
}
