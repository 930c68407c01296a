# SPDX-License-Identifier: MIT
"""Progress on standard error: a bar with the time left on a terminal, plain lines elsewhere."""

import sys
import time

BAR_WIDTH = 30
LINE_EVERY_S = 15


class Progress:
    """Counts estimated seconds of work, so that slow steps weigh what they cost."""

    def __init__(self, total, stream=sys.stderr):
        self.total = max(total, 1e-9)
        self.done = 0.0
        self.stream = stream
        self.live = stream.isatty()
        self.start = time.monotonic()
        self.last_line = None

    def show(self, what):
        """Names the step that begins now."""
        now = time.monotonic()
        if self.live:
            filled = int(BAR_WIDTH * min(1, self.done / self.total))
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            self.stream.write("\r\x1b[K[%s] %3d%%  %s  %s"
                              % (bar, self.percent(), self.left(now), what[:60]))
            self.stream.flush()
        elif self.last_line is None or now - self.last_line >= LINE_EVERY_S:
            self.last_line = now
            self.stream.write("%3d%%  %s  %s\n" % (self.percent(), self.left(now), what))
            self.stream.flush()

    def step(self, cost):
        self.done += cost

    def percent(self):
        return min(100, int(100 * self.done / self.total))

    def left(self, now):
        elapsed = now - self.start
        if self.done <= 0 or elapsed < 2:
            return "about %s" % span(self.total)
        return "%s left" % span(elapsed * max(0, self.total - self.done) / self.done)

    def note(self, line):
        """A line that stays, without tearing the bar."""
        if self.live:
            self.stream.write("\r\x1b[K")
        self.stream.write(line + "\n")
        self.stream.flush()

    def close(self):
        if self.live:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def span(seconds):
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return "%d min %02d s" % (minutes, rest) if minutes else "%d s" % rest
