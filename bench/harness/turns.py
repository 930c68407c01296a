# SPDX-License-Identifier: MIT
"""Programs that print a figure a line, run in turns and compared: what the rows of coroutines and of
the collector share."""

import os
import statistics

from . import children


def figures(command, environment):
    """What the program prints, by name: lines of a word and a number. Others are passed over."""
    lines = (line.split() for line in children.output(command, environment).splitlines())
    return {words[0]: float(words[1]) for words in lines if len(words) == 2}


def spread(values):
    """How far the furthest is from the median, as a part of it."""
    middle = statistics.median(values)
    return max(abs(value - middle) for value in values) / middle if middle else 0.0


def ratio(ours, theirs):
    """Of the medians, as text; behind a ~ if the spread could explain it."""
    middle = statistics.median(theirs)
    if not middle:
        return ""
    of_medians = statistics.median(ours) / middle
    noise = abs(1 - of_medians) < spread(ours) + spread(theirs)
    return ("~" if noise else "") + "%.2f" % of_medians


def build_go(source, folder, name):
    """Builds one file of Go; its path."""
    program = folder / name
    environment = dict(os.environ, GO111MODULE="off", GOCACHE=str(folder / "cache"))
    children.output(["go", "build", "-o", program, source], environment)
    return program
