#!/usr/bin/env python3
"""Prints options of fragments that differ in the kernel's .config.

  unmet.py CONFIG FRAGMENT...    of two fragments the later one has the last word
"""

import re
import sys


def options(path):
    values = {}
    with open(path) as file:
        for line in file:
            if match := re.match(r"# (CONFIG_\w+) is not set$|(CONFIG_\w+)=(.*)", line):
                unset, name, value = match.groups()
                values[unset or name] = "n" if unset else value
    return values


config, *fragments = sys.argv[1:]
has, asked = options(config), {}
for fragment in fragments:
    asked |= options(fragment)
for name, value in asked.items():
    got = has.get(name, "n")
    if got != value:
        print(f"  {name}={value} is asked for, the kernel has {got}")
