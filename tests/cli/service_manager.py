"""A service manager for tests: the datagram socket that a part tells how it stands, and the process it started."""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import leafward
from leafward.cli.units_hardening import OF_PART

PATIENCE_SECONDS = 30.0
# The parts whose unit forbids memory that becomes code (`cli/units_hardening.py`).
WITHOUT_CODE_FROM_MEMORY = [part for part in OF_PART if ("MemoryDenyWriteExecute", "yes") in OF_PART[part]]
PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


class NotifySocket:
    """NOTIFY_SOCKET's other end. `address` is a path, or an abstract one with a leading "@"."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE_SECONDS)
        if not address.startswith("@"):
            Path(address).chmod(0o666)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def next(self) -> dict[str, str]:
        """The next datagram as its assignments."""
        lines = self._socket.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def next_unless(self, ended: int) -> dict[str, str]:
        """The next datagram. Raises `TimeoutError` at once where the process of this descriptor ends instead."""
        readable, _, _ = select.select([self._socket, ended], [], [], PATIENCE_SECONDS)
        if self._socket not in readable:
            raise TimeoutError
        return self.next()

    def wait_for(self, name: str) -> dict[str, str]:
        """The next datagram with this assignment; others before it are passed over."""
        while name not in (told := self.next()):
            pass
        return told


class Interpreter:
    """This interpreter and our packages for processes of any user, though they may lie in a private folder (/root).

    Held by descriptors: a path through /proc/self/fd begins at the folder itself and asks nothing of those above it.
    """

    def __init__(self) -> None:
        folders = (sys.base_prefix, sysconfig.get_path("purelib"), str(Path(leafward.__file__).parents[1]))
        self.descriptors = tuple(os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in folders)
        base, *packages = (f"/proc/self/fd/{descriptor}" for descriptor in self.descriptors)
        self.program = f"{base}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONHOME": base,
            "PYTHONPATH": ":".join(reversed(packages)),
            "LD_LIBRARY_PATH": f"{base}/lib",
        }

    def run(self, uid: int, gid: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs Python as another user to its end."""
        return subprocess.run([self.program, *arguments], **self.as_user(uid, gid), timeout=60, check=False)

    def as_user(self, uid: int, gid: int) -> dict[str, Any]:
        """What `subprocess` is told."""
        return {
            "env": self.environment,
            "user": uid,
            "group": gid,
            "extra_groups": [],
            "pass_fds": self.descriptors,
            "cwd": "/",
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }


class Service:
    """A part as systemd would run it: by its own command, as a user of its own, with no way to new rights or code."""

    def __init__(
        self, interpreter: Interpreter, arguments: Sequence[str], notify: NotifySocket, *, uid: int, gid: int
    ) -> None:
        options = interpreter.as_user(uid, gid)
        options["env"] = {**options["env"], "NOTIFY_SOCKET": notify.address, "WATCHDOG_USEC": "400000"}
        self.notify = notify
        before = _without_code_from_memory if arguments[0] in WITHOUT_CODE_FROM_MEMORY else _without_new_privileges
        self.process = subprocess.Popen(
            [interpreter.program, "-m", "leafward", *arguments],
            preexec_fn=before,  # noqa: PLW1509 - one thread
            **options,
        )

    def wait_until_ready(self) -> Self:
        ended = os.pidfd_open(self.process.pid)
        try:
            while "READY" not in self.notify.next_unless(ended):
                pass
        except TimeoutError:
            self.process.kill()
            raise AssertionError(self.process.communicate()) from None
        finally:
            os.close(ended)
        return self

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Ends it; its exit code, and what it wrote."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err


def _without_new_privileges() -> None:
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _without_code_from_memory() -> None:
    """MemoryDenyWriteExecute too, on kernels that have it (Linux 6.3)."""
    _without_new_privileges()
    ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
