"""pkilint on our revocation lists, OCSP answers and what points to them: no error and no warning."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from leafward.authority.crl_shards import NOWHERE, Publishing
from leafward.authority.ocsp_answers import OcspAnswers
from leafward.pki.crl import REASONS
from leafward.store.revocations import COMPLETE
from tests.authority.revocation_world import PUBLISHED, World
from tests.oracles.linting import lint_certificate, lint_crl, lint_ocsp


@pytest.fixture(params=[NOWHERE, PUBLISHED], ids=["complete", "in parts"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """root -> factory -> a leaf revoked for each reason, and one that is not."""
    made = World(tmp_path, None, request.param)
    yield made
    made.issuance.close()


def test_lists(world: World, tmp_path: Path) -> None:
    for reason in REASONS:
        world.revoke(world.issue(f"pump-{reason}"), reason)
    world.publish()
    files = list((tmp_path / "maker" / "crl").rglob("*.crl"))
    assert len(files) == (2 if world.publishing is NOWHERE else 3)
    for file in files:
        assert lint_crl(file.read_bytes()) == set(), file


def test_answers_and_their_responder(world: World, tmp_path: Path) -> None:
    chains = [world.chain(f"pump-{count}") for count in range(2)]
    world.revoke(chains[0].leaf)
    answers = OcspAnswers(world.issuance)
    for chain in chains:
        leaf, issuer = chain.certificates[:2]
        builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256())
        der = answers.answer(builder.build().public_bytes(Encoding.DER), world.now).der
        assert lint_ocsp(der) == set()
    (responder,) = ocsp.load_der_ocsp_response(der).certificates
    assert lint_certificate(responder) == set()


def test_certificates_that_point_there(world: World, tmp_path: Path) -> None:
    for certificate in (world.root.chain.leaf, world.factory.chain.leaf, world.issue()):
        assert lint_certificate(certificate) == set()


def test_it_would_find_something(tmp_path: Path) -> None:
    """A list without a number and an AKI: **found**"""
    world = World(tmp_path / "maker", None, Publishing())
    world.publish()
    ours = world.crl(COMPLETE)
    bare = x509.CertificateRevocationListBuilder(ours.issuer, ours.last_update_utc, ours.next_update_utc)
    der = bare.sign(world.factory.issuer().key, hashes.SHA256()).public_bytes(Encoding.DER)
    world.issuance.close()
    assert lint_crl(der)
