"""How many service calls are answered at once: in all, and of one caller, so that one cannot keep the others out.

A call may wait minutes, for a device to come or to answer; what waits costs memory.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator

MOST_AT_ONCE = 256
MOST_OF_ONE = 64


class Places:
    """Counts the calls that are being answered. For the loop's thread."""

    def __init__(self, most: int = MOST_AT_ONCE, most_of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken = 0
        self._callers: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken

    def free_for(self, caller: str) -> bool:
        """Whether one more call of this caller may be answered."""
        return self._taken < self._most and self._callers[caller] < self._most_of_one

    @contextlib.contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Holds a place for as long as the call takes."""
        self._taken += 1
        self._callers[caller] += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]
