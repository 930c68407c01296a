# SPDX-License-Identifier: MIT
"""Counting system calls, in runs of their own: a traced program's times mean nothing."""

import shutil

from .errors import RowError


def available():
    return shutil.which("strace")


def command(summary, traced, preload):
    """strace in front of a command; the library is preloaded into the traced program alone."""
    prefix = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(summary)]
    if preload:
        prefix += ["-E", "LD_PRELOAD=" + preload]
    return prefix + list(traced)


def count(summary):
    """All calls in a summary that `strace -c -U calls,name` wrote."""
    try:
        with open(summary, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        raise RowError("strace left no summary") from None
    total = 0
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0].isdigit() and words[1] != "total":
            total += int(words[0])
    if total == 0:
        raise RowError("strace counted nothing")
    return total
