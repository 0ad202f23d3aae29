"""Dear work, one piece at a time and one owner after the other.

A key and a certificate take some milliseconds, and the manager has one thread. Whoever asks for hundreds waits in a
line of their own: the lines take turns, and between two pieces the loop sees to everybody else. So another caller waits
for one piece of each owner at most, and for no more than one where the work is cheap.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]

_log = logging.getLogger(__name__)


class FairTurns:
    """A line of work for each owner. For the loop's thread; work must raise nothing."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Work]] = {}
        self._order: deque[str] = deque()
        self._next: asyncio.Handle | None = None

    def put(self, owner: str, work: Work) -> None:
        """Puts a piece of work at the end of its owner's line."""
        line = self._lines.get(owner)
        if line is None:
            line = self._lines[owner] = deque()
            self._order.append(owner)
        line.append(work)
        self._schedule()

    def close(self) -> None:
        """Drops what was not begun."""
        self._lines.clear()
        self._order.clear()
        if self._next is not None:
            self._next.cancel()

    def _schedule(self) -> None:
        if self._next is None and self._order:
            self._next = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._next = None
        if not self._order:
            return
        owner = self._order.popleft()
        line = self._lines[owner]
        work = line.popleft()
        if line:
            self._order.append(owner)
        else:
            del self._lines[owner]
        self._schedule()
        try:
            work()
        except Exception:
            _log.exception("a piece of work failed")
