"""Bounds on what one caller can hold of the manager: connections, and requests that wait for something.

An owner is who pays for a connection: a module with all of its processes, or a user, for what is no module. A process
that forks does not get more by it. Where an owner, or all together, have too many connections, the one that has been
idle the longest is closed for the newcomer: who only holds connections loses them, who asks something is served.
"""

from collections import Counter
from typing import Protocol, TypeVar

# IoT Edge serves 10 at a time on a socket and closes the next without an answer (workloadsockets.md).
MOST_REQUESTS = 10
# A few more may wait here, since an SDK keeps some open between requests.
MOST_OF_PROCESS = 32
MOST_OF_OWNER = 64
MOST_CONNECTIONS = 256

Key = TypeVar("Key", str, int)


class Limited(Protocol):
    """A connection that is counted. `idle_since` is the loop's time, None while a request of it is worked on."""

    idle_since: float | None

    def abort(self) -> None:
        """Closes it at once, without an answer."""


class ConnectionLimits:
    """The connections of one listening socket. For the loop's thread."""

    def __init__(
        self, *, most: int = MOST_CONNECTIONS, of_owner: int = MOST_OF_OWNER, of_process: int = MOST_OF_PROCESS
    ) -> None:
        self._most = most
        self._of_owner = of_owner
        self._of_process = of_process
        self._held: dict[Limited, tuple[str, int]] = {}
        self._by_owner: Counter[str] = Counter()
        self._by_process: Counter[int] = Counter()

    def enter(self, connection: Limited, owner: str, process: int = 0) -> bool:
        """Counts a connection; False when there are too many and it is to be closed. `process` 0 is nobody known."""
        if process and self._by_process[process] >= self._of_process:
            return False
        if self._by_owner[owner] >= self._of_owner and not self._make_room(owner):
            return False
        if len(self._held) >= self._most and not self._make_room(self._by_owner.most_common(1)[0][0]):
            return False
        self._held[connection] = owner, process
        self._by_owner[owner] += 1
        self._by_process[process] += 1
        return True

    def leave(self, connection: Limited) -> None:
        """The connection is closed; one that was never counted is no error."""
        owner, process = self._held.pop(connection, (None, 0))
        if owner is None:
            return
        _less(self._by_owner, owner)
        _less(self._by_process, process)

    def connections(self) -> list[Limited]:
        """All that are counted."""
        return list(self._held)

    def _make_room(self, owner: str) -> bool:
        """Closes the connection of `owner` that has been idle the longest; False where none is idle."""
        idle = [
            (one.idle_since, index, one)
            for index, (one, (whose, _)) in enumerate(self._held.items())
            if whose == owner and one.idle_since is not None
        ]
        if not idle:
            return False
        closed = min(idle)[2]
        self.leave(closed)
        closed.abort()
        return True


class RequestLimits:
    """How many requests of each owner wait at once: for the rest of their body, for their turn, or for an event."""

    def __init__(self, most: int = MOST_REQUESTS) -> None:
        self._most = most
        self._running: Counter[str] = Counter()

    def enter(self, owner: str) -> bool:
        """Counts a request; False when the owner has too many."""
        if self._running[owner] >= self._most:
            return False
        self._running[owner] += 1
        return True

    def leave(self, owner: str) -> None:
        """The request is done."""
        _less(self._running, owner)


def _less(counter: "Counter[Key]", key: Key) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
