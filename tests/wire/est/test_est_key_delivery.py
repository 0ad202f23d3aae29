"""serverkeygen's two parts (RFC 7030 4.4.2)."""

import email
import email.policy

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.wire.est.key_delivery import (
    DECRYPT_KEY_IDENTIFIERS,
    KEY_AND_CERTIFICATE,
    asks_for_encrypted_key,
    decode_key_and_certificate,
    encode_key_and_certificate,
)

KEY = ec.generate_private_key(ec.SECP256R1())


@given(st.binary(min_size=1, max_size=500), st.binary(min_size=1, max_size=500))
def test_there_and_back(key: bytes, certificates: bytes) -> None:
    body = encode_key_and_certificate(key, certificates)
    assert decode_key_and_certificate(body, KEY_AND_CERTIFICATE) == (key, certificates)


def test_another_mime_reader_finds_both_parts() -> None:
    """The standard library's MIME parser is the oracle."""
    body = encode_key_and_certificate(b"key", b"certificates")
    message = email.message_from_bytes(
        f"Content-Type: {KEY_AND_CERTIFICATE}\r\n\r\n".encode() + body, policy=email.policy.HTTP
    )
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["application/pkcs8", "application/pkcs7-mime"]
    assert [part.get_content() for part in parts] == [b"key", b"certificates"]
    assert parts[1].get_param("smime-type") == "certs-only"
    assert not message.defects


def test_an_answer_of_another_kind_is_refused() -> None:
    with pytest.raises(EncodingError, match="multipart"):
        decode_key_and_certificate(b"", "text/plain")


def test_an_answer_without_the_key_is_refused() -> None:
    body = encode_key_and_certificate(b"key", b"certificates").replace(b"pkcs8", b"pkcs9")
    with pytest.raises(EncodingError, match="pkcs8"):
        decode_key_and_certificate(body, KEY_AND_CERTIFICATE)


@pytest.mark.parametrize("oid", DECRYPT_KEY_IDENTIFIERS)
def test_a_wish_for_encryption_is_seen(oid: ObjectIdentifier) -> None:
    plain = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    assert not asks_for_encrypted_key(plain.sign(KEY, hashes.SHA256()))
    assert asks_for_encrypted_key(plain.add_attribute(oid, b"id").sign(KEY, hashes.SHA256()))
