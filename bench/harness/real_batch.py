# SPDX-License-Identifier: MIT
"""Real programs that start, work and end: interpreters, a compiler, a database in a file."""

import random
import shutil
import tempfile
from pathlib import Path

from . import children, strace
from .allocators import Allocator


class Batch:
    """One command. `command(setting)` says what to run, `prepare` makes its input once."""

    def __init__(self, name, needs, seconds, command, environment=None, prepare=None):
        self.name = name
        self.rows = [name]
        self.needs = needs
        self.seconds = seconds  # about, for the progress bar
        self.command = command
        self.environment = environment or {}
        self.make_input = prepare

    def prepare(self, setting):
        if self.make_input:
            self.make_input(setting)

    def measure(self, allocator, setting, settle):
        del settle  # nothing is left of a program that ended
        used = children.launch(setting.launcher, self.command(setting), allocator,
                               env=self.environment, cwd=setting.work)
        return {self.name: {"time": used["wall_s"], "cpu": used["user_s"] + used["sys_s"],
                            "peak_kb": used["peak_kb"], "faults": used["minflt"]}}

    def trace(self, allocator, setting):
        with tempfile.TemporaryDirectory(prefix="ga-strace-") as folder:
            summary = Path(folder) / "summary"
            children.output(strace.command(summary, self.command(setting), allocator.preload()),
                            allocator.environment(self.environment), cwd=setting.work)
            return {self.name: strace.count(summary)}


# ---- interpreters ------------------------------------------------------------------------------

# Debian's own, whatever else is on the PATH.
PYTHON = "/usr/bin/python3"


def python(script, full, quick):
    return Batch("python/" + script, [PYTHON], 1.5,
                 lambda s: [s.paths[PYTHON], s.source / "py" / (script + ".py"),
                            str(s.amount(full, quick))],
                 {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})


def perl(full, quick):
    return Batch("perl/words", ["perl"], 1.5,
                 lambda s: [s.paths["perl"], s.source / "words.pl", str(s.amount(full, quick))],
                 {"PERL_HASH_SEED": "0"})


def ruby(full, quick):
    return Batch("ruby/graph", ["ruby"], 2,
                 lambda s: [s.paths["ruby"], s.source / "graph.rb", str(s.amount(full, quick))])


# ---- a compiler --------------------------------------------------------------------------------


def expression(rng, depth):
    if depth == 0:
        return rng.choice(("x", "y", "t[%d]" % rng.randrange(16), str(rng.randrange(1, 1000))))
    return "(%s %s %s)" % (expression(rng, depth - 1), rng.choice("+-*^&|"),
                           expression(rng, depth - 1))


def function(rng, number):
    lines = ["static long f%d(long x, long y, long *t)\n{" % number, "    long s = %d;" % number]
    for _ in range(rng.randrange(3, 9)):
        kind = rng.randrange(4)
        if kind == 0:
            lines.append("    for (long i = 0; i < x; i++)\n        s += %s;" % expression(rng, 3))
        elif kind == 1:
            lines.append("    if (%s > y)\n        s ^= %s;\n    else\n        s -= %s;"
                         % (expression(rng, 2), expression(rng, 3), expression(rng, 2)))
        elif kind == 2 and number:
            lines.append("    s += f%d(s, %s, t);" % (rng.randrange(number), expression(rng, 2)))
        else:
            cases = "".join("    case %d:\n        s += %s;\n        break;\n"
                            % (i, expression(rng, 2)) for i in range(rng.randrange(2, 9)))
            lines.append("    switch (x & 7) {\n%s    default:\n        t[%d] = s;\n    }"
                         % (cases, rng.randrange(16)))
    return "\n".join(lines + ["    return s;\n}\n"])


def write_source(setting):
    """One large C file, the same every time."""
    rng = random.Random(4)
    count = setting.amount(700, 60)
    parts = [function(rng, i) for i in range(count)]
    parts.append("long all(long x, long y, long *t)\n{\n    return %s;\n}\n"
                 % " + ".join("f%d(x, y, t)" % i for i in range(0, count, 7)))
    (setting.work / "large.c").write_text("\n".join(parts), encoding="utf-8")


def gcc():
    return Batch("gcc/O2", ["gcc"], 6,
                 lambda s: [s.paths["gcc"], "-O2", "-w", "-c", "-o", "/dev/null", "large.c"],
                 prepare=write_source)


# ---- sqlite ------------------------------------------------------------------------------------

PRAGMAS = "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;\n"

FILL = """
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, word TEXT, size INTEGER, body BLOB);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO item SELECT i, printf('item %%d of many', i * 7919 %% 1000003),
                        substr('the quick brown fox jumps over the lazy dog', i %% 30, 12),
                        i * 2654435761 %% 100000, zeroblob(i %% 200) FROM n;
COMMIT;
"""

INDEX = """
CREATE INDEX item_name ON item(name);
CREATE INDEX item_word ON item(word, size);
CREATE INDEX item_size ON item(size, name);
SELECT count(*), sum(size) FROM item WHERE name > 'item 5';
SELECT word, count(*), avg(size) FROM item GROUP BY word ORDER BY 2 DESC LIMIT 5;
SELECT count(*) FROM item a JOIN item b ON a.size = b.size AND a.id < b.id;
"""

VACUUM = "DELETE FROM item WHERE id % 3 = 0;\nVACUUM;\n"


class Sqlite(Batch):
    """One step on a database file of its own: a fresh one, or a copy of one made before."""

    def __init__(self, step, statements, copied):
        super().__init__("sqlite/" + step, ["sqlite3"], 1.5, self.arguments)
        self.step = step
        self.statements = statements
        self.copied = copied

    def arguments(self, setting):
        return [setting.paths["sqlite3"], "-bail", "%s.db" % self.step,
                ".read %s.sql" % self.step]

    def prepare(self, setting):
        rows = setting.amount(200000, 5000)
        fill = PRAGMAS + FILL % rows
        script = PRAGMAS + (self.statements or FILL % rows)
        (setting.work / ("%s.sql" % self.step)).write_text(script, encoding="utf-8")
        if self.copied and not (setting.work / "filled.db").exists():
            (setting.work / "filled.sql").write_text(fill, encoding="utf-8")
            children.output([setting.paths["sqlite3"], "filled.db", ".read filled.sql"],
                            Allocator("none").environment(), cwd=setting.work)

    def fresh(self, setting):
        database = setting.work / ("%s.db" % self.step)
        database.unlink(missing_ok=True)
        if self.copied:
            shutil.copyfile(setting.work / "filled.db", database)

    def measure(self, allocator, setting, settle):
        self.fresh(setting)
        return super().measure(allocator, setting, settle)

    def trace(self, allocator, setting):
        self.fresh(setting)
        return super().trace(allocator, setting)


def programs():
    return [
        python("trees", 17, 12), python("documents", 60, 4), python("words", 12, 1),
        python("events", 100000, 4000),
        perl(12, 1), ruby(12, 1), gcc(),
        Sqlite("insert", None, copied=False), Sqlite("index", INDEX, copied=True),
        Sqlite("vacuum", VACUUM, copied=True),
    ]
