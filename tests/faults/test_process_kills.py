"""The real processes, killed at instants of chance: `leafward manager run` alone, and `leafward up` with all its parts.

started ── its first file in the home ── x ms ── SIGKILL        started again: up, and the chain verifies
"""

import random
import select
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from leafward.doctor.probe import Target, presented_chain
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.encoding import load_certificates
from leafward.pki.names import parse_host
from leafward.pki.verify import verify
from leafward.store.home import Home
from tests.edge import LEAFWARD, StartEdge, free_address
from tests.faults.homes import listing, makers_half, start, with_device_ca
from tests.faults.look import chain_is_right, settle, verify_by_openssl
from tests.faults.summary import Count
from tests.manager.conftest import set_device

# How long after its first file in the home a start is killed, at most. Measured: a first start writes for 60 ms.
LONGEST = 0.12
PATIENCE = 30.0


def killed(command: list[str], sign: Path, after: float) -> None:
    """Starts it, and kills it so long after `sign` was written by it."""
    before = sign.stat().st_mtime_ns if sign.exists() else None
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    last = time.monotonic() + PATIENCE
    while not sign.exists() or sign.stat().st_mtime_ns == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < last
        select.select([], [], [], 0.001)
    select.select([], [], [], after)
    process.kill()
    process.communicate()


def test_a_manager_killed_while_it_starts(tmp_path: Path, count: Count, thorough: bool) -> None:
    """Each time with another hostname, so that each start has something to issue."""
    home, chance = Home(tmp_path / "home"), random.Random()
    times = 40 if thorough else 6
    with_device_ca(home)
    for number in range(times):
        set_device(home, hostname=f"gateway-{number}.local")
        before = makers_half(home)
        killed(
            [str(LEAFWARD), "manager", "run", "--home", str(home.root)],
            home.manager / "lock",
            chance.uniform(0, LONGEST),
        )
        now = datetime.now(UTC)
        standing = start(home, now)
        assert start(home, now).issued == ()
        chain_is_right(standing, now)
        settle(standing)
        assert makers_half(home) == before
    verify_by_openssl(standing, now)
    assert sum(name.endswith("key.pem") for name in listing(home)) == 3
    count("kills by SIGKILL of the real process, at instants of chance", times)


def test_an_edge_killed_while_it_starts(tmp_path: Path, start_edge: StartEdge, count: Count, thorough: bool) -> None:
    """From an empty home: the maker's chain too may be half made."""
    home, chance = Home(tmp_path / "home"), random.Random()
    times = 12 if thorough else 3
    for number in range(times):
        killed(
            [
                str(LEAFWARD),
                *("up", "--home", str(home.root), "--hostname", "gateway.test", "--bind", free_address()),
            ],
            home.lock,
            chance.uniform(0, 0.3 * (number + 1)),
        )
    edge = start_edge(home.root, "--hostname", "gateway.test")
    ready = edge.ready
    presented = presented_chain(Target(ready["mqtts"]["host"], ready["mqtts"]["port"], "gateway.test"))
    roots = load_certificates(edge.root.read_bytes())
    now = datetime.now(UTC)
    assert verify(Chain(presented), roots, now=now, name=parse_host("gateway.test"), purpose="server").valid
    device_ca = Chain.from_pem((home.manager / "device-ca" / "certificate.pem").read_bytes())
    assert fingerprint(device_ca.leaf) in {fingerprint(certificate) for certificate in presented}
    assert edge.stop() == 0
    assert not [path for path in home.root.rglob("*.new") if "maker" not in path.parts]
    count("kills by SIGKILL of the real process, at instants of chance", times)
