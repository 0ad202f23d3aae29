"""Revocation lists: which are believed, what they say, and who is cut when they change.

root -> intermediate -> device CA -> leaf devices        lists of the device CA, and of a line's CA
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import SettingsError
from leafward.hub.metrics import HubMetrics
from leafward.hub.revocation import Revocations, id_of
from leafward.hub.revocation_watch import RevocationWatch
from tests.hub.hub_certificates import Held, make

NOW = datetime.now(UTC)


def crl(
    issuer: Held,
    *revoked: Held,
    reason: x509.ReasonFlags | None = None,
    days: tuple[int, int] = (-1, 7),
    signer: Held | None = None,
) -> bytes:
    """A list of `issuer`'s, by plain `cryptography`."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.leaf.subject)
        .last_update(NOW + timedelta(days=days[0]))
        .next_update(NOW + timedelta(days=days[1]))
    )
    for held in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(held.leaf.serial_number).revocation_date(NOW)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign((signer or issuer).key, hashes.SHA256()).public_bytes(Encoding.PEM)


class Lists:
    """Two files and what is made of them."""

    def __init__(self, folder: Path, *cas: Held) -> None:
        self.file, self.retired = folder / "line.crl", folder / "retired.pem"
        self.metrics = HubMetrics()
        self.revocations = Revocations(
            [self.file],
            self.retired,
            cas=lambda: [ca.leaf for ca in cas],
            clock=lambda: NOW,
            metrics=self.metrics,
        )
        self._written = 0

    def write(self, data: bytes, path: Path | None = None) -> None:
        """With another time than before, whatever the file system's clock."""
        path = path or self.file
        path.write_bytes(data)
        self._written += 1
        os.utime(path, ns=(self._written, self._written))


@pytest.fixture
def lists(tmp_path: Path, device_ca: Held) -> Lists:
    return Lists(tmp_path, device_ca)


@pytest.fixture(scope="module")
def pump(device_ca: Held) -> Held:
    return make("pump-7", device_ca, client=True)


@pytest.fixture(scope="module")
def other(device_ca: Held) -> Held:
    return make("pump-8", device_ca, client=True)


def test_what_is_on_a_list(lists: Lists, device_ca: Held, pump: Held, other: Held) -> None:
    """By issuer and serial number; the same serial of another CA is another certificate."""
    lists.write(crl(device_ca, pump))
    lists.revocations.load()
    revoked = lists.revocations
    assert id_of(pump.leaf) in revoked
    assert id_of(other.leaf) not in revoked
    assert revoked.any_of(map(id_of, pump.certificates))
    assert not revoked.any_of(map(id_of, other.certificates))
    assert (b"another issuer", pump.leaf.serial_number) not in revoked
    assert lists.metrics.revoked_certificates == len(revoked) == 1
    assert lists.metrics.crl_ends == pytest.approx((NOW + timedelta(days=7)).timestamp(), abs=1)


def test_a_list_that_ended_still_counts(
    lists: Lists, device_ca: Held, pump: Held, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody takes back that something was taken back; but it is said."""
    lists.write(crl(device_ca, pump, days=(-9, -2)))
    lists.revocations.load()
    assert id_of(pump.leaf) in lists.revocations
    assert "crl-expired" in caplog.text


def test_a_list_of_tomorrow_counts(lists: Lists, device_ca: Held, pump: Held) -> None:
    """A gateway whose clock is behind starts with it all the same."""
    lists.write(crl(device_ca, pump, days=(2, 9)))
    lists.revocations.load()
    assert id_of(pump.leaf) in lists.revocations


def test_a_hold_that_was_taken_back(lists: Lists, device_ca: Held, pump: Held) -> None:
    """removeFromCRL (RFC 5280 5.3.1)."""
    lists.write(crl(device_ca, pump, reason=x509.ReasonFlags.remove_from_crl))
    lists.revocations.load()
    assert len(lists.revocations) == 0


@pytest.mark.parametrize("wrong", ["another's signature", "an unknown CA", "no list", "no file"])
def test_a_list_that_cannot_be_believed(lists: Lists, device_ca: Held, pump: Held, root: Held, wrong: str) -> None:
    """The start stops there: the operator wanted the check made."""
    stranger = make("Stranger", ca=True)
    data = {
        "another's signature": crl(device_ca, pump, signer=stranger),
        "an unknown CA": crl(stranger, pump),
        "no list": root.pem(),
    }.get(wrong)
    if data is not None:
        lists.write(data)
    with pytest.raises(SettingsError, match=r"hub\.crls"):
        lists.revocations.load()


def test_a_list_that_changes(lists: Lists, device_ca: Held, pump: Held, other: Held) -> None:
    """Looked at by its file's marks; a list that says more is news, one that says less is none."""
    lists.write(crl(device_ca, pump))
    lists.revocations.load()
    assert not lists.revocations.look()
    lists.write(crl(device_ca, pump, other))
    assert lists.revocations.look()
    assert id_of(other.leaf) in lists.revocations
    lists.write(crl(device_ca, pump))
    assert not lists.revocations.look()
    assert id_of(other.leaf) not in lists.revocations


@pytest.mark.parametrize("broken", [b"half a li", None])
def test_a_list_that_breaks_later(
    lists: Lists, device_ca: Held, pump: Held, broken: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Half written, or gone: told once, counted, and the one before goes on counting."""
    lists.write(crl(device_ca, pump))
    lists.revocations.load()
    lists.file.unlink() if broken is None else lists.write(broken)
    assert not lists.revocations.look()
    assert not lists.revocations.look()
    assert id_of(pump.leaf) in lists.revocations
    assert caplog.text.count("go on counting") == 1
    assert lists.metrics.revocation_failures == 1


def test_what_a_wipe_took_back(lists: Lists, device_ca: Held, pump: Held, other: Held) -> None:
    """trust/retired.pem needs no CA known here: the manager published it. It may appear later."""
    lists.write(crl(device_ca, other))
    lists.revocations.load()
    lists.write(crl(make("device.ca", ca=True), pump), lists.retired)
    assert lists.revocations.look()
    assert id_of(pump.leaf) in lists.revocations
    assert id_of(other.leaf) in lists.revocations


# ---- who is cut


class Broker:
    """Peers by client id; notes who is cut."""

    def __init__(self, **proved: Held | None) -> None:
        self.connected = {
            name: SimpleNamespace(proved=() if held is None else tuple(map(id_of, held.certificates)))
            for name, held in proved.items()
        }
        self.cuts: list[tuple[str, str]] = []

    def peers(self) -> dict[str, Any]:
        return self.connected

    def cut(self, client_id: str, _peer: Any, why: str, *, forget: bool) -> None:
        assert not forget
        self.cuts.append((client_id, why))


def watch(lists: Lists, broker: Broker, anchors: Callable[[], list[x509.Certificate]]) -> tuple[Any, list[str]]:
    told: list[str] = []
    return RevocationWatch(
        lists.revocations,
        broker,
        anchors=anchors,
        forget_tickets=told.append,  # type: ignore[arg-type]
    ), told


async def test_whose_certificate_is_revoked_is_cut(
    lists: Lists, device_ca: Held, root: Held, pump: Held, other: Held
) -> None:
    """Him, and the tickets of before; not the others, and nobody twice."""
    lists.write(crl(device_ca))
    lists.revocations.load()
    broker = Broker(pump=pump, other=other, with_token=None)
    looking, told = watch(lists, broker, lambda: [root.leaf])
    await looking.look()
    assert (broker.cuts, told) == ([], [])
    lists.write(crl(device_ca, pump))
    await looking.look()
    await looking.look()
    assert [name for name, _ in broker.cuts] == ["pump"]
    assert len(told) == 1


async def test_a_ca_above_is_revoked(tmp_path: Path, intermediate: Held, device_ca: Held, pump: Held) -> None:
    """The intermediate takes the device CA back: everybody below it goes."""
    lists = Lists(tmp_path, intermediate)
    lists.write(crl(intermediate))
    lists.revocations.load()
    broker = Broker(pump=pump)
    looking, _ = watch(lists, broker, list)
    lists.write(crl(intermediate, device_ca))
    await looking.look()
    assert [name for name, _ in broker.cuts] == ["pump"]


async def test_a_root_that_is_trusted_no_more(lists: Lists, device_ca: Held, root: Held, pump: Held) -> None:
    """Who rests on it is cut, comes again, and is judged by the bundle of now; a new root cuts nobody."""
    lists.write(crl(device_ca))
    lists.revocations.load()
    own = make("own", client=True)
    broker = Broker(pump=pump, self_signed=own)
    anchors = [root.leaf]
    looking, told = watch(lists, broker, lambda: anchors)
    anchors = [root.leaf, make("Second Root", ca=True).leaf]
    await looking.look()
    assert (broker.cuts, told) == ([], [])
    anchors = anchors[1:]
    await looking.look()
    assert [name for name, _ in broker.cuts] == ["pump"]
    assert len(told) == 1
