#!/usr/bin/env python3
"""Compares what was measured with what it may be, and prints both.

  exact.py BOUNDS ABI MEASURED...

BOUNDS has a table for each ABI, in it one for each row of bench.c and exact.c, named
"TRAMPOLINES WHAT", and there for each method a number that must be met; or "<= NUMBER";
or "<= METHOD", no more than that method in the same run.  A number that changed, for
better or worse, is to be understood, and then to be changed there.
"""

import sys
import tomllib


def read_measured(paths):
    """{(row, method): number}, the word where it is not a number"""
    measured = {}
    for path in paths:
        with open(path) as file:
            for line in file:
                method, n, what, value = line.rstrip("\n").split("\t")
                measured[f"{n} {what}", method] = value
    return measured


def is_within(value, bound, row, measured):
    if not isinstance(bound, str):
        return float(value) == bound
    limit = bound.removeprefix("<= ")
    return float(value) <= float(measured.get((row, limit), limit))


def main(bounds, abi, *paths):
    with open(bounds, "rb") as file:
        rows = tomllib.load(file)[abi]
    measured = read_measured(paths)
    status = 0
    for row, methods in rows.items():
        for method, bound in methods.items():
            value = measured.get((row, method))
            if value is not None and is_within(value, bound, row, measured):
                verdict = "ok"
            else:
                verdict, status = "NOT WITHIN", 1
            print(f"{verdict}: {method}: {row}: {value}, bound {bound}")
    return status


sys.exit(main(*sys.argv[1:]))
