"""The look at a home after a kill: the next starts, by our own judge each time, by `openssl verify` for a sample."""

import contextlib
import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from leafward.manager.last_start import LAST_START
from leafward.manager.start import Standing
from leafward.pki.chain import fingerprint
from leafward.pki.encoding import certificates_to_pem
from leafward.pki.verify import verify
from leafward.store.home import Home
from tests.faults.homes import listing, makers_half, operators_half, start
from tests.manager.conftest import NOW


def _nothing(_home: Home) -> None:
    return


@dataclass(frozen=True)
class Scenario:
    """`prepare` makes the home it begins on; `act`, at `now`, is what is killed.

    `resume` is what the next process does before a start, where that is more than a start. `holds` raises unless what
    the act is for has been reached by then.
    """

    name: str
    prepare: Callable[[Home], None]
    act: Callable[[Home], object]
    now: datetime = NOW
    resume: Callable[[Home], None] = _nothing
    holds: Callable[[Home], None] = _nothing


class Look:
    """What every home of a scenario has to be like, wherever the act was killed."""

    def __init__(self, scenario: Scenario, undone: Home, undisturbed: Home) -> None:
        """`undone` never came to the act, `undisturbed` came through it."""
        self._scenario = scenario
        for home in (undone, undisturbed):
            self._settled(home)
        self._least, self._most = Counter(listing(undone)), Counter(listing(undisturbed))
        self._makers_half = makers_half(undisturbed)
        self.by_openssl = 0

    def __call__(self, home: Home, *, openssl: bool) -> None:
        """Raises unless the next start is whole, the one after has nothing to do, and nothing lies about."""
        now = self._scenario.now
        self._scenario.resume(home)
        start(home, now)
        identity = identity_of_the_hub(home)
        before = operators_half(home)
        standing = start(home, now)
        assert standing.issued == ()
        assert standing.changed == ()
        assert operators_half(home) == before
        assert identity_of_the_hub(home) == identity
        chain_is_right(standing, now)
        settle(standing)
        self._nothing_lies_about(home)
        assert makers_half(home) == self._makers_half
        remembered = json.loads((home.manager / LAST_START).read_bytes())["device_ca"]
        assert remembered == fingerprint(standing.device_ca.chain.leaf)
        self._scenario.holds(home)
        if openssl:
            verify_by_openssl(standing, now)
            self.by_openssl += 1

    def _settled(self, home: Home) -> None:
        self._scenario.resume(home)
        settle(start(home, self._scenario.now))

    def _nothing_lies_about(self, home: Home) -> None:
        found = Counter(listing(home))
        assert not found - self._most, f"left behind: {found - self._most}"
        needed = self._least & self._most
        assert not needed - found, f"lost: {needed - found}"


def settle(standing: Standing) -> None:
    """The hub has come up, and takes the new certificate: what the manager kept to go back to, goes."""
    standing.workload_ca.settle()
    standing.hub.settle()


def identity_of_the_hub(home: Home) -> tuple[object, ...]:
    """As it stands in the registry: it must not be another after each start."""
    with contextlib.closing(sqlite3.connect(home.registry)) as registry:
        (found,) = registry.execute("SELECT * FROM identities WHERE module_id = '$edgeHub'").fetchall()
    return tuple(found)


def chain_is_right(standing: Standing, now: datetime) -> None:
    """The chain verifies for the gateway's name, and each key is its certificate's."""
    chain = standing.hub.pair.chain
    verdict = verify(chain, standing.anchors, now=now, name=standing.settings.hostname, purpose="server")
    assert verdict.valid, verdict.reason
    assert standing.hub.pair.belongs_together
    assert standing.workload_ca.pair.belongs_together
    assert standing.workload_ca.pair.chain.certificates == chain.issuers


def verify_by_openssl(standing: Standing, now: datetime) -> None:
    """`openssl verify -x509_strict` of the chain that the hub presents."""
    chain = standing.hub.pair.chain
    folder = standing.time.path.parent
    files = {"root": standing.anchors, "above": chain.issuers, "leaf": (chain.leaf,)}
    paths = {name: folder / f"{name}.openssl" for name in files}
    for name, certificates in files.items():
        paths[name].write_bytes(certificates_to_pem(certificates))
    arguments = ["-CAfile", paths["root"], "-untrusted", paths["above"], "-attime", str(int(now.timestamp()))]
    judged = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", *arguments, paths["leaf"]],
        capture_output=True,
        text=True,
        check=False,
    )
    for path in paths.values():
        path.unlink()
    assert judged.returncode == 0, judged.stderr
