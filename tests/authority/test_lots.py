"""Factory lots: quota, repetition, refusals, the account. Faults and sources have files of their own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from leafward.errors import AccessDenied, AlreadyExists, Busy, NotFound, UsageError
from leafward.pki.key_types import parse_key_type
from leafward.store.lots import LotBook
from tests.authority import hierarchy_tools as tools
from tests.authority.ledger_entries import differences
from tests.authority.lot_line import Basket, Factory, csr, items


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[Factory]:
    made = Factory(tmp_path)
    yield made
    made.issuance.close()


def test_a_lot_from_beginning_to_end(factory: Factory, tmp_path: Path) -> None:
    """Ten good requests and two bad ones: ten device CAs that openssl accepts, in the ledger, and an exact account."""
    lot = factory.open(quota=12)
    good = [csr(f"gateway-{number}") for number in range(10)]
    progress, basket = factory.issue(lot, items(*good[:5], b"no request", *good[5:], csr(None)))
    assert (progress.issued, progress.rejected, progress.repeated, progress.over_quota) == (10, 2, 0, 0)
    assert basket.names == sorted(f"gateway-{number}" for number in range(10))
    assert basket.settled
    for certificate in basket.certificates().values():
        chain = [certificate, *factory.authority.chain]
        assert tools.openssl_verify(tmp_path, factory.authority.chain.top, chain) == "OK"
    account = factory.lots.close(lot)
    assert (account.issued, account.delivered, account.unused, account.spoiled) == (10, 10, 2, ())
    assert account.rejected == {"malformed": 1, "name-missing": 1}
    assert {one.source for one in account.rejections} == {"request 5", "request 11"}
    ledger = factory.issuance.ledger
    assert len(ledger.inventory.search(now=factory.clock(), lot=lot.name).found) == 10
    assert differences(ledger) == []


def test_a_second_run_issues_nothing_twice(factory: Factory) -> None:
    lot, requests = factory.open(), [csr(f"gateway-{number}") for number in range(7)]
    factory.issue(lot, items(*requests[:4]))
    progress, basket = factory.issue(lot, items(*requests))
    assert (progress.issued, progress.repeated) == (3, 4)
    assert basket.names == ["gateway-4", "gateway-5", "gateway-6"]
    assert factory.lots.get(lot.name).issued == 7


def test_the_same_key_and_name_in_another_request_is_the_same_request(factory: Factory) -> None:
    """A device that asks again signs anew: other octets, the same question."""
    key = ec.generate_private_key(ec.SECP256R1())
    lot = factory.open()
    progress, _ = factory.issue(lot, items(csr("gateway-1", key), csr("gateway-1", key), csr("gateway-1", key)))
    assert (progress.issued, progress.repeated) == (1, 2)
    assert factory.issue(lot, items(csr("gateway-1", key)))[0].repeated == 1


@pytest.mark.parametrize("second", ["gateway-1", "GATEWAY-1"])
def test_a_name_in_use(factory: Factory, second: str, tmp_path: Path) -> None:
    """In the same batch, in an earlier one, outside of lots; with another case as well."""
    tools.device_ca(factory.issuance, "outside", factory.authority, tmp_path / "outside")
    lot = factory.open()
    progress, basket = factory.issue(lot, items(csr("gateway-1"), csr(second), csr("outside")))
    assert basket.names == ["gateway-1"]
    assert [one.code for one in basket.rejections] == ["name-in-use", "name-in-use"]
    assert factory.issue(lot, items(csr(second)))[0].rejected == 1
    assert factory.lots.get(lot.name).issued == progress.issued == 1


def test_the_same_name_twice_in_far_batches(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches of one, recorded in one transaction: the second is found out by the ledger."""
    monkeypatch.setattr("leafward.authority.lot_run.BATCH", 1)
    key = ec.generate_private_key(ec.SECP256R1())
    lot = factory.open()
    progress, basket = factory.issue(lot, items(csr("one", key), csr("two"), csr("One"), csr("one", key), csr("three")))
    assert (progress.issued, progress.repeated, progress.rejected) == (3, 1, 1)
    assert basket.names == ["one", "three", "two"]


def test_what_was_rejected_and_comes_again(factory: Factory) -> None:
    """A bad request counts once, however often it comes; one that is good later has no rejection any more."""
    lot = factory.open()
    taken = csr("gateway-1")
    factory.issue(lot, items(csr("gateway-1"), b"bad"))
    factory.issue(lot, items(taken, b"bad"))
    assert factory.lots.reconciliation(lot).rejected == {"malformed": 1, "name-in-use": 1}
    inventory = factory.issuance.ledger.inventory
    inventory.revoke(inventory.get("gateway-1", factory.clock()).sha256, "superseded", factory.clock())
    progress, _ = factory.issue(lot, items(taken))
    assert progress.issued == 1
    assert factory.lots.reconciliation(lot).rejected == {"malformed": 1}


@pytest.mark.parametrize("bad", [0, 3])
def test_the_quota_is_used_up_exactly(factory: Factory, bad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejected and repeated requests take nothing of the quota, in whatever batch they come."""
    monkeypatch.setattr("leafward.authority.lot_run.BATCH", 2)
    lot = factory.open(quota=10)
    repeated = csr("gateway-0")
    requests = [repeated, repeated, *(b"bad %d" % n for n in range(bad)), *(csr(f"gateway-{n}") for n in range(1, 12))]
    progress, basket = factory.issue(lot, items(*requests))
    assert (progress.issued, progress.rejected, progress.over_quota, progress.repeated) == (10, bad, 2, 1)
    assert len(basket.made) == 10
    again, _ = factory.issue(lot, items(*requests))
    assert (again.issued, again.repeated, again.over_quota) == (0, 11, 2)


def test_a_closed_lot_issues_nothing(factory: Factory) -> None:
    lot = factory.open()
    factory.issue(lot, items(csr("gateway-1")))
    first = factory.lots.close(lot)
    with pytest.raises(AccessDenied, match="is closed"):
        factory.issue(lot, items(csr("gateway-2")))
    assert factory.lots.close(lot) == first
    with pytest.raises(NotFound, match="no lot"):
        factory.lots.get(None)


def test_a_lot_that_is_closed_meanwhile(factory: Factory) -> None:
    """Another station closes it between two requests: what was signed then is thrown away."""
    lot = factory.open()
    book = LotBook(factory.issuance.ledger.engine)
    with pytest.raises(AccessDenied, match="closed meanwhile"):
        factory.issue(lot, items(csr("gateway-1")), stopped=lambda: bool(book.close(lot.name, factory.clock())))
    assert factory.lots.reconciliation(lot).issued == 0


def test_a_lot_that_is_worked_on_is_not_closed(factory: Factory) -> None:
    """At this station: the account would be wrong a moment later."""
    lot, refused = factory.open(), []

    def close() -> bool:
        with pytest.raises(Busy, match="ca lot issue"):
            factory.lots.close(lot)
        refused.append(True)
        return False

    assert factory.issue(lot, items(csr("gateway-1")), stopped=close)[0].issued == 1
    assert refused
    assert factory.lots.close(lot).issued == 1


def test_an_account_while_the_line_runs(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is recorded between two looks at the book: it is read again, and adds up."""
    lot, count, given = factory.open(), LotBook.in_inventory, [csr("gateway-1"), csr("gateway-2")]

    def slow(book: LotBook, name: str) -> int:
        if given:
            factory.issue(lot, items(given.pop()))
        return count(book, name)

    monkeypatch.setattr(LotBook, "in_inventory", slow)
    account = factory.lots.reconciliation(lot)
    assert (account.issued, account.delivered, account.unused) == (2, 2, 98)
    monkeypatch.setattr(LotBook, "get", lambda book, name: replace(lot, issued=next(numbers)))
    numbers = iter(range(1000))
    with pytest.raises(Busy, match="does not hold still"):
        factory.lots.reconciliation(lot)


def test_declared_spoiled(factory: Factory) -> None:
    lot = factory.open()
    factory.issue(lot, items(csr("gateway-1"), csr("gateway-2")))
    with pytest.raises(NotFound, match="gateway-9"):
        factory.lots.close(lot, spoiled=("gateway-1", "gateway-9"))
    assert factory.lots.get(lot.name).closed is None
    account = factory.lots.close(lot, spoiled=("gateway-1",))
    assert [one.name for one in account.spoiled] == ["gateway-1"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        pytest.param(lambda: csr("gw", rsa.generate_private_key(65537, 1024)), "weak-key", id="weak key"),
        pytest.param(lambda: csr("gw", ec.generate_private_key(ec.SECP192R1())), "weak-key", id="small curve"),
        pytest.param(
            lambda: csr("gw", extensions=[x509.SubjectAlternativeName([x509.DNSName("gw.example")])]),
            "request-refused",
            id="a name that the profile has not",
        ),
        pytest.param(
            lambda: csr("gw", extensions=[x509.SubjectAlternativeName([x509.DNSName("*.example")])]),
            "request-refused",
            id="wildcard",
        ),
        pytest.param(lambda: csr("gw")[:-1] + b"\x00", "request-refused", id="wrong signature"),
        pytest.param(lambda: csr("gw") + bytes(100_000), "request-refused", id="too large"),
        pytest.param(lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "malformed", id="PEM"),
        pytest.param(lambda: csr(" gw"), "name-invalid", id="blank"),
    ],
)
def test_a_bad_request_never_stops_the_line(factory: Factory, request_: Any, code: str) -> None:
    lot = factory.open()
    progress, basket = factory.issue(lot, items(csr("before"), request_(), csr("after")))
    assert basket.names == ["after", "before"]
    assert [one.code for one in basket.rejections] == [code]
    assert basket.rejections[0].reason
    assert progress.rejected == 1


def test_a_leaf_that_asks_to_be_a_ca(factory: Factory) -> None:
    lot = factory.open(kind="leaf_device")
    asks = csr("pump-1", extensions=[x509.BasicConstraints(ca=True, path_length=None)])
    _, basket = factory.issue(lot, items(asks, csr("pump-2")))
    assert basket.names == ["pump-2"]
    assert basket.rejections[0].code == "request-refused"


def test_other_keys_in_one_lot(factory: Factory) -> None:
    """RSA and P-384 requests among P-256 ones; the lifetime is the lot's."""
    keys = [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(public_exponent=65537, key_size=3072)]
    lot = factory.open(days=30)
    _, basket = factory.issue(lot, items(csr("one"), csr("two", keys[0]), csr("three", keys[1])))
    made = basket.certificates()
    assert made["two"].public_key() == keys[0].public_key()
    assert made["three"].public_key() == keys[1].public_key()
    assert {one.not_valid_after_utc for one in made.values()} == {made["one"].not_valid_after_utc}
    assert (made["one"].not_valid_after_utc - factory.clock()).days in (29, 30)


def test_opening(factory: Factory) -> None:
    first, second = factory.open(), factory.open(name="spring")
    assert first.name == f"{factory.clock():%Y-%m-%d}.1"
    with pytest.raises(AlreadyExists, match="spring"):
        factory.open(name="spring")
    with pytest.raises(NotFound, match="not clear"):
        factory.lots.get(None)
    for wrong in ({"quota": 0}, {"kind": "root_ca"}, {"name": "../x"}):
        with pytest.raises(UsageError):
            factory.open(**wrong)
    factory.lots.close(first)
    assert factory.lots.get(None) == second


def test_an_issuer_that_was_exchanged(factory: Factory) -> None:
    lot = factory.open()
    folder = factory.issuance.folder / "authorities" / factory.authority.name
    folder.rename(folder.with_name("gone"))
    other = tools.intermediate(factory.issuance, "Other CA", factory.issuance.authorities.get("maker-root"))
    (folder.parent / other.name).rename(folder)
    with pytest.raises(NotFound, match="not there any more"):
        factory.issue(lot, items(csr("gateway-1")))


def test_an_rsa_issuer(tmp_path: Path) -> None:
    made = Factory(tmp_path)
    root = made.issuance.root("RSA Root", parse_key_type("rsa-3072"), now=tools.now())
    lot = made.lots.open("device_ca", 3, issuer=root.name)
    _, basket = made.issue(lot, items(csr("one"), csr("two")))
    for certificate in basket.certificates().values():
        assert tools.openssl_verify(tmp_path, root.chain.leaf, [certificate]) == "OK"
    made.issuance.close()


def test_shown_as_it_goes(factory: Factory) -> None:
    lot, seen = factory.open(), []
    factory.issue(lot, items(csr("one"), csr("two")), shown=lambda progress: seen.append(progress.seen))
    assert seen[-1] == 2
    basket = Basket()
    progress, _ = factory.issue(lot, items(csr("three")), basket, stopped=lambda: True)
    assert progress.seen == 0
    assert not basket.made
