"""Proof of possession: a CA admits nobody until somebody has signed a certificate with its key, named after a code."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leafward.errors import AccessDenied, AlreadyExists, Busy, InputError, NotFound
from leafward.provisioning.database import open_provisioning
from leafward.provisioning.enrolling import CODE_HOLDS, new_code, register_ca, verify_ca
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.enrolments import CaBook, CaReferences, Enrolment, EnrolmentBook
from leafward.store.home import Home
from tests.hub.hub_certificates import Held, make

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def root() -> Held:
    return make("Proof Root", ca=True)


@pytest.fixture(scope="module")
def intermediate(root: Held) -> Held:
    return make("Proof Intermediate", root, ca=True)


@pytest.fixture
def book(tmp_path: Path):
    engine = open_provisioning(Home(tmp_path), ProvisioningTable())
    yield CaBook(engine)
    engine.dispose()


def code_of(book: CaBook, name: str) -> str:
    code = new_code(book, name, NOW).code
    assert code is not None
    return code


@pytest.mark.parametrize("which", ["root", "intermediate"])
def test_proved_by_its_own_key(book: CaBook, root: Held, intermediate: Held, which: str) -> None:
    """Roots and intermediates alike. A proof proves once: the code is void afterwards."""
    ca = root if which == "root" else intermediate
    assert not register_ca(book, "ca", ca.leaf, NOW).verified
    proof = make(code_of(book, "ca"), ca, client=True).leaf
    assert verify_ca(book, "ca", proof, NOW).verified
    assert book.get("CA").verified
    with pytest.raises(AccessDenied, match="no code"):
        verify_ca(book, "ca", proof, NOW)


@pytest.mark.parametrize(
    "defect", ["signed by the root", "another code", "an older code", "late", "a CA", "expired", "same name, other key"]
)
def test_what_proves_nothing(book: CaBook, root: Held, intermediate: Held, defect: str) -> None:
    """Each stays unverified."""
    register_ca(book, "ca", intermediate.leaf, NOW)
    code, now = code_of(book, "ca"), NOW
    proof = make(code, intermediate, client=True)
    match defect:
        case "signed by the root":
            proof = make(code, root, client=True)
        case "another code":
            proof = make("0" * 48, intermediate, client=True)
        case "an older code":
            assert code_of(book, "ca") != code
        case "late":
            now = NOW + CODE_HOLDS + timedelta(seconds=1)
        case "a CA":
            proof = make(code, intermediate, ca=True)
        case "expired":
            proof = make(code, intermediate, client=True, days=(-9, -1))
        case "same name, other key":
            proof = make(code, make("Proof Intermediate", root, ca=True), client=True)
    with pytest.raises(AccessDenied):
        verify_ca(book, "ca", proof.leaf, now)
    assert not book.get("ca").verified


def test_what_cannot_be_registered(book: CaBook, root: Held) -> None:
    """No CA, one that has ended, a name or a CA that is there."""
    with pytest.raises(InputError, match="only a CA"):
        register_ca(book, "leaf", make("leaf", root, client=True).leaf, NOW)
    with pytest.raises(InputError, match="has ended"):
        register_ca(book, "old", make("old", ca=True, days=(-9, -1)).leaf, NOW)
    assert register_ca(book, None, root.leaf, NOW).name == "Proof-Root"
    for name in ("proof-root", "another-name"):
        with pytest.raises(AlreadyExists):
            register_ca(book, name, root.leaf if name != "proof-root" else make("x", ca=True).leaf, NOW)


def test_removed_while_a_group_names_it(book: CaBook, root: Held) -> None:
    """First the group, then its CA."""
    register_ca(book, "root", root.leaf, NOW)
    enrolments = EnrolmentBook(book._engine)
    with pytest.raises(NotFound, match="no CA 'nobody'"):
        enrolments.add(Enrolment("line", True, CaReferences("nobody"), NOW, NOW, "1"))
    enrolments.add(Enrolment("line", True, CaReferences("ROOT"), NOW, NOW, "1"))
    with pytest.raises(Busy, match="in use"):
        book.remove("root")
    enrolments.remove("line", group=True)
    book.remove("root")
    assert book.all() == []
