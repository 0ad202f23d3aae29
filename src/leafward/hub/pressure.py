"""Publishers wait for subscribers that are here and slow, for a while: then nothing is lost between the two.

    publisher -> PUBLISH -> the subscriber's queue: over half full -> the publisher's next messages are set aside
                                                    a quarter full -> they go on
                            after `subscriber_wait` neither        -> they go on all the same, and the newest is dropped

A subscriber that has got no further in that time is given up: nobody waits for it again before its queue is down. For
one that has, publishers have gone on by as much as it has taken. What a publisher sends beside plain topics (telemetry,
acknowledgements, pings) is not set aside, and neither is QoS 0.
"""

from collections.abc import Callable
from typing import Any, Protocol


class Publisher(Protocol):
    """Who publishes; `brake` is what holds it back, None for nothing."""

    brake: "Brake | None"

    def wait(self) -> None:
        """Sets aside what it publishes from now on."""

    def go_on(self) -> None:
        """Publishes what is set aside, and all that comes."""


class Slow(Protocol):
    """The queue of a subscriber: `bytes` are in it, `tight` were when it became too full; `given_up` by those who wait
    for it, which are in `brakes`."""

    bytes: int
    tight: int
    given_up: bool
    brakes: "set[Brake] | None"

    def let_go(self) -> None:
        """All go on."""


# As an event loop's `call_later`.
Later = Callable[[float, Callable[[], None]], Any]


class Pressure:
    """The publishers of a hub that wait. For the loop's thread."""

    def __init__(self, seconds: float, later: Later) -> None:
        """`seconds`: how long one waits at most."""
        self._seconds = seconds
        self._later = later
        self.waiting: set[Brake] = set()

    def press(self, publisher: Publisher, slow: Slow) -> None:
        """The publisher waits for this queue, too."""
        brake = publisher.brake
        if brake is None:
            brake = publisher.brake = Brake(publisher, self)
            self.waiting.add(brake)
            brake.timer = self._later(self._seconds, brake.over)
            publisher.wait()
        brake.slow.add(slow)
        if slow.brakes is None:
            slow.brakes = set()
        slow.brakes.add(brake)

    def forget(self, publisher: Publisher) -> None:
        """The publisher is gone."""
        if publisher.brake is not None:
            publisher.brake.release()

    def soon(self, call: Callable[[], None]) -> None:
        """Calls it when whoever has just made room is done."""
        self._later(0.0, call)


class Brake:
    """One publisher that waits, and the queues it waits for."""

    __slots__ = ("_pressure", "_publisher", "slow", "timer")

    def __init__(self, publisher: Publisher, pressure: Pressure) -> None:
        self._publisher = publisher
        self._pressure = pressure
        self.slow: set[Slow] = set()
        self.timer: Any = None

    def eased(self, slow: Slow) -> None:
        """There is room in this queue again, or nobody there any more who empties it."""
        self.slow.discard(slow)
        if not self.slow:
            self._go_on()

    def over(self) -> None:
        """It has waited long enough. A queue that is no shorter than it was gets no more of that."""
        for slow in list(self.slow):
            if slow.bytes >= slow.tight:
                slow.given_up = True
            else:
                slow.let_go()
        if self.slow:
            self._go_on()

    def release(self) -> None:
        """Nobody needs to wait."""
        self.timer.cancel()
        for slow in self.slow:
            if slow.brakes is not None:
                slow.brakes.discard(self)
        self.slow.clear()
        self._pressure.waiting.discard(self)
        self._publisher.brake = None

    def _go_on(self) -> None:
        self.release()
        self._pressure.soon(self._publisher.go_on)
