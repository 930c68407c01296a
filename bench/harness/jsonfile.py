# SPDX-License-Identifier: MIT
"""report.json: everything that was measured, sample by sample."""

import json
import os
import time

from . import bars
from .allocators import BASELINE
from .figures import GROUPS, mean_ratio

FORMAT = 1  # raised when a reader of an older one would misunderstand


def means(run):
    out = []
    for group, _ in GROUPS:
        rows = run.group(group)
        for metric in ("time", "cpu", "peak_kb"):
            for name in run.names:
                mean = mean_ratio(rows, name, lambda row: BASELINE, metric)
                if mean.value is not None:
                    out.append({"group": group, "metric": metric, "allocator": name,
                                "against": BASELINE, "mean": mean.value, "low": mean.low,
                                "high": mean.high, "rows": mean.rows})
    return out


def contents(run):
    return {
        "format": FORMAT,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.began)),
        "took_s": round(time.time() - run.began, 1),
        "interrupted": run.interrupted,
        "machine": run.machine,
        "options": {"what": run.options.what, "quick": run.options.quick,
                    "repeat": run.options.repeat, "min_time": run.options.min_time,
                    "threads": run.options.threads, "by": run.options.by,
                    "rows": run.options.rows},
        "allocators": [a.describe() for a in run.allocators],
        "means": means(run),
        "bars": [bar.to_json() for bar in bars.all_bars(run)],
        "rows": [row.to_json() for row in run.rows],
        "phases": [phase.to_json() for phase in run.phases],
        "notes": run.notes,
    }


def write(run, path):
    """Replaced in one step, so that a reader never sees half of it."""
    partial = path.with_suffix(".partial")
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(contents(run), file, indent=1)
        file.write("\n")
    os.replace(partial, path)
