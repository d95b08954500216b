# SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
"""GDB and the trampolines of libtrampfd.

Frames in trampolines have their caller, and a name: "trampoline of compare, context
0x...".  "info trampolines" lists them.  GDB loads this with the library; for a program
that has the library in it (libtrampfd.a), "source" it.

A trampoline makes no frame: one is in a backtrace if it is at the top, or if a signal
interrupted it.  All that is read is memory, of a process or of a core.  globals.c says
what trampfd_debug has, internal.h where trampolines are.
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
    """trampfd_debug, or None if the program has none or none that is known here"""

    def __init__(self, address):
        size = word_size()
        self.regions, self.more = words(address, 2)
        for name, value in zip(FIELDS, struct.unpack("=12I", read(address + 2 * size, 48))):
            setattr(self, name, value)
        self.first_bit = 64 if size == 8 else 32

    @staticmethod
    def find():
        try:
            debug = Debug(int(gdb.parse_and_eval("(unsigned long)&trampfd_debug")))
        except gdb.error:  # of which gdb.MemoryError is one
            return None
        return debug if debug.version == 1 else None


class Instance:
    """Trampolines that were mapped at once"""

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
        """The trampoline whose code is at an address, which may be in the midst of it"""
        offset = address - self.first
        if not 0 <= offset < self.nr * self.stride:
            return None
        return Trampoline(self, address - offset % self.stride)


class Trampoline:
    """One that an instance has"""

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
    """As functions are named in a backtrace"""
    said = gdb.execute("info symbol %#x" % address, to_string=True)
    if said.startswith("No symbol"):
        return "%#x" % address
    return said.split(" in section ")[0].rstrip()


def regions(debug):
    tables = [(debug.regions, debug.nr_regions)]
    more = words(debug.more, 1)[0]
    if more:
        tables.append((more, debug.nr_more))
    return sorted(r for at, nr in tables for r in words(at, nr) if r not in (0, REGION_GONE))


def is_region(debug, region):
    """By the hash tables, as the library looks for it"""
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
    """What create_unwind_info() wants; gdb.unwinder has one from GDB 14 on"""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


def i386_pushed(trampoline, pc):
    """Bytes on the stack that are the trampoline's own (frames.c)"""
    offset = pc - trampoline.address
    if trampoline.instance.mode == "PUSH":
        return 4 * (offset >= 5) + 4 * (offset == 10)
    return 4 * (offset == 9)


class Unwinder(gdb.unwinder.Unwinder):
    """The frame of a trampoline is that of a function that was just called."""

    # In the stack or in a register: where the return address is; the names of both
    STACK = {"i386:x86-64": ("rsp", "rip"), "i386": ("esp", "eip")}
    LINK = {
        "aarch64": ("sp", "pc", "x30"),
        "arm": ("sp", "pc", "lr"),
        "riscv:rv64": ("sp", "pc", "ra"),
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
    """A frame with another name"""

    def __init__(self, frame, name):
        super().__init__(frame)
        self.name = name

    def function(self):
        return self.name


class Filter:
    """For backtrace: names the frames in trampolines"""

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
    """List the trampolines of libtrampfd: for each instance, which were mapped at
once, where its code begins, whose it is, what it does, how many are in use, and their
targets.

Usage: info trampolines [ADDRESS]
With ADDRESS, which may be in the midst of one, say what that trampoline does."""

    def __init__(self):
        super().__init__("info trampolines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        debug = Debug.find()
        if not debug:
            raise gdb.GdbError("The program has no libtrampfd that this script knows.")
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
    """GDB prints where it stopped without frame filters."""
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
