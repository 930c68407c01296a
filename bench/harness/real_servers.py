# SPDX-License-Identifier: MIT
"""Real servers: redis, memcached and nginx, each with a client beside it."""

import os
import pwd
import re
import tempfile
from pathlib import Path

from . import strace
from .errors import RowError
from .server import Load, Server, client, free_port


def nobody():
    """(uid, gid) to give a server that refuses to be root, or None where we aren't root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


TRACED_SHARE = 0.05  # of a timed load, under strace


class Service:
    """A server and its load. Subclasses say how to start it (`command`) and what to ask of it:
    `load` does an amount of that, 1.0 being all, and returns a Load."""

    linked_with_jemalloc = False

    def prepare(self, setting):
        pass

    def measure(self, allocator, setting, settle):
        with self.server(allocator, setting) as server:
            figures = server.figures(self.load(server, setting, 1.0))
            if settle:
                self.empty(server, setting)
                figures["settled_kb"] = server.settled_kb()
        return {self.name: figures}

    def trace(self, allocator, setting):
        with tempfile.TemporaryDirectory(prefix="ga-strace-") as folder:
            summary = Path(folder) / "summary"
            with self.server(allocator, setting, summary) as server:
                load = self.load(server, setting, TRACED_SHARE)
            return {self.name: strace.count(summary) * load.share}

    def server(self, allocator, setting, summary=None):
        port = free_port()
        return Server(self.command(setting, port), port, allocator, summary=summary,
                      linked_with_jemalloc=self.linked_with_jemalloc, cwd=setting.work)

    def empty(self, server, setting):
        """Has the server drop what it holds, where it can."""


class Redis(Service):
    """One kind of load a server; Debian links it with jemalloc (see Allocator.preload)."""

    linked_with_jemalloc = True
    needs = ["redis-server", "redis-benchmark", "redis-cli"]
    seconds = 4

    def __init__(self, kind, requests, arguments, configuration=(), filled_by=None):
        self.filled_by = filled_by
        self.name = "redis/" + kind
        self.rows = [self.name]
        self.requests = requests
        self.arguments = arguments
        self.configuration = list(configuration)

    def command(self, setting, port):
        return [setting.paths["redis-server"], "--port", str(port), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--daemonize", "no",
                "--dir", str(setting.work)] + self.configuration

    def load(self, server, setting, amount):
        requests = max(1000, int(setting.amount(self.requests, 20000) * amount))
        if self.filled_by:
            self.benchmark(server, setting, requests, self.filled_by)
            server.begin_here()
        return Load(requests / self.benchmark(server, setting, requests, self.arguments))

    @staticmethod
    def benchmark(server, setting, requests, arguments):
        """Requests a second."""
        text = client([setting.paths["redis-benchmark"], "-p", server.port, "--csv", "-n",
                       requests, "-P", 16, "-c", 20] + arguments)
        rates = re.findall(r'^"[^"]*","([0-9.]+)"', text, re.MULTILINE)
        if not rates:
            raise RowError("redis-benchmark printed no rate")
        return float(rates[-1])

    def empty(self, server, setting):
        client([setting.paths["redis-cli"], "-p", server.port, "flushall"])


class Memcached(Service):
    name = "memcached/mixed"
    needs = ["memcached"]
    seconds = 4

    def __init__(self):
        self.rows = [self.name]

    def command(self, setting, port):
        command = [setting.paths["memcached"], "-l", "127.0.0.1", "-p", str(port), "-U", "0",
                   "-m", "256", "-t", "2"]
        return command + (["-u", "nobody"] if os.geteuid() == 0 else [])

    def load(self, server, setting, amount):
        requests = int(setting.amount(1500000, 50000) * amount)
        return Load(float(client([setting.ours / "ga_memload", server.port, 16, requests])))


NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    gzip on;
    gzip_comp_level 1;
    gzip_types text/plain;
    default_type text/plain;
    server {
        listen 127.0.0.1:%d;
        root %s;
    }
}
"""


class Nginx(Service):
    """Small pages compressed on the fly: a request's pool and zlib's memory come from malloc."""

    name = "nginx/gzip"
    needs = ["nginx", "wrk"]
    seconds = 5

    def __init__(self):
        self.rows = [self.name]

    def prepare(self, setting):
        pages = setting.work / "pages"
        pages.mkdir(exist_ok=True)
        line = "A line of text like many others, number %d.\n"
        (pages / "page.txt").write_text("".join(line % i for i in range(150)), encoding="utf-8")

    def command(self, setting, port):
        conf = setting.work / "nginx.conf"
        conf.write_text(NGINX % (port, setting.work / "pages"), encoding="utf-8")
        return [setting.paths["nginx"], "-p", setting.work, "-c", conf]

    def load(self, server, setting, amount):
        """The unit is ten thousand requests: wrk runs for a time, not for a number."""
        text = client([setting.paths["wrk"], "-t", 1, "-c", 16, "-d",
                       "%ds" % max(1, int(setting.amount(4, 1) * amount)),
                       "-H", "Accept-Encoding: gzip",
                       "http://127.0.0.1:%d/page.txt" % server.port])
        rate = re.search(r"Requests/sec:\s*([0-9.]+)", text)
        done = re.search(r"(\d+) requests in", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        if not rate or not done or bad:
            raise RowError("wrk got no good answers")
        return Load(10000 / float(rate.group(1)), 10000 / int(done.group(1)))


def programs():
    keys = ["-r", "200000"]
    return [
        Redis("set", 1000000, ["-t", "set", "-d", "100"] + keys),
        Redis("get", 1000000, ["-t", "get"] + keys, filled_by=["-t", "set", "-d", "100"] + keys),
        Redis("lpush", 1000000, ["-t", "lpush", "-d", "60"]),
        Redis("evict", 800000, ["-t", "set", "-d", "700", "-r", "1000000"],
              ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]),
        Memcached(), Nginx(),
    ]
