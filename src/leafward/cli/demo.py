"""The demonstration of `leafward up --demo`: a leaf device that is Azure's unmodified client, and what it sends.

The client lives in an environment of its own (`make install` builds it beside ours), as a leaf device is another
machine: it gets a root certificate and a connection string, nothing else.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from leafward.cli import voice
from leafward.cli.commands.messages import sentence
from leafward.cli.credentials import connection_string
from leafward.cli.service import system_clock
from leafward.errors import NotFound, UsageError
from leafward.provisioning.devices import add_device
from leafward.store.home import Home
from leafward.store.messages import MessageStore
from leafward.store.registry import Registry

DEVICE_ID = "demo-leaf"
PROGRAM = Path(__file__).parent / "leaf" / "leaf.py"
# The Azure SDKs connect to this port and to no other.
SDK_PORT = 8883
STOP_SECONDS = 3.0


class Demo:
    """Within `with`, the leaf device runs. `show_new_messages` prints what arrived since the last call."""

    POLL_SECONDS = 0.2

    def __init__(self, home: Home, facts: dict[str, Any]) -> None:
        if facts["mqtts"]["port"] != SDK_PORT:
            raise UsageError(
                "the demonstration leaf device cannot use this port",
                why=f"Azure's client connects to {SDK_PORT}, the hub listens on {facts['mqtts']['port']}",
                hint=f"leave out --demo, or use --mqtt-port {SDK_PORT}",
            )
        self._home = home
        self._facts = facts
        self._store = MessageStore.open_read_only(home.messages)
        self._seen = self._store.newest()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [str(leaf_python()), "-W", "ignore", str(PROGRAM), self._facts["root"], self._host_entry()],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": os.defpath, "PYTHONUNBUFFERED": "1"},
        )
        _hand_over(self._process, _demo_connection_string(self._home, self._facts["hostname"]))
        voice.say()
        voice.say(f"The leaf device {DEVICE_ID} (azure-iot-device, unmodified) sends:")
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._store.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def show_new_messages(self) -> None:
        """Prints the messages that came since the last call."""
        for message in self._store.read(after=self._seen):
            voice.say(f"  {sentence(message)}")
            self._seen = message.id or self._seen
        if self._process is not None and self._process.poll() is not None:
            voice.warn(f"the demonstration leaf device ended with exit code {self._process.returncode}")
            self._process = None

    def _host_entry(self) -> str:
        return f"{self._facts['hostname']}={self._facts['mqtts']['host']}"


def leaf_python() -> Path:
    """The interpreter of the leaf device's environment: LEAFWARD_LEAF_PYTHON, else the one beside ours."""
    path = Path(os.environ.get("LEAFWARD_LEAF_PYTHON") or Path(sys.prefix) / "leaf" / "bin" / "python")
    if not path.exists():
        raise NotFound(
            "the demonstration leaf device is not installed",
            why=f"no {path}",
            hint="make install, or name an interpreter that has azure-iot-device by LEAFWARD_LEAF_PYTHON",
        )
    return path


def _demo_connection_string(home: Home, gateway: str) -> str:
    with Registry.open(home.registry) as registry:
        identity = registry.get(DEVICE_ID) or add_device(registry, DEVICE_ID, "sas", now=system_clock())
    return connection_string(identity, gateway) or ""


def _hand_over(process: subprocess.Popen[bytes], secret: str) -> None:
    """By the pipe, which stays open: its end tells the leaf that we are gone."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(secret.encode() + b"\n")
            process.stdin.flush()
