"""The table of key types, against real keys."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519

from leafward.errors import RuleViolation, UsageError
from leafward.pki.key_types import DEFAULT_KEY_TYPE, KEY_TYPES, key_name, key_type_of, parse_key_type

HASHES = {"ec-p256": "sha256", "ec-p384": "sha384", "ed25519": None, "ml-dsa-44": None, "rsa-2048": "sha256"}


@pytest.mark.parametrize("name", HASHES)
def test_a_key_is_recognised(hierarchy, name: str) -> None:
    key_type = key_type_of(hierarchy.key(name, "root").public_key())
    assert key_type is parse_key_type(name) is KEY_TYPES[name]
    assert str(key_type) == name
    assert (key_type.signature_hash and key_type.signature_hash.name) == HASHES[name]


def test_the_table() -> None:
    assert list(KEY_TYPES)[:6] == ["ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519"]
    assert DEFAULT_KEY_TYPE.name == "ec-p256"
    assert len(set(KEY_TYPES.values())) == len(KEY_TYPES)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError) as refused:
        parse_key_type("rsa-1024")
    assert "ec-p256" in (refused.value.hint or "")
    assert "rsa-4096" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), "weak-key"),
        (lambda: rsa.generate_private_key(65537, 2056), "unsupported-algorithm"),
        (lambda: ec.generate_private_key(ec.SECP192R1()), "weak-key"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "unsupported-algorithm"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "unsupported-algorithm"),
        (lambda: dsa.generate_private_key(1024), "unsupported-algorithm"),
        (x25519.X25519PrivateKey.generate, "unsupported-algorithm"),
    ],
    ids=["rsa-1024", "rsa-2056", "p-192", "secp256k1", "p-521", "dsa", "x25519"],
)
def test_a_key_is_refused(make, code: str) -> None:
    with pytest.raises(RuleViolation) as refused:
        key_type_of(make().public_key())
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), "rsa-1024"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "ec-p256"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "ec-secp521r1"),
    ],
)
def test_any_key_has_a_name_for_people(gateway, make, words: str) -> None:
    key = make()
    name = gateway.root.chain.leaf.subject
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, gateway.now, gateway.now).sign(
        key, hashes.SHA256()
    )
    assert key_name(certificate) == words
