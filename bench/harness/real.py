# SPDX-License-Identifier: MIT
"""Group 4: real programs. Each is run as its users run it, with the allocator preloaded."""

import glob
import re
import shutil
import tempfile
from pathlib import Path

from . import real_batch, real_database, real_servers, strace
from .errors import RowError

# Where programs are that aren't on everyone's PATH.
FOLDERS = ("/usr/sbin", "/usr/local/sbin")


def find_program(name):
    """A program's path: a name, or a path with wildcards (the last match: the newest version)."""
    if name.startswith("/"):
        found = sorted(glob.glob(name))
        return found[-1] if found else None
    return shutil.which(name) or shutil.which(name, path=":".join(FOLDERS))


class Setting:
    """What a program needs to know of the run: where things are and how much to do."""

    def __init__(self, launcher, ours, work, quick):
        self.launcher = launcher  # ga_launch
        self.ours = ours          # the folder of our own programs
        self.work = work          # a folder that is removed in the end
        self.quick = quick
        self.source = Path(__file__).resolve().parent.parent / "real"
        self.paths = {}           # program -> where it is

    def amount(self, full, quick):
        return quick if self.quick else full


class RealPrograms:
    """The programs whose rows match, prepared once and then run round by round."""

    def __init__(self, run, launcher, ours, pattern):
        self.run = run
        self.launcher = launcher
        self.ours = ours
        every = real_batch.programs() + real_servers.programs() + real_database.programs()
        self.programs = []
        for program in every:
            program.rows = [row for row in program.rows if re.search(pattern, "real/" + row)]
            if program.rows:
                self.programs.append(program)

    def cost(self):
        rounds = self.run.options.repeat_real
        share = 0.15 if self.run.options.quick else 1.0
        one = sum(p.seconds * share + 1 for p in self.programs)
        return one * len(self.run.allocators) * (rounds + 0.5)

    def measure(self, progress):
        with tempfile.TemporaryDirectory(prefix="ga-real-") as folder:
            # Servers that drop their privileges have to get through to their own folders.
            Path(folder).chmod(0o755)
            setting = Setting(self.launcher, self.ours, Path(folder), self.run.options.quick)
            ready = [p for p in self.programs if self.prepare(p, setting, progress)]
            for number in range(self.run.options.repeat_real):
                for program in ready:
                    for allocator in self.run.allocators:
                        self.once(program, allocator, setting, number == 0, progress)
            if strace.available():
                self.trace(ready, setting, progress)

    def prepare(self, program, setting, progress):
        progress.show("%s: preparing" % program.name)
        for need in program.needs:
            path = find_program(need)
            if path is None:
                self.run.note("%s is left out: there is no %s (./dev bench real installs it)"
                              % (program.name, need))
                return False
            setting.paths[need] = path
        try:
            program.prepare(setting)
        except RowError as error:
            self.run.note("%s is left out: %s" % (program.name, error))
            return False
        for row in program.rows:
            self.run.row("real/" + row, "real", "s")
        return True

    def once(self, program, allocator, setting, first, progress):
        progress.show("%s under %s" % (program.name, allocator.name))
        try:
            figures = program.measure(allocator, setting, settle=first and not setting.quick)
        except RowError as error:
            for row in program.rows:
                self.run.row("real/" + row).fail(allocator.name, str(error))
            return
        finally:
            progress.step(program.seconds * (0.15 if setting.quick else 1.0) + 1)
        for row, metrics in figures.items():
            for metric, value in metrics.items():
                if row in program.rows:
                    self.run.row("real/" + row).add(allocator.name, metric, value)

    def trace(self, programs, setting, progress):
        for program in programs:
            for allocator in self.run.allocators:
                progress.show("system calls of %s under %s" % (program.name, allocator.name))
                try:
                    calls = program.trace(allocator, setting)
                except RowError as error:
                    self.run.note("system calls of %s under %s: %s"
                                  % (program.name, allocator.name, error))
                    continue
                finally:
                    progress.step((program.seconds + 1) * 0.5)
                for row, count in calls.items():
                    if row in program.rows:
                        self.run.row("real/" + row).add(allocator.name, "syscalls", count)
