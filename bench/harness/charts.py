# SPDX-License-Identifier: MIT
"""Charts as SVG text: grouped bars on a ratio scale, and lines over time.

Colours are the page's classes (c0, c1 …), so that one picture reads in light and dark.
"""

import math
from html import escape

WIDTH = 960
FONT = 12
MAX_POINTS = 400


def svg(height, parts, label):
    return ('<svg viewBox="0 0 %d %d" role="img" aria-label="%s" '
            'xmlns="http://www.w3.org/2000/svg">%s</svg>'
            % (WIDTH, height, escape(label), "".join(parts)))


def text(x, y, content, kind="label", anchor="start"):
    return '<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>' % (
        x, y, kind, anchor, escape(content))


def line(x1, y1, x2, y2, kind):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>' % (x1, y1, x2, y2, kind)


def rect(x, y, width, height, kind, title):
    return ('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1.5" class="%s"><title>%s'
            "</title></rect>" % (x, y, max(width, 0.5), height, kind, escape(title)))


# ---- means: upright bars from zero -------------------------------------------------------------


def upright(groups, names, label, top=2.0):
    """groups: (title, {name: (value, low, high)}). Bars above `top` are cut and say so."""
    left, bottom, height = 40, 40, 220
    plot = WIDTH - left - 10
    parts = []
    for tick in (0, 0.5, 1.0, 1.5, 2.0):
        y = 20 + height * (1 - tick / top)
        parts.append(line(left, y, left + plot, y, "base" if tick == 1.0 else "grid"))
        parts.append(text(left - 6, y + 4, "%.1fx" % tick, "tick", "end"))
    slot = plot / max(1, len(groups))
    bar = min(34, slot * 0.84 / max(1, len(names)))
    for g, (title, values) in enumerate(groups):
        start = left + slot * g + (slot - bar * len(names)) / 2
        parts.append(text(left + slot * (g + 0.5), 20 + height + 22, title, "label", "middle"))
        for i, name in enumerate(names):
            if values.get(name):
                parts += upright_bar(start + bar * i, bar, height, top, i, name, values[name])
    return svg(20 + height + bottom, parts, label)


def upright_bar(x, width, height, top, index, name, figures):
    value, low, high = figures
    tall = height * min(value, top) / top
    y = 20 + height - tall
    title = "%s: %.3fx" % (name, value)
    if low is not None and high > low:
        title += " (%.3f–%.3f)" % (low, high)
    parts = [rect(x + 1, y, width - 2, tall, "c%d" % index, title)]
    middle = x + width / 2
    if low is not None and high > low and high <= top:
        parts.append(line(middle, 20 + height * (1 - low / top), middle,
                          20 + height * (1 - high / top), "whisker"))
    shown = "%.2f" % value + ("↑" if value > top else "")
    parts.append(text(middle, y - 4, shown, "value", "middle"))
    return parts


# ---- rows: lying bars from 1 on a logarithmic scale --------------------------------------------


def lying(rows, names, label):
    """rows: (title, {name: (ratio, noise)}), or (None, text) for a heading."""
    left, right, bar, gap = 210, 60, 7, 7
    ratios = [r for title, values in rows if title is not None for r, _ in values.values()]
    low = min([0.5] + ratios)
    high = max([2.0] + ratios)
    low, high = max(low, 1 / 64) / 1.1, min(high, 64) * 1.1

    def x_of(ratio):
        share = math.log(min(max(ratio, low), high) / low) / math.log(high / low)
        return left + share * (WIDTH - left - right)

    y = 26
    body = []
    for title, values in rows:
        if title is None:
            body.append(text(4, y + 14, values, "heading"))
            y += 24
            continue
        shown = [(i, n) for i, n in enumerate(names) if n in values]
        tall = bar * len(shown)
        body.append(text(left - 8, y + tall / 2 + 4, title, "label", "end"))
        for k, (i, name) in enumerate(shown):
            ratio, noise = values[name]
            a, b = sorted((x_of(1), x_of(ratio)))
            about = "%s, %s: %s%.2fx" % (title, name, "~" if noise else "", ratio)
            body.append(rect(a, y + bar * k, b - a, bar - 1,
                             "c%d%s" % (i, " noise" if noise else ""), about))
        y += tall + gap
    parts = []
    for tick in (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32):
        if low <= tick <= high:
            x = x_of(tick)
            parts.append(line(x, 20, x, y, "base" if tick == 1 else "grid"))
            parts.append(text(x, 14, ("%gx" % tick) if tick >= 1 else "1/%dx" % round(1 / tick),
                              "tick", "middle"))
    return svg(y + 10, parts + body, label)


# ---- lines over time ---------------------------------------------------------------------------


def nice_step(most, ticks):
    raw = most / ticks
    size = 10 ** math.floor(math.log10(raw)) if raw > 0 else 1
    for factor in (1, 2, 5, 10):
        if raw <= factor * size:
            return factor * size
    return 10 * size


def lines(series, names, label):
    """series: {name: [(seconds, MB)]}."""
    left, right, top, height = 60, 110, 20, 260
    plot = WIDTH - left - right
    most_x = max((p[-1][0] for p in series.values() if p), default=1) or 1
    most_y = max((v for p in series.values() for _, v in p), default=1) or 1
    step_y, step_x = nice_step(most_y, 5), nice_step(most_x, 8)
    most_y = math.ceil(most_y / step_y) * step_y
    parts = []
    for k in range(int(round(most_y / step_y)) + 1):
        y = top + height * (1 - k * step_y / most_y)
        parts.append(line(left, y, left + plot, y, "grid"))
        parts.append(text(left - 6, y + 4, "%g" % (k * step_y), "tick", "end"))
    for k in range(int(most_x / step_x) + 1):
        x = left + plot * k * step_x / most_x
        parts.append(text(x, top + height + 18, "%g s" % (k * step_x), "tick", "middle"))
    parts.append(text(left - 6, 12, "MB", "tick", "end"))
    ends = []
    for i, name in enumerate(names):
        if series.get(name):
            points = [(left + plot * t / most_x, top + height * (1 - v / most_y))
                      for t, v in thin(series[name])]
            path = " ".join("%.1f,%.1f" % p for p in points)
            parts.append('<polyline points="%s" class="line s%d"><title>%s</title></polyline>'
                         % (path, i, escape(name)))
            ends.append([points[-1][1], left + plot, i, name])
    parts += end_labels(ends)
    return svg(top + height + 30, parts, label)


def end_labels(ends):
    """A name at each line's end, moved apart where they would overlap."""
    parts = []
    lowest = 0
    for y, x, i, name in sorted(ends):
        y = max(y + 4, lowest + FONT + 1)
        lowest = y
        parts.append(text(x + 6, y, name, "label t%d" % i))
    return parts


def thin(points):
    """Every n-th point, keeping each stretch's highest: peaks must not disappear."""
    if len(points) <= MAX_POINTS:
        return points
    step = math.ceil(len(points) / MAX_POINTS)
    return [max(points[i:i + step], key=lambda p: p[1]) for i in range(0, len(points), step)]
