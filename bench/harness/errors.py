# SPDX-License-Identifier: MIT
"""What can end a run."""


class UsageError(Exception):
    """The command line can't be carried out as it stands: one line, exit status 2."""


class RowError(Exception):
    """One row failed under one allocator; the run goes on and says so in the end."""
