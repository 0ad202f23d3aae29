"""New keys for certgen, with the search for RSA primes run on every idle processor at once.

How long an RSA-4096 key takes is chance: from a tenth of a second to a whole one. So as many processes as there are
idle processors look for one each, the first to find it wins, and the others are ended. They begin before the library
of certificates is loaded, so the two go on side by side. Keys come through a pipe and are never on the disk.
"""

import contextlib
import os
import selectors
import signal
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from leafward.pki.key_types import PrivateKey

MOST_RACERS = 8
_PUBLIC_EXPONENT = 65537  # as `leafward.keys.generation`
_RSA = ("rsa-2048", "rsa-3072", "rsa-4096")


class KeyMaker:
    """Makes keys. As a context manager: at its end nobody searches any more. One thread at a time.

    `racers` is how many processes search for RSA keys; 0: this process makes them itself, when they are asked for.
    """

    def __init__(self, racers: int = 0) -> None:
        self._racers = min(racers, MOST_RACERS) if hasattr(os, "fork") else 0
        self._running: dict[int, tuple[int, str]] = {}  # descriptor -> process, kind of key

    @classmethod
    def on_idle_processors(cls) -> Self:
        """One racer for each processor that has nothing else to do, and one at least where there are several.

        Where others want the processors too, racers would only take turns with each other.
        """
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(max(processors - _running_now(), 1) if processors > 1 else 0)

    def expect(self, key_type: str, count: int = 1) -> None:
        """Says that `count` keys of a kind will be asked for: the search begins. Nothing to wait for with EC keys."""
        if self._racers and key_type in _RSA:
            for _ in range(max(self._racers, count)):
                self._start(key_type)

    def make(self, key_type: str) -> "PrivateKey":
        """A new key of a kind, plain and in memory. Raises `UsageError` for an unknown one."""
        from leafward.keys.generation import new_private_key  # noqa: PLC0415 - loaded while the racers run
        from leafward.pki.key_types import parse_key_type  # noqa: PLC0415

        wanted = parse_key_type(key_type)
        while any(kind == key_type for _, kind in self._running.values()):
            if found := self._first(key_type):
                return open_own_key(found, None)
        return new_private_key(wanted)

    def close(self) -> None:
        """Ends the racers that still run."""
        for descriptor in list(self._running):
            self._end(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, key_type: str) -> None:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _search(key_type, writing)
        os.close(writing)
        self._running[reading] = (process, key_type)

    def _first(self, key_type: str) -> bytes:
        """The key of the racer that is done first; empty where that one failed."""
        with selectors.DefaultSelector() as selector:
            for descriptor, (_, kind) in self._running.items():
                if kind == key_type:
                    selector.register(descriptor, selectors.EVENT_READ)
            ready, _ = selector.select()[0]
        try:
            with open(ready.fd, "rb", closefd=False) as pipe:
                return pipe.read()
        finally:
            self._end(ready.fd)

    def _end(self, descriptor: int) -> None:
        process, _ = self._running.pop(descriptor)
        os.close(descriptor)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, 0)


def _running_now() -> int:
    """How many other processes want a processor at this moment, where the system says so.

    Its average load would count what ended a minute ago: a second run of certgen would find nothing idle.
    """
    try:
        with open("/proc/loadavg", "rb") as file:
            return int(file.read().split()[3].partition(b"/")[0]) - 1
    except (OSError, ValueError, IndexError):
        return 0


def _search(key_type: str, writing: int) -> None:
    """The racer's whole life. Nothing of the parent's is cleaned up; where it fails, its pipe stays empty.

    It loads no more of the library than it needs: the other racers, and the parent, are after the same processors.
    """
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

        key = rsa.generate_private_key(_PUBLIC_EXPONENT, int(key_type.removeprefix("rsa-")))
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        with open(writing, "wb") as pipe:
            pipe.write(pem)
    finally:
        os._exit(0)


def open_own_key(data: bytes, password: bytes | None) -> "PrivateKey":
    """A PEM key of the folder's own, without asking whether the numbers in it are prime.

    That question takes a fifth of a second for an RSA-4096 key. It is for keys of strangers; these were made here or
    by the script, and what they sign is verified. Raises `EncodingError` as `load_private_key`.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    from leafward.pki.encoding import load_private_key  # noqa: PLC0415
    from leafward.pki.key_types import PRIVATE_KEY_CLASSES  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(data, password, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return load_private_key(data, password)  # which says what is wrong
    return key if isinstance(key, PRIVATE_KEY_CLASSES) else load_private_key(data, password)
