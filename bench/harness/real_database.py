# SPDX-License-Identifier: MIT
"""postgres with pgbench: a process a connection, sharing memory that isn't malloc's."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from . import children, strace
from .allocators import Allocator
from .errors import RowError
from .real_servers import nobody
from .server import Load, Server, client, free_port, read, tree

INITDB = "/usr/lib/postgresql/*/bin/initdb"
SAMPLE_S = 0.2

# Durability isn't what is measured; the disk would be all there is to see.
SETTINGS = ("listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=off",
            "full_page_writes=off", "shared_buffers=64MB", "max_connections=20",
            "logging_collector=off", "autovacuum=off")


class MemoryOfTree(threading.Thread):
    """The most memory a server and its children had together: shared pages count once (PSS)."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.most = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE_S):
            self.most = max(self.most, sum(pss_kb(pid) for pid in tree(self.pid)))

    def stop(self):
        self.ended.set()
        self.join()
        return self.most


def pss_kb(pid):
    found = re.search(r"^Pss:\s+(\d+)", read("/proc/%d/smaps_rollup" % pid), re.MULTILINE)
    return int(found.group(1)) if found else 0


class Postgres:
    """One kind of transaction, on a copy of one database made in the beginning."""

    needs = [INITDB]
    seconds = 6

    def __init__(self, kind, arguments):
        self.name = "postgres/" + kind
        self.rows = [self.name]
        self.arguments = arguments

    @staticmethod
    def program(setting, name):
        return Path(setting.paths[INITDB]).parent / name

    def prepare(self, setting):
        made = setting.work / "postgres"
        if (made / "ready").exists():
            return
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        self.own(made)
        data = made / "template"
        as_user = self.account()
        children.output([self.program(setting, "initdb"), "-D", data, "-U", "bench",
                         "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"],
                        Allocator("none").environment(), cwd=made, **as_user)
        with self.server(Allocator("none"), setting, data) as server:
            client([self.program(setting, "pgbench"), "-h", "127.0.0.1", "-p", server.port, "-U",
                    "bench", "-i", "-q", "-s", setting.amount(5, 1), "postgres"], cwd=made)
        (made / "ready").touch()

    @staticmethod
    def account():
        user = nobody()
        return {"user": user[0], "group": user[1], "extra_groups": []} if user else {}

    @staticmethod
    def own(path):
        user = nobody()
        if user:
            os.chown(path, *user)

    def fresh(self, setting):
        """A copy of the template, its owner's and closed to others, as postgres wants it."""
        data = setting.work / "postgres" / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(setting.work / "postgres" / "template", data)
        for folder, _, files in os.walk(data):
            self.own(folder)
            for file in files:
                self.own(os.path.join(folder, file))
        data.chmod(0o700)
        return data

    def server(self, allocator, setting, data, summary=None):
        port = free_port()
        options = [part for s in SETTINGS for part in ("-c", s)]
        command = [self.program(setting, "postgres"), "-D", data, "-p", str(port), "-k", data]
        # It listens before it is ready to serve.
        probe = [self.program(setting, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        return Server(command + options, port, allocator, user=nobody(), summary=summary,
                      cwd=data.parent,
                      ready=lambda: subprocess.run(probe, check=False).returncode == 0)

    def load(self, server, setting, seconds):
        """The unit is a thousand transactions."""
        text = client([self.program(setting, "pgbench"), "-h", "127.0.0.1", "-p", server.port,
                       "-U", "bench", "-n", "-c", 4, "-j", 1, "-T", seconds] + self.arguments
                      + ["postgres"], cwd=setting.work)
        rate = re.search(r"tps = ([0-9.]+)", text)
        done = re.search(r"transactions actually processed: (\d+)", text)
        if not rate or not done:
            raise RowError("pgbench printed no rate")
        return Load(1000 / float(rate.group(1)), 1000 / int(done.group(1)))

    def measure(self, allocator, setting, settle):
        del settle  # its processes end with their connections
        with self.server(allocator, setting, self.fresh(setting)) as server:
            memory = MemoryOfTree(server.pid)
            memory.start()
            try:
                load = self.load(server, setting, setting.amount(4, 1))
            finally:
                most = memory.stop()
            time.sleep(0.2)  # until the ended backends have been counted
            figures = server.figures(load)
        return {self.name: dict(figures, peak_kb=most)}

    def trace(self, allocator, setting):
        with tempfile.TemporaryDirectory(prefix="ga-strace-") as folder:
            self.own(folder)
            summary = Path(folder) / "summary"
            with self.server(allocator, setting, self.fresh(setting), summary) as server:
                load = self.load(server, setting, 1)
            return {self.name: strace.count(summary) * load.share}


def programs():
    return [Postgres("select", ["-S"]), Postgres("update", ["-N"])]
