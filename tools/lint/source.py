# SPDX-License-Identifier: MIT
"""What the checks of this folder share: finding source files and reading them as code."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def files(folder, *suffixes):
    """The files under a folder with one of the suffixes, sorted, as paths from the top."""
    return [path.relative_to(TOP) for path in sorted((TOP / folder).rglob("*"))
            if path.is_file() and path.suffix in suffixes]


def text(path):
    return (TOP / path).read_text(encoding="utf-8")


def blank(match):
    """A comment or a literal becomes spaces, so that lines and columns stay where they are."""
    return re.sub(r"[^\n]", " ", match.group(0))


def code(path, keep_strings=False):
    """The text of a C file without its comments and, unless they are kept, its literals."""
    def replace(match):
        return match.group(0) if keep_strings and match.group(0)[0] in "\"'" else blank(match)
    return TOKEN.sub(replace, text(path))


def matches(pattern, where):
    """Each match of a pattern in a text, with its line number."""
    for match in re.finditer(pattern, where, re.MULTILINE):
        yield where.count("\n", 0, match.start()) + 1, match


class Report:
    """Collects complaints; finish() prints them and ends the program with 1 if there are any."""

    def __init__(self):
        self.complaints = 0

    def error(self, path, line, message):
        self.complaints += 1
        print("%s:%d: %s" % (path, line, message))

    def finish(self, note=""):
        if self.complaints == 0 and note:
            print("note: " + note)
        sys.exit(1 if self.complaints else 0)
