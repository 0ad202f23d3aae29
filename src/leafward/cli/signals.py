"""SIGTERM and Ctrl-C as something to wait for, beside the ends of processes."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self


class Signals:
    """Within `with`, SIGTERM, SIGINT and SIGHUP are remembered instead of acted on; `wait` returns when one comes."""

    _NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __init__(self) -> None:
        self.told = False
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in self._NUMBERS:
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read_fd)
        os.close(self._write_fd)

    @property
    def wake_fd(self) -> int:
        """Readable once a signal came."""
        return self._read_fd

    def wait(self, descriptors: dict[int, str], *, timeout: float | None) -> str | None:
        """The name of the first descriptor that becomes readable, or None after a signal or `timeout` seconds."""
        readable, _, _ = select.select([self._read_fd, *descriptors], [], [], timeout)
        return next((descriptors[fd] for fd in readable if fd in descriptors), None)

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.told = True
        os.write(self._write_fd, b".")
