# SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
"""GDB support for the trampolines of libtrampfd.

Unwinds frames in trampolines, and names them: "trampoline of compare, context 0x...".
Adds the command "info trampolines".  GDB loads this file with the shared library; for a
program that is linked with libtrampfd.a, use "source".

A trampoline has no frame of its own: it is in a backtrace only if it is the innermost
function, or if a signal interrupted it.  This reads only memory, of a process or of a
core.  globals.c describes trampfd_debug, internal.h the layout of instances.
"""

import collections
import struct

import gdb
import gdb.unwinder
from gdb.FrameDecorator import FrameDecorator

REGION_SIZE = 1 << 20
REGION_GONE = 1
PROBES = 8
MODES = ("DATA", "SLOT", "PUSH")
BACKENDS = {1: "kernel", 2: "library"}
FIELDS = ("version", "nr_regions", "nr_more", "table_offset", "line_size", "pool", "first",
          "nr", "size", "shift", "backend", "attr")


def word_size():
    return gdb.lookup_type("void").pointer().sizeof


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def words(address, count):
    size = word_size()
    return struct.unpack("=%d%s" % (count, "Q" if size == 8 else "I"), read(address, count * size))


def number(address, form):
    return struct.unpack("=" + form, read(address, struct.calcsize("=" + form)))[0]


class Debug:
    """The variable trampfd_debug of the library"""

    def __init__(self, address):
        size = word_size()
        self.regions, self.more = words(address, 2)
        for name, value in zip(FIELDS, struct.unpack("=12I", read(address + 2 * size, 48))):
            setattr(self, name, value)
        self.first_bit = 64 if size == 8 else 32

    @staticmethod
    def find():
        """Return it, or None if the program has none of a known version."""
        try:
            debug = Debug(int(gdb.parse_and_eval("(unsigned long)&trampfd_debug")))
        except gdb.error:  # the base class of gdb.MemoryError
            return None
        return debug if debug.version == 1 else None


class Instance:
    """Trampolines that were mapped together"""

    def __init__(self, debug, region):
        table = region + debug.table_offset
        self.debug = debug
        self.region = region
        self.table = table
        self.pool = words(table + debug.pool, 1)[0]
        self.first = region + number(table + debug.first, "I") % REGION_SIZE
        self.nr = number(table + debug.nr, "I")
        self.size = number(table + debug.size, "I")
        self.stride = 1 << number(table + debug.shift, "B")
        self.backend = BACKENDS.get(number(table + debug.backend, "B"), "?")
        mode = number(self.pool + debug.attr, "I")
        self.mode = MODES[mode] if mode < len(MODES) else "?"

    def used(self):
        """The trampolines that are allocated"""
        bits = 8 * word_size()
        used = words(self.table + self.debug.line_size, (self.nr + bits - 1) // bits)
        for i in range(self.nr):
            if used[i // bits] >> i % bits & 1:
                yield Trampoline(self, self.first + i * self.stride)

    def at(self, address):
        """The trampoline whose code contains an address, or None"""
        offset = address - self.first
        if not 0 <= offset < self.nr * self.stride:
            return None
        return Trampoline(self, address - offset % self.stride)


class Trampoline:
    """A trampoline of an instance"""

    def __init__(self, instance, address):
        self.instance = instance
        self.address = address
        self.slot = address + instance.debug.table_offset
        self.data, self.code = words(self.slot, 2)

    @property
    def target(self):
        return name_of(self.code) if self.code else "nothing"

    def __str__(self):
        context = self.data if self.instance.mode == "DATA" else self.slot
        return "trampoline of %s, context %#x" % (self.target, context)


def name_of(address):
    """The name of the function at an address, or the address"""
    symbol = gdb.execute("info symbol %#x" % address, to_string=True)
    if symbol.startswith("No symbol"):
        return "%#x" % address
    return symbol.split(" in section ")[0].rstrip()


def regions(debug):
    tables = [(debug.regions, debug.nr_regions)]
    more = words(debug.more, 1)[0]
    if more:
        tables.append((more, debug.nr_more))
    return sorted(r for at, nr in tables for r in words(at, nr) if r not in (0, REGION_GONE))


def is_region(debug, region):
    """Whether a region is in the library's hash tables"""
    size = word_size()
    tables = [(debug.regions, debug.nr_regions)]
    for at, nr in tables:
        home = region // REGION_SIZE
        for i in range(PROBES):
            found = words(at + (home + i) % nr * size, 1)[0]
            if found == region:
                return True
            if not found:
                break
        if len(tables) == 1:
            more = words(debug.more, 1)[0]
            if more:
                tables.append((more, debug.nr_more))
    return False


def find(address):
    """The trampoline at an address, or None"""
    if address % REGION_SIZE >= REGION_SIZE // 2:
        return None
    debug = Debug.find()
    region = address - address % REGION_SIZE
    try:
        if debug and is_region(debug, region):
            return Instance(debug, region).at(address)
    except gdb.MemoryError:
        pass
    return None


class FrameId:
    """A frame ID for create_unwind_info(); GDB 14 has gdb.unwinder.FrameId"""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


def i386_pushed(trampoline, pc):
    """Bytes that the trampoline has pushed (frames.c)"""
    offset = pc - trampoline.address
    if trampoline.instance.mode == "PUSH":
        return 4 * (offset >= 5) + 4 * (offset == 10)
    return 4 * (offset == 9)


class Unwinder(gdb.unwinder.Unwinder):
    """Unwinds a trampoline as a function at its first instruction."""

    # Stack pointer and program counter; where a call does not push the return address,
    # also the link register
    STACK = {"i386:x86-64": ("rsp", "rip"), "i386": ("esp", "eip")}
    LINK = {
        "aarch64": ("sp", "pc", "x30"),
        "arm": ("sp", "pc", "lr"),
        "riscv:rv64": ("sp", "pc", "ra"),
        "powerpc:common64": ("r1", "pc", "lr"),
        "s390:64-bit": ("r15", "pswa", "r14"),
        "Loongarch64": ("r3", "pc", "r1"),
    }

    def __init__(self):
        super().__init__("trampfd")

    def __call__(self, frame):
        pc = int(frame.read_register("pc")) & (1 << 8 * word_size()) - 1
        trampoline = find(pc)
        if not trampoline:
            return None
        architecture = frame.architecture()
        name = architecture.name()
        if name in self.STACK:
            sp_name, pc_name = self.STACK[name]
            sp = frame.read_register(sp_name)
            at = int(sp) + (i386_pushed(trampoline, pc) if name == "i386" else 0)
            cfa = at + word_size()
            back = words(at, 1)[0]
        else:
            link = next((v for k, v in self.LINK.items() if name.startswith(k)), None)
            if not link:
                return None
            sp_name, pc_name, link_name = link
            sp = frame.read_register(sp_name)
            cfa = int(sp)
            back = int(frame.read_register(link_name)) & (1 << 8 * word_size()) - 1
        info = frame.create_unwind_info(FrameId(cfa, trampoline.address))
        pc_type = frame.read_register(pc_name).type
        for register in architecture.registers("general"):
            if register.name == sp_name:
                value = gdb.Value(cfa).cast(sp.type)
            elif register.name == pc_name:
                value = gdb.Value(back).cast(pc_type)
            else:
                value = frame.read_register(register.name)
            info.add_saved_register(register, value)
        return info


class Decorator(FrameDecorator):
    """Gives a frame a name"""

    def __init__(self, frame, name):
        super().__init__(frame)
        self.name = name

    def function(self):
        return self.name


class Filter:
    """Names frames in trampolines, for the command backtrace"""

    def __init__(self):
        self.name = "trampfd"
        self.priority = 50
        self.enabled = True

    def filter(self, frames):
        for frame in frames:
            inferior_frame = frame.inferior_frame()
            trampoline = None
            if inferior_frame.type() == gdb.NORMAL_FRAME and not inferior_frame.function():
                trampoline = find(inferior_frame.pc())
            yield Decorator(frame, str(trampoline)) if trampoline else frame


class InfoTrampolines(gdb.Command):
    """List the trampolines of libtrampfd: for each instance, the start of its code,
backend, mode and stride, the number of trampolines in use, and their targets.

Usage: info trampolines [ADDRESS]
With ADDRESS, describe the trampoline whose code contains it."""

    def __init__(self):
        super().__init__("info trampolines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        debug = Debug.find()
        if not debug:
            raise gdb.GdbError("No libtrampfd of a known version in this program.")
        if argument:
            address = int(gdb.parse_and_eval(argument).cast(gdb.lookup_type("long")))
            trampoline = find(address & (1 << 8 * word_size()) - 1)
            if not trampoline:
                raise gdb.GdbError("No trampoline is at %s." % argument)
            print("%#x: %s" % (trampoline.address, trampoline))
            return
        try:
            self.list(debug)
        except gdb.MemoryError:
            raise gdb.GdbError("The program is not running.")

    @staticmethod
    def list(debug):
        nr = 0
        for region in regions(debug):
            instance = Instance(debug, region)
            used = list(instance.used())
            nr += len(used)
            print("%#x  %s, %s, stride %d: %d of %d in use" % (
                instance.first, instance.backend, instance.mode, instance.stride, len(used),
                instance.nr))
            for code, count in collections.Counter(t.code for t in used).most_common():
                print("    %d of %s" % (count, name_of(code) if code else "nothing"))
        print("%d trampolines in use" % nr)


def name_at_stop(event):
    """Name the trampoline in which the program stopped: GDB applies no filter there."""
    try:
        trampoline = find(gdb.newest_frame().pc())
    except gdb.error:
        return
    if trampoline:
        print("In a %s" % trampoline)


def install(where):
    gdb.unwinder.register_unwinder(where, Unwinder(), replace=True)
    (where or gdb).frame_filters["trampfd"] = Filter()
    InfoTrampolines()
    if not hasattr(gdb, "trampfd_is_here"):
        gdb.trampfd_is_here = True
        gdb.events.stop.connect(name_at_stop)


install(gdb.current_objfile())
