"""A certificate of the maker's, written where its holder fetches it: the chain, and the key where it was made here.

    key -> issue (recorded in the ledger) -> certificate

A run that is killed after the certificate was recorded leaves its key without it: the next run for the same name and
folder writes that certificate, so nothing is issued twice and nothing is lost. What is refused leaves nothing.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.authority.authorities import CERTIFICATE, KEY, Authority
from leafward.authority.elsewhere import NO_LIMITS, Limits
from leafward.authority.issuance import Issuance
from leafward.errors import AlreadyExists, LeafwardError, NotFound
from leafward.keys.key_store import KeyReference, delete_key, generate_key, key_exists, open_key
from leafward.pki.chain import Chain
from leafward.pki.key_types import KeyType, PublicKey
from leafward.pki.names import parse_common_name
from leafward.pki.request import CertificateRequest


@dataclass(frozen=True)
class Delivery:
    """The files: the leaf-first chain, and the key unless the holder has it."""

    chain: Chain
    certificate: Path
    private_key: Path | None


def deliver(
    issuance: Issuance,
    kind: str,
    name: str,
    source: CertificateRequest | KeyType,
    folder: Path,
    *,
    now: datetime,
    issuer: Authority | None = None,
    lifetime: timedelta | None = None,
    limits: Limits = NO_LIMITS,
    serial_number: str | None = None,
    replacing: bool = False,
    renewing: bool = False,
) -> Delivery:
    """Issues a `kind` certificate named `name` into `folder`, for the key of a request or for a new one.

    The names and `limits` are ours to give, whatever the request says: a request is taken for its key. A name that
    lives is refused unless it is `replacing` or `renewing`, as `Issuance.issue` says; without a request, a renewal is
    for the key in the folder. A folder that has a certificate is refused with `AlreadyExists`, but for a renewal.
    """
    certificate, reference = folder / CERTIFICATE, KeyReference("file", str((folder / KEY).absolute()))
    if certificate.exists() and not renewing:
        raise AlreadyExists(f"{certificate} exists", hint="choose another folder with --out")
    named = parse_common_name(name)

    def issue(request: CertificateRequest) -> Chain:
        known = serial_number or request.serial_number
        asked = replace(limits.on(request), common_name=named, serial_number=known)
        way = {"replacing": replacing, "renewing": renewing}
        return issuance.issue(limits.profile(kind), asked, now=now, issuer=issuer, lifetime=lifetime, **way)

    with _gone_on_failure(folder):
        if isinstance(source, CertificateRequest):
            chain = issue(source)
        elif renewing:
            chain = issue(CertificateRequest(public_key=_key_in(reference)))
        else:
            chain = _unfinished(issuance, kind, named, reference, now) or _with_new_key(reference, source, issue)
    disk.write_file(certificate, chain.to_pem(), mode=disk.PUBLIC)
    return Delivery(chain, certificate, folder / KEY if isinstance(source, KeyType) else None)


@contextlib.contextmanager
def _gone_on_failure(folder: Path) -> Iterator[None]:
    """Makes the folder; a refusal leaves none behind where it is new."""
    new = not folder.exists()
    disk.make_folder(folder)
    try:
        yield
    except LeafwardError:
        if new:
            with contextlib.suppress(OSError):  # something is in it after all
                folder.rmdir()
        raise


def _with_new_key(reference: KeyReference, key_type: KeyType, issue: Callable[[CertificateRequest], Chain]) -> Chain:
    """Makes the key, and again where a killed run left one without a certificate; a refusal leaves none behind."""
    delete_key(reference)
    key = generate_key(reference, key_type)
    try:
        return issue(CertificateRequest(public_key=key.public_key()))
    except LeafwardError:
        delete_key(reference)
        raise


def _key_in(reference: KeyReference) -> PublicKey:
    try:
        return open_key(reference).public_key()
    except NotFound as error:
        hint = "give the folder with --out, or the device's request with --csr"
        raise NotFound("there is no key to renew", why=error.what, hint=hint) from error


def _unfinished(issuance: Issuance, kind: str, name: str, reference: KeyReference, now: datetime) -> Chain | None:
    """The certificate that a killed run recorded for the key it left in the folder."""
    if not key_exists(reference):
        return None
    held = issuance.ledger.inventory.living(kind, name, now)
    if held is None:
        return None
    certificate = x509.load_der_x509_certificate(issuance.ledger.inventory.der(held.sha256))
    return issuance.chain_of(certificate) if certificate.public_key() == open_key(reference).public_key() else None
