"""An identity as a row of the registry's table, and back; and what is said of ids that are unknown or taken."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from leafward.errors import AlreadyExists, Damaged, LeafwardError, NotFound
from leafward.store.identity import Identity

FIELDS = tuple(field.name for field in fields(Identity))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def row_of(identity: Identity) -> dict[str, Any]:
    """The columns of an identity."""
    return {
        "device_id": identity.device_id,
        "module_id": identity.module_id or "",
        "device_folded": identity.device_id.lower(),
        "module_folded": (identity.module_id or "").lower(),
        "auth": identity.auth,
        "enabled": identity.enabled,
        "generation_id": identity.generation_id,
        "primary_key": identity.primary_key,
        "secondary_key": identity.secondary_key,
        "primary_thumbprint": identity.primary_thumbprint,
        "secondary_thumbprint": identity.secondary_thumbprint,
        "created": (identity.created - _EPOCH) // _MICROSECOND,
        "parent": identity.parent,
    }


def identity_of(row: Sequence[Any]) -> Identity:
    """The identity of a row with the columns `FIELDS`, in their order. Raises `Damaged`."""
    values = dict(zip(FIELDS, row, strict=True))
    values["module_id"] = values["module_id"] or None
    try:
        values["enabled"] = bool(values["enabled"])
        values["created"] = _EPOCH + timedelta(microseconds=values["created"])
        return Identity(**values)
    except (LeafwardError, TypeError, OverflowError) as error:
        what = f"the registry's entry for '{row[0]}' is damaged"
        raise Damaged(what, why=str(error), hint="remove that identity and add it again") from error


def refuse_taken(identity: Identity, same_device: Sequence[Sequence[str]]) -> None:
    """Raises `AlreadyExists` where an id is taken, exactly or but for case.

    `same_device`: (device id, module id or "") of every row whose device id is the same but for case.
    """
    for device_id, module_id in same_device:
        if device_id != identity.device_id:
            raise _differs_in_case(identity.device_id, device_id)
        if module_id == (identity.module_id or ""):
            raise AlreadyExists(f"{identity.label} is registered", hint="remove it first, or choose another id")
        if module_id.lower() == (identity.module_id or "").lower():
            raise _differs_in_case(identity.label, f"{device_id}/{module_id}")


def unknown(device_id: str, module_id: str | None) -> NotFound:
    """For an id that is not registered."""
    if module_id is None:
        return NotFound(f"no device '{device_id}'", why="ids are compared exactly", hint="leafward device list")
    return NotFound(f"no module '{module_id}' of the device '{device_id}'", why="ids are compared exactly")


def _differs_in_case(wanted: str, taken: str) -> AlreadyExists:
    return AlreadyExists(
        f"cannot register {wanted}",
        why=f"'{taken}' is registered: ids that differ in case only cannot be told apart in a SAS token",
        hint="choose another id",
    )
