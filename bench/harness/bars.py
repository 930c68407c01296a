# SPDX-License-Identifier: MIT
"""Where goalloc must stand: each bar with what was measured and whether it holds."""

from . import phases
from .allocators import BASELINE, OURS
from .figures import is_noise, mean_ratio, spread
from .rows import BUMP, REUSE
from .startup import EMPTY, Startup

HOLDS, SHORT, OPEN = "holds", "falls short", "not measured"

MIB_KB = 1024


class Bar:
    """One bar. `value` None means that this run didn't measure it."""

    def __init__(self, about, text, value, limit, shown=None, unsure=False, at_least=False,
                 detail=""):
        self.about = about
        self.text = text
        self.value = value
        self.limit = limit
        self.shown = shown
        self.unsure = unsure
        self.detail = detail
        self.verdict = OPEN
        if value is not None:
            good = value >= limit if at_least else value <= limit
            self.verdict = HOLDS if good else SHORT

    def to_json(self):
        return {"about": self.about, "text": self.text, "value": self.value, "limit": self.limit,
                "verdict": self.verdict, "noise": self.unsure, "detail": self.detail}

    def figure(self):
        if self.value is None:
            return "–"
        return self.shown or "%.2f" % self.value


def all_bars(run):
    """The bars whose rows were part of this run, measured or not."""
    if OURS not in run.names:
        return []
    bars = []
    if run.group("micro", "threaded", "shape"):
        bars += speed_bars(run) + core_bars(run) + scaling_bars(run)
    if run.group("micro", "threaded", "shape", "real"):
        bars += memory_bars(run)
    bars += real_bars(run) + startup_bars(run) + phase_bars(run)
    return bars


def main_metric(run):
    return run.options.by


def mean_bar(about, text, run, rows, base_of, limit, metric):
    mean = mean_ratio(rows, OURS, base_of, metric)
    unsure = mean.value is not None and mean.spans(limit)
    shown = None
    if mean.value is not None:
        shown = "%.3fx" % mean.value
        if mean.rounds_differ:
            shown += " (%.3f–%.3f)" % (mean.low, mean.high)
    detail = "%d rows" % mean.rows if mean.value is not None else ""
    return Bar(about, text, mean.value, limit, shown, unsure, detail=detail)


def worst_row(rows, base_of, metric):
    """(ratio, row, base) of the row that is worst against its base."""
    known = []
    for row in rows:
        base = base_of(row)
        ratio = row.ratio(OURS, base, metric) if base else None
        if ratio is not None:
            known.append((ratio, row.name, row, base))
    if not known:
        return None
    ratio, _, row, base = max(known)
    return ratio, row, base


def worst_bar(about, text, rows, base_of, limit, metric):
    """A bar that every row has to hold: stated by the worst, with how many fall short."""
    worst = worst_row(rows, base_of, metric)
    if worst is None:
        return Bar(about, text, None, limit)
    ratio, row, base = worst
    ratios = [r.ratio(OURS, base_of(r), metric) for r in rows if base_of(r)]
    over = [r for r in ratios if r is not None and r > limit]
    detail = "worst: %s against %s" % (row.name, base)
    if len(over) > 1:
        detail += "; %d of %d rows over" % (len(over), len(ratios))
    return Bar(about, text, ratio, limit, "%.2fx" % ratio, is_noise(row, OURS, base, metric),
               detail=detail)


# ---- issue by issue ----------------------------------------------------------------------------


def speed_bars(run):
    metric = main_metric(run)
    baseline = lambda row: BASELINE  # noqa: E731
    best = lambda row: row.best(run.peers, metric)  # noqa: E731
    rows = run.group("micro", "threaded", "shape")
    return [
        mean_bar("speed", "group 1, against jemalloc: at most 0.32x", run, run.group("micro"),
                 baseline, 0.32, metric),
        mean_bar("speed", "groups 2 and 3, against jemalloc: at most 0.72x", run,
                 run.group("threaded", "shape"), baseline, 0.72, metric),
        mean_bar("speed", "all of them, against the best peer row by row: at most 0.90x", run,
                 rows, best, 0.90, metric),
        worst_bar("speed", "no row above 1.10x of the best peer", rows, best, 1.10, metric),
    ]


def core_bars(run):
    """The core's own bars, against jemalloc, tcmalloc and mimalloc."""
    metric = main_metric(run)
    peers = [name for name in run.peers if name != "glibc"]
    best = lambda row: row.best(peers, metric)  # noqa: E731

    def rows(*prefixes):
        return [r for r in run.rows if r.name.startswith(prefixes)]

    small = [r for r in rows("micro/pair/") if int(r.name.split("/")[-1]) <= 1024]
    large = [r for r in rows("micro/pair/") if int(r.name.split("/")[-1]) > 1024]
    return [
        worst_bar("core", "pairs of 16 to 1024 B: at most 1.0x of the fastest", small, best, 1.0,
                  metric),
        worst_bar("core", "batches and random replacement: at most 0.8x of the fastest",
                  rows("micro/batch_lifo/", "micro/batch_fifo/", "micro/random/"), best, 0.8,
                  metric),
        worst_bar("core", "pairs of 64 KB and 1 MB: at most 1.0x of the fastest", large, best,
                  1.0, metric),
        worst_bar("core", "producer and consumer: at most 0.8x of the fastest",
                  rows("threaded/oneway/"), best, 0.8, metric),
        worst_bar("core", "realloc growing to 16 MB: at most 1.5x of glibc",
                  rows("micro/realloc_string/"), lambda row: "glibc", 1.5, metric),
        warm_calls_bar(large + rows("micro/batch_fifo/")),
    ]


def warm_calls_bar(rows):
    """Stray calls (the timing loop's own, a signal) stay below one in a thousand operations."""
    text = "pairs of 64 KB and 1 MB, FIFO batches: no system call once warm"
    known = [(row.median(OURS, "syscalls"), row.name) for row in rows
             if row.values(OURS, "syscalls")]
    if not known:
        return Bar("core", text, None, 1.0)
    calls, name = max(known)
    return Bar("core", text, calls, 1.0, "%.2f calls per 1000 operations" % calls,
               detail="most: %s" % name)


def scaling_bars(run):
    return [threads_bar(run), live_bar(run)]


def threads_bar(run):
    """Independent work on all threads against one: throughput's gain, per two threads."""
    threads = run.options.threads
    limit = 0.9 * threads
    text = "independent work on %d threads: at least %.1fx of one's throughput" % (threads, limit)
    known = []
    for row in run.rows:
        if not row.name.endswith("/t1"):
            continue
        many = run.row(row.name[:-2] + "t%d" % threads)
        if many and row.values(OURS, "time") and many.values(OURS, "time"):
            known.append((row.median(OURS, "time") / many.median(OURS, "time"), row, many))
    if not known:
        return Bar("scaling", text, None, limit, at_least=True)
    gain, one, many = min(known, key=lambda k: k[0])
    scatter = max((spread(r.values(OURS, "time")) or 0) / r.median(OURS, "time")
                  for r in (one, many))
    return Bar("scaling", text, gain, limit, "%.2fx" % gain, abs(gain - limit) < scatter * gain,
               at_least=True, detail="least: %s" % many.name)


def live_bar(run):
    """The cost at 5 M objects, less what an allocator that does nothing loses to the caches."""
    text = ("5 M live objects: at most 1.5x of 100 k, beyond the cache misses that a bump pointer "
            "takes too")
    small, large = run.row("scale/live/100k/64"), run.row("scale/live/5m/64")
    if not (small and large):
        return Bar("scaling", text, None, 1.5)
    metric = main_metric(run)
    ours = [r.median(OURS, metric) for r in (small, large)]
    bump = [r.median(BUMP, metric) for r in (small, large)]
    if None in ours or None in bump:
        return Bar("scaling", text, None, 1.5)
    ratio = (ours[1] - max(0, bump[1] - bump[0])) / ours[0]
    scatter = sum(spread(r.values(OURS, metric)) or 0 for r in (small, large)) / ours[0]
    return Bar("scaling", text, ratio, 1.5, "%.2fx" % ratio, abs(ratio - 1.5) < scatter,
               detail="goalloc %.0f to %.0f ns, bump pointer %.0f to %.0f ns%s"
               % (ours[0], ours[1], bump[0], bump[1], reuse_detail(small, large, metric)))


def reuse_detail(small, large, metric):
    """A bump pointer's memory is always new: what reusing it costs, without any bookkeeping."""
    reuse = [r.median(REUSE, metric) for r in (small, large)]
    return "" if None in reuse else "; a stack of freed blocks %.0f to %.0f ns" % tuple(reuse)


def memory_bars(run):
    rows = run.group("threaded", "shape", "real")
    peak = mean_bar("memory", "peak RSS, groups 2 to 4, against jemalloc: at most 0.88x", run,
                    rows, lambda row: BASELINE, 0.88, "peak_kb")
    return [peak] + ([settled_bar(run)] if run.group("micro", "threaded", "shape") else [])


def settled_bar(run):
    """What is left when everything was freed, without what the process held before it began."""
    text = "RSS 2 s after everything is freed: at most 10% of the peak"
    known = []
    for row in run.rows:
        settled = row.median(OURS, "settled_kb")
        peak = row.median(OURS, "settled_peak_kb")
        # Of a few megabytes nothing can be said: code and stacks are most of it.
        if settled is not None and peak is not None and peak >= 32 * MIB_KB:
            known.append((settled / peak, row.name))
    torture = phases.find(run, "torture", OURS)
    if torture:
        left = max(0, torture.held_kb("settled") - torture.held_kb("start"))
        known.append((left / torture.peak_kb, "torture at full size"))
    if not known:
        return Bar("memory", text, None, 0.10)
    share, name = max(known)
    over = sum(1 for s, _ in known if s > 0.10)
    return Bar("memory", text, share, 0.10, "%.1f%%" % (100 * share),
               detail="most: %s; %d of %d over" % (name, over, len(known)))


def real_bars(run):
    rows = run.group("real")
    if not rows:
        return []
    metric = main_metric(run)
    slower, faster, unclear = [], [], 0
    for row in rows:
        best = row.best(run.peers, metric)
        ratio = row.ratio(OURS, best, metric) if best else None
        if ratio is None:
            continue
        if is_noise(row, OURS, best, metric):
            unclear += 1
            continue
        (slower if ratio > 1 else faster).append(row.name)
    measured = unclear + len(slower) + len(faster)
    unsure = measured == unclear
    within = "; %d within the noise" % unclear if unclear else ""
    return [
        Bar("real", "no program slower than under the best peer, beyond the spread",
            len(slower) if measured else None, 0, "%d slower" % len(slower) + within, unsure,
            detail=", ".join(slower)),
        Bar("real", "at least three programs faster than under the best peer",
            len(faster) if measured else None, 3, "%d faster" % len(faster) + within, unsure,
            at_least=True, detail=", ".join(faster)),
    ]


def startup_bars(run):
    row = run.row(Startup.name)
    if row is None or not row.values(OURS, "time") or not row.values("glibc", "time"):
        return []  # --only may have left either out
    bars = [worst_bar("start-up", "a program that does nothing: at most 1.15x of no preload",
                      [row], lambda r: "glibc", 1.15, main_metric(run))]
    extra = row.median(OURS, "peak_kb") - row.median("glibc", "peak_kb")
    bars.append(Bar("start-up", "at most 150 KB more memory than no preload", extra, 150,
                    "%d KB" % extra))
    calls, empty = row.median(OURS, "syscalls"), row.median(EMPTY, "syscalls")
    if calls is not None and empty is not None:
        bars.append(Bar("start-up", "at most 5 system calls beyond an empty library's",
                        calls - empty, 5, "%d calls" % (calls - empty)))
    return bars


def phase_bars(run):
    bars = []
    torture = phases.find(run, "torture", OURS)
    if torture:
        held = {name: phases.find(run, "torture", name) for name in run.peers}
        best = min((p.held_kb("refilled"), n) for n, p in held.items() if p) if any(
            held.values()) else None
        if best:
            ratio = torture.held_kb("refilled") / best[0]
            bars.append(Bar("memory", "fragmentation torture when refilled: at most 1.0x of the "
                            "best peer", ratio, 1.0, "%.2fx" % ratio, detail="best: " + best[1]))
    for name, text in (("free256", "256 MiB freed, after 5 s with a small block each 0.1 s"),
                       ("free256_idle", "the same when the process only sleeps")):
        # Asleep it needs its thread; awake it must do without.
        thread = phases.find(run, name, phases.BACKGROUND)
        phase = thread or phases.find(run, name, OURS)
        if phase:
            above = (phase.held_kb("settled") - phase.held_kb("start")) / MIB_KB
            bars.append(Bar("memory", text + ": at most 8 MiB above the start", above, 8,
                            "%.1f MiB" % above, detail="with background=on" if thread else ""))
    small = phases.find(run, "small8m", OURS)
    if small:
        share = small.held_kb("settled") / small.peak_kb
        bars.append(Bar("memory", "8 million small blocks freed, after 10 s: at most 5% of the "
                        "peak", share, 0.05, "%.1f%%" % (100 * share)))
    return bars + sawtooth_bars(run) + server_bars(run) + limit_bars(run)


def sawtooth_bars(run):
    ours = phases.find(run, "sawtooth", OURS)
    if not ours:
        return []
    bars = []
    off = phases.find(run, "sawtooth", phases.OFF)
    text = "sawtooth: at most 3% slower than with the scavenger off"
    if off:
        ratio = ours.values["median_s"] / off.values["median_s"]
        bars.append(Bar("memory", text, ratio, 1.03, "%.2fx" % ratio,
                        detail="medians of the seconds' work"))
    else:
        bars.append(Bar("memory", text, None, 1.03))
    jemalloc = phases.find(run, "sawtooth", BASELINE)
    if jemalloc:
        ratio = ours.minflt / jemalloc.minflt
        bars.append(Bar("memory", "sawtooth: at most 2x of jemalloc's page faults", ratio, 2.0,
                        "%.2fx" % ratio))
    return bars


def server_bars(run):
    ours = phases.find(run, "server", OURS)
    if not ours:
        return []
    ratio = ours.held_kb("replaced") / ours.values["live_kb"]
    return [Bar("memory", "server with half its objects replaced: RSS at most 1.25x of what is "
                "live", ratio, 1.25, "%.2fx" % ratio)]


def limit_bars(run):
    limited = phases.find(run, "memlimit", phases.LIMITED)
    if not limited:
        return []
    over = limited.values["over_s"]
    return [Bar("memory", "memlimit=200MiB with 150 MB live and bursts of garbage: never above it for "
                "longer than 0.1 s", over, 0.1, "%.3f s" % over,
                detail="at most %d MiB" % (limited.values["most_kb"] / MIB_KB))]
