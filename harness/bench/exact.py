#!/usr/bin/env python3
"""Compares results with their bounds, and prints both.

  exact.py BOUNDS ABI RESULTS...

BOUNDS has a table for each ABI, which has a table for each row of bench.c and exact.c,
named "TRAMPOLINES WHAT".  That has a bound for each method: a number, which the result
must equal; "<= NUMBER"; or "<= METHOD", the result of that method in the same run.  If a
number has changed, also for the better, find out why, then change the bound.
"""

import sys
import tomllib


def read_measured(paths):
    """A dictionary {(row, method): value}, with values as text"""
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
