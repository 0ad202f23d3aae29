"""OCSP answers as they are signed: what they say, to `cryptography` and to OpenSSL, and which questions are refused."""

import base64
import contextlib
import subprocess
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import EncodingError, LeafwardError, NotFound, RuleViolation
from leafward.pki.chain import Chain
from leafward.pki.issuer import Issuer
from leafward.pki.ocsp import (
    MALFORMED,
    UNAUTHORIZED,
    IssuerIds,
    Responder,
    Revocation,
    SignedAnswer,
    question_in_path,
    read_question,
    sign_answer,
)
from tests.pki.conftest import make_key

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def responder(gateway, issuer: Issuer, key_type: str = "ec-p256") -> Responder:
    key = make_key(key_type, "responder")
    return Responder(gateway.issue("ocsp_responder", key, issuer=issuer), key)


def asked(chain: Chain, algorithm: hashes.HashAlgorithm | None = None, nonce: bytes | None = None) -> bytes:
    """What a client asks of a certificate."""
    leaf, issuer = chain.certificates[:2]
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, algorithm or hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def answered(gateway, chain: Chain, revocation: Revocation | None = None, key_type: str = "ec-p256") -> SignedAnswer:
    by = responder(gateway, gateway.issuer_of("device_identity"), key_type)
    return sign_answer(by, read_question(asked(chain)), revocation, now=gateway.now, lifetime=DAY)


def openssl(der: bytes, chain: Chain, folder: Path, at) -> str:
    """What `openssl ocsp` says of a certificate by an answer that it verifies up to the root."""
    files = dict(zip(("cert", "issuer", "root"), (chain.leaf, chain.certificates[1], chain.top), strict=True))
    for name, certificate in files.items():
        (folder / name).write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "answer").write_bytes(der)
    paths = [("-respin", "answer"), ("-issuer", "issuer"), ("-cert", "cert"), ("-CAfile", "root")]
    options = [text for option, name in paths for text in (option, str(folder / name))]
    options += ["-verify_other", str(folder / "issuer"), "-attime", str(int(at.timestamp())), "-no_nonce"]
    # The dates of an answer are held against the clock of the machine, which is years away from the test's.
    options += ["-validity_period", str(20 * 365 * 86400)]
    done = subprocess.run(["openssl", "ocsp", *options], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_good_answer(gateway, tmp_path: Path) -> None:
    """By the responder's key, with its certificate, no nonce; `openssl ocsp`: **Response verify OK**, good"""
    chain = gateway.issue("device_identity")
    made = answered(gateway, chain)
    assert (made.this_update, made.next_update) == (gateway.now, gateway.now + DAY)
    read = ocsp.load_der_ocsp_response(made.der)
    assert read.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert read.serial_number == chain.leaf.serial_number
    assert (read.this_update_utc, read.next_update_utc, read.produced_at_utc) == (
        gateway.now,
        gateway.now + DAY,
        gateway.now,
    )
    assert [one.subject.rfc4514_string() for one in read.certificates] == ["CN=OCSP responder"]
    ski = read.certificates[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert (read.responder_name, read.responder_key_hash) == (None, ski.digest)
    assert not list(read.extensions)
    said = openssl(made.der, chain, tmp_path, gateway.now + HOUR)
    assert "Response verify OK" in said
    assert "cert: good" in said


@pytest.mark.parametrize("reason", ["unspecified", "keyCompromise", "certificateHold"])
def test_a_revoked_answer(gateway, tmp_path: Path, reason: str) -> None:
    chain = gateway.issue("device_identity")
    made = answered(gateway, chain, Revocation(gateway.now - HOUR, reason))
    read = ocsp.load_der_ocsp_response(made.der)
    assert read.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert read.revocation_time_utc == gateway.now - HOUR
    found = read.revocation_reason
    assert (found.value if found else "unspecified") == reason
    assert "cert: revoked" in openssl(made.der, chain, tmp_path, gateway.now + HOUR)


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "ed25519", "ml-dsa-44"])
def test_every_kind_of_key(gateway, hierarchy, key_type: str) -> None:
    root = hierarchy.root(make_key(key_type, "ocsp"), allow_rsa_2048_after_2030=True)
    chain = gateway.issue("device_identity", issuer=root)
    by = responder(gateway, root, key_type)
    made = sign_answer(by, read_question(asked(chain)), None, now=gateway.now, lifetime=DAY)
    assert ocsp.load_der_ocsp_response(made.der).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_it_answers_in_the_digest_of_the_question(gateway) -> None:
    chain = gateway.issue("device_identity")
    issuer = chain.certificates[1]
    by = responder(gateway, gateway.issuer_of("device_identity"))
    for algorithm in (hashes.SHA1(), hashes.SHA256()):
        question = read_question(asked(chain, algorithm))
        assert question.issuer == IssuerIds.of(issuer, algorithm.name)
        read = ocsp.load_der_ocsp_response(sign_answer(by, question, None, now=gateway.now, lifetime=DAY).der)
        assert read.hash_algorithm.name == algorithm.name
        assert (read.issuer_name_hash, read.issuer_key_hash) == (question.issuer.name_hash, question.issuer.key_hash)


def test_it_never_outlives_its_responder(gateway) -> None:
    by = responder(gateway, gateway.issuer_of("device_identity"))
    question = read_question(asked(gateway.issue("device_identity")))
    made = sign_answer(by, question, None, now=gateway.now, lifetime=timedelta(days=90))
    assert made.next_update == by.chain.leaf.not_valid_after_utc
    with pytest.raises(RuleViolation) as refused:
        sign_answer(by, question, None, now=gateway.now + timedelta(days=15), lifetime=DAY)
    assert refused.value.code == "certificate-expired"


def test_a_responder_has_its_own_key(gateway) -> None:
    by = responder(gateway, gateway.issuer_of("device_identity"))
    with pytest.raises(RuleViolation) as refused:
        Responder(by.chain, make_key())
    assert refused.value.code == "key-mismatch"
    assert "key" not in repr(by)


def test_a_key_that_signs_garbage_is_found_out(gateway) -> None:
    by = responder(gateway, gateway.issuer_of("device_identity"))
    object.__setattr__(by, "key", make_key())
    with pytest.raises(RuleViolation) as refused:
        sign_answer(by, read_question(asked(gateway.issue("device_identity"))), None, now=gateway.now, lifetime=DAY)
    assert refused.value.code == "signature-invalid"


# ---- questions


def test_a_nonce_is_taken_and_ignored(gateway) -> None:
    chain = gateway.issue("device_identity")
    assert read_question(asked(chain, nonce=bytes(32))) == read_question(asked(chain))
    with pytest.raises(EncodingError, match="nonce"):
        read_question(asked(chain, nonce=bytes(129)))


def test_what_is_no_question(gateway) -> None:
    for wrong in (b"", b"\x30\x00", b"hello", gateway.root.chain.leaf.public_bytes(Encoding.DER), bytes(5000)):
        with pytest.raises(EncodingError):
            read_question(wrong)


def test_an_unusual_digest_is_not_answered(gateway) -> None:
    with pytest.raises(NotFound, match="another way"):
        read_question(asked(gateway.issue("device_identity"), hashes.SHA512()))


def test_a_question_in_a_path(gateway) -> None:
    """Percent-encoded or not (some clients leave the slashes of base64 as they are): the same question."""
    der = asked(gateway.issue("device_identity"))
    text = base64.b64encode(der).decode()
    for path in (quote(text, safe=""), quote(text), text):
        assert question_in_path(path) == der
    for wrong in ("%%%", "***", "a", "ü", "A" * 20_000):
        with pytest.raises(EncodingError):
            question_in_path(wrong)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused_in_our_words(data: bytes) -> None:
    for read in (read_question, lambda one: question_in_path(one.decode("latin-1"))):
        with contextlib.suppress(LeafwardError):
            read(data)


def test_errors_are_not_signed() -> None:
    for der, status in (
        (MALFORMED, ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
        (UNAUTHORIZED, ocsp.OCSPResponseStatus.UNAUTHORIZED),
    ):
        assert ocsp.load_der_ocsp_response(der).response_status is status
