"""Every start: what is issued, and what is left alone.

Test Root <- Test Intermediate <- iotgateway.ca (device CA) <- iotedge workload ca <- iotedgegw.local
"""

import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import RuleViolation
from leafward.manager import proof
from leafward.manager.server_certificate import names_in
from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.pki.chain import fingerprint
from leafward.pki.encoding import load_certificates
from leafward.pki.names import common_name
from leafward.pki.verify import verify
from leafward.store.home import Home

WORKLOAD_CA, HUB = "workload CA", "hub's server certificate"


@pytest.fixture
def start(home: Home, clock: Any) -> Iterator[Callable[[], Standing]]:
    """One start of the manager, without its sockets."""
    made: list[Standing] = []

    def once() -> Standing:
        standing = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, clock))
        standing.modules.close()
        made.append(standing)
        return standing

    yield once
    for standing in made:  # a test that asked for a module has opened the registry again
        standing.modules.close()


def prints(standing: Standing) -> tuple[str, str]:
    return fingerprint(standing.workload_ca.certificate), fingerprint(standing.hub.certificate)


def everything(home: Home) -> dict[str, bytes]:
    """Every file that is not the database or a time."""
    files = (path for folder in (home.manager, home.trust) for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if path.name != LAST_SEEN}


def test_the_first_start_makes_the_operators_half(
    home: Home, start: Callable[[], Standing], install: Any, maker: Any
) -> None:
    install()
    standing = start()
    assert standing.issued == (WORKLOAD_CA, HUB)
    chain = standing.hub.pair.chain
    assert [common_name(certificate.subject) for certificate in chain] == [
        "iotedgegw.local",
        "iotedge workload ca",
        "iotgateway.ca",
        "Test Intermediate",
        "Test Root",
    ]
    assert names_in(chain.leaf) == {"iotedgegw.local", "edgehub"}
    assert verify(chain, [maker.root.chain.leaf], now=standing.time.now(), purpose="server").valid
    assert load_certificates(home.root_certificate.read_bytes()) == [maker.root.chain.leaf]
    assert load_certificates(home.trust_bundle.read_bytes()) == [maker.root.chain.leaf]


def test_keys_are_private_and_the_trust_is_public(home: Home, start: Callable[[], Standing], install: Any) -> None:
    install()
    start()
    keys = [*home.manager.rglob("key.pem"), home.registry]
    assert len(keys) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    for path in (home.root_certificate, home.trust_bundle):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(home.manager.stat().st_mode) == 0o700


def test_an_unchanged_second_start_issues_nothing(home: Home, start: Callable[[], Standing], install: Any) -> None:
    install()
    first = start()
    before = everything(home)
    second = start()
    assert (second.issued, second.changed) == ((), ())
    assert everything(home) == before
    assert prints(first) == prints(second)
    assert first.modules.get("$edgeHub") == second.modules.get("$edgeHub")


def test_a_changed_hostname_issues_the_hub_certificate_only(
    start: Callable[[], Standing], install: Any, settings_of: Any
) -> None:
    install()
    first = start()
    settings_of(hostname="Other.local")
    second = start()
    assert (second.issued, second.changed) == ((HUB,), ("settings",))
    assert names_in(second.hub.certificate) == {"other.local", "edgehub"}
    assert prints(first)[0] == prints(second)[0]
    assert first.modules.get("$edgeHub") == second.modules.get("$edgeHub")


def test_further_names_issue_the_hub_certificate_only(
    start: Callable[[], Standing], install: Any, settings_of: Any
) -> None:
    install()
    start()
    settings_of(names=["gateway", "192.0.2.7"])
    second = start()
    assert second.issued == (HUB,)
    assert names_in(second.hub.certificate) == {"iotedgegw.local", "gateway", "192.0.2.7", "edgehub"}
    assert start().issued == ()


def test_settings_that_change_no_name_issue_nothing(
    start: Callable[[], Standing], install: Any, settings_of: Any
) -> None:
    install()
    start()
    settings_of(parent_hostname="upper.local")
    second = start()
    assert (second.issued, second.changed) == ((), ("settings",))


@pytest.mark.parametrize("hostname", ["192.0.2.7", "2001:db8::7", f"{'long.' * 15}local"])
def test_other_hostnames(start: Callable[[], Standing], install: Any, settings_of: Any, hostname: str) -> None:
    """Addresses, and a name of 80 characters, which is in the SAN only."""
    install()
    settings_of(hostname=hostname)
    assert names_in(start().hub.certificate) == {hostname, "edgehub"}
    assert start().issued == ()


def test_a_changed_device_ca_issues_all_that_hangs_below(start: Callable[[], Standing], install: Any) -> None:
    """Same name, same root, another key."""
    install()
    first = start()
    install()
    second = start()
    assert (second.issued, second.changed) == ((WORKLOAD_CA, HUB), ("device_ca",))
    assert prints(first)[0] != prints(second)[0]
    assert prints(first)[1] != prints(second)[1]


def test_what_is_due_at_start_is_renewed(start: Callable[[], Standing], install: Any, clock: Any) -> None:
    install()
    start()
    clock.forward(timedelta(days=24, hours=1))
    assert start().issued == (HUB,)
    clock.forward(timedelta(days=300))
    assert start().issued == (WORKLOAD_CA, HUB)


def test_nothing_outlives_the_device_ca_and_is_not_renewed_in_vain(
    start: Callable[[], Standing], install: Any, clock: Any
) -> None:
    """Device CA with ten days left: all below ends with it, and no start issues again what would end the same."""
    end = clock.now + timedelta(days=10)
    install(not_after=end)
    first = start()
    assert first.workload_ca.certificate.not_valid_after_utc == first.hub.certificate.not_valid_after_utc == end
    clock.forward(timedelta(days=9))
    assert start().issued == ()


@pytest.mark.parametrize("damage", ["key.pem", "certificate.pem"])
def test_a_damaged_pair_is_made_anew(home: Home, start: Callable[[], Standing], install: Any, damage: str) -> None:
    install()
    start()
    slot = next(path for path in (home.manager / "hub-server").iterdir() if path.is_dir())
    (slot / damage).write_bytes(b"")
    second = start()
    assert second.issued == (HUB,)
    assert start().issued == ()


def test_a_pair_that_does_not_belong_together_is_made_anew(
    home: Home, start: Callable[[], Standing], install: Any
) -> None:
    install()
    start()
    slot = next(path for path in (home.manager / "hub-server").iterdir() if path.is_dir())
    workload = next(path for path in (home.manager / "workload-ca").iterdir() if path.is_dir())
    (slot / "key.pem").write_bytes((workload / "key.pem").read_bytes())
    assert start().issued == (HUB,)


def test_what_does_not_prove_never_comes_into_use(
    home: Home, start: Callable[[], Standing], install: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    first = start()
    before = everything(home)
    clock.forward(timedelta(days=25))

    def refuse(*_: object, **__: object) -> None:
        raise RuleViolation("refused-in-handshake", "a client refuses it")

    with monkeypatch.context() as patched:
        patched.setattr(proof.handshake, "prove", refuse)
        with pytest.raises(RuleViolation, match="a client refuses it"):
            start()
    assert everything(home) == before
    second = start()
    assert second.issued == (HUB,)
    assert prints(first)[0] == prints(second)[0]


def test_a_clock_of_1970_is_not_believed(start: Callable[[], Standing], install: Any, clock: Any) -> None:
    install()
    start()
    now, clock.now = clock.now, datetime(1970, 1, 1, tzinfo=UTC)
    second = start()
    assert (second.issued, second.time.in_use) == ((), True)
    assert now <= second.time.now() < now + timedelta(minutes=1)  # counted on


def test_a_first_start_in_1970_uses_the_newest_not_before(
    start: Callable[[], Standing], install: Any, clock: Any
) -> None:
    device_ca = install()
    clock.now = datetime(1970, 1, 1, tzinfo=UTC)
    standing = start()
    assert standing.issued == (WORKLOAD_CA, HUB)
    assert standing.time.in_use
    assert standing.hub.certificate.not_valid_before_utc >= device_ca.chain.leaf.not_valid_before_utc


def test_the_operators_other_roots_are_trusted_too(
    *, home: Home, start: Callable[[], Standing], install: Any, settings_of: Any, maker: Any, tmp_path: Any
) -> None:
    other = type(maker)().root.chain.leaf
    bundle = tmp_path / "roots.pem"
    root = maker.root.chain.leaf
    bundle.write_bytes(other.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    install()
    settings_of(trust_bundle=str(bundle))
    start()
    assert load_certificates(home.trust_bundle.read_bytes()) == [root, other]
    assert load_certificates(home.root_certificate.read_bytes()) == [root]
