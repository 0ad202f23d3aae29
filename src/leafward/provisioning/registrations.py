"""Registrations: a device says who it is, proves it, and learns which hub is its own.

In this version a registration is a device of the registry with symmetric keys: its registration id is its device id,
its hub is this gateway. Enrolments, and admission by certificate, come on top of this.
"""

import secrets
from collections import OrderedDict
from datetime import datetime

from leafward.errors import AccessDenied, LeafwardError, NotFound
from leafward.store.registry import Identity, Registry
from leafward.wire import dps, sas
from leafward.wire.dps import Operation, RegistrationState

# Operations are answered at once, and forgotten when this many have come after them: a device asks within seconds.
MOST_OPERATIONS = 10_000


class Registrations:
    """Judges and answers. One event loop uses it; `now` is an aware UTC datetime everywhere."""

    def __init__(self, registry: Registry, *, id_scope: str, hub: str) -> None:
        self._registry = registry
        self._id_scope = id_scope
        self._hub = hub
        self._operations: OrderedDict[str, RegistrationState] = OrderedDict()

    def register(self, scope: str, registration_id: str, authorization: str | None, now: datetime) -> Operation:
        """Starts an operation. Raises `AccessDenied`, without saying what of it was wrong."""
        identity = self._admit(scope, registration_id, authorization, now)
        operation_id = f"5.{secrets.token_hex(16)}"
        self._operations[operation_id] = self._assigned(identity, now)
        while len(self._operations) > MOST_OPERATIONS:
            self._operations.popitem(last=False)
        return Operation(operation_id, "assigning")

    def operation(
        self, scope: str, registration_id: str, operation_id: str, authorization: str | None, now: datetime
    ) -> Operation:
        """How an operation goes. Raises `AccessDenied`; `NotFound` for one that is not this registration's."""
        identity = self._admit(scope, registration_id, authorization, now)
        state = self._operations.get(operation_id)
        if state is None or state.device_id != identity.device_id:
            raise NotFound("no such operation", hint="register again")
        return Operation(operation_id, "assigned", state)

    def _admit(self, scope: str, registration_id: str, authorization: str | None, now: datetime) -> Identity:
        identity = self._registry.get(registration_id)
        keys = [key for key in (identity.primary_key, identity.secondary_key) if key] if identity else []
        if identity is None or not identity.enabled or scope != self._id_scope or authorization is None:
            raise AccessDenied("unauthorized")
        resource = dps.resource(scope, registration_id)
        if not any(_signed(authorization, resource, key, now) for key in keys):
            raise AccessDenied("unauthorized")
        return identity

    def _assigned(self, identity: Identity, now: datetime) -> RegistrationState:
        return RegistrationState(
            registration_id=identity.device_id,
            status="assigned",
            created=identity.created,
            updated=now,
            etag=identity.generation_id,
            assigned_hub=self._hub,
            device_id=identity.device_id,
            substatus="initialAssignment",
        )


def _signed(authorization: str, resource: str, key: bytes, now: datetime) -> bool:
    """Whether `key` made this token, for this resource, and it has not expired."""
    try:
        token = sas.SasToken.parse(authorization)
        sas.verify(token, key, now)
    except LeafwardError:
        return False
    return token.resource.casefold() == resource.casefold()
