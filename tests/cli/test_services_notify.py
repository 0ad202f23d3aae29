"""sd_notify with a real socket: what a part tells, when, and when it falls silent."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafward.cli.health import answers, ask_for_time, keep_alive
from leafward.cli.notify import Notifier
from leafward.cli.service import serve
from tests.cli.service_manager import NotifySocket
from tests.edge import free_address


@pytest.fixture(params=["path", "abstract"])
def notify(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    """systemd passes either kind of address."""
    names = {"path": str(tmp_path / "notify"), "abstract": f"@leafward-{os.getpid()}-{tmp_path.name}"}
    with NotifySocket(names[request.param]) as listening:
        yield listening


def notifier(notify: NotifySocket, **variables: str) -> Notifier:
    return Notifier.of({"NOTIFY_SOCKET": notify.address, **variables})


def test_what_is_told(notify: NotifySocket) -> None:
    told = notifier(notify)
    told.ready("the hub\nis up")
    told.status("waiting")
    told.alive()
    told.reloading()
    told.stopping()
    assert notify.next() == {"READY": "1", "STATUS": "the hub is up"}
    assert notify.next() == {"STATUS": "waiting"}
    assert notify.next() == {"WATCHDOG": "1"}
    reloading = notify.next()
    assert (reloading["RELOADING"], reloading["MONOTONIC_USEC"].isdigit()) == ("1", True)
    assert notify.next() == {"STOPPING": "1", "STATUS": "stopping"}


@pytest.mark.parametrize("address", ["", "/", "@", "relative", "vsock:2:1234"])
def test_an_address_that_is_none_is_nobody(address: str) -> None:
    assert not Notifier.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}).is_heard
    assert Notifier.of({}).ping_seconds is None


def test_a_service_manager_that_is_gone_or_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "gone")).ready("up")
    with NotifySocket(str(tmp_path / "full")) as full:
        told = notifier(full)
        for _ in range(2000):
            told.alive()


def test_the_watchdog_is_ours_only_where_it_names_us() -> None:
    there = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000"}
    assert Notifier.of(there).ping_seconds == 1.5
    assert Notifier.of({**there, "WATCHDOG_PID": str(os.getpid())}).ping_seconds == 1.5
    assert Notifier.of({**there, "WATCHDOG_PID": "1"}).ping_seconds is None
    assert Notifier.of({**there, "WATCHDOG_USEC": "soon"}).ping_seconds is None


async def test_a_long_start_asks_for_more_time(tmp_path: Path) -> None:
    """An enrolment may wait for its maker for months: the loop turns, so it is no hang."""
    with NotifySocket(str(tmp_path / "notify")) as notify:
        task = asyncio.create_task(ask_for_time(notifier(notify), every=0.01))
        told = await asyncio.to_thread(notify.next)
        task.cancel()
        assert told == {"EXTEND_TIMEOUT_USEC": "30000"}
    await asyncio.wait_for(ask_for_time(Notifier()), 1)


RELOAD = """
import asyncio, os
from leafward.cli.reload import reload_signal
from leafward.cli.notify import Notifier
from leafward.cli.service import serve
async def part(stop, ready):
    reload = reload_signal()
    ready({})
    await reload.wait()
notifier = Notifier.of(os.environ)
serve(part, lambda facts: notifier.ready("it is up"), notifier=notifier)
"""


def test_a_service_reads_its_files_anew_at_sighup(tmp_path: Path) -> None:
    """In a session without a terminal, as a service has it. RELOADING, and READY again."""
    with NotifySocket(str(tmp_path / "notify")) as notify:
        environment = {**os.environ, "NOTIFY_SOCKET": notify.address}
        with subprocess.Popen([sys.executable, "-c", RELOAD], env=environment, start_new_session=True) as process:
            assert notify.next()["STATUS"] == "it is up"
            process.send_signal(signal.SIGHUP)
            assert notify.next()["RELOADING"] == "1"
        assert process.returncode == 0


async def _tell_each(notifier: Notifier, verdicts: list[bool]) -> int:
    """How many signs of life come of these answers of the part's."""
    asked = asyncio.Event()
    left = iter(verdicts)

    async def probe() -> bool:
        verdict = next(left, None)
        if verdict is None:
            asked.set()
            await asyncio.Event().wait()
        return bool(verdict)

    task = asyncio.create_task(keep_alive(notifier, probe))
    await asyncio.wait_for(asked.wait(), 20)
    task.cancel()
    return verdicts.count(True)


async def test_signs_of_life_while_the_part_answers_and_none_while_it_does_not(tmp_path: Path) -> None:
    """yes, no, no, yes: two signs, the second after the part answers again."""
    with NotifySocket(str(tmp_path / "notify")) as notify:
        told = notifier(notify, WATCHDOG_USEC="20000")
        assert await _tell_each(told, [True, False, False, True]) == 2
        told.status("end")
        assert [notify.next(), notify.next(), notify.next()] == [
            {"WATCHDOG": "1"},
            {"WATCHDOG": "1"},
            {"STATUS": "end"},
        ]


async def test_a_part_that_answers_nothing_in_time_is_not_healthy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its socket takes the connection, and nobody reads it."""
    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as deaf, NotifySocket(str(tmp_path / "notify")) as notify:
        deaf.bind(str(path))
        deaf.listen()
        task = asyncio.create_task(keep_alive(notifier(notify, WATCHDOG_USEC="100000"), answers(path, "/health")))
        while "no answer from our own socket" not in caplog.text:
            await asyncio.sleep(0.01)
        task.cancel()
        notifier(notify).status("end")
        assert notify.next() == {"STATUS": "end"}


@pytest.mark.parametrize(
    ("line", "healthy"), [(b"HTTP/1.1 200 OK\r\n", True), (b"HTTP/1.1 503 No\r\n", False), (b"", False)]
)
async def test_what_counts_as_an_answer(tmp_path: Path, line: bytes, healthy: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(line)
        writer.close()

    path = tmp_path / "part.sock"
    async with await asyncio.start_unix_server(answer, path):
        assert await answers(path, "/health")() is healthy


PART = """
import asyncio, os
from leafward.cli.notify import Notifier
from leafward.cli.service import serve
async def part(stop, ready):
    ready({})
    await stop.wait()
notifier = Notifier.of(os.environ)
serve(part, lambda facts: notifier.ready("it is up"), notifier=notifier)
"""


def test_the_life_of_a_part(tmp_path: Path) -> None:
    """READY, then signs of life, then STOPPING at the signal: a process of its own, as systemd has it."""
    with NotifySocket(str(tmp_path / "notify")) as notify:
        environment = {**os.environ, "NOTIFY_SOCKET": notify.address, "WATCHDOG_USEC": "20000"}
        with subprocess.Popen([sys.executable, "-c", PART], env=environment) as process:
            assert notify.next() == {"READY": "1", "STATUS": "it is up"}
            assert notify.next() == {"WATCHDOG": "1"}
            process.send_signal(signal.SIGTERM)
            notify.wait_for("STOPPING")
        assert process.returncode == 0


def test_a_part_that_nobody_watches_runs_as_well() -> None:
    async def part(_stop: asyncio.Event, ready: object) -> None:
        ready({})  # type: ignore[operator]

    facts: list[object] = []
    serve(part, facts.append)
    assert facts == [{}]


def test_up_speaks_for_all_of_its_parts(tmp_path: Path) -> None:
    """One READY and one STOPPING, whatever its parts do; all it says on standard error is JSON."""
    address = free_address()
    arguments = ["up", "--home", str(tmp_path / "home"), "--hostname", "gateway.test", "--bind", address]
    with NotifySocket(str(tmp_path / "notify")) as notify:
        process = subprocess.Popen(
            [sys.executable, "-m", "leafward", *arguments, "--https-port", "0", "--log-format", "json"],
            env={**os.environ, "NOTIFY_SOCKET": notify.address}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert notify.next() == {"READY": "1", "STATUS": "gateway.test is up"}
        process.send_signal(signal.SIGTERM)
        assert notify.next()["STOPPING"] == "1"
        _out, said = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert any("development" in line["message"] and line["part"] == "up" for line in lines)
