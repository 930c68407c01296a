# SPDX-License-Identifier: MIT
"""A server under test: started on a free port of the loopback, watched, and ended by id."""

import os
import signal
import socket
import subprocess
import time

from . import children, strace
from .errors import RowError

TICKS = os.sysconf("SC_CLK_TCK")
READY_S = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def status_kb(pid, field):
    for line in read("/proc/%d/status" % pid).splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def children_of(pid):
    text = read("/proc/%d/task/%d/children" % (pid, pid))
    return [int(word) for word in text.split()]


def tree(pid):
    found = [pid]
    for child in children_of(pid):
        found += tree(child)
    return found


class Load:
    """What a client did: the seconds for one unit of work, and the share of all it did that one
    unit is. Clients that run for a time, not for a number of requests, do more for a faster server;
    what that used is then stated for one unit too."""

    def __init__(self, seconds, share=1.0):
        self.seconds = seconds
        self.share = share


class Server:
    """Runs while a `with` block does. With `summary`, under strace, which writes there."""

    def __init__(self, command, port, allocator, user=None, summary=None,
                 linked_with_jemalloc=False, cwd=None, ready=None):
        preload = allocator.preload(linked_with_jemalloc)
        env = allocator.environment()
        if summary:
            command = strace.command(summary, command, preload)
        elif preload:
            env["LD_PRELOAD"] = preload
        account = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
        self.command = command
        self.port = port
        self.ready = ready or (lambda: answers(port))
        self.traced = summary is not None
        self.make = lambda: children.start(command, env, stdin=subprocess.DEVNULL, cwd=cwd,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                           **account)
        self.child = None
        self.pid = None
        self.begin = (0.0, 0)

    def __enter__(self):
        self.child = self.make()
        up = children.wait_until(lambda: self.child.poll() is not None or self.ready(),
                                 READY_S)
        if not up or self.child.poll() is not None:
            children.stop(self.child)
            raise RowError("%s didn't start" % os.path.basename(str(self.command[0])))
        own = children_of(self.child.pid) if self.traced else []
        self.pid = own[0] if own else self.child.pid
        self.begin = self.used()
        return self

    def __exit__(self, *_):
        if self.traced and self.pid != self.child.pid:
            # strace writes its summary when the program it follows has ended.
            os.kill(self.pid, signal.SIGTERM)
            children.wait_until(lambda: self.child.poll() is not None, 10)
        children.stop(self.child, first=signal.SIGINT)

    def used(self):
        """CPU seconds and page faults, with those of children that have ended."""
        text = read("/proc/%d/stat" % self.pid)
        fields = text[text.rfind(")") + 2:].split()
        if len(fields) < 15:
            raise RowError("the server is gone")
        faults = int(fields[7]) + int(fields[8])
        return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICKS, faults

    def begin_here(self):
        """What it used until now was preparation."""
        self.begin = self.used()

    def figures(self, load):
        """What it used for a load, and its peak."""
        if self.child.poll() is not None:
            raise RowError("the server ended while it was being measured")
        cpu, faults = self.used()
        return {"time": load.seconds, "cpu": (cpu - self.begin[0]) * load.share,
                "faults": (faults - self.begin[1]) * load.share,
                "peak_kb": status_kb(self.pid, "VmHWM")}

    def settled_kb(self, seconds=2.0):
        time.sleep(seconds)
        return status_kb(self.pid, "VmRSS")


def client(command, limit=300, cwd=None):
    """A load generator's output; it runs under the C library's malloc, whatever the server does."""
    from .allocators import Allocator
    return children.output(command, Allocator("none").environment(), limit=limit, cwd=cwd)
