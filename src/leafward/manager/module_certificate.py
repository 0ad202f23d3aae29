"""A certificate for a module with a key made for it: the module gets both, the manager keeps neither."""

from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from leafward.keys.serial import new_serial
from leafward.manager.pairs import Pair
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import PublicKey
from leafward.pki.profile import Profile
from leafward.pki.request import CertificateRequest


def issue_for_module(
    issuer: Issuer,
    kind: Profile,
    request: Callable[[PublicKey], CertificateRequest],
    *,
    lifetime: timedelta,
    now: datetime,
) -> Pair:
    """A fresh P-256 key and its certificate of `kind`. Raises `RuleViolation` where a rule refuses it."""
    key = ec.generate_private_key(ec.SECP256R1())
    prepared = issuer.prepare(kind, request(key.public_key()), now=now, serial=new_serial(), lifetime=lifetime)
    return Pair(prepared.sign(), key)
