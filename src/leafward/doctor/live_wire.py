"""A connection to a server that may be anything: bounded in time as a whole, and in bytes, whatever it does.

The system's resolver knows no time-out, so it is asked in a thread that is left behind where it does not answer.
"""

import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

# A chain of sixteen RSA certificates has 30 KiB; OpenSSL takes 100 KiB of them.
MOST_BYTES = 256 * 1024
_CHUNK = 16 * 1024
MOST_ADDRESSES = 8
# How often a look that waits sees whether it is wanted any more, in seconds.
_GLANCE = 0.25
_given_up = threading.Event()


def give_up() -> None:
    """Every look in progress ends soon, as if its time were over: whoever asked is going."""
    _given_up.set()


Address: TypeAlias = tuple[int, Any]


class TooMuch(Exception):
    """More came than any server needs."""


class Deadline:
    """When a look is over, whatever step it is at. `seconds` from now; `steady` gives seconds."""

    def __init__(self, seconds: float, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._end = steady() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 where it has passed."""
        return max(0.0, self._end - self._steady())

    def within(self, seconds: float) -> "Deadline":
        """A nearer one for one step."""
        return Deadline(min(seconds, self.left), self._steady)


def resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    """The addresses of a name. Raises `socket.gaierror`, `TimeoutError`."""
    answers: queue.Queue[list[Address] | OSError] = queue.Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses: list[Address] = [(one[0], one[4]) for one in found]
            answers.put(addresses[:MOST_ADDRESSES])
        except OSError as error:
            answers.put(error)
        except ValueError as error:  # a label that IDNA cannot write, a null byte
            answers.put(socket.gaierror(socket.EAI_NONAME, str(error)))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class Wire:
    """A TCP connection. Every call raises `TimeoutError` at the deadline and `OSError` as a socket does."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._socket = connection
        self.deadline = deadline
        self.received = 0
        self.first = b""
        self.trip = 0.0  # seconds that connecting took: one round trip

    @classmethod
    def to(cls, addresses: list[Address], deadline: Deadline) -> "Wire":
        """Connected to the first address that answers; the last one's error where none does."""
        for number, (family, address) in enumerate(addresses):
            share = deadline.within(deadline.left / (len(addresses) - number))
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(max(share.left, 0.001))
            begun = time.monotonic()
            try:
                connection.connect(address)
            except OSError:
                connection.close()
                if number == len(addresses) - 1:
                    raise
                continue
            connection.setblocking(False)
            wire = cls(connection, deadline)
            wire.trip = time.monotonic() - begun
            return wire
        raise OSError("the name has no address")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """All of it."""
        rest = memoryview(data)
        while rest:
            self._wait(select.POLLOUT, self.deadline)
            rest = rest[self._socket.send(rest) :]

    def receive(self, deadline: Deadline | None = None) -> bytes:
        """What has come; empty at the end. Raises `TooMuch`."""
        self._wait(select.POLLIN, deadline or self.deadline)
        data = self._socket.recv(_CHUNK)
        self.received += len(data)
        if len(self.first) < 64:
            self.first += data[: 64 - len(self.first)]
        if self.received > MOST_BYTES:
            raise TooMuch
        return data

    def _wait(self, wanted: int, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self._socket, wanted)
        while not poll.poll(min(deadline.left, _GLANCE) * 1000):
            if not deadline.left or _given_up.is_set():
                raise TimeoutError
