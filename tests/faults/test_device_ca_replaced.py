"""The device CA is replaced on the disk while the manager runs: a file at a time, wrong, right, or gone.

old device CA <- workload CA <- hub          serves until the new one is whole, right and taken
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leafward import disk
from leafward.manager.daemon import Manager
from leafward.pki.chain import fingerprint
from leafward.pki.encoding import private_key_to_pem
from leafward.store.home import Home
from tests.faults.damage import DAMAGES
from tests.faults.homes import start
from tests.faults.summary import Count
from tests.faults.turns import Turns, serves


@pytest.fixture
async def running(home: Home, install: Callable[..., Any], clock: Any) -> Any:
    install()
    turns = Turns()
    async with Manager(home, clock=clock, wait=turns, look_every=3600) as manager:
        await turns.waiting()
        yield manager, turns


def files(home: Home) -> tuple[Path, Path]:
    folder = home.manager / "device-ca"
    return folder / "certificate.pem", folder / "key.pem"


async def test_a_new_one_is_taken_and_the_next_start_agrees(
    running: Any, home: Home, install: Callable[..., Any], clock: Any
) -> None:
    manager, turns = running
    before = fingerprint(manager.standing.device_ca.chain.leaf)
    install()
    for _ in range(3):  # seen, at rest, taken
        await turns.turn()
    now = fingerprint(manager.standing.device_ca.chain.leaf)
    assert now != before
    serves(manager, clock())
    await manager.close()
    standing = start(home, clock())
    assert standing.issued == ()
    assert fingerprint(standing.device_ca.chain.leaf) == now


async def test_half_of_a_new_one_is_none(running: Any, home: Home, maker: Any, clock: Any) -> None:
    """Its certificate is there, its key not yet: the old one serves on; then the key comes."""
    manager, turns = running
    before = fingerprint(manager.standing.device_ca.chain.leaf)
    new = maker.device_ca()
    certificate, key = files(home)
    disk.write_file(certificate, new.chain.to_pem(), mode=disk.PUBLIC)
    for _ in range(3):
        await turns.turn()
    assert fingerprint(manager.standing.device_ca.chain.leaf) == before
    assert "key" in manager.standing.journal.failures()["device_ca"].reason
    serves(manager, clock())
    disk.write_file(key, private_key_to_pem(new.key), mode=disk.PRIVATE)
    for _ in range(3):
        await turns.turn()
    assert fingerprint(manager.standing.device_ca.chain.leaf) == fingerprint(new.chain.leaf)
    serves(manager, clock())


@pytest.mark.parametrize("kind", [kind for kind in DAMAGES if kind != "too large"])
async def test_a_damaged_one_changes_nothing(running: Any, home: Home, clock: Any, kind: str, count: Count) -> None:
    """The manager serves on with what it has, and says what is wrong; it never writes there."""
    manager, turns = running
    before = fingerprint(manager.standing.hub.certificate)
    for path in files(home):
        DAMAGES[kind](path)
        damaged = path.read_bytes() if path.is_file() else None
        for _ in range(3):
            await turns.turn()
        assert str(path.parent) in manager.standing.journal.failures()["device_ca"].reason
        assert (path.read_bytes() if path.is_file() else None) == damaged
    assert fingerprint(manager.standing.hub.certificate) == before
    serves(manager, clock())
    count("files damaged under a running manager", 2)
