#!/usr/bin/env python3
"""Prints how many of the places in our objects that tell KCOV that they were reached
were reached, by function.

  coverage.py PCS VMLINUX OBJECT...    PCS: the addresses, from the guest
"""

import collections
import re
import subprocess
import sys


def lines_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def functions_of(objects):
    """Functions in .text, without those that run only at boot"""
    fields = (line.split() for line in lines_of("objdump", "-t", *objects))
    return {f[-1] for f in fields if len(f) > 3 and f[2:4] == ["F", ".text"]}


def ranges(vmlinux, functions):
    """Start and end of each function, except inline functions that other objects have too"""
    symbols = [line.split() for line in lines_of("nm", "-n", vmlinux)]
    symbols = [(symbol[0], symbol[-1]) for symbol in symbols if len(symbol) == 3]
    times = collections.Counter(name for _, name in symbols)
    for (start, name), (end, _) in zip(symbols, symbols[1:]):
        if name in functions and times[name] == 1:
            yield name, start, end


def traced(vmlinux, start, end):
    """The addresses that KCOV records, each after a call"""
    addresses = f"--start-address=0x{start}", f"--stop-address=0x{end}"
    after_call = False
    for line in lines_of("objdump", "-d", "--no-show-raw-insn", *addresses, vmlinux):
        if after_call:
            yield line.split(":")[0].strip()
        after_call = re.search(r"call .*__sanitizer_cov_trace_pc>", line) is not None


pcs, vmlinux, *objects = sys.argv[1:]
with open(pcs) as file:
    seen = {line.split()[0] for line in file}
reached = total = 0
for name, start, end in sorted(ranges(vmlinux, functions_of(objects))):
    places = list(traced(vmlinux, start, end))
    hit = sum(place in seen for place in places)
    reached, total = reached + hit, total + len(places)
    if places:
        print(f"  {name:28} {hit:3} of {len(places):3}")
print(f"reached in our objects: {reached} of {total}")
