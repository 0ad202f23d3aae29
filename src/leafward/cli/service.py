"""Runs one part in this process until it is told to stop: the same way for `up` and for each part's own command."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

# What a part tells when all its listeners answer, as JSON values.
Ready = Callable[[dict[str, Any]], None]
Part = Callable[[asyncio.Event, Ready], Coroutine[Any, Any, None]]


def system_clock() -> datetime:
    """The system's clock, in UTC and aware: read here, at the edge, and passed inwards."""
    return datetime.now(UTC)


def serve(part: Part, ready: Ready) -> None:
    """Runs `part` until SIGTERM or SIGINT, or until it fails. Errors come out as the part raised them."""
    _run(_until_told(part, ready))


async def _until_told(part: Part, ready: Ready) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # SIGHUP too: a terminal that is closed tells all of its processes.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    await part(stop, ready)


def _run(main: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.run(main)
        return
    asyncio.run(main)


class _UtcFormatter(logging.Formatter):
    """Log lines in UTC, whatever the machine's own zone is."""

    converter = staticmethod(time.gmtime)


def set_up_logging(role: str, level: int = logging.WARNING) -> None:
    """Log lines on standard error, each with its time in UTC, its part and its level."""
    handler = logging.StreamHandler(sys.stderr)
    form = f"%(asctime)sZ {role} %(levelname)s %(message)s"
    handler.setFormatter(_UtcFormatter(form, datefmt="%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
