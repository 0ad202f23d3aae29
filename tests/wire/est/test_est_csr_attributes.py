"""CsrAttrs (RFC 8951 3.2), against OpenSSL's parser and there and back."""

import subprocess

import pytest
from cryptography.x509 import ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.pki.key_types import KEY_TYPES
from leafward.wire.est.csr_attributes import (
    CHALLENGE_PASSWORD,
    Attribute,
    decode_attributes,
    encode_attributes,
    wanted_attributes,
)

identifiers = st.lists(st.integers(0, 2**40), min_size=1, max_size=8).map(
    lambda arcs: ObjectIdentifier(".".join(map(str, [1, 3, *arcs])))
)
items = identifiers | st.builds(Attribute, identifiers, st.lists(identifiers, max_size=3, unique=True).map(tuple))


@given(st.lists(items, max_size=20))
def test_there_and_back(wanted: list[Attribute | ObjectIdentifier]) -> None:
    """Values are a SET: their order is DER's."""
    found = decode_attributes(encode_attributes(wanted))
    assert [_unordered(item) for item in found] == [_unordered(item) for item in wanted]


@given(st.binary(max_size=60))
def test_garbage_is_refused(der: bytes) -> None:
    try:
        found = decode_attributes(der)
    except EncodingError:
        return
    assert encode_attributes(found) == der


@pytest.mark.parametrize("name", KEY_TYPES)
def test_every_key_type_can_be_asked_for(name: str) -> None:
    der = encode_attributes(wanted_attributes(KEY_TYPES[name], linking=True))
    assert decode_attributes(der)[0] == CHALLENGE_PASSWORD
    assert len(decode_attributes(der)) > 1


def test_openssl_reads_the_same() -> None:
    """SEQUENCE { SEQUENCE { id-ecPublicKey, SET { prime256v1 } }, ecdsa-with-SHA256 }."""
    der = encode_attributes(wanted_attributes(KEY_TYPES["ec-p256"]))
    done = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=der, capture_output=True, check=True)
    shown = [line.split(":")[-1] for line in done.stdout.decode().splitlines() if "OBJECT" in line]
    assert shown == ["id-ecPublicKey", "prime256v1", "ecdsa-with-SHA256"]


def _unordered(item: Attribute | ObjectIdentifier) -> object:
    return (item.oid, frozenset(item.values)) if isinstance(item, Attribute) else item
