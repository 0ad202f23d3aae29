"""When the log is signed by a server that is idle: soon after anybody appended, whatever goes wrong on the way."""

import asyncio
import functools
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from leafward.authority.ledger import Ledger
from leafward.authority.log_signing import IdleSigning
from leafward.errors import Damaged
from tests.authority.est_world import Maker
from tests.authority.ledger_entries import entry

SOON = timedelta(milliseconds=2)


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    made = Maker(tmp_path)
    yield made
    made.issuance.close()


async def test_it_goes_on_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A log that is damaged, a fault of ours: told, and tried again."""
    loop, signed = asyncio.get_running_loop(), asyncio.Event()
    fails = iter([Damaged("the log is damaged"), ZeroDivisionError()])

    def sign() -> None:
        for error in fails:
            raise error
        loop.call_soon_threadsafe(signed.set)

    async with IdleSigning(sign, interval=SOON):
        await signed.wait()
    assert "the log is damaged" in caplog.text
    assert "signing the issuance log failed" in caplog.text


async def test_its_end_waits_for_a_signature() -> None:
    """Whoever closes the database next finds nobody at work."""
    loop, begun, may_end = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    done = []

    def sign() -> None:
        loop.call_soon_threadsafe(begun.set)
        may_end.wait()
        done.append(True)

    async with IdleSigning(sign, interval=SOON):
        await begun.wait()
        loop.call_later(0.01, may_end.set)
    assert done


async def test_the_server_signs_what_another_process_appended(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody enrols; a device CA is issued beside the server by somebody who dies: the server signs the log."""
    monkeypatch.setattr("leafward.authority.serve.IdleSigning", functools.partial(IdleSigning, interval=SOON))
    loop, signed, sign = asyncio.get_running_loop(), asyncio.Event(), Ledger.sign

    def told(ledger: Ledger) -> None:
        sign(ledger)
        state = ledger.log.state()
        if state.signed is not None and state.signed.size == state.size == len(wanted):
            loop.call_soon_threadsafe(signed.set)

    monkeypatch.setattr(Ledger, "sign", told)
    wanted: list[int] = []
    async with maker.serving():
        with Ledger.open(maker.issuance.folder, clock=maker.now) as other:
            (place,) = other.record([entry("gw-9", not_after=maker.now() + timedelta(days=9))])
            wanted += range(place + 1)
            other._signing._since = None  # it does not live to sign
            await signed.wait()
