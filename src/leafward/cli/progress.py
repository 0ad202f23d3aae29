"""How far a long command has come: a bar at the foot of the terminal, and nothing where nobody looks."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

WIDTH = 24
# Seconds between two drawings.
PAUSE = 0.1


class Progress:
    """A bar from 0 to `total`; without a total only what is done is told. Gone at the end of its block."""

    def __init__(self, total: int | None, *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._on = self._stream.isatty()
        self._total = total
        self._begun = time.monotonic()
        self._drawn = 0.0

    def show(self, done: int, text: str) -> None:
        """`done` of the total; `text` stands behind the bar."""
        now = time.monotonic()
        if not self._on or (now - self._drawn < PAUSE and done != self._total):
            return
        self._drawn = now
        self._stream.write(f"\r{self._bar(done, now)}{text}\x1b[K")
        self._stream.flush()

    def rate(self, count: int) -> float:
        """So many a second since the beginning."""
        return count / max(time.monotonic() - self._begun, 0.001)

    def _bar(self, done: int, now: float) -> str:
        if not self._total:
            return ""
        share = min(done / self._total, 1.0)
        filled = int(share * WIDTH)
        left = (now - self._begun) * (1 - share) / share if share else 0.0
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%}  {left:,.0f} s left  "

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._on:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
