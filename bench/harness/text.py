# SPDX-License-Identifier: MIT
"""The report in the terminal."""

from . import bars as bars_of
from . import phases
from .allocators import BASELINE, OURS
from .figures import GROUPS, SIDE_GROUPS, is_noise, mean_ratio

NAME_WIDTH = 32
CELL = 11
SPREAD = 8


def print_report(run, out):
    write = lambda line="": out.write(line + "\n")  # noqa: E731
    base = baseline(run)
    if any(run.group(g) for g, _ in GROUPS):
        time_table(run, base, write)
        memory_table(run, base, write)
        means_table(run, base, write)
    phase_table(run, write)
    bars_table(run, write)
    errors(run, write)
    for note in run.notes:
        write("note: " + note)


def baseline(run):
    return BASELINE if BASELINE in run.names else run.names[0]


def with_base_first(run, base):
    return [base] + [n for n in run.names if n != base]


def quantity(value, unit):
    """Three significant digits, in the unit that suits: ns, us, ms, s."""
    if value is None:
        return "–"
    scale = {"ns": 1e-9, "us": 1e-6, "s": 1.0}[unit]
    seconds = value * scale
    for size, name in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= size:
            return "%s %s" % (digits(seconds / size), name)
    return "%s ns" % digits(seconds / 1e-9)


def digits(value):
    return "%.0f" % value if value >= 100 else "%.1f" % value if value >= 10 else "%.2f" % value


def times(ratio):
    """Small ratios with as many digits as it takes to tell them apart."""
    return "%.4fx" % ratio if ratio < 0.01 else "%.3fx" % ratio if ratio < 0.1 else "%.2fx" % ratio


def megabytes(kb):
    return "–" if kb is None else "%.1f MB" % (kb / 1024)


def ratio_cell(row, name, base, metric):
    """A ratio, with ~ where the samples scatter more than the difference it claims."""
    ratio = row.ratio(name, base, metric)
    if ratio is None:
        return "failed" if name in row.errors else "–"
    return ("~" if is_noise(row, name, base, metric) else "") + times(ratio)


def scatter_cell(row, names, metric):
    """The largest spread of any allocator's samples, as a share of its median."""
    known = [row.scatter(n, metric) for n in names]
    known = [s for s in known if s is not None]
    return "%.0f%%" % (100 * max(known)) if known else ""


def header(run, base, last, write):
    names = with_base_first(run, base)
    write("%-*s%s%s" % (NAME_WIDTH, "", "".join("%*s" % (CELL, n[:CELL - 1]) for n in names),
                        "  " + last if last else ""))


def time_table(run, base, write):
    metric = run.options.by
    title = "CPU time" if metric == "cpu" else "Time"
    write("%s an operation: of %s as it is, of the others against it; ~ is within the noise"
          % (title, base))
    last = "%*s" % (SPREAD, "spread")
    header(run, base, ("vs best peer" if OURS in run.names else "") + last, write)
    for group, about in GROUPS + SIDE_GROUPS:
        rows = run.group(group)
        if rows:
            write("%s" % about)
        for row in rows:
            cells = [quantity(row.median(base, metric), row.unit)]
            cells += [ratio_cell(row, n, base, metric) for n in run.names if n != base]
            line = "  %-*s" % (NAME_WIDTH - 2, row.name)
            line += "".join("%*s" % (CELL, c) for c in cells)
            if OURS in run.names:
                line += "%*s" % (CELL + 3, against_best(run, row, metric))
            write(line + "%*s" % (SPREAD, scatter_cell(row, run.names, metric)))
    write()


def against_best(run, row, metric):
    best = row.best(run.peers, metric)
    if best is None:
        return ""
    return ratio_cell(row, OURS, best, metric) + " " + best[:3]


def memory_table(run, base, write):
    rows = [r for r in run.group("threaded", "shape", "real") if r.values(base, "peak_kb")]
    if not rows:
        return
    write("Peak memory (RSS): of %s as it is, of the others against it" % base)
    header(run, base, "%*s" % (CELL + 1, "2 s later"), write)
    for row in rows:
        cells = [megabytes(row.median(base, "peak_kb"))]
        cells += [ratio_cell(row, n, base, "peak_kb") for n in run.names if n != base]
        later = row.median(OURS, "settled_kb")
        write("  %-*s%s%*s" % (NAME_WIDTH - 2, row.name, "".join("%*s" % (CELL, c) for c in cells),
                               CELL + 3, megabytes(later) if later is not None else ""))
    write()


def means_table(run, base, write):
    metric = run.options.by
    write("Geometric means against %s (smaller is better); against the best peer row by row below"
          % base)
    header(run, base, "", write)
    groups = [((g,), about) for g, about in GROUPS if run.group(g)]
    measured = [g for (g,), _ in groups]
    if len(groups) > 1:
        groups.append((tuple(g for g in measured if g != "real"), "groups 1 to 3"))
    for what, quantity_name in ((metric, "time"), ("peak_kb", "peak")):
        for chosen, about in groups:
            write(means_line(run, run.group(*chosen), "%s, %s" % (quantity_name, about),
                             lambda row: base, what))
    rows = [r for g in measured for r in run.group(g)]
    write(means_line(run, rows, "time, against the best peer",
                     lambda row: row.best(run.peers, metric), metric))
    write()


def means_line(run, rows, about, base_of, metric):
    cells = []
    for name in with_base_first(run, baseline(run)):
        mean = mean_ratio(rows, name, base_of, metric)
        cells.append("%.3fx" % mean.value if mean.value is not None else "–")
    return "  %-*s%s" % (NAME_WIDTH - 2, about, "".join("%*s" % (CELL, c) for c in cells))


def phase_table(run, write):
    if not run.phases:
        return
    write("Memory after each phase, MB")
    for program, about, *_ in phases.PROGRAMS:
        measured = [p for p in run.phases if p.program == program]
        if not measured:
            continue
        write("  %s: %s" % (program, about))
        marks = list(measured[0].marks)
        write("    %-22s%s%12s%12s" % ("", "".join("%11s" % m for m in marks), "peak", "work"))
        for phase in measured:
            held = "".join("%11.1f" % (phase.held_kb(m) / 1024) for m in marks)
            work = phase.values.get("work_s")
            write("    %-22s%s%12.1f%12s" % (phase.allocator, held, phase.peak_kb / 1024,
                                             "%.2f s" % work if work is not None else ""))
    write()


def bars_table(run, write):
    bars = bars_of.all_bars(run)
    if not bars:
        return
    write("Where goalloc must stand")
    for bar in bars:
        verdict = ("~" if bar.unsure and bar.value is not None else "") + bar.verdict
        write("  %-13s %s" % (verdict, bar.text))
        if bar.value is not None:
            write("  %-13s   %s%s" % ("", bar.figure(), ", " + bar.detail if bar.detail else ""))
    count = lambda v: sum(1 for b in bars if b.verdict == v)  # noqa: E731
    write("  %d hold, %d fall short, %d not measured"
          % (count(bars_of.HOLDS), count(bars_of.SHORT), count(bars_of.OPEN)))
    write()


def errors(run, write):
    failed = [(row.name, name, why) for row in run.rows for name, why in row.errors.items()]
    for row, name, why in failed:
        write("failed: %s under %s: %s" % (row, name, why))
    if failed:
        write()
