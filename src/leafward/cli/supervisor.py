"""The processes of `leafward up`: one a part, forked from one that has loaded the libraries and no keys.

The parts share no memory after that and talk over sockets, as they do when each is a service of its own. When `up`
ends, in whatever way, they end: a clean stop by SIGTERM, a killed `up` by the kernel's parent-death signal.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from leafward.cli import notify
from leafward.cli.log_format import LogFormat
from leafward.cli.service import Part, Ready, serve, set_up_logging
from leafward.errors import LeafwardError, PeerUnavailable

PR_SET_PDEATHSIG = 1
STOP_TIMEOUT_MS = 8000
FAILED = 3


class ToldToStop(Exception):
    """SIGTERM or Ctrl-C came while we waited for a part."""


class PartFailed(LeafwardError):
    """A part ended by itself; the message is the part's own."""


@dataclass(frozen=True)
class _Process:
    role: str
    pid: int
    ready_fd: int
    pid_fd: int


class Supervisor:
    """Starts parts, tells when they are ready, and stops them all when one ends or when told."""

    def __init__(
        self, *, log_level: int, log_format: LogFormat = "text", wake_fd: int, orphaned: Callable[[], None]
    ) -> None:
        """`wake_fd` is readable once we are told to stop. `orphaned` is the last act of a part that outlives us."""
        self._wake_fd = wake_fd
        self._processes: list[_Process] = []
        self._ready: set[str] = set()
        self._log_level = log_level
        self._log_format = log_format
        self._orphaned = orphaned

    @property
    def pids(self) -> dict[str, int]:
        """The process of each part."""
        return {process.role: process.pid for process in self._processes}

    def start(self, role: str, part: Part) -> None:
        """Forks `part` under the name `role`."""
        read_fd, write_fd = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(read_fd)
            set_up_logging(role, self._log_level, self._log_format)
            _child(part, write_fd, parent, self._orphaned)
        os.close(write_fd)
        self._processes.append(_Process(role, pid, read_fd, os.pidfd_open(pid)))

    def run_once(self, role: str, work: Callable[[], None]) -> None:
        """Runs `work` in a process of its own to its end. Raises what it failed with."""

        async def part(_stop: asyncio.Event, ready: Ready) -> None:
            work()
            ready({})

        self.start(role, part)
        self.wait_ready(role)
        _reap(self._processes.pop())

    def wait_ready(self, role: str, timeout: float = 30.0) -> dict[str, Any]:
        """What the part tells when it is ready.

        Raises what it failed with, `PeerUnavailable` after `timeout` seconds, `ToldToStop` when we are told meanwhile.
        """
        self.wait_readable(role, timeout)
        process = next(process for process in self._processes if process.role == role)
        facts = _told(role, _read_line(process.ready_fd))
        self._ready.add(role)
        return facts

    def wait_readable(self, role: str, timeout: float | None = None) -> None:
        """Returns when the part has something to tell, or has ended. None: however long that takes.

        Raises `PeerUnavailable` after `timeout` seconds, `ToldToStop` when we are told meanwhile.
        """
        process = next(process for process in self._processes if process.role == role)
        readable, _, _ = select.select([process.ready_fd, self._wake_fd], [], [], timeout)
        if self._wake_fd in readable:
            raise ToldToStop
        if not readable:
            raise PeerUnavailable(f"the {role} did not get ready", why=f"waited {timeout} s")

    def watch(self) -> dict[int, str]:
        """The file descriptors that become readable when a part ends, with its role."""
        return {process.pid_fd: process.role for process in self._processes}

    def failure(self, role: str) -> LeafwardError:
        """What a part that ended had to say."""
        process = next(process for process in self._processes if process.role == role)
        line = _read_line(process.ready_fd)
        if line or role not in self._ready:
            try:
                _told(role, line)
            except LeafwardError as error:
                return error
        return PartFailed(f"the {role} ended by itself", why=_how_it_ended(process), hint="leafward up starts it again")

    def stop(self) -> None:
        """SIGTERM to all at once, each awaited; SIGKILL for one that does not end in time."""
        for process in self._processes:
            _send(process.pid, signal.SIGTERM)
        for process in reversed(self._processes):
            if not select.select([process.pid_fd], [], [], STOP_TIMEOUT_MS / 1000)[0]:
                _send(process.pid, signal.SIGKILL)
            _reap(process)
        self._processes.clear()


def _how_it_ended(process: _Process) -> str:
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    if ended is None:
        return "it is about to"
    if ended.si_code == os.CLD_EXITED:
        return f"exit code {ended.si_status}"
    return f"signal {signal.Signals(ended.si_status).name}"


def _reap(process: _Process) -> None:
    os.waitpid(process.pid, 0)
    os.close(process.pid_fd)
    os.close(process.ready_fd)


def _child(part: Part, write_fd: int, parent: int, orphaned: Callable[[], None]) -> NoReturn:
    """The life of a part's process. It never returns into the supervisor's code."""
    code = FAILED
    try:
        # The supervisor's handlers came along by the fork: until the part has its own, SIGTERM must end it.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        # `up` is what the service manager started: it speaks for all of them.
        os.environ.pop(notify.SOCKET, None)
        _die_with(parent)
        serve(part, lambda facts: _tell(write_fd, facts))
        code = 0
    except LeafwardError as error:
        _tell(write_fd, {"error": {"what": error.what, "why": error.why, "hint": error.hint}})
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        if os.getppid() != parent:
            orphaned()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Asks the kernel for a SIGTERM when `up` dies, however it dies (Linux, prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(FAILED)


def _tell(write_fd: int, facts: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(write_fd, json.dumps(facts).encode() + b"\n")


def _read_line(read_fd: int) -> bytes:
    """One line of at most a pipe's atomic write; empty when the part ended without a word."""
    return os.read(read_fd, select.PIPE_BUF)


def _told(role: str, line: bytes) -> dict[str, Any]:
    if not line:
        raise PartFailed(f"the {role} ended before it was ready", hint="look at its log lines above")
    facts: dict[str, Any] = json.loads(line)
    if "error" in facts:
        raise PartFailed(facts["error"]["what"], why=facts["error"]["why"], hint=facts["error"]["hint"])
    return facts


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
