#!/usr/bin/env python3
"""Prints a table of what guest.sh said: a row for each runtime, columns for the ways and
in each for the libffi. What is not ok is a number, explained below the table.

  table.py RESULTS WAYS FLAVOURS    words; RESULTS: lines RUNTIME WAY FLAVOUR RESULT
"""

import sys

path, ways, flavours = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
rows, errors = {}, []
with open(path, errors="surrogateescape") as results:
    for line in results:
        runtime, way, flavour, result = line.rstrip("\n").split("\t")
        if result != "ok":
            if result not in errors:
                errors.append(result)
            result = f"[{errors.index(result) + 1}]"
        rows.setdefault(runtime, {})[way, flavour] = result

sys.stdout.reconfigure(errors="surrogateescape")
columns = [(way, flavour) for way in ways for flavour in flavours]
print(f"{'':28}" + "".join(f"{way:24}" for way in ways))
print(f"{'':28}" + "".join(f"{flavour:8}" for _, flavour in columns))
for runtime, cells in rows.items():
    print(f"{runtime:28}" + "".join(f"{cells.get(column, ''):8}" for column in columns))
for number, error in enumerate(errors, 1):
    print(f"[{number}] {error}")
