"""Whether a part that runs still answers: what stands behind each sign of life to the service manager.

A timer that fires proves that the event loop turns. A part with a socket of its own is asked there as well, by a
request like anybody's: a loop may turn while every request waits for a lock that nobody gives back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from leafward.cli.notify import Notifier

# Asks once; True for an answer. It may raise `OSError`, and is given half of the watchdog's time.
Probe = Callable[[], Awaitable[bool]]

_log = logging.getLogger(__name__)
_STATUS_LINE = 1024
# Seconds; well below any start's own limit.
START_EVERY = 20.0


def answers(path: Path, target: str) -> Probe:
    """A probe: GET `target` on the unix socket `path` is answered with 200."""

    async def ask() -> bool:
        reader, writer = await asyncio.open_unix_connection(path, limit=_STATUS_LINE)
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: self\r\nConnection: close\r\n\r\n".encode("ascii"))
            return (await reader.readline()).split()[1:2] == [b"200"]
        finally:
            writer.close()

    return ask


async def keep_alive(notifier: Notifier, probe: Probe | None) -> None:
    """Sends a sign of life at half of the watchdog's time for as long as the part is healthy. Ends only by cancelling,
    or at once where nobody watches.
    """
    every = notifier.ping_seconds
    if every is None:
        return
    while True:
        if await _is_healthy(probe, every):
            notifier.alive()
        else:
            _log.error("no answer from our own socket within %.1f s: no sign of life to the service manager", every)
        await asyncio.sleep(every)


async def ask_for_time(notifier: Notifier, *, every: float = START_EVERY) -> None:
    """While a part starts and its loop turns, the service manager is to wait on. Ends only by cancelling, or at once
    where nobody waits. `every` is in seconds.
    """
    while notifier.is_heard:
        await asyncio.sleep(every)
        notifier.starting(3 * every)


async def _is_healthy(probe: Probe | None, seconds: float) -> bool:
    if probe is None:
        return True
    try:
        return await asyncio.wait_for(probe(), seconds)
    except (OSError, ValueError):  # TimeoutError among them; a line without an end is a ValueError
        return False
