#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Puts the decoder of trampfd_create into a tree of strace.

Files are added; the lists that have to name them get a line each, in their order, so that
this does not depend on a release.  "git diff" in the tree is then the patch to be sent.

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
        sys.exit(f"{path}: nothing to be added to")
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
