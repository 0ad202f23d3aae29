"""One signature that is about to leave the authority, as the inventory and the issuance log keep it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import StoreError
from leafward.pki import extension
from leafward.pki.names import common_name

# What is no certificate, and is in the log only: revocation lists, OCSP answers, the transcripts of ceremonies.
LOG_ONLY_KINDS = frozenset({"crl", "ocsp", "ceremony"})
# Kinds of which several may live under one name: a CA has as many cross-certificates as others vouch for it.
SHARED_NAME_KINDS = frozenset({"cross_certificate"})


@dataclass(frozen=True, slots=True)
class Entry:
    """`serial` is the number of a CRL or a transcript ("crl", "ceremony"), and the certificate's serial for "ocsp".

    `issuer_key_id` and `sha256` (of `der`) are lower-case hexadecimal; the times are aware UTC.
    """

    kind: str
    name: str | None
    serial: int
    issuer_key_id: str
    not_before: datetime
    not_after: datetime
    der: bytes = field(repr=False)
    sha256: str

    @classmethod
    def of(cls, kind: str, certificate: x509.Certificate) -> Self:
        """The entry of a certificate: of a profile's kind, or "cross_certificate".

        Raises `StoreError` for "crl", "ocsp" and "ceremony", which are no certificates.
        """
        if kind in LOG_ONLY_KINDS:
            raise StoreError(f"a certificate is no {kind}", why="its entry is made where it is signed")
        der = certificate.public_bytes(Encoding.DER)
        return cls(
            kind=kind,
            name=_printable(common_name(certificate.subject)),
            serial=extension.serial_number(certificate),
            issuer_key_id=issuer_key_id(certificate),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            der=der,
            sha256=hashlib.sha256(der).hexdigest(),
        )

    @property
    def name_key(self) -> str | None:
        """The name as living names are compared: without case, as hosts and the audiences of SAS tokens are."""
        return None if self.name is None or self.kind in SHARED_NAME_KINDS else self.name.casefold()

    @property
    def is_certificate(self) -> bool:
        """Whether the inventory lists it."""
        return self.kind not in LOG_ONLY_KINDS


def issuer_key_id(certificate: x509.Certificate) -> str:
    """Who signed it: the keyid of the AKI, in lower-case hexadecimal (RFC 5280 4.2.1.1).

    A certificate from elsewhere may have none: then the digest of the issuer's name stands for it.
    """
    keyid = extension.authority_key_id(certificate)
    return keyid.hex() if keyid is not None else hashlib.sha256(certificate.issuer.public_bytes()).hexdigest()


def entry_texts(entries: Sequence[Entry], at: datetime) -> list[bytes]:
    """The entries as the log holds them (`issuance_log/entry.py`). `at` is when they were recorded."""
    time = _time_text(at.replace(microsecond=0))
    return [
        f"leafward/issuance/v1\n{one.kind}\n{time}\n{one.issuer_key_id}\n{one.serial:x}\n{one.sha256}\n".encode("ascii")
        for one in entries
    ]


@lru_cache(1)
def _time_text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _printable(name: str | None) -> str | None:
    """A name that can be shown and stored. A certificate from elsewhere may carry anything."""
    return name if name is not None and name.isprintable() else None
