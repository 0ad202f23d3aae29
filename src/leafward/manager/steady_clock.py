"""What this machine knows about its own clock: how long it has been running, and whether a time server sets it."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# adjtimex(2): the clock is not synchronised.
_TIME_ERROR = 5
# struct timex is 208 bytes on every Linux; `modes` (its first field) 0 reads and changes nothing.
_TIMEX_SIZE = 256
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# systemd-timesyncd makes it when it has set the clock for the first time since the start of the machine.
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")


def since_boot() -> float:
    """Seconds since the machine was started, sleep included where it is known. No setting of the clock changes it."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def is_synchronised() -> bool:
    """Whether the kernel says that a time server (or another source that it was told of) sets its clock."""
    adjtimex = _adjtimex()
    if adjtimex is None:
        return False
    state: int = adjtimex(bytes(_TIMEX_SIZE))
    return 0 <= state < _TIME_ERROR


def was_synchronised() -> bool:
    """Whether a time server has set the clock, as far as that is known without asking the kernel.

    For what is written down each hour: asking costs half a megabyte of memory, for which a doubt is a reason.
    """
    return _TIMESYNCD.exists()


@functools.cache
def boot_id() -> str:
    """Another text after each start of the machine; empty where it is not known."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@functools.cache
def _adjtimex() -> Callable[[bytes], int] | None:
    import ctypes  # noqa: PLC0415 - only who asks loads it

    try:
        found: Any = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError, TypeError):
        return None
    return lambda data: int(found(ctypes.create_string_buffer(data)))
