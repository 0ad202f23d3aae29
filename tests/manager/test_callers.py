"""Which module a caller is: real processes, real unix sockets, real process ids."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leafward.errors import AccessDenied, AlreadyExists, NotFound
from leafward.manager import callers
from leafward.manager.callers import Attachment, Callers, Peer, Process

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

# Connects, and holds the connection until its standard input is closed.
CONNECT = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdin.read()
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], stdin=sys.stdin); child.wait()
"""


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", *arguments], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        listening.settimeout(10)
        yield listening


@contextmanager
def accepted(listener: socket.socket) -> Iterator[Peer]:
    connection, _ = listener.accept()
    peer = Peer.of(connection)
    with connection:
        yield peer
    peer.close()


def test_an_attached_process_is_its_module(listener: socket.socket) -> None:
    known = Callers()
    with running(CONNECT, listener.getsockname()) as process, accepted(listener) as peer:
        assert (peer.pid, peer.uid) == (process.pid, os.getuid())
        assert known.module_of(peer) is None
        known.attach(process.pid, "modA", "g1", now=NOW)
        assert known.module_of(peer) == "modA"
        assert known.processes_of("modA") == [process.pid]


def test_a_descendant_is_the_module_of_its_ancestor(listener: socket.socket) -> None:
    known = Callers()
    with running(PARENT, listener.getsockname(), CONNECT) as process, accepted(listener) as peer:
        known.attach(process.pid, "modA", "g1", now=NOW)
        assert peer.pid != process.pid
        assert known.module_of(peer) == "modA"


def test_the_nearest_attached_ancestor_decides(listener: socket.socket) -> None:
    known = Callers()
    with running(PARENT, listener.getsockname(), CONNECT) as process, accepted(listener) as peer:
        known.attach(process.pid, "modA", "g1", now=NOW)
        known.attach(peer.pid, "modB", "g1", now=NOW)
        assert known.module_of(peer) == "modB"


def test_a_stranger_is_no_module(listener: socket.socket) -> None:
    known = Callers()
    with (
        running(CONNECT, listener.getsockname()) as stranger,
        accepted(listener) as peer,
        running("import sys; sys.stdin.read()") as other,
    ):
        known.attach(other.pid, "modA", "g1", now=NOW)
        assert stranger.pid == peer.pid
        assert known.module_of(peer) is None


def test_an_ended_process_is_no_module_though_its_connection_lives_on(listener: socket.socket) -> None:
    known = Callers()
    with running(CONNECT, listener.getsockname()) as process, accepted(listener) as peer:
        known.attach(process.pid, "modA", "g1", now=NOW)
        process.kill()
        process.wait(10)
        assert known.module_of(peer) is None
        assert known.processes_of("modA") == []


@pytest.mark.parametrize("descriptor", [True, False])
def test_a_reused_process_id_inherits_nothing(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, descriptor: bool
) -> None:
    """The attached process ended, and its id is now another process's: same pid, later start."""
    known = Callers()
    if not descriptor:
        monkeypatch.setattr(callers, "SO_PEERPIDFD", 0x7FFF)
    with running(CONNECT, listener.getsockname()) as process, accepted(listener) as peer:
        known.attach(process.pid, "modA", "g1", now=NOW)
        held = known._attached[process.pid]
        known._attached[process.pid] = replace(held, start=held.start - 1)
        assert known.module_of(peer) is None


def test_without_process_descriptors_the_start_time_stands_in(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "SO_PEERPIDFD", 0x7FFF)
    known = Callers()
    with running(CONNECT, listener.getsockname()) as process, accepted(listener) as peer:
        known.attach(process.pid, "modA", "g1", now=NOW)
        assert known.module_of(peer) == "modA"
        process.kill()
        process.wait(10)
        assert not peer.alive


def test_a_parent_younger_than_its_child_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """child 30 -> parent 20, whose id was used again after the child started."""
    table = {30: Process(30, 20, start=5), 20: Process(20, 1, start=9)}
    known = Callers()
    known._attached[20] = Attachment(9, "modA", "g1", NOW)
    monkeypatch.setattr(Process, "read", classmethod(lambda _cls, pid: table[pid]))
    assert known._nearest(30) is None
    table[20] = Process(20, 1, start=4)
    known._attached[20] = Attachment(4, "modA", "g1", NOW)
    assert known._nearest(30) == Attachment(4, "modA", "g1", NOW)


def test_a_peer_that_has_ended_is_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pid belongs to somebody else by now: that one is attached, the peer of the connection is gone."""
    known = Callers()
    known._attached[20] = Attachment(7, "modA", "g1", NOW)
    monkeypatch.setattr(Process, "read", classmethod(lambda _cls, pid: Process(pid, 1, start=7)))
    assert known.module_of(Peer(20, 1000, start=7)) == "modA"
    assert known.module_of(Peer(20, 1000, start=3)) is None
    assert known.module_of(Peer(20, 1000, start=None)) is None


def test_a_process_is_one_module_only() -> None:
    known = Callers()
    with running("import sys; sys.stdin.read()") as process:
        known.attach(process.pid, "modA", "g1", now=NOW)
        known.attach(process.pid, "modA", "g1", now=NOW)
        with pytest.raises(AlreadyExists, match="modA"):
            known.attach(process.pid, "modB", "g1", now=NOW)
        known.detach_module("modA")
        known.attach(process.pid, "modB", "g1", now=NOW)
        assert known.processes_of("modB") == [process.pid]


def test_init_and_unknown_processes_cannot_be_attached() -> None:
    with pytest.raises(AccessDenied):
        Callers().attach(1, "modA", "g1", now=NOW)
    with pytest.raises(NotFound):
        Callers().attach(2**22 + 1, "modA", "g1", now=NOW)


def test_a_name_with_brackets_and_blanks_is_read_rightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "7").mkdir()
    fields = " ".join(["S", "3", *["0"] * 17, "4242", *["0"] * 20])
    (tmp_path / "7" / "stat").write_text(f"7 (a ) S 1 (b)) {fields}")
    monkeypatch.setattr(callers, "_PROC", tmp_path)
    assert Process.read(7) == Process(7, parent=3, start=4242)


RECYCLED = Path(__file__).parent / "scripts" / "recycled_pid.py"


def test_a_process_id_that_is_used_again_for_real(tmp_path: Path) -> None:
    """In a process namespace of its own, where the next id can be chosen: with process descriptors, even where both
    processes began in the same hundredth of a second, and without them.
    """
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, str(RECYCLED), str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no process namespace can be made here: {getattr(error, 'stderr', error)}")
    for found in json.loads(done.stdout):
        assert found == {
            "same_pid": True,
            "while_alive": "modA",
            "when_gone": None,
            "old_connection": None,
            "new_connection": None,
            "listed": [],
        }


def test_a_signal_goes_to_the_modules_own_process_only() -> None:
    """And to nobody where its process has ended and its id is another's."""
    known = Callers()
    with running("import sys; sys.stdin.read()") as process, running("import sys; sys.stdin.read()") as other:
        known.attach(process.pid, "modA", "g1", now=NOW)
        assert known.signal("modB", signal.SIGTERM) == 0
        assert known.signal("modA", signal.SIGTERM) == 1
        assert process.wait(10) == -signal.SIGTERM
        assert known.signal("modA", signal.SIGTERM) == 0
        assert other.poll() is None
    known.close()


def test_descriptors_are_given_back(listener: socket.socket) -> None:
    known = Callers()
    with running(CONNECT, listener.getsockname()) as process, accepted(listener) as peer:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            known.attach(process.pid, "modA", "g1", now=NOW)
            known.attach(process.pid, "modA", "g1", now=NOW)
            assert known.module_of(peer) == "modA"
            known.detach_module("modA")
        assert len(list(Path("/proc/self/fd").iterdir())) == before
