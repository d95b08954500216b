#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Adds the decoder of trampfd_create to a source tree of strace.

Copies files, and inserts a line into each list that has to name them, in sorted order, so
that this works with any release.  "git diff" in the tree is the patch to send.

    apply.py TREE
"""

import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
NUMBER = int((TOP / "series/syscall-nr").read_text())


def edit(path, change):
    text = path.read_text()
    changed = change(text)
    if changed == text:
        sys.exit(f"{path}: found no place to insert a line")
    path.write_text(changed)


def line_in_order(pattern, line):
    """Insert before the first line of a list that sorts after it."""

    def change(text):
        lines = text.splitlines(True)
        key = re.search(pattern, line).group(1)
        for i, other in enumerate(lines):
            match = re.match(pattern, other)
            if match and match.group(1) > key:
                return "".join(lines[:i] + [line] + lines[i:])
        return text

    return change


def after_last(pattern, line):
    def change(text):
        found = list(re.finditer(pattern, text, re.M))
        if not found:
            return text
        at = text.index("\n", found[-1].start()) + 1
        return text[:at] + line + text[at:]

    return change


def main(tree):
    for file in ("src/trampfd.c", "src/xlat/trampfd_abis.in", "src/xlat/trampfd_modes.in",
                 "tests/trampfd_create.c", "tests/trampfd_create-success.c"):
        shutil.copyfile(HERE / file, tree / file)
    shutil.copyfile(TOP / "include/uapi/linux/trampfd.h",
                    tree / "bundled/linux/include/uapi/linux/trampfd.h")
    edit(tree / "src/linux/generic/syscallent-common.h",
         after_last(r"^\[BASE_NR \+ \d+\]",
                    f"[BASE_NR + {NUMBER}] = {{ 2,\tTD,\t\tSEN(trampfd_create),"
                    '\t\t"trampfd_create"\t},\n'))
    edit(tree / "src/Makefile.am", line_in_order(r"\t([a-z_0-9]+\.c)\s*\\$", "\ttrampfd.c\t\\\n"))
    edit(tree / "bundled/Makefile.am",
         line_in_order(r"\t(linux/include/uapi/linux/\S+\.h)\s*\\?$",
                       "\tlinux/include/uapi/linux/trampfd.h \\\n"))
    edit(tree / "tests/gen_tests.in",
         line_in_order(r"([a-z_0-9]+)\t", "trampfd_create\t-a25 -e trace=trampfd_create\n"))
    edit(tree / "tests/gen_tests.in",
         after_last(r"^trampfd_create\t",
                    "trampfd_create-success\t-a25 -e trace=trampfd_create "
                    "-einject=trampfd_create:retval=42\n"))
    for name in ("trampfd_create\n", "trampfd_create-success\n"):
        edit(tree / "tests/pure_executables.list", line_in_order(r"([a-z_0-9-]+)$", name))


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(pathlib.Path(sys.argv[1]))
