"""Chains: order, joining, splitting; nothing is judged here but who signed whom."""

import hashlib
import itertools
import random
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.pki.chain import Chain, fingerprint, is_issued_by, is_self_signed, issuers_of


@pytest.fixture(scope="module")
def chain(hierarchy) -> Chain:
    """server <- workload CA <- device CA <- three intermediates <- root"""
    return hierarchy(3).issue("hub_server")


def test_parts(chain: Chain) -> None:
    assert len(chain) == 7
    assert chain.leaf is chain.certificates[0]
    assert chain.issuers == chain.certificates[1:]
    assert chain.top is chain.certificates[-1]
    assert list(chain) == list(chain.certificates)
    assert chain.is_complete


def test_fingerprint_is_the_sha256_of_the_der(chain: Chain) -> None:
    assert fingerprint(chain.leaf) == hashlib.sha256(chain.leaf.public_bytes(Encoding.DER)).hexdigest()


def test_pem_keeps_the_order(chain: Chain) -> None:
    assert Chain.from_pem(chain.to_pem()) == chain
    backwards = Chain(chain.certificates[::-1])
    assert Chain.from_pem(backwards.to_pem()) == backwards


def test_without_root(chain: Chain) -> None:
    shorter = chain.without_root()
    assert shorter.certificates == chain.certificates[:-1]
    assert not shorter.is_complete
    assert shorter.without_root() == shorter
    assert Chain.of(chain.top).without_root() == Chain.of(chain.top)


@given(st.randoms(use_true_random=False))
def test_any_order_is_put_right(chain: Chain, shuffle: random.Random) -> None:
    mixed = list(chain.certificates)
    shuffle.shuffle(mixed)
    assert Chain.ordered([*mixed, mixed[0]]) == chain
    assert Chain.ordered(mixed).leaf == chain.leaf


def test_a_part_of_a_chain_is_a_chain(chain: Chain) -> None:
    assert Chain.ordered(chain.certificates[4:1:-1]).certificates == chain.certificates[2:5]
    assert Chain.ordered([chain.top]) == Chain.of(chain.top)


def test_two_leaves_are_no_chain(gateway) -> None:
    with pytest.raises(EncodingError, match="2 of them could be the leaf"):
        Chain.ordered([*gateway.issue("hub_server"), *gateway.issue("module_server")])


def test_a_gap_is_no_chain(chain: Chain) -> None:
    with pytest.raises(EncodingError):
        Chain.ordered([chain.certificates[0], chain.certificates[2]])


def test_nothing_is_no_chain() -> None:
    for make in (lambda: Chain(()), lambda: Chain.ordered([])):
        with pytest.raises(EncodingError):
            make()


def test_who_issued_whom(chain: Chain, hierarchy) -> None:
    other = hierarchy(3)
    workload, device = chain.certificates[1:3]
    assert is_issued_by(workload, device)
    assert not is_issued_by(device, workload)
    # the same names and another key: a name alone proves nothing
    assert workload.issuer == other.device_ca.chain.leaf.subject
    assert not is_issued_by(workload, other.device_ca.chain.leaf)
    candidates = [other.device_ca.chain.leaf, *chain]
    assert list(issuers_of(workload, candidates)) == [device]
    assert list(issuers_of(chain.top, candidates)) == [chain.top]


_YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def test_a_signature_is_whole_octets() -> None:
    """One bit turned over: the count of unused bits says 1. The library passes over it, OpenSSL's clients do not."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, *_YEAR)
    # An unused bit has to be 0 (X.690 11.2.1), so it takes a signature that ends with one.
    signed = (builder.sign(key, hashes.SHA256()) for _ in itertools.count())
    good = next(certificate for certificate in signed if certificate.signature[-1] % 2 == 0)
    der = bytearray(good.public_bytes(Encoding.DER))
    der[-len(good.signature) - 1] = 1
    assert is_self_signed(good)
    assert not is_self_signed(x509.load_der_x509_certificate(bytes(der)))


def test_self_issued_is_not_self_signed(hierarchy) -> None:
    """Issuer and subject are equal, and another key signed: a rekeyed CA, not a root."""
    old, new = hierarchy.key("ec-p256"), hierarchy.key("ec-p256")
    name = hierarchy.root().chain.leaf.subject
    certificate = x509.CertificateBuilder(name, name, new.public_key(), 1, hierarchy.now, hierarchy.now).sign(
        old, hashes.SHA256()
    )
    assert not is_self_signed(certificate)
    assert is_self_signed(hierarchy.root(new).chain.leaf)
