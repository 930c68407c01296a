# SPDX-License-Identifier: MIT
"""Programs about memory over time: `ga_bench --phase NAME` under each allocator."""

import json

from . import children
from .allocators import OURS, Allocator
from .errors import RowError

# Name, what it shows, seconds it takes, seconds of a smoke test.
PROGRAMS = (
    ("torture", "1 GB of mixed sizes, nine tenths freed at random, filled with other sizes", 8, 3),
    ("free256", "256 MiB of 64 KiB blocks freed, then a small block each 0.1 s", 6, 1.5),
    ("free256_idle", "the same, then only sleeping", 6, 1.5),
    ("small8m", "8 million small blocks freed in random order", 15, 3),
    ("sawtooth", "512 MiB allocated and freed every second", 33, 6),
    ("server", "1 GB of live objects, half of them replaced by other sizes", 66, 6),
    ("memlimit", "150 MB of live objects and bursts of garbage", 22, 3),
)

# What a program is run with beside goalloc as it is: to see what giving back costs, what a process
# that only sleeps gives back when it has a thread for it, and how a memory limit is kept.
OFF = OURS + "-scavenge-off"
BACKGROUND = OURS + "-background"
LIMITED = OURS + "-memlimit-200MiB"
VARIANTS = {
    "sawtooth": (OFF, "scavenge", "off"),
    "free256_idle": (BACKGROUND, "background", "on"),
    "memlimit": (LIMITED, "memlimit", "200MiB"),
}


class Phase:
    """What one program showed under one allocator."""

    def __init__(self, program, allocator, data):
        self.program = program
        self.allocator = allocator
        self.marks = {mark["name"]: mark for mark in data["marks"]}
        self.values = data["values"]
        self.series = data["series"]
        self.cpu_s = data["cpu_s"]
        self.minflt = data["minflt"]

    def held_kb(self, mark):
        """Resident memory at a mark, without the program's own tables."""
        m = self.marks.get(mark)
        return m["rss_kb"] - m["own_kb"] if m else None

    @property
    def peak_kb(self):
        return max(m["peak_kb"] for m in self.marks.values())

    def to_json(self):
        return {"program": self.program, "allocator": self.allocator, "cpu_s": self.cpu_s,
                "minflt": self.minflt, "marks": list(self.marks.values()), "values": self.values,
                "series": self.series}


class Phases:
    """The programs chosen, run one after the other: each alone on the machine."""

    def __init__(self, run, ga_bench, names):
        self.run = run
        self.ga_bench = ga_bench
        self.programs = [p for p in PROGRAMS if p[0] in names]
        self.variants = our_variants(run.allocator(OURS))

    def jobs(self):
        for program in self.programs:
            for allocator in self.run.allocators:
                yield program, allocator
            if program[0] in self.variants:
                yield program, self.variants[program[0]]

    def cost(self):
        return sum(self.cost_of(program) for program, _ in self.jobs())

    def cost_of(self, program):
        return program[3] if self.run.options.quick else program[2]

    def measure(self, progress):
        for program, allocator in self.jobs():
            progress.show("memory: %s under %s" % (program[0], allocator.name))
            self.once(program[0], allocator)
            progress.step(self.cost_of(program))

    def once(self, name, allocator):
        command = [self.ga_bench, "--phase", name]
        command += ["--quick"] if self.run.options.quick else []
        env = allocator.environment({"LD_PRELOAD": allocator.preload()})
        try:
            data = json.loads(children.output(command, env))
        except (RowError, ValueError) as error:
            self.run.note("%s under %s: %s" % (name, allocator.name, error))
            return
        self.run.phases.append(Phase(name, allocator.name, data))


def find(run, program, allocator):
    for phase in run.phases:
        if phase.program == program and phase.allocator == allocator:
            return phase
    return None


def our_variants(ours):
    """{program: goalloc with other settings}, as far as this build of it has such options."""
    if ours is None:
        return {}
    env = ours.environment({"LD_PRELOAD": ours.preload(), "GOALLOC": "help"})
    known = [word for line in children.both_outputs(["/bin/true"], env).splitlines()
             for word in line.split()]
    return {program: Allocator(name, ours.path, {"GOALLOC": "%s=%s" % (option, value)})
            for program, (name, option, value) in VARIANTS.items() if option in known}
