# SPDX-License-Identifier: MIT
"""The command line: what to measure, with what, and the reports in the end."""

import argparse
import difflib
import os
import re
import signal
import sys
from pathlib import Path

from . import allocators, children, html, jsonfile, text
from .errors import UsageError
from .phases import PROGRAMS, Phases
from .progress import Progress
from .real import RealPrograms
from .rows import Rows
from .run import Run
from .startup import Startup

TOP = Path(__file__).resolve().parent.parent.parent

VERBS = {
    "alloc": "the allocator's benchmarks: micro, threaded, shapes, start-up, torture",
    "real": "real programs: redis, sqlite, python, gcc, perl, ruby, nginx, memcached, postgres",
    "rss": "memory over time: what is given back, how soon, at what cost",
    "all": "all of them",
}


class Parser(argparse.ArgumentParser):
    """Answers a mistake with one line and the nearest word."""

    def error(self, message):
        words = [w for action in self._actions for w in action.option_strings] + list(VERBS)
        unknown = re.search(r"unrecognized arguments: (\S+)|invalid choice: '([^']*)'", message)
        if unknown:
            word = (unknown.group(1) or unknown.group(2)).partition("=")[0]
            near = difflib.get_close_matches(word, words, 1, 0.5)
            hint = "; did you mean %s?" % near[0] if near else "; bench/run --help lists all"
            message = "no argument %s%s" % (word, hint)
        raise UsageError(message)


def parser():
    p = Parser(prog="bench/run", allow_abbrev=False,
               formatter_class=argparse.RawDescriptionHelpFormatter,
               description="Measures goalloc and its peers (glibc, jemalloc, tcmalloc, mimalloc) "
                           "in one interleaved run.",
               epilog="what:\n" + "\n".join("  %-6s %s" % item for item in VERBS.items()))
    p.add_argument("what", choices=list(VERBS), metavar="alloc|real|rss|all")
    p.add_argument("--quick", action="store_true",
                   help="a smoke test: everything runs once and small; the times mean nothing")
    p.add_argument("--vs", action="append", default=[], metavar="NAME=path.so",
                   help="one more allocator; environment settings may follow, each as :NAME=value")
    p.add_argument("--only", action="append", default=[], metavar="NAME",
                   help="of all allocators these alone (repeatable)")
    p.add_argument("--rows", default=".", metavar="REGEX", help="rows whose name matches")
    p.add_argument("--repeat", type=positive, metavar="N",
                   help="rounds of alloc (default 5) and real (default 3)")
    p.add_argument("--min-time", type=seconds, metavar="S",
                   help="least time a row is measured for (default 0.2)")
    p.add_argument("--threads", type=thread_count, default=2, metavar="N",
                   help="threads of the threaded rows (default 2)")
    p.add_argument("--by", choices=("time", "cpu"), default="time",
                   help="what tables and bars compare: elapsed time (default), or CPU time, which "
                        "a busy machine disturbs less")
    p.add_argument("--lib", default=str(TOP / "build" / "libgoalloc.so"), metavar="path.so",
                   help="the goalloc under test (default build/libgoalloc.so)")
    p.add_argument("--no-goalloc", action="store_true", help="the peers alone")
    p.add_argument("--build", default=str(TOP / "build-bench"), metavar="DIR",
                   help="where the benchmarks were built (default build-bench)")
    p.add_argument("--out", default=str(TOP / "bench" / "out"), metavar="DIR",
                   help="where the reports go (default bench/out)")
    p.add_argument("--check", action="store_true",
                   help="only look whether the command line is right: nothing need be built yet")
    return p


def positive(text_):
    value = int(text_)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def thread_count(text_):
    value = int(text_)
    if not 2 <= value <= 256:
        raise argparse.ArgumentTypeError("must be from 2 to 256")
    return value


def seconds(text_):
    value = float(text_)
    if not 0 < value <= 60:
        raise argparse.ArgumentTypeError("must be above 0, at most 60")
    return value


def parse(argv):
    options = parser().parse_args(argv)
    if options.min_time is None:
        options.min_time = 0.005 if options.quick else 0.2
    options.repeat_real = options.repeat or (1 if options.quick else 3)
    options.repeat = options.repeat or (1 if options.quick else 5)
    try:
        re.compile(options.rows)
    except re.error as error:
        raise UsageError("--rows %s: %s" % (options.rows, error)) from None
    return options


def built(options, *names):
    """Paths of our own programs."""
    paths = [Path(options.build) / "bench" / name for name in names]
    for path in paths:
        if not path.exists():
            raise UsageError("there is no %s: build the benchmarks with ./dev bench" % path)
    return paths


def plan(run):
    """The stages of this run: objects with cost() and a list of steps taking the progress bar."""
    options = run.options
    ga_bench, bump, launcher, nothing, empty = built(
        options, "ga_bench", "libbump.so", "ga_launch", "ga_nothing", "libempty.so")
    stages = []
    wanted = re.compile(options.rows)
    if options.what in ("alloc", "all"):
        rows = Rows(run, ga_bench, bump, options.rows)
        if rows.names:
            stages.append((rows.cost(), [rows.timed, rows.settled, rows.traced]))
        if wanted.search(Startup.name):
            startup = Startup(run, launcher, nothing, empty)
            stages.append((startup.cost(), [startup.measure]))
    programs = [name for name, *_ in PROGRAMS if wanted.search("rss/" + name)]
    if options.what == "alloc":
        programs = [name for name in programs if name == "torture"]
    if options.what in ("alloc", "rss", "all") and programs:
        memory = Phases(run, ga_bench, programs)
        stages.append((memory.cost(), [memory.measure]))
    if options.what in ("real", "all"):
        real = RealPrograms(run, launcher, Path(options.build) / "bench", options.rows)
        if real.programs:
            stages.append((real.cost(), [real.measure]))
    if not stages:
        raise UsageError("no row matches --rows %s" % options.rows)
    return stages


def measure(run, stages):
    progress = Progress(sum(cost for cost, _ in stages))
    try:
        for _, steps in stages:
            for step in steps:
                step(progress)
    except KeyboardInterrupt:
        # A second Ctrl-C mustn't tear the reports.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        run.interrupted = True
        run.note("Interrupted: what follows is what had been measured by then.")
    finally:
        children.stop_all()
        progress.close()


def report(run):
    out = Path(run.options.out)
    out.mkdir(parents=True, exist_ok=True)
    jsonfile.write(run, out / "report.json")
    html.write(run, out / "report.html")
    text.print_report(run, sys.stdout)
    for name in ("report.html", "report.json"):
        print("wrote %s" % os.path.relpath(out / name))


def busy_note(run):
    if run.machine["load_before"] > 0.5:
        run.note("The machine was busy before the run began (load %.1f): expect noise."
                 % run.machine["load_before"])
    if run.options.quick:
        run.note("--quick: every row ran once and for a moment; the figures mean nothing.")


def stop_on_term(_number, _frame):
    raise KeyboardInterrupt


def main(argv):
    try:
        options = parse(argv)
        chosen = allocators.choose(options.lib, options.vs, not options.no_goalloc, options.only,
                                   to_be_built=options.check)
        if options.check:
            return 0
        run = Run(options, chosen)
        stages = plan(run)
    except UsageError as error:
        print("bench/run: %s" % error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, stop_on_term)
    busy_note(run)
    measure(run, stages)
    report(run)
    if run.interrupted:
        return 130
    return 1 if any(row.errors for row in run.rows) else 0
