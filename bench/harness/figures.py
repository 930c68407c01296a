# SPDX-License-Identifier: MIT
"""What was measured: rows of samples, and the little statistics that is honest about them."""

import math
import statistics

# Groups the means are taken over, in the order they are shown.
GROUPS = (
    ("micro", "1: micro"),
    ("threaded", "2: threaded"),
    ("shape", "3: shapes"),
    ("real", "4: real programs"),
)
# Rows that serve one bar each and count in no mean.
SIDE_GROUPS = (("scale", "scaling"), ("startup", "start-up"))

# Metrics: what they are called, and their unit.
METRICS = {
    "time": "time",
    "cpu": "CPU time",
    "peak_kb": "peak RSS",
    "settled_kb": "RSS 2 s after the end",
    "faults": "page faults",
    "syscalls": "system calls",
}


class Row:
    """One workload: samples of each metric for each allocator, in the order they were taken."""

    def __init__(self, name, group, unit):
        self.name = name
        self.group = group
        self.unit = unit  # of time and cpu: "ns" an operation or "s"
        self.per = "op"
        self.samples = {}
        self.errors = {}
        self.checks = {}

    def add(self, allocator, metric, value):
        if value is not None:
            self.samples.setdefault(allocator, {}).setdefault(metric, []).append(float(value))

    def fail(self, allocator, why):
        self.errors.setdefault(allocator, why)

    def values(self, allocator, metric):
        return self.samples.get(allocator, {}).get(metric, [])

    def median(self, allocator, metric):
        values = self.values(allocator, metric)
        return statistics.median(values) if values else None

    def ratio(self, allocator, base, metric):
        """Median over median; None where either is missing."""
        ours, theirs = self.median(allocator, metric), self.median(base, metric)
        return ours / theirs if ours is not None and theirs else None

    def scatter(self, allocator, metric):
        """The spread as a share of the median; None of a single sample."""
        middle = self.median(allocator, metric)
        width = spread(self.values(allocator, metric))
        return width / middle if middle and width is not None else None

    def best(self, allocators, metric):
        """The name of the allocator with the smallest median, or None."""
        known = [(self.median(a, metric), a) for a in allocators if self.values(a, metric)]
        return min(known)[1] if known else None

    def to_json(self):
        figures = {}
        for allocator, metrics in self.samples.items():
            figures[allocator] = {m: summary(v) for m, v in metrics.items()}
        out = {"name": self.name, "group": self.group, "unit": self.unit, "figures": figures}
        if self.errors:
            out["errors"] = self.errors
        return out


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": values}


def spread(values):
    """Of five samples or more the interquartile range, of fewer all of it: absolute."""
    if len(values) < 2:
        return None
    if len(values) < 5:
        return max(values) - min(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


def is_noise(row, allocator, base, metric):
    """True where the samples scatter more than the two medians differ.

    One sample each says nothing about scatter: that is noise too, until it is repeated.
    """
    if allocator == base:
        return False
    spreads = [spread(row.values(a, metric)) for a in (allocator, base)]
    difference = abs(row.median(allocator, metric) - row.median(base, metric))
    return any(s is None or s > difference for s in spreads)


def geometric_mean(values):
    values = [v for v in values if v is not None and v > 0]
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else None


class Mean:
    """A geometric mean of ratios over rows, with the range that single rounds of it took."""

    def __init__(self, value, low, high, rows):
        self.value, self.low, self.high, self.rows = value, low, high, rows

    @property
    def rounds_differ(self):
        return self.low is not None and self.high > self.low

    def spans(self, limit):
        """True if a verdict against the limit could have gone either way; of one round, always."""
        return self.low is None or self.low <= limit <= self.high


def mean_ratio(rows, allocator, base_of, metric):
    """The mean of allocator / base over rows; base_of(row) names the row's base.

    Each round ran all allocators one after the other, so a round's own mean is a sample of the
    whole figure, and the smallest and largest of them are its spread.
    """
    pairs = []
    for row in rows:
        base = base_of(row)
        ours = row.values(allocator, metric)
        theirs = row.values(base, metric) if base else []
        if ours and theirs:
            pairs.append((row, base, list(zip(ours, theirs))))
    value = geometric_mean([row.ratio(allocator, base, metric) for row, base, _ in pairs])
    if value is None:
        return Mean(None, None, None, 0)
    rounds = min(len(samples) for _, _, samples in pairs)
    means = [geometric_mean([a / b if b else None for a, b in (s[i] for _, _, s in pairs)])
             for i in range(rounds)]
    means = [m for m in means if m is not None]
    if len(means) < 2:
        return Mean(value, None, None, len(pairs))
    # The mean of medians needn't lie between the rounds' means.
    return Mean(value, min(means + [value]), max(means + [value]), len(pairs))
