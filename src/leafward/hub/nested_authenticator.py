"""Logins on behalf of a device behind a child gateway: the child's hub signs, and is asked whether it may speak for it.

    leaf ── edgeA ── edgeB ── this gateway        user name …&auth-chain=leaf;edgeA;edgeB

The first of the chain is who connects, the last is the gateway that is at our door, and its `$edgeHub` made the token.
Each link must stand in the registry: leaf's parent is edgeA, edgeA's is edgeB, edgeB is a child of ours. So a child
gateway that was broken into speaks for what is below it, and for nobody else.

What IoT Edge's hub does, with the whole chain checked where that looks for the actor anywhere in it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.sas_authenticator import SasAuthenticator
from leafward.store.identity import Identities, Identity
from leafward.wire.hub_login import Login

EDGE_HUB = "$edgeHub"


class NestedAuthenticator:
    """Judges them. `own_device_id` is this gateway's."""

    def __init__(self, registry: Identities, sas: SasAuthenticator, own_device_id: str) -> None:
        self._registry = registry
        self._sas = sas
        self._own = own_device_id

    def admit(self, login: Login, token: str | None, now: datetime) -> Peer | Refusal:
        """The target as a peer, whose admission rests on every link and on the actor's credential; or why not.

        The credential first: who has none learns nothing of who is behind whom.
        """
        gateways = login.auth_chain[2:] if login.module_id is not None else login.auth_chain[1:]
        if (refusal := _wrong_form(login, gateways)) is not None:
            return refusal
        if token is None:
            return Refusal("credential-missing", "a login on behalf of another needs the acting hub's token")
        actor = self._sas.admit(gateways[-1], EDGE_HUB, token, now)
        if isinstance(actor, Refusal):
            return actor
        links = self._links(login, gateways)
        if isinstance(links, Refusal):
            return links
        # An identity twice, as the actor's device, is compared twice by the registry's watch and does no harm.
        return replace(actor, device_id=login.device_id, module_id=login.module_id, rests_on=(*links, *actor.rests_on))

    def _links(self, login: Login, gateways: Sequence[str]) -> tuple[Identity, ...] | Refusal:
        """The registry's entries from the target up, the target first."""
        found = [self._registry.get(login.device_id, login.module_id)] if login.module_id is not None else []
        found += [self._registry.get(device_id) for device_id in (login.device_id, *gateways)]
        known = tuple(one for one in found if one is not None)
        if len(known) != len(found):
            return Refusal("device-unknown", f"somebody of {';'.join(login.auth_chain)} is not in the registry")
        if not all(one.enabled for one in known):
            return Refusal("device-disabled", f"somebody of {';'.join(login.auth_chain)} is disabled in the registry")
        devices = [one for one in known if one.module_id is None]
        for child, parent in zip(devices, [*gateways, None], strict=True):
            if child.parent != parent and not (parent is None and child.parent == self._own):
                why = f"{child.device_id} is registered behind {child.parent or self._own}, not {parent or self._own}"
                return Refusal("not-a-child", why)
        return known


def _wrong_form(login: Login, gateways: Sequence[str]) -> Refusal | None:
    chain = login.auth_chain
    if chain[0] != login.client_id:
        return Refusal("auth-chain-wrong", f"the chain begins with {chain[0]!r}, and {login.client_id!r} connects")
    if login.module_id is not None and chain[1:2] != (login.device_id,):
        return Refusal("auth-chain-wrong", "a module's chain goes on with its own device")
    if not gateways or len(set(chain)) != len(chain):
        return Refusal("auth-chain-wrong", "it names no gateway, or somebody twice")
    return None
