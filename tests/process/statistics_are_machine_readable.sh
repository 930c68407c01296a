#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# usage: statistics_are_machine_readable.sh BUILD-DIRECTORY
#
# malloc_info writes XML and GOALLOC=stats=json one line of JSON, with the same figures; the memory
# classes in each sum to the total. GODEBUG=scavtrace=1 prints Go's line. Nothing is printed unasked.
set -euo pipefail

library=$(readlink -f "$1")/libgoalloc.so
command -v python3 >/dev/null || {
    echo "skipped: there is no python3"
    exit 77
}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"

fail() {
    echo "$*" >&2
    exit 1
}

# Holds 1,000 blocks of 48 bytes and a large one; gives 16 MB back; writes malloc_info.
cat >program.c <<'C'
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *blocks[1000], *large, *given[256];

int main(void)
{
    for (int i = 0; i < 1000; i++)
        memset(blocks[i] = malloc(40), 1, 40);
    memset(large = malloc(3000000), 1, 3000000);
    for (int i = 0; i < 256; i++)
        memset(given[i] = malloc(65536), 1, 65536);
    for (int i = 0; i < 256; i++)
        free(given[i]);
    malloc_trim(0);
    return malloc_info(0, stdout) | (malloc_info(1, stdout) != -1);
}
C
cc -O1 -fno-builtin program.c -o program

LD_PRELOAD=$library GOALLOC=stats=json GODEBUG=gctrace=0,scavtrace=1 ./program >xml 2>errors ||
    fail "expected the program to end well: $(cat errors)"
[ "$(grep -c . errors)" -ge 2 ] || fail "expected a scav line and a JSON line, got: $(cat errors)"

python3 - <<'PYTHON'
import json
import re
import xml.etree.ElementTree as ET

root = ET.parse("xml").getroot()
assert root.tag == "malloc" and root.get("version").startswith("goalloc-"), root.attrib
classes = {int(c.get("size")): {k: int(v) for k, v in c.attrib.items()} for c in root.iter("class")}
memory = {m.get("class"): int(m.get("bytes")) for m in root.iter("memory")}
assert sum(memory.values()) == int(root.find("total").get("bytes")), memory
assert classes[48]["live"] >= 1000 and classes[48]["allocs"] >= 1000, classes[48]
assert classes[0]["live"] == 1, classes
for row in classes.values():
    assert row["allocs"] - row["frees"] == row["live"], row
heap = {k: int(v) for k, v in root.find("heap").attrib.items()}
assert heap["live"] == memory["heap/objects"] >= 3000000 + 48000, heap
assert heap["mapped"] == heap["in_use"] + heap["free_dirty"] + heap["free_released"], heap

lines = open("errors").read().splitlines()
traces = [line for line in lines if line.startswith("scav ")]
objects = [json.loads(line) for line in lines if line.startswith("{")]
assert len(objects) == 1 and len(traces) + 1 == len(lines), lines
metrics = objects[0]["metrics"]
parts = {name: value for name, value in metrics.items() if name.startswith("/memory/classes/")}
total = parts.pop("/memory/classes/total:bytes")
assert len(parts) == len(memory) and sum(parts.values()) == total, parts
assert {"/memory/classes/%s:bytes" % name for name in memory} == set(parts)
assert metrics["/goalloc/process/resident:bytes"] > 3000000
assert 0 <= metrics["/goalloc/heap/fragmentation:ratio"] <= 1
rows = {row["size"]: row for row in objects[0]["classes"]}
assert rows[48]["live"] >= 1000 and rows[0]["live"] == 1, rows
assert sum(row["live"] for row in rows.values()) == metrics["/gc/heap/objects:objects"]

line = re.compile(r"scav (\d+) KiB work \(bg\), (\d+) KiB work \(eager\), (\d+) KiB now, (\d+)% util"
                  r"( \(forced\))?")
matches = [line.fullmatch(trace) for trace in traces]
assert all(matches), traces
assert any(match.group(5) for match in matches), traces
eager = sum(int(match.group(2)) for match in matches)
assert 8 << 10 <= eager <= 40 << 10, traces
assert eager << 10 == metrics["/goalloc/scavenge/eager:bytes"] // 1024 * 1024, (eager, metrics)
assert all(int(match.group(4)) <= 100 for match in matches), traces
PYTHON

# What a cache hides, count shows: 100,000 blocks of one size, one after the other, and by threads.
cat >pairs.c <<'C'
#include <pthread.h>
#include <stdlib.h>

static void *pairs(void *unused)
{
    for (int i = 0; i < 50000; i++)
        free(malloc(40));
    return unused;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, pairs, NULL);
    pthread_join(thread, NULL);
    pairs(NULL);
    free(malloc(3000000));
    return 0;
}
C
cc -O1 -fno-builtin pairs.c -pthread -o pairs
LD_PRELOAD=$library GOALLOC=stats=json,count ./pairs 2>counted || fail "expected pairs to end well"
python3 - <<'PYTHON'
import json
rows = {row["size"]: row for row in json.load(open("counted"))["classes"]}
assert 100000 <= rows[48]["allocs"] <= 100100, rows[48]
assert rows[48]["allocs"] - rows[48]["frees"] == rows[48]["live"] and rows[48]["cached"] == 0, rows
assert rows[0]["allocs"] == 1, rows[0]
PYTHON

# What Go would pass over in silence is passed over here.
for godebug in '' scavtrace=0 scavtrace scavtrace=x 'gctrace=1,,=,=1' scavtrace=1,scavtrace=0; do
    LD_PRELOAD=$library GODEBUG=$godebug ./program 2>errors >/dev/null
    [ ! -s errors ] || fail "expected nothing with GODEBUG=$godebug, got: $(cat errors)"
done
LD_PRELOAD=$library GODEBUG=madvdontneed=1,scavtrace=2 ./program 2>errors >/dev/null
grep -q '^scav ' errors || fail "expected GODEBUG=madvdontneed=1,scavtrace=2 to trace"
