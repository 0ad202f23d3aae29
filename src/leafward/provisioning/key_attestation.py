"""Admission by symmetric key: a token that the device has signed for its registration, with its own or a derived key.

The key of a device of a group is the HMAC-SHA256 of its registration id under the group's key: no device knows it of
another, and the service needs to keep none.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime

from leafward.errors import LeafwardError
from leafward.provisioning.admission import Admission
from leafward.provisioning.index import Snapshot
from leafward.provisioning.refused import Refused
from leafward.store.enrolments import Enrolment, SymmetricKeys
from leafward.store.identity import Identity
from leafward.wire import dps, sas
from leafward.wire.sas import SasToken

# Tried for whoever is unknown: how long a refusal takes tells nobody which registrations there are.
_NOBODYS_KEYS = (bytes(32), bytes(32))


def derived_key(group_key: bytes, registration_id: str) -> bytes:
    """The key of a device of a group."""
    return hmac.digest(group_key, registration_id.encode(), hashlib.sha256)


def parsed(token: str, scope: str, registration_id: str) -> SasToken:
    """A token for exactly this registration, unproved. Raises `Refused`."""
    try:
        found = SasToken.parse(token)
    except LeafwardError as error:
        raise Refused("sas-malformed", str(error)) from error
    if found.resource.casefold() != dps.resource(scope, registration_id).casefold():
        raise Refused("sas-audience-wrong", f"it is for {found.resource[:300]!r}")
    return found


def prove(token: SasToken, keys: Iterable[bytes], now: datetime) -> None:
    """One of the keys made the token, and it has not expired. Raises `Refused`."""
    why = "no key"
    for key in keys:
        try:
            sas.verify(token, key, now)
        except LeafwardError as error:
            why = str(error)
        else:
            return
    code = "sas-expired" if token.expiry <= now.timestamp() else "sas-signature-wrong"
    raise Refused(code, why)


def admit_individually(registration_id: str, token: SasToken, enrolment: Enrolment, now: datetime) -> Admission:
    """By the enrolment's own keys. Raises `Refused`."""
    keys = enrolment.attestation
    if not isinstance(keys, SymmetricKeys):
        raise Refused("credential-of-other-type", f"{enrolment.label} is not by symmetric key")
    prove(token, (keys.primary, keys.secondary), now)
    if not enrolment.enabled:
        raise Refused("enrolment-disabled", f"{enrolment.label} is disabled")
    device_id = enrolment.device_id or registration_id
    return Admission(registration_id, device_id, "sas", enrolment, keys.primary, keys.secondary)


def admit_by_group(registration_id: str, token: SasToken, snapshot: Snapshot, now: datetime) -> Admission | None:
    """By the group whose key the token's is derived from; None where there is none. Raises `Refused`."""
    for group in snapshot.derived:
        keys = _derived(group, registration_id)
        try:
            prove(token, keys, now)
        except Refused as error:
            if error.code == "sas-expired" and _signed(token, keys):
                raise
            continue
        if not group.enabled:
            raise Refused("enrolment-disabled", f"{group.label} is disabled")
        return Admission(registration_id, registration_id, "sas", group, keys[0], keys[1])
    return None


def admit_registered(
    registration_id: str, token: SasToken, identity: Identity | None, now: datetime, *, shared: bool = False
) -> Admission:
    """By a registry's own keys: a device that was added there by hand needs no enrolment. Raises `Refused`."""
    keys = [key for key in (identity.primary_key, identity.secondary_key) if key] if identity is not None else []
    prove(token, keys or _NOBODYS_KEYS, now)
    if identity is None or not identity.enabled or not keys:
        raise Refused("not-enrolled", "neither an enrolment nor a device of the registry")
    return Admission(
        registration_id,
        identity.device_id,
        "sas",
        None,
        identity.primary_key,
        identity.secondary_key,
        generation_id=identity.generation_id,
        shared=shared,
    )


def _derived(group: Enrolment, registration_id: str) -> Sequence[bytes]:
    assert isinstance(group.attestation, SymmetricKeys)
    return [derived_key(key, registration_id) for key in (group.attestation.primary, group.attestation.secondary)]


def _signed(token: SasToken, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys made it, whenever."""
    early = datetime.fromtimestamp(0).astimezone()
    try:
        prove(token, keys, early)
    except Refused:
        return False
    return True
