"""A child gateway's device CA: who may sign it, what it is held to, how it is written down and handed over.

root -> intermediate (path length 3) -> parent's device CA (2) -> child's device CA (1) -> workload CA (0) -> hub
"""

import contextlib
import json
import shutil
import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from leafward import disk
from leafward.errors import AlreadyExists, Busy, Damaged, RuleViolation
from leafward.keys.serial import new_serial
from leafward.manager.child import Fence, sign_child
from leafward.manager.child_delivery import Wanted, deliver_child
from leafward.manager.child_identity import register_child
from leafward.manager.child_ledger import FILE, LOCK, ChildLedger
from leafward.manager.device_ca import DeviceCa
from leafward.pki.chain import Chain
from leafward.pki.constraints import Network, fence
from leafward.pki.encoding import private_key_to_pem
from leafward.pki.extension import path_length, value
from leafward.pki.issuer import Issuer
from leafward.pki.names import parse_host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.verify import verify
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from leafward.store.registry import Registry
from leafward.wire.connection_string import ConnectionString
from tests.manager.conftest import NOW

DAY = timedelta(days=1)
HUB = parse_host("line-3.site7.example")


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Site:
    """A maker and a parent gateway."""

    root: x509.Certificate
    parent: DeviceCa


def make_site(
    *, room: int = 2, dns: Sequence[str] = (), ips: Sequence[str] = (), days: int = 3000, now: datetime = NOW
) -> Site:
    """A parent whose device CA has the path length `room`, fenced to the names; its intermediate ends in `days`."""
    root = Issuer.self_signed_root(new_key(), common_name="Test Root", now=now, serial=new_serial())
    intermediate = below(root, "Test Intermediate", room + 1, days=days, now=now)
    networks = tuple(map(ip_network, ips))
    device = below(intermediate, "plant-gateway.ca", room, dns=tuple(dns), ips=networks, now=now)
    return Site(root.chain.leaf, DeviceCa(device.chain, device, development=False))


def below(
    issuer: Issuer,
    name: str,
    room: int,
    *,
    now: datetime,
    days: int = 4000,
    dns: tuple[str, ...] = (),
    ips: tuple[Network, ...] = (),
) -> Issuer:
    key = new_key()
    request = CertificateRequest(public_key=key.public_key(), common_name=name, permit_dns=dns, permit_ip=ips)
    chain = issuer.prepare(
        profile("intermediate_ca"), request, now=now, serial=new_serial(), lifetime=days * DAY, path_length=room
    ).sign()
    return Issuer(chain, key)


@pytest.fixture(scope="module")
def site() -> Site:
    return make_site()


def hub_below(chain: Chain, key: ec.EllipticCurvePrivateKey, host: object = HUB, now: datetime = NOW) -> Chain:
    """The child's own half: its workload CA and its hub's certificate."""
    workload_key, hub_key = new_key(), new_key()
    workload = Issuer(chain, key).prepare(
        profile("workload_ca"), CertificateRequest(public_key=workload_key.public_key()), now=now, serial=new_serial()
    ).sign()  # fmt: skip
    request = CertificateRequest(public_key=hub_key.public_key(), hosts=(host,))  # type: ignore[arg-type]
    return Issuer(workload, workload_key).prepare(
        profile("hub_server"), request, now=now, serial=new_serial()
    ).sign()  # fmt: skip


def test_the_childs_place_in_the_chain(site: Site) -> None:
    key = new_key()
    child = sign_child(site.parent, "line-3.ca", key.public_key(), now=NOW)
    assert [path_length(one) for one in child] == [1, 2, 3, None]
    assert child.issuers == site.parent.chain.certificates
    verdict = verify(hub_below(child, key), (site.root,), now=NOW, name=HUB, purpose="server")
    assert verdict.valid, verdict.reason


def test_a_grandchild() -> None:
    """root -> intermediate (4) -> parent (3) -> child (2) -> grandchild (1) -> workload CA -> hub."""
    site, child_key, key = make_site(room=3), new_key(), new_key()
    child = sign_child(site.parent, "line-3.ca", child_key.public_key(), now=NOW, gateways_below=1)
    middle = DeviceCa(child, Issuer(child, child_key), development=False)
    grandchild = sign_child(middle, "cell-9.ca", key.public_key(), now=NOW)
    assert [path_length(one) for one in grandchild] == [1, 2, 3, 4, None]
    assert verify(hub_below(grandchild, key), (site.root,), now=NOW, name=HUB, purpose="server").valid


@pytest.mark.parametrize(("room", "gateways_below"), [(1, 0), (2, 1)])
def test_no_room_is_refused_with_what_to_ask_the_maker_for(room: int, gateways_below: int) -> None:
    site = make_site(room=room)
    with pytest.raises(RuleViolation, match=f"got the path length {room}, expected at least {room + 1}") as refused:
        sign_child(site.parent, "line-3.ca", new_key().public_key(), now=NOW, gateways_below=gateways_below)
    assert refused.value.code == "path-length-exceeded"


def test_never_longer_than_the_parent() -> None:
    site = make_site(days=100)
    end = min(one.not_valid_after_utc for one in site.parent.chain)
    child = sign_child(site.parent, "line-3.ca", new_key().public_key(), now=NOW)
    assert child.leaf.not_valid_after_utc == end
    with pytest.raises(RuleViolation, match="got 101 days, expected at most") as refused:
        sign_child(site.parent, "line-3.ca", new_key().public_key(), now=NOW, lifetime=101 * DAY)
    assert refused.value.code == "outlives-issuer"


@pytest.mark.parametrize("name", ["Plant-Gateway.ca", "test intermediate", "Test Root"])
def test_a_name_of_a_ca_above_is_refused(site: Site, name: str) -> None:
    with pytest.raises(RuleViolation, match="a CA above it is"):
        sign_child(site.parent, name, new_key().public_key(), now=NOW)


@pytest.mark.parametrize(
    ("dns", "ips"), [(["site7.example"], []), ([], ["10.7.0.0/16"]), (["site7.example", "b.example"], ["10.7.0.0/16"])]
)
def test_the_fence_is_passed_on(dns: list[str], ips: list[str]) -> None:
    """parent fenced -> child has the same extension, critical."""
    child = sign_child(make_site(dns=dns, ips=ips).parent, "line-3.ca", new_key().public_key(), now=NOW)
    mine, parents = (one.extensions.get_extension_for_class(x509.NameConstraints) for one in child.certificates[:2])
    assert mine.critical
    assert mine.value == parents.value == fence(dns, tuple(map(ip_network, ips)))


def test_a_narrower_fence_for_the_child() -> None:
    site = make_site(dns=["site7.example"], ips=["10.7.0.0/16"])
    asked = Fence(("line-3.site7.example",), (ip_network("10.7.3.0/24"),))
    key = new_key()
    child = sign_child(site.parent, "line-3.ca", key.public_key(), now=NOW, asked=asked)
    assert value(child.leaf, x509.NameConstraints) == fence(asked.permit_dns, asked.permit_ip)
    assert verify(hub_below(child, key), (site.root,), now=NOW, name=HUB, purpose="server").valid
    with pytest.raises(RuleViolation):
        hub_below(child, key, parse_host("line-4.site7.example"))


@pytest.mark.parametrize(
    "asked",
    [
        Fence(("other.example",)),
        Fence((), (ip_network("10.0.0.0/8"),)),
        Fence(("site7.example",), (ip_network("::/0"),)),
    ],
)
def test_a_wider_fence_is_refused(asked: Fence) -> None:
    site = make_site(dns=["site7.example"], ips=["10.7.0.0/16"])
    with pytest.raises(RuleViolation, match="beyond this gateway's own"):
        sign_child(site.parent, "line-3.ca", new_key().public_key(), now=NOW, asked=asked)


def test_a_thief_of_the_child_is_no_other_site() -> None:
    """Fenced to site7.example: the child cannot make a hub of another name, nor one by address."""
    site, key = make_site(dns=["site7.example"]), new_key()
    child = sign_child(site.parent, "line-3.ca", key.public_key(), now=NOW)
    for host in (parse_host("gateway.other.example"), ip_address("192.0.2.1")):
        with pytest.raises(RuleViolation):
            hub_below(child, key, host)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[Chain], dict[str, Path]]:
    """A hub's chain as the oracles want it."""

    def write(chain: Chain) -> dict[str, Path]:
        paths = {name: tmp_path / f"{name}.pem" for name in ("leaf", "issuers", "root", "whole")}
        parts = {"leaf": [chain.leaf], "issuers": chain.issuers[:-1], "root": [chain.top], "whole": chain.certificates}
        for name, certificates in parts.items():
            paths[name].write_bytes(Chain(tuple(certificates)).to_pem())
        return paths

    return write


@pytest.mark.parametrize("dns", [[], ["site7.example"]])
def test_other_peoples_verifiers_accept_the_childs_hub(
    dns: list[str], files: Callable[[Chain], dict[str, Path]]
) -> None:
    """root -> intermediate -> parent -> child -> workload CA -> hub, with and without a fence."""
    now = datetime.now(UTC)  # certtool asks the system's clock
    site, key = make_site(dns=dns, now=now), new_key()
    paths = files(hub_below(sign_child(site.parent, "line-3.ca", key.public_key(), now=now), key, now=now))
    openssl = [
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", str(HUB),
        "-CAfile", str(paths["root"]), "-untrusted", str(paths["issuers"]), str(paths["leaf"]),
    ]  # fmt: skip
    assert _output(openssl).endswith("leaf.pem: OK\n")
    if shutil.which("certtool") is None:
        pytest.skip("certtool (gnutls-bin) is not installed")
    gnutls = [
        "certtool", "--verify", "--load-ca-certificate", str(paths["root"]), "--infile", str(paths["whole"]),
        "--verify-hostname", str(HUB), "--verify-purpose", "1.3.6.1.5.5.7.3.1",
    ]  # fmt: skip
    assert "Chain verification output: Verified. The certificate is trusted." in _output(gnutls)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def give(site: Site, tmp_path: Path) -> Callable[..., object]:
    """Delivers a child into tmp/stick, or where it is said."""

    def deliver(name: str = "line-3.ca", folder: str = "stick", **wanted: object) -> object:
        asked = Wanted(name=name, **wanted)  # type: ignore[arg-type]
        return deliver_child(home_of(tmp_path), site.parent, (site.root,), asked, tmp_path / folder, now=NOW)

    return deliver


def home_of(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    disk.make_folder(home.manager)
    return home


def test_what_is_on_the_stick(give: Callable[..., object], site: Site, tmp_path: Path) -> None:
    delivered = give()
    stick = tmp_path / "stick"
    assert sorted(path.name for path in stick.iterdir()) == ["certificate.pem", "key.pem", "trust-bundle.pem"]
    assert stat.S_IMODE((stick / "key.pem").stat().st_mode) == 0o600
    chain = Chain.from_pem((stick / "certificate.pem").read_bytes())
    assert chain.is_complete
    assert chain == delivered.chain  # type: ignore[attr-defined]
    assert Chain.from_pem((stick / "trust-bundle.pem").read_bytes()).certificates == (site.root,)


def test_a_childs_own_key_stays_with_it(give: Callable[..., object], tmp_path: Path) -> None:
    give(public_key=new_key().public_key())
    assert not (tmp_path / "stick" / "key.pem").exists()


def test_what_is_written_down(give: Callable[..., object], tmp_path: Path) -> None:
    chain = give().chain  # type: ignore[attr-defined]
    path = home_of(tmp_path).manager / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (entry,) = json.loads(path.read_text())["children"]
    assert (entry["name"], entry["serial"]) == ("line-3.ca", f"{chain.leaf.serial_number:x}")
    (child,) = ChildLedger(home_of(tmp_path).manager).all()
    assert child.loaded == chain.leaf
    assert "PRIVATE" not in path.read_text()
    assert "child-device-ca" in (home_of(tmp_path).manager / "issued").read_text()


def test_a_second_living_child_of_a_name_is_refused(give: Callable[..., object], tmp_path: Path) -> None:
    """Whatever its case, its key, its folder; and no key of the refused one is left."""
    give()
    for name in ("line-3.ca", "LINE-3.CA"):
        with pytest.raises(AlreadyExists, match="there is a child gateway"):
            give(name, folder="other")
    assert list((tmp_path / "other").iterdir()) == []
    give("line-4.ca", folder="other")


def test_another_child_into_the_same_folder_is_refused(give: Callable[..., object], tmp_path: Path) -> None:
    give()
    before = {path: path.read_bytes() for path in (tmp_path / "stick").iterdir()}
    with pytest.raises(AlreadyExists, match=r"certificate\.pem exists"):
        give("line-4.ca")
    assert {path: path.read_bytes() for path in (tmp_path / "stick").iterdir()} == before


def test_in_place_of_the_living_one(give: Callable[..., object], tmp_path: Path) -> None:
    old = give().chain  # type: ignore[attr-defined]
    new = give(folder="new", replacing=True).chain  # type: ignore[attr-defined]
    assert old.leaf != new.leaf
    first, second = ChildLedger(home_of(tmp_path).manager).all()
    assert (first.replaced is not None, second.replaced) == (True, None)
    assert not first.lives(NOW)


@pytest.mark.parametrize("own_key", [True, False])
def test_a_hand_over_that_was_cut_short_is_finished_by_the_same_call(
    give: Callable[..., object], tmp_path: Path, own_key: bool
) -> None:
    """Killed after the ledger was written, before the certificate: nothing is signed twice."""
    wanted = {"public_key": new_key().public_key()} if own_key else {}
    first = give(**wanted)
    (tmp_path / "stick" / "certificate.pem").unlink()
    again = give(**wanted)
    assert (first.is_new, again.is_new) == (True, False)  # type: ignore[attr-defined]
    assert again.chain == first.chain  # type: ignore[attr-defined]
    assert len(ChildLedger(home_of(tmp_path).manager).all()) == 1


@pytest.mark.parametrize("after", range(12))
def test_killed_at_every_write(
    give: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The power goes at the n-th durable step; the same call then ends with one child and its chain."""
    left = iter(range(after))

    def cut(step: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: object, **options: object) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            step(*arguments, **options)

        return run

    with monkeypatch.context() as patched:
        for name in ("write_file", "create_file", "sync_folder"):
            patched.setattr(disk, name, cut(getattr(disk, name)))
        with contextlib.suppress(KeyboardInterrupt):
            give()
    chain = give().chain  # type: ignore[attr-defined]
    assert [one.loaded for one in ChildLedger(home_of(tmp_path).manager).all() if one.lives(NOW)] == [chain.leaf]
    assert chain == Chain.from_pem((tmp_path / "stick" / "certificate.pem").read_bytes())


def test_one_at_a_time(give: Callable[..., object], tmp_path: Path) -> None:
    with HomeLock(home_of(tmp_path).manager / LOCK).hold("test"), pytest.raises(Busy):
        give()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"version": 2, "children": []}', b'{"version": 1, "children": [{"name": 1}]}']
)
def test_a_damaged_ledger_is_named_and_nothing_is_signed(
    give: Callable[..., object], tmp_path: Path, data: bytes
) -> None:
    path = home_of(tmp_path).manager / FILE
    path.write_bytes(data)
    with pytest.raises(Damaged, match=r"children\.json is damaged"):
        give()
    assert path.read_bytes() == data
    assert list((tmp_path / "stick").iterdir()) == []


def test_an_entry_that_ended_frees_its_name(give: Callable[..., object], tmp_path: Path) -> None:
    give(lifetime=DAY)
    ledger = ChildLedger(home_of(tmp_path).manager)
    assert ledger.living("line-3.ca", NOW + 2 * DAY) is None
    assert ledger.living("LINE-3.ca", NOW) is not None


def test_the_childs_hub_is_known_here(tmp_path: Path) -> None:
    """CHILD and CHILD/$edgeHub; the second call gives the same string, another's id is refused."""
    path = tmp_path / "registry.db"
    text = register_child(path, "line-3", "plant.example", "edge-device", now=NOW)
    parsed = ConnectionString.parse(text)
    assert (parsed.device_id, parsed.module_id, str(parsed.host_name)) == ("line-3", "$edgeHub", "plant.example")
    assert register_child(path, "line-3", "plant.example", "edge-device", now=NOW) == text
    with Registry.open(path) as registry:
        assert {one.label for one in (*registry.devices(), *registry.modules("line-3"))} == {
            "line-3",
            "line-3/$edgeHub",
        }
        hub = registry.get("line-3", "$edgeHub")
        assert hub is not None
        assert hub.primary_key == parsed.shared_access_key
    with pytest.raises(AlreadyExists, match="own id"):
        register_child(path, "Edge-Device", "plant.example", "edge-device", now=NOW)


def test_no_key_is_shown() -> None:
    key = new_key()
    assert private_key_to_pem(key).decode()[40:80] not in repr(Wanted("x", key.public_key()))
