"""Runs `leafward` commands for the tests, each in a process of its own that need not load Python and the libraries.

Most of what a command costs a test is its start: the interpreter, cryptography, SQLAlchemy. Here one process a test
worker has all that loaded and forks for each command. What the command does is what it does for a person: its own
process, arguments, environment, folder, standard streams and exit code. The program's real entry is run as well, by
the tests that start `leafward` itself.
"""

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MAX_REQUEST = 1 << 20
SECONDS = 60


class CommandServer:
    """The server of this test worker, started with its first command."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="leafward-commands-")
        self._path = Path(self._folder.name) / "commands.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen(64)
        # Its standard input ends with the test worker, and then so does it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.command_server", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        listener.close()
        atexit.register(self.close)

    def close(self) -> None:
        """Ends the server."""
        self._process.communicate()
        self._folder.cleanup()

    def run(
        self, arguments: list[str], environment: dict[str, str], **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with `capture_output=True, text=True`; `options` are its `input` and `cwd`."""
        given: str | None = options.pop("input", None)
        cwd = str(options.pop("cwd", None) or Path.cwd())
        assert not options, f"not known here: {options}"
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            stdin.write((given or "").encode())
            stdin.seek(0)
            request = json.dumps({"arguments": arguments, "environment": environment, "cwd": cwd}).encode()
            code = self._ask(request, [stdin.fileno(), stdout.fileno(), stderr.fileno()])
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(
                ["leafward", *arguments], code, stdout.read().decode(), stderr.read().decode()
            )

    def _ask(self, request: bytes, streams: list[int]) -> int:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS + 30)
            connection.connect(str(self._path))
            socket.send_fds(connection, [request], streams)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(64)
        assert answer, "the command server ended"
        code = int(answer)
        if code == -signal.SIGKILL:
            raise subprocess.TimeoutExpired(json.loads(request)["arguments"], SECONDS)
        return code


def _serve(listener: socket.socket) -> None:
    """Until the test worker ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(0, select.POLLIN | select.POLLHUP)
    while True:
        if any(descriptor == 0 for descriptor, _ in poll.poll()):
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _one(connection)
            os._exit(0)
        connection.close()


def _one(connection: socket.socket) -> None:
    request, streams, _, _ = socket.recv_fds(connection, MAX_REQUEST, 3)
    while more := connection.recv(MAX_REQUEST):
        request += more
    asked = json.loads(request)
    command = os.fork()
    if command == 0:
        connection.close()
        _command(asked, streams)
    connection.sendall(str(_wait(command)).encode())


def _wait(command: int) -> int:
    """The exit code, as `subprocess` counts it. A command that hangs is killed."""
    descriptor = os.pidfd_open(command)
    ended, _, _ = select.select([descriptor], [], [], SECONDS)
    if not ended:
        os.kill(command, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])


def _command(asked: dict[str, Any], streams: list[int]) -> None:
    from leafward.cli import main

    code = 70
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, 64)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["leafward", *asked["arguments"]]
        code = main.run(asked["arguments"])
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _load() -> None:
    """Everything a command may need: what is loaded now is loaded once."""
    import leafward

    for module in pkgutil.walk_packages(leafward.__path__, "leafward."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
