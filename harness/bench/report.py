#!/usr/bin/env python3
"""Prints what was measured as tables of Markdown, those of docs/benchmarks.md, and
draws plots with gnuplot, as SVG and PNG.

  report.py DIRECTORY    reads <abi>/bench.tsv and <abi>/native.tsv there; the plots go there
"""

import os
import re
import subprocess
import sys

DIRECTORY = sys.argv[1]
CALL_ABIS = "x86_64", "i386", "arm64", "arm", "riscv64", "s390x"
NATIVE_ABIS = "x86_64", "i386"

MILLION = "1000000"
INSTRUCTIONS = "create instructions each"
CHARGED = "charged bytes each"


def measured(abi, name):
    """The lines of a file, split.  Lines of another length are messages of a library."""
    path = f"{DIRECTORY}/{abi}/{name}.tsv"
    width = {"bench": 4, "exact": 4, "native": 7}[name]
    if not os.path.exists(path):
        return []
    with open(path) as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    return [line for line in lines if len(line) == width]


def section(*text):
    print(f"\n{' '.join(text)}\n")


def table(rows):
    """Prints a table; the first row has the heads of the columns."""
    rows = [[cell or ("-" if i else "") for i, cell in enumerate(row)] for row in rows]
    rows.insert(1, ["---", *(["---:"] * (len(rows[0]) - 1))])
    for row in rows:
        print(f"| {' | '.join(row)} |")


def rounded(number, digits):
    text = f"{number:.{digits}f}".removesuffix(".0")
    return "0" if text == "-0" else text


def readable(value):
    if not re.fullmatch(r"-?[0-9.]+", value):
        return value
    number = float(value)
    return rounded(number, 1) if abs(number) < 100 else f"{number:,.0f}"


def by_method(columns):
    """Prints x86_64: a row for each method, a column for each WHAT and number."""
    lines = measured("x86_64", "bench")
    values = {(method, n, what): value for method, n, what, value in lines}

    def cell(method, what, n):
        if (method, n, what) in values:
            return readable(values[method, n, what])
        if (method, n, "stops") in values:
            return f"stops at {values[method, n, 'stops']}"
        return "fails" if (method, n, "fails") in values else ""

    table(
        [["Trampolines", *(head for head, _, _ in columns)]]
        + [
            [method, *(cell(method, what, n) for _, what, n in columns)]
            for method in methods(lines)
        ]
    )


def methods(lines):
    return list(dict.fromkeys(line[0] for line in lines))


def by_abi(n, what, less=False):
    """Prints WHAT with N trampolines, a column for each ABI; less: minus the first method's"""
    tables = {abi: lines for abi in CALL_ABIS if (lines := measured(abi, "bench"))}
    columns = {
        abi: {method: float(value) for method, *key, value in lines if key == [n, what]}
        for abi, lines in tables.items()
    }
    names = list(dict.fromkeys(method for column in columns.values() for method in column))

    def cell(column, method):
        if method not in column:
            return ""
        number = column[method] - (column.get(names[0], 0) if less else 0)
        return rounded(number, 1 if number < 100 and not less else 0)

    table(
        [["Trampolines", *columns]]
        + [[method, *(cell(column, method) for column in columns.values())] for method in names]
    )


def native_table(abi, columns):
    """Prints lines with these words, a column for each word and number."""
    lines = [line for line in measured(abi, "native") if line[2] in columns]
    heads = list(dict.fromkeys(line[1] + columns[line[2]] for line in lines))
    cells, spread = {}, {}
    for method, number, what, *times in lines:
        median, low, high, _ = map(float, times)
        cells[method, number + columns[what]] = f"{median:.1f}"
        spread[method] = max(spread.get(method, 0), 100 * (high - low) / median)
    table(
        [["Trampolines", *heads, "spread"]]
        + [
            [method, *(cells.get((method, head), "") for head in heads), f"{spread[method]:.0f} %"]
            for method in methods(lines)
        ]
    )


def relative_table(abi):
    """Prints times of calls at random, relative to the method to compare with."""
    what = "at random, relative"
    numbers = "1024", "8192", "32768"
    words = "", " quartiles", " least"
    rows = {
        (method, number): (median, low, high, least)
        for method, number, order, median, low, high, least in measured(abi, "native")
        if order == what
    }
    table(
        [["Trampolines", *(f"{int(n):,}{word}" for n in numbers for word in words)]]
        + [
            [method]
            + [
                cell
                for n in numbers
                for median, low, high, least in [map(float, rows[method, n])]
                for cell in (f"{median:.2f}", f"{low:.2f}, {high:.2f}", f"{least:.2f}")
            ]
            for method in dict.fromkeys(method for method, _ in rows)
        ]
    )


def step_table(abi):
    """Prints the results of exact.c, a column for each mode."""
    rows = {}
    for method, n, what, value in measured(abi, "exact"):
        rows.setdefault(what, {})[method] = value
    modes = methods(measured(abi, "exact"))
    table(
        [["", *modes]]
        + [
            [what, *(readable(values.get(mode, "")) for mode in modes)]
            for what, values in rows.items()
        ]
    )


def tables():
    section("Instructions for each, to make and set it, by how many are made (x86_64)")
    by_method([(f"{n:,}", INSTRUCTIONS, str(n)) for n in (1, 1000, 100000, 1000000, 3000000)])

    section(
        "Of a million (x86_64), for each: instructions of the first call, of setting it again,",
        "of freeing in random order or releasing all at once; in all: page faults,",
        "calls to map and protect memory",
    )
    by_method(
        [
            ("first call", "first call instructions each", MILLION),
            ("set", "set instructions each", MILLION),
            ("free", "free instructions each", MILLION),
            ("release", "release instructions each", MILLION),
            ("faults made", "create faults", MILLION),
            ("faults called", "first call faults", MILLION),
            ("mapping calls", "create mapping calls", MILLION),
        ]
    )

    section(
        "Memory of a million (x86_64), bytes for each: anonymous, shared, page tables,",
        "of the kernel's slab, everything that is charged; mappings in all",
    )
    by_method(
        [
            ("anonymous", "anonymous bytes each", MILLION),
            ("shared", "shared memory bytes each", MILLION),
            ("page tables", "page table bytes each", MILLION),
            ("slab", "slab bytes each", MILLION),
            ("charged", CHARGED, MILLION),
            ("VMAs", "VMAs", MILLION),
        ]
    )

    section(
        "Processes (x86_64): instructions more to start one that makes one, and beside another",
        "process that has one; bytes charged for each",
        "trampoline of 100 processes with 1,000; instructions more to fork with a million; in a",
        "process under PR_SET_MDWE; in the sandbox",
    )
    by_method(
        [
            ("start", "more at start, instructions", "1"),
            ("beside another", "more at start beside another, instructions", "1"),
            ("100 processes", "of 100 processes, charged bytes each", "100000"),
            ("its page tables", "of 100 processes, page table bytes each", "100000"),
            ("fork", "fork instructions", MILLION),
            ("MDWE", "under PR_SET_MDWE", "1"),
            ("sandbox", "in the sandbox", "1"),
        ]
    )

    for abi in CALL_ABIS:
        if measured(abi, "exact"):
            section(
                f"One trampoline, step by step, and all that a file has, by mode ({abi}): the",
                "table is set in every other page; instructions are the least of 20 times",
            )
            step_table(abi)

    section("Instructions of a call, more than a function pointer has, by ABI")
    by_abi("1000", "call instructions each", less=True)
    for title, what in (
        ("instructions to make and set one", INSTRUCTIONS),
        ("instructions of the first call of each", "first call instructions each"),
        ("bytes charged for each", CHARGED),
        ("mappings", "VMAs"),
    ):
        section(f"Of 100,000, by ABI: {title}")
        by_abi("100000", what)
    section("Of 100,000, by ABI: instructions to release one, or to free it in random order")
    by_abi("100000", "release instructions each")
    by_abi("100000", "free instructions each")
    section("Of 100 processes with 1,000, by ABI: bytes charged for each")
    by_abi("100000", "of 100 processes, charged bytes each")
    section("One, by ABI: instructions more to start the process that makes it")
    by_abi("1", "more at start, instructions")

    for abi in native_abis():
        section(
            f"Nanoseconds of a call on this machine ({abi}), by how many different ones are",
            "called in turn, in sequence or at random: medians; quartiles are at most so many",
            "percent apart",
        )
        native_table(abi, {"in sequence": "", "at random": " random"})
        section(
            f"The same at random ({abi}), in times of an RWX page, and of closures in times of",
            "closures in an RWX page: the median of rounds, its quartiles, and of the least times",
        )
        relative_table(abi)
        section(
            f"Nanoseconds on this machine ({abi}) that pass for a call of one of 1,024, and to",
            "make and free one, by how many threads do so at the same time: medians, and",
            "quartiles as before",
        )
        native_table(abi, {"called by threads": " calling", "made by threads": " making"})


def native_abis():
    return [abi for abi in NATIVE_ABIS if measured(abi, "native")]


def plot(name, data, size, settings):
    """Writes NAME.data and plots it with gnuplot commands, in which DATA is the file."""
    path = f"{DIRECTORY}/{name}"
    with open(f"{path}.data", "w") as file:
        file.write(data)
    for terminal, look in ("svg", "background rgb 'white'"), ("png", "noenhanced"):
        script = f"""
            set terminal {terminal} size {size} {look}
            set output "{path}.{terminal}"
            {settings.replace("DATA", f'"{path}.data"')}
        """
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


# The methods of overview.svg, from its top: how the plot names each, its name in bench.tsv,
# and in native.tsv, if calls of it were timed.
OVERVIEW = (
    ("RWX page", "RWX page", "RWX page"),
    ("W^X, a page at a time", "W^X, a page at a time", None),
    ("static trampolines", "text mapped again", "text mapped again"),
    ("trampfd DATA", "trampfd DATA", "trampfd DATA"),
    ("trampfd SLOT", "trampfd SLOT", "trampfd SLOT"),
    (),
    ("closure in RWX page", "closure in RWX page", "closure in RWX page"),
    ("closure in trampfd slot", "closure in trampfd slot", "closure in trampfd slot"),
    (),
    ("libffi, dynamic", "libffi 3.8.0", "libffi 3.8.0"),
    ("libffi, static", "libffi 3.8.0, static trampolines", "libffi 3.8.0, static trampolines"),
    ("libffi over libtrampfd", "libffi 3.8.0 over libtrampfd", "libffi 3.8.0 over libtrampfd"),
)


def plot_overview():
    """Draws overview.svg by overview.gp, from lines ROW LABEL BYTES NS NS NS."""
    charged = {
        method: value
        for method, _, what, value in measured("x86_64", "bench")
        if what == "of 100 processes, charged bytes each"
    }
    times = {
        (method, number): median
        for method, number, order, median, *_ in measured("x86_64", "native")
        if order == "at random"
    }
    path = f"{DIRECTORY}/overview"
    with open(f"{path}.data", "w") as file:
        for row, names in enumerate(OVERVIEW):
            if not names:
                continue
            label, bench, native = names
            cells = [charged.get(bench, "NaN")]
            cells += [times.get((native, number), "NaN") for number in ("1024", "8192", "32768")]
            print(row, f'"{label}"', *cells, file=file)
    script = os.path.join(os.path.dirname(__file__), "overview.gp")
    subprocess.run(["gnuplot", "-c", script, f"{path}.data", f"{path}.svg"], check=True)


def plot_by_number(name, title, what):
    """Plots WHAT by number of trampolines, a line for each method."""
    points = {}
    for method, n, name_of, value in measured("x86_64", "bench"):
        if name_of == what and float(value) > 0:
            points.setdefault(method, []).append(f"{n} {value}\n")
    data = "".join(f'"{method}"\n{"".join(lines)}\n\n' for method, lines in points.items())
    plot(
        name,
        data,
        "900,560",
        f"""
            set title "{title}"
            set logscale xy
            set xlabel "trampolines"
            set xtics ("1" 1, "1,000" 1000, "100,000" 100000, "3,000,000" 3000000)
            set xrange [0.7:5000000]
            set key outside right noenhanced
            set grid
            plot for [i=0:{len(points) - 1}] DATA index i using 1:2 with linespoints \\
                title columnheader(1)
        """,
    )


def plot_native(abi):
    """Plots the time of a call as bars, a group for each number of trampolines and order."""
    lines = [line for line in measured(abi, "native") if line[2] in ("in sequence", "at random")]
    groups = list(dict.fromkeys((number, order) for _, number, order, *_ in lines))
    times = {(method, (number, order)): median for method, number, order, median, *_ in lines}
    names = methods(lines)
    rows = [["order", *(f'"{method}"' for method in names)]]
    for group in groups:
        rows.append([f'"{" ".join(group)}"', *(times.get((method, group), "") for method in names)])
    plot(
        f"native-{abi}",
        "".join(" ".join(row) + "\n" for row in rows),
        "1100,560",
        f"""
            set title "nanoseconds of a call, {abi}, median"
            set style data histograms
            set style fill solid 0.8
            set logscale y
            set yrange [1:*]
            set xtics rotate by -20
            set key outside right noenhanced autotitle columnheader
            set grid y
            plot for [i=2:{len(rows[0])}] DATA using i:xtic(1)
        """,
    )


tables()
sys.stdout.flush()
if measured("x86_64", "native"):
    plot_overview()
plot_by_number("create", "Instructions to make and set a trampoline, x86_64", INSTRUCTIONS)
plot_by_number("memory", "Bytes charged for a trampoline, x86_64", CHARGED)
plot_by_number("vmas", "Mappings (VMAs), x86_64", "VMAs")
for abi in native_abis():
    plot_native(abi)
