"""What is known of messages to devices beside the store: attempts, locks, and what became of the newest ones.

In memory, and bounded: a hub that restarts counts attempts anew, knows no locks, and of earlier messages only whether
they still wait.
"""

import asyncio
import contextlib
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

# What may become of a message.
COMPLETED, EXPIRED, REJECTED, PURGED = "completed", "expired", "rejected", "purged"
REMOVED = "device-removed"
TOO_MANY_ATTEMPTS = "delivery-count-exceeded"
# Messages whose attempts, or whose end, are remembered; of more the oldest are forgotten.
REMEMBERED = 20_000
_TOKEN_SIZE = 16


@dataclass(frozen=True, slots=True)
class _Lock:
    device_id: str
    message_id: int
    until: float


class Ledger:
    """The facts by the store's message id. `counts` and `told` are told each end. For the loop's thread."""

    def __init__(self, counts: Counter[str], *, remembered: int = REMEMBERED) -> None:
        self._counts = counts
        self._remembered = remembered
        self.told: Callable[[int, str], None] = lambda _message_id, _end: None
        self._attempts: dict[int, int] = {}
        self._ends: dict[int, str] = {}
        self._locks: dict[str, _Lock] = {}
        self._watchers: defaultdict[int, list[asyncio.Future[None]]] = defaultdict(list)

    def attempts(self, message_id: int) -> int:
        """How often it was sent."""
        return self._attempts.get(message_id, 0)

    def attempt(self, message_id: int) -> int:
        """It is sent once more; how often that is."""
        count = self._attempts[message_id] = self._attempts.pop(message_id, 0) + 1
        _forget_oldest(self._attempts, self._remembered)
        return count

    def settle(self, message_id: int, end: str) -> bool:
        """It has come to an end, unless it had before: then this changes nothing, and False is returned."""
        self._attempts.pop(message_id, None)
        if message_id in self._ends:
            return False
        self._ends[message_id] = end
        _forget_oldest(self._ends, self._remembered)
        self._counts[end] += 1
        self.told(message_id, end)
        for watcher in self._watchers.pop(message_id, ()):
            if not watcher.done():
                watcher.set_result(None)
        return True

    def end_of(self, message_id: int) -> str | None:
        """What became of it; None while it waits, and where that is not known any more."""
        return self._ends.get(message_id)

    async def settled(self, message_id: int, seconds: float) -> None:
        """Returns when it has come to an end, or the time is over."""
        if message_id in self._ends:
            return
        watcher = asyncio.get_running_loop().create_future()
        self._watchers[message_id].append(watcher)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await watcher
        if (left := self._watchers.get(message_id)) is not None and watcher in left:
            left.remove(watcher)
            if not left:
                del self._watchers[message_id]

    def lock(self, device_id: str, message_id: int, seconds: float) -> str:
        """Keeps others from a message that the device has fetched; the token to settle it with."""
        self._drop_old()
        token = secrets.token_hex(_TOKEN_SIZE)
        self._locks[token] = _Lock(device_id, message_id, _now() + seconds)
        return token

    def locked(self, device_id: str) -> set[int]:
        """The device's messages that are locked."""
        self._drop_old()
        return {lock.message_id for lock in self._locks.values() if lock.device_id == device_id}

    def held(self, device_id: str, token: str) -> int | None:
        """The message that the token locks; None for a token that is too late, or another device's."""
        self._drop_old()
        lock = self._locks.get(token)
        return None if lock is None or lock.device_id != device_id else lock.message_id

    def unlock(self, device_id: str, token: str) -> int | None:
        """As `held`, and the message is free again."""
        message_id = self.held(device_id, token)
        if message_id is not None:
            del self._locks[token]
        return message_id

    def _drop_old(self) -> None:
        now = _now()
        for token in [token for token, lock in self._locks.items() if lock.until <= now]:
            del self._locks[token]


def _forget_oldest(table: dict[int, int] | dict[int, str], most: int) -> None:
    if len(table) > most:
        del table[next(iter(table))]


def _now() -> float:
    return asyncio.get_running_loop().time()
