"""A real edge for tests: `leafward up` as a person starts it, on a loopback address that nobody else uses."""

import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.command_server import CommandServer

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
LEAF_PYTHON = Path(sys.prefix) / "leaf" / "bin" / "python"
MQTTS_PORT = 8883
# Of the sixteen million that there are; other tests have some of them.
ADDRESSES_TRIED = 100
# Said by `leafward up` when everything answers.
UP = "Ctrl-C stops it."


def free_address() -> str:
    """A loopback address with a free MQTT port: the Azure SDKs connect to 8883 and to no other port.

    Raises `RuntimeError` where there is none: that is so as long as somebody listens on all addresses.
    """
    for _ in range(ADDRESSES_TRIED):
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        with socket.socket() as probe:
            try:
                probe.bind((address, MQTTS_PORT))
            except OSError as error:
                why = error.strerror
                continue
            return address
    raise RuntimeError(
        f"port {MQTTS_PORT} of {ADDRESSES_TRIED} loopback addresses cannot be bound ({why}): "
        f"stop what listens on 0.0.0.0:{MQTTS_PORT} (ss -ltnp 'sport = :{MQTTS_PORT}')"
    )


def leafward(*arguments: str, home: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, as a person would. `options`: `input` and `cwd` of `subprocess.run`."""
    environment = {**os.environ, **({"LEAFWARD_HOME": str(home)} if home else {})}
    return _commands().run(list(arguments), environment, **options)


@functools.cache
def _commands() -> CommandServer:
    return CommandServer()


def leafward_json(*arguments: str, home: Path) -> Any:
    """What a command prints with --json. The command must succeed."""
    done = leafward(*arguments, "--json", home=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass
class Edge:
    """A `leafward up` that runs."""

    home: Path
    process: subprocess.Popen[str]
    address: str
    said: list[str] = field(default_factory=list)

    @property
    def ready(self) -> dict[str, Any]:
        return json.loads((self.home / "run" / "ready.json").read_text())

    @property
    def hostname(self) -> str:
        return self.ready["hostname"]

    @property
    def root(self) -> Path:
        return Path(self.ready["root"])

    def wait_until_up(self) -> "Edge":
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if UP in line:
                return self
        raise AssertionError(f"leafward up ended: {self.said} {self.process.stderr and self.process.stderr.read()}")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return leafward(*arguments, home=self.home)

    def json(self, *arguments: str) -> Any:
        return leafward_json(*arguments, home=self.home)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it by a signal and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


StartEdge = Callable[..., Edge]


class Edges:
    """Starts edges; at the end it stops those that still run."""

    def __enter__(self) -> StartEdge:
        self._started: list[Edge] = []
        return self._start

    def __exit__(self, *_: object) -> None:
        for edge in self._started:
            edge.stop()
            for stream in (edge.process.stdout, edge.process.stderr):
                if stream:
                    stream.close()

    def _start(self, home: Path, *options: str, wait: bool = True, address: str | None = None) -> Edge:
        address = address or free_address()
        process = subprocess.Popen(
            [str(LEAFWARD), "up", "--home", str(home), "--bind", address, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        edge = Edge(home, process, address)
        self._started.append(edge)
        return edge.wait_until_up() if wait else edge
