# SPDX-License-Identifier: MIT
"""The allocators under test: where they are, and how a program is put under one."""

import glob
import os
import platform
import re
from pathlib import Path

from .errors import UsageError

BASELINE = "jemalloc"
OURS = "goalloc"

# Debian's peers: name, shared object, package.
PEERS = (
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    ("mimalloc", "libmimalloc.so.2", "libmimalloc2.0"),
)


class Allocator:
    """A name, a shared object to preload (None for the C library's own) and its options."""

    def __init__(self, name, path=None, options=None, peer=False):
        self.name = name
        self.path = path
        self.options = options or {}
        self.peer = peer  # one of the four that the bars are stated against

    def preload(self, linked_with_jemalloc=False):
        """What LD_PRELOAD is to hold.

        Debian links redis with jemalloc. To see such a program under the C library's malloc, the C
        library itself is preloaded: its malloc then comes first in the search order.
        """
        if self.path:
            return str(self.path)
        return libc_path() if linked_with_jemalloc else ""

    def environment(self, extra=None):
        """The caller's environment without allocators' options, and with this one's."""
        env = {k: v for k, v in os.environ.items() if not is_allocator_option(k)}
        env.update(self.options)
        env.update(extra or {})
        return env

    def describe(self):
        version = os.path.basename(os.path.realpath(self.path)) if self.path else ""
        if not self.path:
            version = " ".join(platform.libc_ver())
        return {"name": self.name, "library": version, "options": self.options}


def is_allocator_option(name):
    return name in ("LD_PRELOAD", "MALLOC_CONF", "GOALLOC", "GOMEMLIMIT", "GODEBUG",
                    "GLIBC_TUNABLES") or name.startswith(("MALLOC_", "MIMALLOC_", "TCMALLOC_"))


def library_folders():
    """Where Debian keeps shared libraries, this machine's architecture first."""
    own = "/usr/lib/%s-linux-gnu" % platform.machine()
    return [own] + sorted(set(glob.glob("/usr/lib/*-linux-gnu")) - {own}) + ["/usr/lib64"]


def find_library(name):
    for folder in library_folders():
        path = Path(folder) / name
        if path.exists():
            return path
    return None


def libc_path():
    return str(find_library("libc.so.6") or "libc.so.6")


def parse_contender(text):
    """NAME=path.so or NAME=path.so:VARIABLE=value:…"""
    name, equals, rest = text.partition("=")
    # A setting's value may hold colons itself (jemalloc's do).
    path, *settings = re.split(r":(?=[A-Za-z_][A-Za-z0-9_]*=)", rest)
    if not equals or not name or not path:
        raise UsageError("--vs takes NAME=path.so, not '%s'" % text)
    if not os.path.isfile(path):
        raise UsageError("--vs %s: there is no file %s" % (name, path))
    options = {}
    for setting in settings:
        variable, _, value = setting.partition("=")
        options[variable] = value
    return Allocator(name, os.path.abspath(path), options)


def peers(may_be_missing):
    """glibc and Debian's three, in a fixed order. A missing one is an error, if it may not be."""
    found = [Allocator("glibc", peer=True)]
    for name, file, package in PEERS:
        path = find_library(file)
        if path is None and not may_be_missing:
            raise UsageError("%s isn't installed: apt-get install %s, or ./dev bench, which does it"
                             % (file, package))
        found.append(Allocator(name, path, peer=True))
    return found


def choose(lib, contenders, with_ours, only, to_be_built=False):
    """All allocators of a run, ours last. With to_be_built, peers and ours needn't be there yet."""
    chosen = peers(to_be_built) + [parse_contender(text) for text in contenders]
    if with_ours:
        if not os.path.isfile(lib) and not to_be_built:
            raise UsageError("there is no %s: build it with ./dev build, or run the peers alone "
                             "with --no-goalloc" % lib)
        chosen.append(Allocator(OURS, os.path.abspath(lib)))
    names = [a.name for a in chosen]
    for name in names:
        if names.count(name) > 1:
            raise UsageError("two allocators are called %s" % name)
    if only:
        for name in only:
            if name not in names:
                raise UsageError("--only: no allocator is called %s (there are %s)"
                                 % (name, ", ".join(names)))
        chosen = [a for a in chosen if a.name in only]
    return chosen
