"""SIGHUP at a service and at a terminal."""

import asyncio
import os
import signal

import pytest

from leafward.cli import reload


async def test_a_service_is_told_to_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_has_terminal", lambda: False)
    told = reload.reload_signal()
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(told.wait(), 10)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


async def test_at_a_terminal_the_signal_means_what_it_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_has_terminal", lambda: True)
    before = signal.getsignal(signal.SIGHUP)
    reload.reload_signal()
    assert signal.getsignal(signal.SIGHUP) == before
