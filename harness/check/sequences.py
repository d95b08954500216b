#!/usr/bin/env python3
"""The instructions of trampolines as assembly source, to compare with the kernel's.

  sequences.py assembly ABI LINES            prints the source
  sequences.py report LINES OBJECT OBJDUMP   prints for each mode the number of instructions,
                                             of bytes without filler, and the minimum stride
LINES is the output of sequences.c, OBJECT the assembled source.
"""

import re
import subprocess
import sys
from typing import NamedTuple

DATA, SLOT, PUSH = range(3)
FILLER = "int3", "udf", "break"
MODES = "DATA", "SLOT", "PUSH"


class Trampoline(NamedTuple):
    number: int  # from 1, for labels
    mode: int
    data: int  # registers, as DWARF numbers
    scratch: int
    stride: int
    distance: int  # to the slot


def x86_64(t):
    reg = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split()[t.data]
    if t.mode == DATA:
        load, code = "mov", f"t{t.number}+{t.distance}+8(%rip)"
    else:
        load, code = "lea", f"8(%{reg})"
    return f"""\
t{t.number}: endbr64
{load} t{t.number}+{t.distance}(%rip), %{reg}
jmp *{code}
.org t{t.number}+{t.stride}, 0xcc
"""


def i386(t):
    regs = "eax ecx edx ebx esp ebp esi edi".split()
    data = regs[t.data]
    base = regs[t.scratch] if t.mode == DATA else data
    distance = t.distance - 9  # from the pop
    push = ""
    if t.mode == PUSH:
        push = f"push %{data}\n"
        distance -= 1
    if t.mode == DATA:
        load = f"mov {distance}(%{base}), %{data}\njmp *{distance}+4(%{base})"
    else:
        load = f"lea {distance}(%{data}), %{data}\njmp *4(%{data})"
    return f"""\
t{t.number}: endbr32
{push}call 1f
1: pop %{base}
{load}
.org t{t.number}+{t.stride}, 0xcc
"""


def arm64(t):
    return f"""\
t{t.number}: bti c
{"ldr" if t.mode == DATA else "adr"} x{t.data}, t{t.number}+{t.distance}
ldr x{t.scratch}, t{t.number}+{t.distance}+8
br x{t.scratch}
.org t{t.number}+{t.stride}
"""


def arm(t):
    data = f"r{t.data}"  # pc reads as the instruction's address + 8.
    if t.mode == DATA:
        jump = f"ldmdb {data}, {{{data}, pc}}"
    else:
        jump = f"sub {data}, {data}, #8\nldr pc, [{data}, #4]"
    return f"""\
t{t.number}: add {data}, pc, #{t.distance}
{jump}
.fill ({t.stride}-(.-t{t.number}))/4, 4, 0xe7f0def0
"""


def riscv64(t):
    """LPAD 0 is encoded as AUIPC of x0."""
    data, scratch = f"x{t.data}", f"x{t.scratch}"
    base = scratch if t.mode == DATA else data
    if t.mode == DATA:
        load, code = f"ld {data}, %pcrel_lo(1b)({base})", "%pcrel_lo(1b+8)"
    else:
        load, code = f"addi {data}, {data}, %pcrel_lo(1b)", "8"
    return f"""\
t{t.number}: auipc x0, 0
1: auipc {base}, %pcrel_hi(t{t.number}+{t.distance})
{load}
ld {scratch}, {code}({base})
jr {scratch}
.org t{t.number}+{t.stride}
"""


def ppc64le(t):
    """r12 is the address of the trampoline."""
    if t.mode == DATA:
        base, load = "12", f"ld {t.data}, 0(12)\n"
    else:
        base, load = str(t.data), ""
    return f"""\
t{t.number}: addis {base}, 12, {t.distance}@ha
{load}ld 12, 8({base})
mtctr 12
bctr
.org t{t.number}+{t.stride}
"""


def s390x(t):
    return f"""\
t{t.number}: {"lgrl" if t.mode == DATA else "larl"} %r{t.data}, t{t.number}+{t.distance}
lgrl %r{t.scratch}, t{t.number}+{t.distance}+8
br %r{t.scratch}
.org t{t.number}+{t.stride}
"""


def loongarch64(t):
    data, scratch = f"$r{t.data}", f"$r{t.scratch}"
    base = scratch if t.mode == DATA else data
    load = f"ld.d {data}, {base}, 0\n" if t.mode == DATA else ""
    return f"""\
t{t.number}: pcaddu18i {base}, {t.distance} >> 18
{load}ld.d {scratch}, {base}, 8
jr {scratch}
.fill ({t.stride}-(.-t{t.number}))/4, 4, 0x002a0000
"""


# Big-endian kernels of ARM have little-endian instructions.
ABIS = {
    "x86_64": x86_64,
    "i386": i386,
    "arm64": arm64,
    "arm64_be": arm64,
    "arm": arm,
    "arm_be": arm,
    "riscv64": riscv64,
    "ppc64le": ppc64le,
    "s390x": s390x,
    "loongarch64": loongarch64,
}


def trampolines(path):
    with open(path) as lines:
        return [Trampoline(n, *map(int, line.split()[:5])) for n, line in enumerate(lines, 1)]


def instructions(objdump, obj, start, stop):
    """The bytes of each instruction in hexadecimal, without filler"""
    addresses = f"--start-address={start}", f"--stop-address={stop}"
    command = [objdump, "-d", *addresses, obj]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^ *[0-9a-f]+:\t([0-9a-f ]+)\t(\w+)", text, re.MULTILINE)
    return [code.replace(" ", "") for code, name in found if name not in FILLER]


def report(kernel, obj, objdump):
    offset, seen = 0, set()
    for t in kernel:
        if t.mode not in seen:
            code = instructions(objdump, obj, offset, offset + t.stride)
            size = sum(map(len, code)) // 2
            choices = len({(other.data, other.scratch) for other in kernel if other.mode == t.mode})
            print(
                f"{MODES[t.mode]} {len(code)} instructions, {size} bytes of {t.stride},"
                f" {4096 // t.stride} in 4096 bytes; {choices} choices of registers"
            )
        seen.add(t.mode)
        offset += t.stride


match sys.argv[1:]:
    case ["assembly", abi, lines]:
        for trampoline in trampolines(lines):
            sys.stdout.write(ABIS[abi](trampoline))
    case ["report", lines, obj, objdump]:
        report(trampolines(lines), obj, objdump)
    case _:
        sys.exit(__doc__)
