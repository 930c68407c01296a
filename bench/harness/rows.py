# SPDX-License-Identifier: MIT
"""Groups 1 to 3: the rows of ga_bench, each in a process of its own."""

import json
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import children, strace
from .allocators import Allocator
from .errors import RowError

SETTLE_S = 2.0
START_COST_S = 0.15       # of a process and a row's setup, for the progress bar
BUMP = "bump"             # the allocator that does nothing; see bench/bump.c
BUMP_MB = 800             # holds the standing set and everything the iterations allocate
BUMP_ITERATIONS = 6000
REUSE = "reuse"           # the same, but it gives freed blocks out again
REUSED_SIZE = 64          # of the scale/live rows
TRACED_SHARE = 10         # a traced run does a tenth of a timed one's iterations


def group_of(name):
    """Rows of one thread only are there for the scaling bar and count in no mean."""
    return "scale" if name.endswith("/t1") else name.split("/")[0]


class Rows:
    """The rows that match, and the passes over them."""

    def __init__(self, run, ga_bench, bump, pattern):
        self.run = run
        self.ga_bench = ga_bench
        self.bump = Allocator(BUMP, bump, {"GA_BUMP_MB": str(BUMP_MB)})
        self.reuse = Allocator(REUSE, bump, {"GA_BUMP_MB": str(BUMP_MB),
                                             "GA_BUMP_REUSE": str(REUSED_SIZE)})
        options = run.options
        listed = children.output([ga_bench, "--list", "--threads", options.threads],
                                 Allocator("none").environment()).split()
        self.names = [name for name in listed if re.search(pattern, name)]
        self.base = ["--json", "--threads", str(options.threads)]
        self.base += ["--quick"] if options.quick else []
        self.iterations = {}  # row -> fewest iterations of any allocator's timed run

    def cost(self):
        per_row = self.run.options.min_time * 1.6 + START_COST_S
        timed = len(self.names) * len(self.run.allocators) * self.run.options.repeat * per_row
        return timed + self.once_cost() * (2 if strace.available() else 1)

    def once_cost(self):
        return len(self.once_names()) * (self.settle_s() + 2)

    def once_names(self):
        """Rows that are measured for settling and traced: all, in a smoke test one a group."""
        if not self.run.options.quick:
            return self.names
        first = {}
        for name in self.names:
            first.setdefault(group_of(name), name)
        return list(first.values())

    def settle_s(self):
        return 0.2 if self.run.options.quick else SETTLE_S

    # ---- timed -------------------------------------------------------------------------------

    def timed(self, progress):
        options = self.run.options
        for _ in range(options.repeat):
            for name in self.names:
                row = self.run.row(name, group_of(name))
                for allocator in self.run.allocators:
                    progress.show("%s under %s" % (name, allocator.name))
                    self.timed_once(row, allocator, ["--min-time", str(options.min_time)])
                    progress.step(options.min_time * 1.6 + START_COST_S)
                if name.startswith("scale/live"):
                    for library in self.bump, self.reuse:
                        self.timed_once(row, library, ["--iterations", str(BUMP_ITERATIONS)])

    def timed_once(self, row, allocator, how):
        try:
            result = self.one(row.name, allocator, how)
        except RowError as error:
            row.fail(allocator.name, str(error))
            return
        operations = result["iterations"] * result["ops"]
        row.add(allocator.name, "time", result["ns"])
        row.add(allocator.name, "cpu", result["cpu_ns"])
        row.add(allocator.name, "peak_kb", result["peak_kb"])
        row.add(allocator.name, "faults", 1000 * result["minflt"] / operations)
        self.compare_check(row, allocator, result.get("check"))
        if allocator not in (self.bump, self.reuse):
            fewest = self.iterations.get(row.name, result["iterations"])
            self.iterations[row.name] = min(fewest, result["iterations"])

    @staticmethod
    def compare_check(row, allocator, check):
        """Rows that compute something must compute the same under every allocator."""
        row.checks.setdefault(allocator.name, check)
        if any(other != check for other in row.checks.values()):
            row.fail(allocator.name, "computed something else than under another allocator")

    def one(self, name, allocator, how):
        command = [self.ga_bench, "--rows", "^%s$" % re.escape(name)] + self.base + how
        env = allocator.environment({"LD_PRELOAD": allocator.preload()})
        return parse(children.output(command, env))

    # ---- memory after the work, and system calls: not timed, so side by side -----------------

    def settled(self, progress):
        self.side_by_side(progress, "memory after", self.settled_once)

    def traced(self, progress):
        if not strace.available():
            self.run.note("System calls weren't counted: strace isn't installed.")
            return
        self.side_by_side(progress, "system calls of", self.traced_once)

    def side_by_side(self, progress, what, once):
        with ThreadPoolExecutor(len(self.run.allocators)) as pool:
            for name in self.once_names():
                progress.show("%s %s" % (what, name))
                row = self.run.row(name, group_of(name))
                list(pool.map(lambda a, r=row: self.guarded(once, r, a), self.run.allocators))
                progress.step(self.settle_s() + 2)

    @staticmethod
    def guarded(once, row, allocator):
        try:
            once(row, allocator)
        except RowError as error:
            row.fail(allocator.name, str(error))

    def settled_once(self, row, allocator):
        how = ["--settle", str(self.settle_s()), "--iterations", str(self.fewest(row))]
        result = self.one(row.name, allocator, how)
        # What the process held before the row began is code and the C++ library's.
        row.add(allocator.name, "settled_kb", max(0, result["settled_kb"] - result["start_kb"]))
        row.add(allocator.name, "settled_peak_kb", result["peak_kb"])

    def traced_once(self, row, allocator):
        """Calls per 1000 operations once warm: what twice the work costs beyond once."""
        iterations = max(1, self.fewest(row) // TRACED_SHARE)
        calls, operations = self.count_calls(row, allocator, iterations)
        more_calls, more_operations = self.count_calls(row, allocator, 2 * iterations)
        if more_operations > operations:
            calls = max(0, more_calls - calls)
            operations = more_operations - operations
        # else the row's repeat count is fixed, and start-up can't be told apart
        row.add(allocator.name, "syscalls", 1000 * calls / operations)

    def count_calls(self, row, allocator, iterations):
        command = [self.ga_bench, "--rows", "^%s$" % re.escape(row.name)] + self.base
        command += ["--iterations", str(iterations)]
        with tempfile.TemporaryDirectory(prefix="ga-strace-") as folder:
            summary = Path(folder) / "summary"
            result = parse(children.output(
                strace.command(summary, command, allocator.preload()), allocator.environment()))
            return strace.count(summary), result["iterations"] * result["ops"]

    def fewest(self, row):
        return self.iterations.get(row.name, 1)


def parse(text):
    try:
        return json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise RowError("printed no figures") from None
