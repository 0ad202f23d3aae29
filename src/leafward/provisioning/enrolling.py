"""What is fresh in an enrolment: keys and ETags; and CAs, registered and proved."""

import hmac
import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from leafward.errors import AccessDenied, InputError
from leafward.pki.chain import is_issued_by
from leafward.pki.extension import says_ca
from leafward.pki.names import common_name, parse_registration_id
from leafward.pki.validity import Validity
from leafward.store.enrolments import CaBook, RegisteredCa, SymmetricKeys

# Twice the strength of the HMAC-SHA256 that they are used in, as the service makes them.
KEY_SIZE = 64
# Long enough to walk to a CA that is kept offline.
CODE_HOLDS = timedelta(days=7)
_CODE_SIZE = 24  # octets; 48 hexadecimal digits fit into a common name


def fresh_keys() -> SymmetricKeys:
    """Two new keys."""
    return SymmetricKeys(secrets.token_bytes(KEY_SIZE), secrets.token_bytes(KEY_SIZE))


def fresh_etag() -> str:
    """A name for a version that no other version has."""
    return secrets.token_hex(8)


def register_ca(book: CaBook, name: str | None, certificate: x509.Certificate, now: datetime) -> RegisteredCa:
    """Registers a CA, unverified: it admits nobody. `name` defaults to its common name, made fit for a name.

    Raises `InputError` for what is no CA, or has ended; `AlreadyExists`.
    """
    subject = certificate.subject.rfc4514_string()
    if not says_ca(certificate):
        raise InputError("only a CA can be registered", why=f"{subject} is none", hint="give the CA's certificate")
    if now > Validity.of(certificate).not_after:
        raise InputError("the CA has ended", why=f"{subject}: {certificate.not_valid_after_utc}")
    chosen = parse_registration_id(name if name is not None else _name_of(certificate))
    ca = RegisteredCa(chosen, certificate, verified=False, etag=fresh_etag(), created=now, updated=now)
    book.add(ca)
    return ca


def new_code(book: CaBook, name: str, now: datetime) -> RegisteredCa:
    """A verification code; an earlier one is void. A verified CA stays so. Raises `NotFound`, `Stale`."""
    ca = book.get(name)
    code = secrets.token_hex(_CODE_SIZE).upper()
    changed = replace(ca, code=code, code_until=now + CODE_HOLDS, etag=fresh_etag(), updated=now)
    book.replace(changed, etag=ca.etag)
    return changed


def verify_ca(book: CaBook, name: str, proof: x509.Certificate, now: datetime) -> RegisteredCa:
    """Takes a certificate that the CA has signed and that is named after the code: its owner holds the key.

    Raises `AccessDenied` saying what does not fit; `NotFound`, `Stale`.
    """
    ca = book.get(name)
    if ca.code is None or ca.code_until is None or now > ca.code_until:
        hint = f"leafward provisioning ca code {ca.name}"
        raise AccessDenied(f"the CA {ca.name!r} has no code to be proved by", why="none, or it has ended", hint=hint)
    _check_proof(ca, ca.code, proof, now)
    changed = replace(ca, verified=True, code=None, code_until=None, etag=fresh_etag(), updated=now)
    book.replace(changed, etag=ca.etag)
    return changed


def _check_proof(ca: RegisteredCa, code: str, proof: x509.Certificate, now: datetime) -> None:
    what = f"this certificate does not prove the CA {ca.name!r}"
    named = common_name(proof.subject) or ""
    if not hmac.compare_digest(named.encode(), code.encode()):
        hint = "sign a certificate whose common name is the newest code; a new code voids the one before"
        raise AccessDenied(what, why=f"its common name {named[:64]!r} is not the code", hint=hint)
    if not is_issued_by(proof, ca.certificate):
        issuer = proof.issuer.rfc4514_string()
        hint = "sign it with the key of this very CA: a root's signature proves no intermediate"
        raise AccessDenied(what, why=f"it was signed by {issuer}, or by another key of that name", hint=hint)
    if says_ca(proof) or not Validity.of(proof).contains(now):
        raise AccessDenied(what, why="it is a CA, or not within its dates", hint="sign a new one")


def _name_of(certificate: x509.Certificate) -> str:
    text = common_name(certificate.subject) or "ca"
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-._:") else "-" for letter in text)
