"""Shared access signatures: a device or module that signs with its symmetric key.

The order of edgeHub: the token is one, the identity is known, enabled and of this type, its primary or secondary key
made the signature, the audience is this identity at this hub, and it has not expired. A module's token may be made
with its device's key, as edgeHub allows.

An identity that is unknown, disabled or of another type costs as much work as one whose key is wrong: how long a
refusal takes tells nobody which ids exist.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from leafward.errors import AccessDenied, LeafwardError
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.store.identity import Identities, Identity
from leafward.wire import sas
from leafward.wire.sas import SasToken

# Two of the identity, two of its device. Whoever has fewer is tried with a key that nobody has.
_MOST_KEYS = 4
_NOBODYS_KEY = bytes(32)


class SasAuthenticator:
    """Judges tokens. `hosts` are the names an audience may begin with: ours and the IoT hub's, lower-cased."""

    def __init__(self, registry: Identities, hosts: frozenset[str]) -> None:
        self._registry = registry
        self._hosts = hosts

    def admit(self, device_id: str, module_id: str | None, text: str, now: datetime) -> Peer | Refusal:
        """The peer, or why not. `text` is the MQTT password or the HTTP Authorization header."""
        try:
            token = SasToken.parse(text)
        except LeafwardError as error:
            return Refusal("sas-malformed", str(error))
        signers = self._signers(device_id, module_id)
        if isinstance(signers, Refusal):
            _is_signed(token, (), now)
            return signers
        refusal = _wrong_signature(token, signers, now)
        if refusal is not None:
            return refusal
        try:
            sas.check_audience(token, self._hosts, device_id, module_id)
        except AccessDenied as error:
            return Refusal("sas-audience-wrong", str(error))
        return Peer(device_id, module_id, datetime.fromtimestamp(token.expiry, UTC), signers)

    def _signers(self, device_id: str, module_id: str | None) -> tuple[Identity, ...] | Refusal:
        """Whose keys may have made the token: the identity's first, then a module's device's."""
        found = [self._registry.get(device_id, module_id)]
        if module_id is not None and (device := self._registry.get(device_id)) is not None:
            found.append(device)
        identities = tuple(identity for identity in found if identity is not None)
        if found[0] is None:
            return Refusal("device-unknown", "not in the registry")
        if not all(identity.enabled for identity in identities):
            return Refusal("device-disabled", "disabled in the registry")
        return identities


def _wrong_signature(token: SasToken, signers: Sequence[Identity], now: datetime) -> Refusal | None:
    keys = [key for one in signers if one.auth == "sas" for key in (one.primary_key, one.secondary_key) if key]
    why = _is_signed(token, keys, now)
    if not keys:
        return Refusal("credential-of-other-type", "a token for an identity that is registered for X.509")
    if why is None:
        return None
    code = "sas-expired" if token.expiry <= now.timestamp() else "sas-signature-wrong"
    return Refusal(code, why)


def _is_signed(token: SasToken, keys: Sequence[bytes], now: datetime) -> str | None:
    """None where one of the keys made the signature and the token has not expired; else why not, after equal work."""
    why = ""
    for key in keys:
        try:
            sas.verify(token, key, now)
        except AccessDenied as error:
            why = str(error)
        else:
            return None
    for _ in range(_MOST_KEYS - len(keys)):
        with contextlib.suppress(AccessDenied):
            sas.verify(token, _NOBODYS_KEY, now)
    return why
