"""A first enrolment at a maker's real EST server, killed: the device gets its device CA all the same, and one key.

The server is a process of its own, which ends with the program: the maker does not die with the gateway.
"""

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from leafward import disk
from leafward.cli.supervisor import _die_with as die_with
from leafward.manager.enrolment import Enrolment
from leafward.manager.settings import read_settings
from leafward.store.home import Home
from tests.faults.look import Scenario

NOW = datetime.now(UTC)


async def _serve(folder: Path, write: int) -> None:
    """Makes the maker and the device's identity, tells what the settings have to say, and serves until it is killed."""
    from tests.authority.est_world import Maker  # what only this process needs
    from tests.manager.enrolment_world import Gateway, url_of

    maker = Maker(folder)
    gateway = Gateway(folder, maker)
    gateway.with_identity()
    async with maker.serving() as server:
        facts = {
            "url": url_of(server),
            "trust": str(gateway.trust),
            "certificate": str(gateway.values["identity_certificate"]),
            "key": gateway.values["identity_key"].label,
        }
        os.write(write, json.dumps(facts).encode())
        await asyncio.Event().wait()


def _served(folder: Path) -> dict[str, str]:
    """A maker whose server lives as long as this program."""
    read, write = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        try:
            die_with(parent)
            asyncio.run(_serve(folder, write))
        finally:
            os._exit(1)
    os.close(write)
    facts: dict[str, str] = json.loads(os.read(read, 4000))
    os.close(read)
    return facts


def _at_the_factory(home: Home) -> None:
    """Settings that name the server, and the identity that the maker gave the device."""
    folder = home.root.with_name("maker")
    folder.mkdir()
    facts = _served(folder)
    lines = [
        "[device]",
        'hostname = "iotedgegw.local"',
        'device_id = "gw-0001"',
        f'trust_bundle = "{facts["trust"]}"',
        "[enrolment]",
        f'url = "{facts["url"]}"',
        f'identity_certificate = "{facts["certificate"]}"',
        f'identity_key = "{facts["key"]}"',
    ]
    disk.make_folder(home.manager)
    home.settings.write_text("\n".join(lines) + "\n")


def _enrolment(home: Home) -> Enrolment:
    enrolment = Enrolment.of(home, read_settings(home.settings), now=lambda: NOW)
    assert enrolment is not None
    return enrolment


def _enrol(home: Home) -> None:
    enrolment = _enrolment(home)
    enrolment.enrol()
    enrolment.tidy()


def _resume(home: Home) -> None:
    """What a start does before it can stand: it asks, with the key that waits. Then the old is gone."""
    enrolment = _enrolment(home)
    waits = len(list((home.manager / "enrolled-device-ca" / "keys").glob("*.pem"))) > 1
    if enrolment.needed() is not None or waits:
        enrolment.enrol()
    enrolment.tidy()


ENROLMENT = Scenario("EST enrolment", _at_the_factory, _enrol, NOW, resume=_resume)
