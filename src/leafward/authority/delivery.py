"""A certificate of the maker's, written where its holder fetches it: the chain, and the key where it was made here."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import CERTIFICATE, KEY, Authority
from leafward.authority.issuance import Issuance
from leafward.errors import AlreadyExists
from leafward.keys.key_store import KeyReference, delete_key, generate_key
from leafward.pki.chain import Chain
from leafward.pki.key_types import KeyType
from leafward.pki.names import parse_common_name
from leafward.pki.profiles import profile
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
) -> Delivery:
    """Issues a `kind` certificate named `name` into `folder`, for the key of a request or for a new one.

    The name is ours to give, whatever the request says: a request is taken for its key. A folder that has a certificate
    is refused with `AlreadyExists`; a key alone, which a killed run left, is made again.
    """
    certificate, reference = folder / CERTIFICATE, KeyReference("file", str((folder / KEY).absolute()))
    if certificate.exists():
        raise AlreadyExists(f"{certificate} exists", hint="choose another folder with --out")
    disk.make_folder(folder)
    if isinstance(source, KeyType):
        delete_key(reference)
        request = CertificateRequest(public_key=generate_key(reference, source).public_key())
    else:
        request = source
    named = replace(request, common_name=parse_common_name(name))
    chain = issuance.issue(profile(kind), named, now=now, issuer=issuer, lifetime=lifetime)
    disk.write_file(certificate, chain.to_pem(), mode=disk.PUBLIC)
    return Delivery(chain, certificate, folder / KEY if isinstance(source, KeyType) else None)
