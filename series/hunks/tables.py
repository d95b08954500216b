#!/usr/bin/env python3
"""Prints the patch that enters trampfd_create into every table of system calls.

A table grows at its end with every release, so a hunk would fit one release
alone. Here the entry goes after the last one, in its columns.

    tables.py NUMBER DIRECTORY...

The directories are searched for each file in turn: originals, then the tree.
"""
import difflib
import pathlib
import re
import sys

NAME = "trampfd_create"
GENERIC = "include/uapi/asm-generic/unistd.h"
ENTRY = re.compile(r"(\d+)\s+(\w+)\s+(\w+)\s+\w+")
# From here on the numbers of all tables are the same, but for alpha's, which
# are larger by a constant.
COMMON_NAME, COMMON_NR = "mseal", 462


def column(text):
    return len(text.expandtabs(8))


def entry_like(line, nr):
    """The entry, with each field in the column where LINE has it."""
    fields = list(re.finditer(r"\S+", line))
    anchor = fields[2].group()
    texts = [str(nr), fields[1].group(), NAME]
    texts += [f.group().replace(anchor, NAME) for f in fields[3:]]
    entry = texts[0]
    for field, text in zip(fields[1:], texts[1:]):
        entry += "\t"
        while column(entry) < column(line[:field.start()]):
            entry += "\t"
        entry += text
    return entry


def in_table(lines, nr):
    entries = {}
    for i, line in enumerate(lines):
        found = ENTRY.match(line)
        # x32 has numbers of its own above 512
        if found and found[2] != "x32":
            entries[int(found[1])] = (i, found[3])
    numbers = {name: number for number, (_, name) in entries.items()}
    nr += numbers[COMMON_NAME] - COMMON_NR
    last = max(entries)
    if last >= nr:
        raise ValueError(f"it has number {last}: choose a larger one in series/syscall-nr")
    at = entries[last][0]
    return lines[:at + 1] + [entry_like(lines[at], nr)] + lines[at + 1:]


def in_generic(lines, nr):
    at = lines.index("#undef __NR_syscalls")
    last = int(lines[at + 1].split()[2]) - 1
    if last >= nr:
        raise ValueError(f"it has number {last}: choose a larger one in series/syscall-nr")
    return lines[:at] + [
        f"#define __NR_{NAME} {nr}",
        f"__SYSCALL(__NR_{NAME}, sys_{NAME})",
        "",
        lines[at],
        f"#define __NR_syscalls {nr + 1}",
    ] + lines[at + 2:]


def tables(tree):
    for pattern in "arch/**/syscall*.tbl", "scripts/syscall.tbl":
        for path in tree.glob(pattern):
            if not path.is_symlink():
                yield str(path.relative_to(tree))


def main():
    nr, roots = int(sys.argv[1]), [pathlib.Path(d) for d in sys.argv[2:]]
    for file in [GENERIC] + sorted(tables(roots[-1])):
        path = next(root / file for root in roots if (root / file).exists())
        old = path.read_text().splitlines()
        try:
            new = (in_generic if file == GENERIC else in_table)(old, nr)
        except (KeyError, ValueError) as error:
            sys.exit(f"{file}: no place for {NAME}: {error}")
        for line in difflib.unified_diff(old, new, f"a/{file}", f"b/{file}", lineterm=""):
            print(line)


main()
