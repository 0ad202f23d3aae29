"""OCSP (RFC 6960, in the lightweight profile of RFC 5019): questions read, answers signed by a delegated responder.

Answers are signed ahead of any question and given to everybody who asks, so they hold no nonce (RFC 9654 2.1 leaves
that to the responder) and one certificate each. What cannot be answered so gets an error, which nobody signs.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Self
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from leafward.errors import EncodingError, NotFound
from leafward.pki.admission import check_key_belongs
from leafward.pki.chain import Chain
from leafward.pki.crl import REASONS
from leafward.pki.der import CONTEXT_0, OCTET_STRING, SEQUENCE, element
from leafward.pki.key_types import PrivateKey, key_type_of
from leafward.pki.revocation import UNSPECIFIED
from leafward.pki.signed_object import (
    ENUMERATED,
    generalized_time,
    integer,
    is_signed_by,
    object_id,
    signed,
    wrong_signature,
)
from leafward.pki.template import bit_string
from leafward.pki.validity import Validity, in_whole_seconds

MAX_QUESTION = 4096
_MAX_NONCE = 128  # octets, RFC 9654 2.1
_BASIC = x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.1")
_GOOD, _REVOKED, _BY_KEY = 0x80, 0xA1, 0xA2
# Digest of a CertID -> its AlgorithmIdentifier, with NULL as parameters: the form that clients write themselves.
_ALGORITHMS: Mapping[str, bytes] = MappingProxyType(
    {
        "sha1": bytes.fromhex("300906052b0e03021a0500"),
        "sha256": bytes.fromhex("300d06096086480165030402010500"),
    }
)
ALGORITHMS = tuple(_ALGORITHMS)


def _unsigned(status: int) -> bytes:
    """An OCSPResponse without an answer: an error needs no signature (RFC 6960 2.3)."""
    return element(SEQUENCE, element(ENUMERATED, bytes([status])))


MALFORMED, INTERNAL_ERROR, TRY_LATER, UNAUTHORIZED = map(_unsigned, (1, 2, 3, 6))


@dataclass(frozen=True, slots=True)
class IssuerIds:
    """How a question names an issuer: digests of its name and of its key, in one algorithm ("sha1" or "sha256")."""

    algorithm: str
    name_hash: bytes
    key_hash: bytes

    @classmethod
    def of(cls, issuer: x509.Certificate, algorithm: str) -> Self:
        """Of a CA certificate (RFC 6960 4.1.1)."""
        spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        name, key = (
            hashlib.new(algorithm, one, usedforsecurity=False).digest()
            for one in (issuer.subject.public_bytes(), bit_string(spki))
        )
        return cls(algorithm, name, key)


@dataclass(frozen=True, slots=True)
class Question:
    """One certificate that somebody asks for."""

    issuer: IssuerIds
    serial: int


@dataclass(frozen=True, slots=True)
class Revocation:
    """Since when (aware UTC) and why (RFC 5280 5.3.1) a certificate is revoked."""

    at: datetime
    reason: str


@dataclass(frozen=True)
class Responder:
    """Who signs answers for a CA: a certificate that the CA gave for this alone, with its key.

    Raises `RuleViolation` ("key-mismatch") where the key is another's.
    """

    chain: Chain
    key: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        check_key_belongs(self.chain.leaf, self.key.public_key())


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """An OCSPResponse, and from when to when it may be used (aware UTC)."""

    der: bytes
    this_update: datetime
    next_update: datetime


def read_question(der: bytes) -> Question:
    """The question in an OCSPRequest.

    Raises `EncodingError` for what is no request, to be answered with `MALFORMED`; `NotFound` for a question that no
    signed answer fits (several certificates, an unusual digest), to be answered with `UNAUTHORIZED`.
    """
    if len(der) > MAX_QUESTION:
        raise EncodingError("the OCSP request is too large", why=f"got {len(der)} octets, expected {MAX_QUESTION}")
    try:
        request = ocsp.load_der_ocsp_request(der)
        _refuse_extensions(request.extensions)
        algorithm, serial = request.hash_algorithm.name, request.serial_number
        issuer = IssuerIds(algorithm, request.issuer_name_hash, request.issuer_key_hash)
    except (NotImplementedError, UnsupportedAlgorithm) as error:
        raise NotFound("the OCSP request asks for what is not answered here", why=str(error)) from error
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise EncodingError("the OCSP request does not decode", why=str(error) or None) from error
    if algorithm not in _ALGORITHMS:
        why = f"got {algorithm}, expected one of {', '.join(_ALGORITHMS)}"
        raise NotFound("the OCSP request names the issuer in another way", why=why)
    return Question(issuer, serial)


def question_in_path(text: str) -> bytes:
    """The request that stands percent-encoded, in base64, at the end of a GET's path (RFC 6960 A.1).

    Raises `EncodingError`.
    """
    if len(text) > 3 * MAX_QUESTION:
        raise EncodingError("the OCSP request is too large", why=f"got {len(text)} characters")
    try:
        return base64.b64decode(unquote_to_bytes(text), validate=True)
    except binascii.Error as error:
        raise EncodingError("the OCSP request is no base64", why=str(error)) from error


def sign_answer(
    responder: Responder, question: Question, revocation: Revocation | None, *, now: datetime, lifetime: timedelta
) -> SignedAnswer:
    """The answer to a question: good where `revocation` is None. It begins `now` and ends after `lifetime`.

    It never outlives the responder's certificate. Raises `RuleViolation` where that is not valid now or the key made a
    wrong signature ("signature-invalid"), and what the key raises.
    """
    window = Validity.starting(now, lifetime, Validity.of(responder.chain.leaf))
    begin, end = generalized_time(now), window.not_after
    single = element(
        SEQUENCE, _certificate_id(question), _status(revocation), begin, element(CONTEXT_0, generalized_time(end))
    )
    leaf = responder.chain.leaf
    key_id = IssuerIds.of(leaf, "sha1").key_hash
    tbs = element(SEQUENCE, element(_BY_KEY, element(OCTET_STRING, key_id)), begin, element(SEQUENCE, single))
    certificates = element(CONTEXT_0, element(SEQUENCE, leaf.public_bytes(Encoding.DER)))
    basic = signed(tbs, responder.key, key_type_of(leaf.public_key()), certificates)
    body = element(SEQUENCE, object_id(_BASIC), element(OCTET_STRING, basic))
    der = element(SEQUENCE, element(ENUMERATED, b"\0"), element(CONTEXT_0, body))
    _check(der, leaf)
    return SignedAnswer(der, in_whole_seconds(now), end)


def _certificate_id(question: Question) -> bytes:
    ids = question.issuer
    hashes = (element(OCTET_STRING, one) for one in (ids.name_hash, ids.key_hash))
    return element(SEQUENCE, _ALGORITHMS[ids.algorithm], *hashes, integer(question.serial))


def _status(revocation: Revocation | None) -> bytes:
    """CertStatus (RFC 6960 4.2.1). Without a reason it is "unspecified", as in a list."""
    if revocation is None:
        return element(_GOOD)
    reason = b"" if revocation.reason == UNSPECIFIED else x509.CRLReason(REASONS[revocation.reason]).public_bytes()
    return element(_REVOKED, generalized_time(revocation.at), element(CONTEXT_0, reason) if reason else b"")


def _check(der: bytes, responder: x509.Certificate) -> None:
    """Reads an answer back and verifies it: what a broken key signed is never handed out."""
    try:
        read = ocsp.load_der_ocsp_response(der)
        signature, tbs = read.signature, read.tbs_response_bytes
    except ValueError as error:
        raise wrong_signature("an OCSP answer") from error
    if not is_signed_by(responder.public_key(), signature, tbs):
        raise wrong_signature("an OCSP answer")


def _refuse_extensions(extensions: x509.Extensions) -> None:
    """Refuses a nonce of a length that nobody may send, and what is critical and unknown.

    RFC 9654 2.1, RFC 6960 4.4.
    """
    for one in extensions:
        nonce = one.value.nonce if isinstance(one.value, x509.OCSPNonce) else None
        if nonce is not None and not 1 <= len(nonce) <= _MAX_NONCE:
            raise ValueError(f"a nonce of {len(nonce)} octets, expected 1 to {_MAX_NONCE}")
        if nonce is None and one.critical:
            raise ValueError(f"the critical extension {one.oid.dotted_string} is not known")
