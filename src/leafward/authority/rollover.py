"""Root rollover: a new root key under the old root's name, and the certificates that carry trust from one to the other.

    OldWithOld    the old root
    OldWithNew    the old key, signed by the new one: what the old key signed verifies for those who trust the new root
    NewWithOld    the new key, signed by the old one: what the new key signs verifies for those who trust the old root
    NewWithNew    the new root

RFC 4210 section 4.4; an EST server gives all of them out (RFC 7030 4.1.3). The old root goes on signing until it is
retired; new intermediates are made below the new one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from leafward.authority.authorities import ROLLOVER, Authority, short_name
from leafward.authority.cross_signing import KIND, public_key_of
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Entry
from leafward.errors import AlreadyExists, RuleViolation
from leafward.keys.key_store import KeyReference, PrivateKey
from leafward.keys.serial import new_serial
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.issuer import Issuer, prepare_root
from leafward.pki.key_types import KeyType
from leafward.pki.names import common_name
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.validity import FOREVER, NO_EXPIRY


@dataclass(frozen=True)
class Rollover:
    """The new root, and the two cross-signed chains, each with its root."""

    root: Authority
    old_with_new: Chain
    new_with_old: Chain


def roll_over(
    issuance: Issuance,
    old: Authority,
    key_type: KeyType,
    *,
    now: datetime,
    lifetime: timedelta | None = None,
    at: KeyReference | None = None,
) -> Rollover:
    """Makes the root that follows `old`, and keeps all three certificates with it. `now` is aware UTC.

    Raises `RuleViolation` ("not-a-root"), `AlreadyExists` where `old` was rolled over before, `KeyUnavailable` where
    its key is not here, and what the rules refuse: then nothing is left of the new root.
    """
    _refuse_unless_current(issuance, old)
    making = _Making(issuance, old, now=now, lifetime=lifetime)
    called = common_name(old.chain.leaf.subject) or old.name
    root = issuance.authorities.add(
        called,
        key_type,
        making.issue,
        at=at,
        record=making.record,
        recorded=issuance.has_recorded,
        name=issuance.authorities.free_name(short_name(called)),
        files=making.files,
    )
    _, old_with_new, new_with_old = issuance.authorities.rollover_certificates(root)
    issuance.authorities.add_further(old, old_with_new)
    return Rollover(root, old_with_new, new_with_old)


class _Making:
    """The four certificates of one rollover, signed together and recorded in one transaction."""

    def __init__(self, issuance: Issuance, old: Authority, *, now: datetime, lifetime: timedelta | None) -> None:
        self._issuance = issuance
        self._old = old
        self._issuer = old.issuer()
        self._now = now
        self._lifetime = lifetime
        self._cross: tuple[Chain, Chain] | None = None

    def issue(self, key: PrivateKey) -> Chain:
        """NewWithNew, and the two cross-signed ones beside it."""
        name = self._old.chain.leaf.subject
        new = prepare_root(
            key,
            common_name=common_name(name) or self._old.name,
            now=self._now,
            serial=new_serial(),
            lifetime=self._lifetime,
            whole_name=name,
        ).sign()
        old_with_new = CertificateRequest(public_key=public_key_of(self._old), repeats=self._old.chain.leaf)
        new_with_old = CertificateRequest(public_key=key.public_key(), repeats=new.leaf)
        self._cross = (
            self._signed(Issuer(new, key, kind="root_ca"), old_with_new),
            self._signed(self._issuer, new_with_old),
        )
        return new

    def _signed(self, issuer: Issuer, request: CertificateRequest) -> Chain:
        """Until the old root ends: after that, nobody needs the way round any more."""
        end = self._old.chain.leaf.not_valid_after_utc
        left = FOREVER if end == NO_EXPIRY else end - self._now
        kind = profile("intermediate_ca")
        return issuer.prepare(kind, request, now=self._now, serial=new_serial(), lifetime=left).sign()

    def record(self, new: Chain) -> None:
        """All three signatures at once; the new root takes the old one's place under their common name."""
        assert self._cross is not None
        root = Entry.of("root_ca", new.leaf)
        cross = [Entry.of(KIND, chain.leaf) for chain in self._cross]
        inventory = self._issuance.ledger.inventory
        held = inventory.has(fingerprint(self._old.chain.leaf))
        replacing = {root.sha256: fingerprint(self._old.chain.leaf)} if held else {}
        self._issuance.ledger.record([root, *cross], replacing=replacing)

    def files(self) -> dict[str, bytes]:
        """What lies in the new root's folder beside its certificate."""
        assert self._cross is not None
        old_with_new, new_with_old = self._cross
        return {
            f"{ROLLOVER}/old-with-old.pem": self._old.chain.to_pem(),
            f"{ROLLOVER}/old-with-new.pem": old_with_new.to_pem(),
            f"{ROLLOVER}/new-with-old.pem": new_with_old.to_pem(),
            f"further/{fingerprint(new_with_old.leaf)}.pem": new_with_old.to_pem(),
        }


def _refuse_unless_current(issuance: Issuance, old: Authority) -> None:
    if not old.is_root:
        hint = "roll over its root, or make another intermediate: leafward ca intermediate"
        raise RuleViolation("not-a-root", f"{old.name!r} is no root", why="it has an issuer", hint=hint)
    for other in issuance.authorities:
        rollover = issuance.authorities.rollover_certificates(other)
        if rollover and rollover[0].leaf == old.chain.leaf:
            issuance.authorities.add_further(old, rollover[1])  # what a killed run may have left out
            hint = f"leafward ca rollover {other.name}"
            raise AlreadyExists(f"{old.name!r} was rolled over", why=f"{other.name!r} follows it", hint=hint)
