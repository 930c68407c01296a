# SPDX-License-Identifier: MIT
"""report.html: one page that needs nothing else, readable in light and dark."""

import os
import time
from html import escape

from . import bars as bars_of
from . import charts, phases
from .allocators import OURS
from .figures import GROUPS, METRICS, SIDE_GROUPS, is_noise, mean_ratio
from .text import baseline, digits, megabytes, quantity, ratio_cell, with_base_first

# Light, dark; the allocator under test stands out.
OUR_COLOUR = ("#1d5fd1", "#6ea8ff")
COLOURS = (
    ("#8a8f98", "#8d939e"), ("#c98a1b", "#d9a441"), ("#2f9e83", "#46b79b"), ("#b2569f", "#cf7abd"),
    ("#d1495b", "#e8717f"), ("#6a994e", "#8fbf72"), ("#7a5af8", "#a08bff"), ("#4a6572", "#8aa5b1"),
)

STYLE = """
:root { color-scheme: light dark; --bg: #ffffff; --fg: #1c2128; --soft: #59626d; --rule: #e3e6ea;
        --base: #9aa2ad; --card: #f7f8fa; --good: #1f7a3d; --bad: #b3261e; %(light)s }
@media (prefers-color-scheme: dark) {
  :root { --bg: #14171b; --fg: #e4e7eb; --soft: #9aa3ae; --rule: #2b3138; --base: #6b7480;
          --card: #1b1f25; --good: #5cc27e; --bad: #ff8a80; %(dark)s } }
body { background: var(--bg); color: var(--fg); font: 15px/1.5 system-ui, sans-serif;
       max-width: 1040px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { margin: 2.4rem 0 .4rem; font-size: 1.2rem }
p { color: var(--soft); margin: .3rem 0 } svg { width: 100%%; height: auto; display: block }
svg text { font: 12px system-ui, sans-serif; fill: var(--fg); paint-order: stroke;
           stroke: var(--bg); stroke-width: 3px; stroke-linejoin: round }
svg .tick, svg .value { fill: var(--soft); font-size: 11px } svg .heading { font-weight: 600 }
svg .grid { stroke: var(--rule) } svg .base { stroke: var(--base) }
svg .whisker { stroke: var(--fg); stroke-width: 1.5; opacity: .65 }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round } svg .noise { opacity: .35 }
%(classes)s
.legend span { display: inline-block; margin-right: 1.1rem; white-space: nowrap }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px;
            margin-right: .35rem; vertical-align: -1px }
table { border-collapse: collapse; width: 100%%; font-size: 13px;
        font-variant-numeric: tabular-nums }
th, td { padding: .22rem .5rem; text-align: right; border-bottom: 1px solid var(--rule) }
th:first-child, td:first-child { text-align: left } th { color: var(--soft); font-weight: 600 }
td.group { font-weight: 600; background: var(--card); text-align: left }
.bars td, .bars th { text-align: left } .holds { color: var(--good); font-weight: 600 }
.short { color: var(--bad); font-weight: 600 } .open { color: var(--soft) }
.bars td:first-child { white-space: nowrap }
.scroll { overflow-x: auto } details { margin: .6rem 0 } summary { cursor: pointer }
"""


def style(names):
    pairs, spare = [], iter(COLOURS)
    for name in names:
        pairs.append(OUR_COLOUR if name == OURS else next(spare, COLOURS[0]))
    classes = "\n".join("svg .c%d { fill: var(--c%d) } svg .s%d { stroke: var(--c%d) } "
                        "svg text.t%d { fill: var(--c%d) }" % ((i,) * 6)
                        for i in range(len(pairs)))
    light, dark = (" ".join("--c%d: %s;" % (i, pair[k]) for i, pair in enumerate(pairs))
                   for k in (0, 1))
    return STYLE % {"light": light, "dark": dark, "classes": classes}


def legend(names):
    return '<p class="legend">%s</p>' % "".join(
        '<span><i style="background: var(--c%d)"></i>%s</span>' % (i, escape(n))
        for i, n in enumerate(names))


def section(title, *parts):
    return "<h2>%s</h2>\n%s\n" % (escape(title), "\n".join(p for p in parts if p))


def paragraph(line):
    return "<p>%s</p>" % escape(line)


# ---- the parts of the page ---------------------------------------------------------------------


def heading(run):
    m = run.machine
    lines = [
        time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run.began)),
        "%s, %d cores, Linux %s, %s, huge pages: %s" % (m["cpu"], m["cores"], m["kernel"],
                                                        m["libc"], m["huge_pages"] or "unknown"),
        "%d rounds, interleaved; allocators: %s" % (
            run.options.repeat,
            ", ".join("%(name)s (%(library)s)" % a.describe() for a in run.allocators)),
    ]
    return "<h1>goalloc beside its peers</h1>\n" + "\n".join(map(paragraph, lines + run.notes))


def bars_section(run):
    bars = bars_of.all_bars(run)
    if not bars:
        return ""
    kinds = {bars_of.HOLDS: "holds", bars_of.SHORT: "short", bars_of.OPEN: "open"}
    rows = "".join(
        '<tr><td class="%s">%s%s</td><td>%s</td><td>%s</td><td>%s</td></tr>' % (
            kinds[bar.verdict], "~" if bar.unsure and bar.value is not None else "", bar.verdict,
            escape(bar.text), escape(bar.figure()), escape(bar.detail))
        for bar in bars)
    return section("Where goalloc must stand",
                   paragraph("~ marks a verdict that lies within the noise."),
                   '<div class="scroll"><table class="bars"><tr><th>verdict</th><th>bar</th>'
                   "<th>measured</th><th></th></tr>%s</table></div>" % rows)


def means_section(run, base, metric, title):
    groups = []
    for group, about in GROUPS:
        rows = run.group(group)
        values = {}
        for name in run.names:
            mean = mean_ratio(rows, name, lambda row: base, metric)
            if mean.value is not None:
                values[name] = (mean.value, mean.low, mean.high)
        if values:
            groups.append((about, values))
    if not groups:
        return ""
    return section("%s against %s, by group" % (title, base),
                   paragraph("Geometric means; smaller is better. A stroke spans what single "
                             "rounds gave."),
                   legend(run.names), charts.upright(groups, run.names, title))


def rows_section(run, base, metric, title, groups):
    lines = []
    for group, about in groups:
        rows = [r for r in run.group(group) if r.values(base, metric)]
        lines += [(None, about)] if rows else []
        for row in rows:
            values = {}
            for name in run.names:
                ratio = row.ratio(name, base, metric)
                if name != base and ratio:
                    values[name] = (ratio, is_noise(row, name, base, metric))
            lines.append((row.name, values))
    if not lines:
        return ""
    return section("%s against %s, row by row" % (title, base),
                   paragraph("From the middle line to the left: less than %s; pale: within the "
                             "noise. The scale is logarithmic." % base),
                   legend(run.names), charts.lying(lines, run.names, title))


def phases_section(run):
    parts = []
    for program, about, *_ in phases.PROGRAMS:
        measured = {p.allocator: p for p in run.phases if p.program == program}
        if not measured:
            continue
        series = {name: [(t, kb / 1024) for t, kb in p.series] for name, p in measured.items()}
        # Variants of ours are in the table alone: their lines would hide ours.
        parts.append(section("Memory over time: %s" % about, legend(run.names),
                             charts.lines(series, run.names, about), phase_table(measured)))
    return "".join(parts)


def phase_table(measured):
    marks = list(next(iter(measured.values())).marks)
    head = "".join("<th>%s</th>" % escape(m) for m in marks)
    rows = "".join(
        "<tr><td>%s</td>%s<td>%.1f</td><td>%d</td><td>%.2f</td></tr>" % (
            escape(name), "".join("<td>%.1f</td>" % (p.held_kb(m) / 1024) for m in marks),
            p.peak_kb / 1024, p.minflt, p.cpu_s)
        for name, p in measured.items())
    return ('<div class="scroll"><table><tr><th>MB after</th>%s<th>peak</th><th>page faults</th>'
            "<th>CPU s</th></tr>%s</table></div>" % (head, rows))


def table_section(run, base):
    """Everything that was measured, one table a metric, folded away."""
    tables = []
    for metric, title in METRICS.items():
        rows = [r for r in run.rows if any(r.values(n, metric) for n in run.names)]
        if rows:
            tables.append("<details><summary>%s</summary>%s</details>"
                          % (escape(title), metric_table(run, rows, base, metric)))
    return section("All figures", paragraph(
        "Medians, and half the spread of the samples. Page faults and system calls of "
        "the benchmark's rows are per 1000 operations; of real programs, of the whole run; times "
        "of nginx and postgres are of 10,000 requests and 1,000 transactions."),
        *tables) if tables else ""


def metric_table(run, rows, base, metric):
    names = with_base_first(run, base)
    head = "<tr><th>row</th>%s</tr>" % "".join("<th>%s</th>" % escape(n) for n in names)
    body = []
    for group, about in GROUPS + SIDE_GROUPS:
        chosen = [r for r in rows if r.group == group]
        if chosen:
            body.append('<tr><td class="group" colspan="%d">%s</td></tr>'
                        % (len(names) + 1, escape(about)))
        for row in chosen:
            cells = "".join("<td>%s</td>" % escape(cell(row, n, base, metric)) for n in names)
            body.append("<tr><td>%s</td>%s</tr>" % (escape(row.name), cells))
    return '<div class="scroll"><table>%s%s</table></div>' % (head, "".join(body))


def cell(row, name, base, metric):
    value = row.median(name, metric)
    if value is None:
        return "failed" if name in row.errors else "–"
    if metric in ("time", "cpu"):
        scatter = row.scatter(name, metric)
        shown = quantity(value, row.unit)
        shown += " ±%.0f%%" % (50 * scatter) if scatter is not None else ""
    elif metric.endswith("_kb"):
        shown = megabytes(value)
    else:
        shown = digits(value)
    return shown if name == base else "%s (%s)" % (shown, ratio_cell(row, name, base, metric))


def page(run):
    base = baseline(run)
    metric = run.options.by
    title = "CPU time" if metric == "cpu" else "Time"
    with_memory = [g for g in GROUPS if g[0] != "micro"]
    parts = [
        heading(run),
        bars_section(run),
        means_section(run, base, metric, title),
        means_section(run, base, "peak_kb", "Peak memory"),
        phases_section(run),
        rows_section(run, base, metric, title, GROUPS),
        rows_section(run, base, "peak_kb", "Peak memory", with_memory),
        table_section(run, base),
    ]
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<title>goalloc beside its peers</title><style>%s</style></head>\n<body>\n%s</body>"
            "</html>\n" % (style(run.names), "\n".join(parts)))


def write(run, path):
    partial = path.with_suffix(".partial")
    partial.write_text(page(run), encoding="utf-8")
    os.replace(partial, path)
