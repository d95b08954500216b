#!/usr/bin/env python3
"""The sequences of trampolines, as assembly to compare the kernel's with.

  sequences.py assembly ABI LINES            their source
  sequences.py report LINES OBJECT OBJDUMP   of the first one of each mode: instructions,
                                             and bytes without filler
LINES: the file that sequences.c wrote; OBJECT: the source assembled.
"""

import re
import subprocess
import sys
from typing import NamedTuple

DATA, SLOT, PUSH = range(3)
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
    return f"""\
t{t.number}: endbr64
{"mov" if t.mode == DATA else "lea"} t{t.number}+{t.distance}(%rip), %{reg}
jmp *t{t.number}+{t.distance}+8(%rip)
.balign {t.stride}, 0xcc
"""


def i386(t):
    regs = "eax ecx edx ebx esp ebp esi edi".split()
    data = regs[t.data]
    base = regs[t.scratch] if t.mode == DATA else data
    distance = t.distance - 9  # from the pop
    pad = ""
    if t.mode == PUSH:
        pad = f"push %{data}\n"
    elif distance % 256 == 0x0F:  # the distance would begin as system calls do
        pad = "nop\n"
    if pad:
        distance -= 1
    if t.mode == DATA:
        load = f"mov {distance}(%{base}), %{data}\njmp *{distance}+4(%{base})"
    else:
        load = f"lea {distance}(%{data}), %{data}\njmp *4(%{data})"
    return f"""\
endbr32
{pad}call 1f
1: pop %{base}
{load}
.balign {t.stride}, 0xcc
"""


def arm64(t):
    return f"""\
t{t.number}: bti c
{"ldr" if t.mode == DATA else "adr"} x{t.data}, t{t.number}+{t.distance}
ldr x{t.scratch}, t{t.number}+{t.distance}+8
br x{t.scratch}
"""


def arm(t):
    data = f"r{t.data}"  # and pc is 8 ahead
    if t.mode == DATA:
        jump = f"ldmdb {data}, {{{data}, pc}}"
    else:
        jump = f"sub {data}, {data}, #8\nldr pc, [{data}, #4]\nudf #0xde0"
    return f"""\
add {data}, pc, #{t.distance}
{jump}
"""


def riscv64(t):
    """Begins with LPAD 0, which is an AUIPC of x0."""
    data, scratch = f"x{t.data}", f"x{t.scratch}"
    base = scratch if t.mode == DATA else data
    low, code = "%pcrel_lo(1b)", "%pcrel_lo(1b+8)"
    add = load = ""
    # The auipc is at 4: low + 8 would be more than 2047.
    if t.mode == SLOT or t.distance % 4096 == 2048:
        add = f"addi {base}, {base}, {low}\n"
        low, code = "0", "8"
    if t.mode == DATA:
        load = f"ld {data}, {low}({base})\n"
    return f"""\
t{t.number}: auipc x0, 0
1: auipc {base}, %pcrel_hi(t{t.number}+{t.distance})
{add}{load}ld {scratch}, {code}({base})
jr {scratch}
.balign {t.stride}, 0
"""


# Big-endian kernels have little-endian instructions.
ABIS = {
    "x86_64": x86_64,
    "i386": i386,
    "arm64": arm64,
    "arm64_be": arm64,
    "arm": arm,
    "arm_be": arm,
    "riscv64": riscv64,
}


def trampolines(path):
    with open(path) as lines:
        return [Trampoline(n, *map(int, line.split()[:5])) for n, line in enumerate(lines, 1)]


def instructions(objdump, obj, start, stop):
    """The bytes of each, in hexadecimal, without filler."""
    addresses = f"--start-address={start}", f"--stop-address={stop}"
    command = [objdump, "-d", *addresses, obj]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^ *[0-9a-f]+:\t([0-9a-f ]+)\t(\w+)", text, re.MULTILINE)
    return [code.replace(" ", "") for code, name in found if name not in ("int3", "udf")]


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
