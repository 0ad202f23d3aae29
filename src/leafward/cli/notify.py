"""What a part tells the service manager that started it: sd_notify(3), as systemd and others understand it.

A few datagrams to the unix socket that NOTIFY_SOCKET names. Nobody has to listen: without the variable, or with a
socket that is gone, nothing is sent and nothing fails, since a gateway must not stop because nobody hears it.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Self

SOCKET = "NOTIFY_SOCKET"
WATCHDOG_USEC = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"


class Notifier:
    """Tells one service manager. `address` is the socket's path, an abstract one with a leading "@"; None: nobody.

    `watchdog_seconds` is how long we may be silent before we count as hung; None where nobody watches.
    """

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = address
        self.watchdog_seconds = watchdog_seconds if address is not None else None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The service manager that the environment names. What is no address of ours is nobody.

        WATCHDOG_PID names the process that is watched (sd_watchdog_enabled(3)): a child inherits the variables, and
        must not answer in its parent's place.
        """
        address = environment.get(SOCKET, "")
        if not address.startswith(("/", "@")) or len(address) < 2:
            return cls()
        usec, pid = environment.get(WATCHDOG_USEC, ""), environment.get(WATCHDOG_PID)
        is_watched = usec.isascii() and usec.isdigit() and int(usec) > 0 and pid in {None, str(os.getpid())}
        return cls(address, int(usec) / 1e6 if is_watched else None)

    @property
    def is_heard(self) -> bool:
        """Whether a service manager asked to be told."""
        return self._address is not None

    @property
    def ping_seconds(self) -> float | None:
        """How often to send `alive`: at half of the time allowed, as sd_watchdog_enabled(3) recommends."""
        return None if self.watchdog_seconds is None else self.watchdog_seconds / 2

    def starting(self, seconds: float) -> None:
        """The start goes on, and may take so much longer (EXTEND_TIMEOUT_USEC): the maker may be out of reach."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def ready(self, status: str) -> None:
        """All listeners answer. `status` is a sentence for people (`systemctl status`)."""
        self._send("READY=1", _status(status))

    def status(self, text: str) -> None:
        """A new sentence for people."""
        self._send(_status(text))

    def alive(self) -> None:
        """Keeps the watchdog from barking."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Settings are being taken anew; `ready` ends it. The time is what Type=notify-reload needs."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str = "stopping") -> None:
        """The end has begun."""
        self._send("STOPPING=1", _status(status))

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # Not waited for: a service manager that does not read must not hold up the loop.
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as us:
            us.sendto("\n".join(lines).encode(), address)


def _status(text: str) -> str:
    """One assignment a line: a line's end inside the text would begin another."""
    return f"STATUS={' '.join(text.split())}"


NOBODY = Notifier()
