# SPDX-License-Identifier: MIT
"""Runs a module of Python's own test suite and prints each test's outcome, sorted.

What a test prints while it runs, and how long it takes, differs from run to run; which tests
there are and how each ends does not. That is what two runs are compared by.
"""
import importlib
import os
import sys
import unittest
from test import support


class Outcomes(unittest.TextTestResult):
    """Remembers one line a test; a subtest that fails counts against its test."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.outcome = {}

    def addSuccess(self, test):
        super().addSuccess(test)
        self.outcome.setdefault(test.id(), "ok")

    def addError(self, test, err):
        super().addError(test, err)
        self.outcome[test.id()] = "ERROR"

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.outcome[test.id()] = "FAIL"

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.outcome[test.id()] = "FAIL in a subtest"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcome[test.id()] = "skipped"

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.outcome[test.id()] = "expected failure"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.outcome[test.id()] = "unexpected success"


def run(suite, outcomes_to):
    """Runs the suite; prints the outcomes; says whether all was well."""
    runner = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=Outcomes)
    result = runner.run(suite)
    for test, outcome in sorted(result.outcome.items()):
        print(outcome, test, file=outcomes_to)
    print(result.testsRun, "tests", file=outcomes_to)
    return result.wasSuccessful()


def main(name):
    support.use_resources = []  # neither the network nor tests that take minutes
    # What tests print goes to stderr, so that stdout holds the outcomes alone.
    outcomes_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module = importlib.import_module("test." + name.partition(".")[0])
    if hasattr(module, "test_main"):
        # It prepares its module in a way of its own, and then calls this.
        support._run_suite = lambda suite: good.append(run(suite, outcomes_to))
        good = []
        module.test_main()
        return 0 if all(good) else 1
    suite = unittest.defaultTestLoader.loadTestsFromName("test." + name)
    return 0 if run(suite, outcomes_to) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
