# SPDX-License-Identifier: MIT
"""What preloading costs a program that does nothing: time, memory, system calls."""

import tempfile
from pathlib import Path

from . import children, strace
from .allocators import Allocator
from .errors import RowError

STARTS = 200         # one after another, a sample
STARTS_QUICK = 10
EMPTY = "empty"      # a library with nothing in it: what the loader takes
COST_S = 0.4


class Startup:
    """One row, startup/nothing; under the allocators and under an empty library."""

    name = "startup/nothing"

    def __init__(self, run, launcher, program, empty):
        self.run = run
        self.launcher = launcher
        self.program = program
        self.subjects = run.allocators + [Allocator(EMPTY, empty)]
        self.starts = STARTS_QUICK if run.options.quick else STARTS

    def cost(self):
        return self.run.options.repeat * len(self.subjects) * COST_S

    def measure(self, progress):
        row = self.run.row(self.name, "startup", "us")
        for _ in range(self.run.options.repeat):
            for subject in self.subjects:
                progress.show("%s under %s" % (self.name, subject.name))
                self.once(row, subject)
                progress.step(COST_S)
        for subject in self.subjects:
            self.trace(row, subject)

    def once(self, row, subject):
        try:
            used = children.launch(self.launcher, [self.program], subject, times=self.starts)
        except RowError as error:
            row.fail(subject.name, str(error))
            return
        row.add(subject.name, "time", used["wall_s"] * 1e6 / self.starts)
        row.add(subject.name, "cpu", (used["user_s"] + used["sys_s"]) * 1e6 / self.starts)
        row.add(subject.name, "peak_kb", used["peak_kb"])
        row.add(subject.name, "faults", used["minflt"] / self.starts)

    def trace(self, row, subject):
        if not strace.available():
            return
        with tempfile.TemporaryDirectory(prefix="ga-strace-") as folder:
            summary = Path(folder) / "summary"
            try:
                children.output(strace.command(summary, [self.program], subject.preload()),
                                subject.environment())
                row.add(subject.name, "syscalls", strace.count(summary))
            except RowError as error:
                row.fail(subject.name, str(error))
