# SPDX-License-Identifier: MIT
"""What one run of the harness consists of and what it found."""

import os
import platform
import time

from .figures import Row


class Run:
    """The options, the allocators and everything measured so far. Reports are made from it."""

    def __init__(self, options, allocators):
        self.options = options
        self.allocators = allocators
        self.rows = []
        self.phases = []      # see phases.py
        self.notes = []       # lines for the reader: what was left out, and why
        self.interrupted = False
        self.began = time.time()
        self.machine = machine()

    @property
    def names(self):
        return [a.name for a in self.allocators]

    @property
    def peers(self):
        return [a.name for a in self.allocators if a.peer]

    def allocator(self, name):
        return next((a for a in self.allocators if a.name == name), None)

    def row(self, name, group=None, unit="ns"):
        """The row of that name; made if it is new and a group is given."""
        for row in self.rows:
            if row.name == name:
                return row
        if group is None:
            return None
        self.rows.append(Row(name, group, unit))
        return self.rows[-1]

    def group(self, *groups):
        return [row for row in self.rows if row.group in groups]

    def note(self, line):
        if line not in self.notes:
            self.notes.append(line)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def cpu_name():
    for line in read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def machine():
    thp = read("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "huge_pages": thp[thp.find("[") + 1:thp.find("]")] if "[" in thp else "",
        "load_before": os.getloadavg()[0],
    }
