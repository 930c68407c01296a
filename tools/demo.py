#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demonstration behind `./dev run`: a real program under goalloc and under the libc allocator.

The program is python3 with its own small-object allocator off (PYTHONMALLOC=malloc), so that every
object is a malloc of its own. It builds a large dictionary of str to list on several threads, drops
it, and repeats; then it lets go of the last one and rests for two seconds, as a server does between
bursts. Both allocators take turns, and the better run of each is shown.

usage: demo.py LIBRARY            run the comparison
       demo.py --worker           one run, printing its figures as JSON
"""

import json
import os
import subprocess
import sys
import threading
import time

THREADS = 4
ROUNDS = 3
KEYS_PER_THREAD = 100_000
REST_SECONDS = 2
TURNS = 2


def status_kb(field):
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise KeyError(field)


def build(part, first):
    for number in range(first, first + KEYS_PER_THREAD):
        part["key-%d" % number] = ["%d" % (number + i) for i in range(number % 7 + 1)]


def build_on_threads():
    parts = [{} for _ in range(THREADS)]
    threads = [threading.Thread(target=build, args=(part, i * KEYS_PER_THREAD))
               for i, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return parts


def worker():
    start = time.monotonic()
    for _ in range(ROUNDS):
        parts = build_on_threads()
        assert sum(map(len, parts)) == THREADS * KEYS_PER_THREAD
        del parts
    seconds = time.monotonic() - start
    time.sleep(REST_SECONDS)
    print(json.dumps({"seconds": seconds, "peak": status_kb("VmHWM"), "final": status_kb("VmRSS")}))


def run_worker(library):
    environment = dict(os.environ, PYTHONMALLOC="malloc", PYTHONHASHSEED="1")
    environment.pop("LD_PRELOAD", None)
    if library:
        environment["LD_PRELOAD"] = library
    output = subprocess.run(["/usr/bin/python3", __file__, "--worker"], env=environment,
                            stdout=subprocess.PIPE, check=True, timeout=120).stdout
    return json.loads(output)


def compare(library):
    allocators = {"goalloc": os.path.abspath(library), "libc": None}
    runs = {name: [] for name in allocators}
    print("python3: %d rounds of %d threads building and dropping %s lists, %d turns each"
          % (ROUNDS, THREADS, format(THREADS * KEYS_PER_THREAD, ","), TURNS))
    for turn in range(TURNS):
        for name, preload in allocators.items():
            print("  turn %d: %-8s" % (turn + 1, name), end="", flush=True)
            runs[name].append(run_worker(preload))
            print("%6.2f s" % runs[name][-1]["seconds"], flush=True)
    return {name: {field: min(run[field] for run in results) for field in results[0]}
            for name, results in runs.items()}


def row(label, unit, ours, theirs):
    print("%-26s %12s %12s %9.2fx" % (label, unit % ours, unit % theirs, ours / theirs))


def report(best):
    ours, theirs = best["goalloc"], best["libc"]
    print("\n%-26s %12s %12s %10s" % ("", "goalloc", "libc", "ratio"))
    row("time", "%.2f s", ours["seconds"], theirs["seconds"])
    row("peak RSS", "%.1f MB", ours["peak"] / 1024, theirs["peak"] / 1024)
    row("RSS %d s after the drop" % REST_SECONDS, "%.1f MB",
        ours["final"] / 1024, theirs["final"] / 1024)
    print("\nEach figure is the better of %d runs; smaller is better." % TURNS)


def main():
    if sys.argv[1:] == ["--worker"]:
        worker()
    elif len(sys.argv) == 2:
        report(compare(sys.argv[1]))
    else:
        sys.exit(__doc__)


main()
