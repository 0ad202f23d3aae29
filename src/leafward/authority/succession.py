"""Whose place a new certificate takes: asked before the signature is made, so that a refused one was never signed.

The answer is a look, and somebody may be faster; what holds is what the ledger's transaction finds.
"""

from datetime import datetime

from cryptography import x509

from leafward.errors import NotFound, RequestError
from leafward.pki.contents import names_of
from leafward.pki.key_types import PublicKey
from leafward.pki.profile import Profile
from leafward.pki.request import CertificateRequest
from leafward.store.inventory import Inventory, Issued


def predecessor(
    inventory: Inventory,
    profile: Profile,
    request: CertificateRequest,
    *,
    now: datetime,
    replacing: bool = False,
    renewing: bool = False,
) -> str | None:
    """The SHA-256 of the living certificate that a new one renews. None where it renews none: whoever lives, or nobody.

    Raises `AlreadyExists` for a name that lives where neither is meant, `NotFound` where there is nobody to renew,
    `RequestError` where a renewal brings another key.
    """
    name = names_of(profile, request).common_name
    held = inventory.living(profile.kind, name, now) if name is not None else None
    if renewing:
        return _renewed(inventory, held, profile.kind, name, request.public_key)
    if held is not None and not replacing:
        raise held.in_use()
    return None


def _renewed(inventory: Inventory, held: Issued | None, kind: str, name: str | None, key: PublicKey) -> str:
    if held is None:
        raise NotFound(f"no {kind} {name!r} lives", why="there is nothing to renew", hint="issue it without --renew")
    old = x509.load_der_x509_certificate(inventory.der(held.sha256))
    if old.public_key() != key:
        raise RequestError(
            f"the request does not renew the {held.label}",
            why=f"its key is another than that of the certificate {held.sha256}",
            hint="--replace gives the name to another key",
        )
    return held.sha256
