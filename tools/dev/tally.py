#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Count the tests of a meson testlog.json: prints "passed failed skipped", and after these each program
that failed or ran out of time, as " (RESULT: name)".

A cmocka program reports each of its tests as a TAP line, and each counts as one; one that printed a
line "# SKIPPED name" was left out, though cmocka calls it passed. A program that says nothing, or
that ends badly without naming a failed test (a crash, a time-out), counts as one.
"""

import json
import re
import sys

TAP = re.compile(r"^(not )?ok\b", re.MULTILINE)
SKIPPED = re.compile(r"^# SKIPPED ", re.MULTILINE)


def ended_well(entry):
    return entry["result"] in ("OK", "EXPECTEDFAIL", "SKIP")


def tally(entry):
    output = entry.get("stdout") or ""
    outcomes = TAP.findall(output)
    failed = sum(map(bool, outcomes))
    skipped = len(SKIPPED.findall(output))
    passed = len(outcomes) - failed - skipped
    result = entry["result"]
    if result in ("OK", "EXPECTEDFAIL"):
        if passed + failed + skipped == 0:
            passed = 1
    elif result == "SKIP":
        if skipped == 0:
            skipped = 1
    elif failed == 0:
        failed = 1
    return passed, failed, skipped


def main():
    totals, culprits = [0, 0, 0], []
    try:
        with open(sys.argv[1], encoding="utf-8") as log:
            for line in log:
                entry = json.loads(line)
                totals = [a + b for a, b in zip(totals, tally(entry))]
                if not ended_well(entry):
                    culprits.append("(%s: %s)" % (entry["result"], entry["name"]))
    except FileNotFoundError:
        pass
    print(*totals, *culprits)


main()
