"""Killed at each step of an enrolment; then the next start.

    step 1  step 2  …  step k  ✗      next start: the old pair or the new one, whole; one more enrolment; no orphan

After the kill nothing of the killed attempt touches the disk any more, as after a SIGKILL.
"""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from leafward import disk
from leafward.manager.enrolment import Enrolment
from leafward.pki.chain import Chain
from tests.faults.seam import Seam
from tests.manager.enrolment_world import Gateway, maker_here, url_of
from tests.manager.test_enrolment import judged

# Every kill costs two enrolments at the real server: a sample each time, all of them when asked.
EVERY = 1 if os.environ.get("LEAFWARD_FAULTS") == "all" else 7


class Killed(BaseException):
    """Nobody catches it."""


class Kill:
    """At step `at`, and at every one after it, of the thread that enrols."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0
        self.thread: threading.Thread | None = None

    def __call__(self, _name: str, _path: Path) -> None:
        if threading.current_thread() is self.thread:
            self.steps += 1
            if self.steps >= self.at:
                raise Killed


def attempt(gateway: Gateway, enrolment: Enrolment, kill: Kill) -> bool:
    """One attempt and what follows it, as the manager does; False when it was killed."""
    with Seam(gateway.home.root, kill):
        kill.thread = threading.current_thread()
        try:
            enrolment.enrol()
            enrolment.tidy()
        except Killed:
            return False
    return True


def residue(gateway: Gateway) -> list[str]:
    return sorted(str(path.relative_to(gateway.folder_of_slots)) for path in gateway.folder_of_slots.rglob("*"))


@pytest.mark.parametrize("rekey", [True, False])
async def test_a_kill_at_every_step(tmp_path: Path, rekey: bool) -> None:
    maker = next(made := maker_here(tmp_path))
    gateway = Gateway(tmp_path, maker, rekey=rekey)
    gateway.with_identity()
    async with maker.serving() as server:
        undisturbed = Kill(10_000)
        assert await asyncio.to_thread(attempt, gateway, gateway.enrolment(url_of(server)), undisturbed)
        assert await asyncio.to_thread(attempt, gateway, gateway.enrolment(url_of(server)), undisturbed)
        total = undisturbed.steps // 2
        assert total > 40
        for at in range(1, total, EVERY):
            assert not await asyncio.to_thread(attempt, gateway, gateway.enrolment(url_of(server)), Kill(at))
            again = gateway.enrolment(url_of(server))
            files = again.current()
            assert files is not None
            assert judged(gateway, files)
            assert await asyncio.to_thread(attempt, gateway, again, Kill(10_000))
            assert len(gateway.slots) == len(gateway.keys) == 1
            assert len(residue(gateway)) == 7, residue(gateway)
    next(made, None)


async def test_kills_of_the_first_one(tmp_path: Path) -> None:
    """Over and over on one home, with an account for one certificate: the device gets it all the same."""
    maker = next(made := maker_here(tmp_path))
    gateway = Gateway(tmp_path, maker)
    gateway.with_account(once=True)
    async with maker.serving() as server:
        at = 0
        while (files := gateway.enrolment(url_of(server)).current()) is None:
            await asyncio.to_thread(attempt, gateway, gateway.enrolment(url_of(server)), Kill(at := at + 3))
            assert len(gateway.keys) <= 2, gateway.keys
        assert at > 20
        enrolment = gateway.enrolment(url_of(server))
        assert judged(gateway, files).leaf == Chain.from_pem(disk.read_file(files.certificate)).leaf
        enrolment.tidy()
        assert len(residue(gateway)) == 7, residue(gateway)
    next(made, None)
