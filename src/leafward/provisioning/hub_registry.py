"""Registrations put into this gateway's own registry, where its hub looks; and taken out when the device has moved.

Whoever was added there by hand is left alone: a registration of the same device id fails. A device that the operator
has disabled stays disabled, and what does not change is not written, so that nobody is cut for registering again.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from leafward.errors import LeafwardError, NotFound
from leafward.store.enrolments import Registration
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.store.registry_bulk import put_many
from leafward.wire import dps

logger = logging.getLogger(__name__)


class HubRegistry:
    """The registry of the hub `hub`. Thread-safe as `Registry` is."""

    def __init__(self, registry: Registry, hub: str) -> None:
        self._registry = registry
        self.hub = hub

    def get(self, device_id: str) -> Identity | None:
        """What stands there for a device."""
        return self._registry.get(device_id)

    def apply(self, rows: Sequence[Registration]) -> list[Registration]:
        """Puts in what is this hub's, in one transaction; each row as it ends. Raises `StoreError`."""
        ours = {row.device_id.lower(): row for row in rows if row.hub == self.hub}
        outcomes = {}
        if ours:
            identities = [_identity(row) for row in ours.values()]
            found = put_many(self._registry, identities, lambda present, new: _merged(present, new, ours))
            outcomes = dict(zip(ours, found, strict=True))
        return [self._ended(row, ours, outcomes.get(row.device_id.lower())) for row in rows]

    def release(self, rows: Sequence[Registration]) -> None:
        """Takes out devices that were this hub's and have got another."""
        for row in rows:
            if row.hub == self.hub or row.previous_hub != self.hub:
                continue
            identity = self._registry.get(row.device_id)
            if identity is not None and identity.generation_id in (row.generation_id, row.previous_generation):
                try:
                    self._registry.remove(row.device_id)
                except NotFound:
                    continue
                logger.info("%s has moved to the hub %s", row.device_id, row.hub)

    def _ended(self, row: Registration, ours: dict[str, Registration], outcome: str | None) -> Registration:
        if row.hub != self.hub:
            return replace(row, status="assigned")
        if outcome == "taken" or ours[row.device_id.lower()] is not row:
            logger.error("%s cannot register: the hub has another device of this id", row.device_id)
            message = "the hub has another device of this id"
            return replace(row, status="failed", error_code=dps.ID_TAKEN, error_message=message)
        return replace(row, status="assigned")


def _identity(row: Registration) -> Identity:
    try:
        return Identity(
            device_id=row.device_id,
            module_id=None,
            auth=row.auth,
            enabled=True,
            generation_id=row.generation_id,
            primary_key=row.primary_key,
            secondary_key=row.secondary_key,
            primary_thumbprint=row.primary_thumbprint,
            secondary_thumbprint=row.secondary_thumbprint,
            created=row.updated,
        )
    except LeafwardError:
        logger.exception("a registration that is no identity: %s", row.registration_id)
        raise


def _merged(present: Identity, new: Identity, rows: dict[str, Registration]) -> Identity | None:
    row = rows[new.device_id.lower()]
    if present.generation_id not in (row.generation_id, row.previous_generation):
        return None
    kept = replace(new, enabled=present.enabled, parent=present.parent)
    return replace(kept, created=present.created) if present.generation_id == new.generation_id else kept
