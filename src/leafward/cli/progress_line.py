"""A line at the foot of the terminal that says how far a long command is. Nothing where nobody looks."""

import sys
import time
from types import TracebackType
from typing import Protocol, Self

_BETWEEN = 0.1
_BAR = 24


class Progress(Protocol):
    """How far something is: done so far, of how many (None: not known), and how many of them were turned away."""

    @property
    def seen(self) -> int: ...

    @property
    def length(self) -> int | None: ...

    @property
    def rejected(self) -> int: ...


class ProgressLine:
    """Within `with`, `show` draws on standard error where that is a terminal. `most` is what there can be to do."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._on = sys.stderr.isatty()
        self._drawn = 0.0
        self._begun = time.monotonic()
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._begun
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, progress: Progress) -> None:
        """Draws the line, ten times a second at most."""
        now = time.monotonic()
        if not self._on or now - self._drawn < _BETWEEN:
            return
        self._drawn = now
        sys.stderr.write(f"\r{self.text(progress, now - self._begun)}\x1b[K")
        sys.stderr.flush()

    def text(self, progress: Progress, seconds: float) -> str:
        """What the line says after so many seconds."""
        total = progress.length if progress.length is not None else self._most
        done = progress.seen
        rate = done / seconds if seconds > 0 else 0.0
        share = min(done / total, 1.0) if total else 1.0
        bar = ("#" * round(_BAR * share)).ljust(_BAR, ".")
        left = f", {_duration((total - done) / rate)} left" if rate and progress.length is not None else ""
        refused = f", {progress.rejected:,} rejected" if progress.rejected else ""
        return f"[{bar}] {done:,} of {total:,}, {rate:,.0f} a second{left}{refused}"


def _duration(seconds: float) -> str:
    """A time for people: "8 s", "4 min 10 s", "1 h 3 min"."""
    whole = max(round(seconds), 0)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
