#!/usr/bin/env python3
"""Prints facts of a kernel or an ABI, from arches.toml, which explains them.

  fact.py FACT NAME    one fact; a list as words
  fact.py --all NAME   all facts of NAME, as lines "FACT=VALUE"
  fact.py --arches     the architectures that have a kernel

Environment: BASE, the kernel's sources; CPU, the guest's processor.
"""

import os
import sys
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = os.environ.get("BASE", "")

with open(f"{HERE}/arches.toml", "rb") as file:
    TABLE = tomllib.load(file)


def resolve(table, name):
    """An entry, with the values of the entry that it is like as defaults"""
    entry = dict(table[name])
    like = entry.pop("like", None)
    return resolve(table, like) | entry if like else entry


def bases(variant):
    return TABLE["variant"].get(variant, {}).get("bases", [BASE])


def known_variants():
    """Each variant, and each architecture, has a fragment in config/."""
    names = {name.removesuffix(".config") for name in os.listdir(f"{HERE}/config") if name.endswith(".config")}
    return sorted(names - set(TABLE["kernel"]) - {"common"})


def check_variant(kernel, variant):
    if variant not in known_variants():
        known = " ".join(known_variants())
        sys.exit(f"error: no such variant: '{variant}' of '{kernel}' (there are: {known})")
    if BASE not in bases(variant):
        sys.exit(f"error: {kernel} is only for BASE={' or '.join(bases(variant))}")


def kernel_facts(kernel):
    arch, _, variant = kernel.partition("-")
    facts = TABLE["default"] | resolve(TABLE["kernel"], arch)
    own = facts.pop("variant", {})
    for part in variant.split("+") if variant else []:
        check_variant(kernel, part)
        facts |= TABLE["variant"].get(part, {}) | own.get(part, {})
    facts.pop("bases", None)
    for key in "variants", "rarer", "checkers":
        facts[key] = [name for name in facts[key] if not variant and BASE in bases(name)]
    cpu = os.environ.get("CPU") or facts["cpus"][0]
    machine = facts.pop("machine_with", {}).get(cpu.split(",")[0], facts["machine"])
    return facts | {"arch": arch, "variant": variant, "guest": f"{machine} -cpu {cpu}"}


def abi_facts(abi):
    facts = resolve(TABLE["abi"], abi)
    return facts | {"cxx": facts["cc"].replace("gcc", "g++", 1)}


def all_facts(name):
    """The facts of a kernel and of the ABI of the same name; no fact is in both."""
    is_kernel, is_abi = name.partition("-")[0] in TABLE["kernel"], name in TABLE["abi"]
    if not is_kernel and not is_abi:
        sys.exit(
            f"error: no such kernel or ABI: '{name}' (kernels: {' '.join(TABLE['kernel'])}, or one"
            f" of these with -VARIANT; ABIs: {' '.join(TABLE['abi'])})"
        )
    facts = (kernel_facts(name) if is_kernel else {}) | (abi_facts(name) if is_abi else {})
    return {key: " ".join(v) if isinstance(v, list) else str(v) for key, v in facts.items()}


def main(arguments):
    match arguments:
        case ["--arches"]:
            print(*TABLE["kernel"])
        case ["--all", name]:
            print(*(f"{key}={value}" for key, value in all_facts(name).items()), sep="\n")
        case [fact, name]:
            facts = all_facts(name)
            if fact not in facts:
                known = " ".join(sorted(facts))
                sys.exit(f"error: no such fact: '{fact}' of '{name}' (there are: {known})")
            print(facts[fact])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
