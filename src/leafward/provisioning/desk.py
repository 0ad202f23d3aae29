"""What a device is answered, over whichever protocol it asks: a status, a body, and when to ask again."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from leafward.errors import InputError, LeafwardError
from leafward.provisioning.admission import Credential
from leafward.provisioning.faults import fault_of
from leafward.provisioning.registrations import Registrations
from leafward.wire import dps
from leafward.wire.dps import Operation, TpmChallenge

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """`code` is the error's; `why` is for the operator alone."""

    status: int
    body: bytes = field(repr=False)
    retry_after: int | None = None
    code: int | None = None
    why: str | None = None


class Desk:
    """Asks `Registrations`, and puts what it says, errors too, into the API's form. `clock` gives aware UTC times."""

    def __init__(self, registrations: Registrations, clock: Callable[[], datetime]) -> None:
        self._registrations = registrations
        self._clock = clock

    async def register(
        self, scope: str, registration_id: str, credential: Credential, body: bytes, *, version: str | None
    ) -> DeskAnswer:
        """Starts an operation. Never raises."""
        if version not in dps.API_VERSIONS:
            return self._refused(_unknown_version())
        return await self._answered(
            self._registrations.register(scope, registration_id, credential, body, self._clock())
        )

    async def operation(
        self, scope: str, registration_id: str, operation_id: str, credential: Credential, *, version: str | None
    ) -> DeskAnswer:
        """How an operation goes. Never raises."""
        if version not in dps.API_VERSIONS:
            return self._refused(_unknown_version())
        return await self._answered(
            self._registrations.operation(scope, registration_id, operation_id, credential, self._clock())
        )

    async def _answered(self, asked: Awaitable[Operation | TpmChallenge]) -> DeskAnswer:
        try:
            found = await asked
        except LeafwardError as error:
            return self._refused(error)
        if isinstance(found, TpmChallenge):
            return DeskAnswer(401, found.to_json())
        later = dps.RETRY_AFTER if found.status == "assigning" else None
        return DeskAnswer(found.http_status, found.to_json(), later)

    def _refused(self, error: LeafwardError) -> DeskAnswer:
        fault = fault_of(error)
        if fault.why is not None:
            logger.info("refused: %s", fault.why)
        elif fault.code >= dps.INTERNAL_ERROR:
            logger.error("%s", error)
        return DeskAnswer(fault.status, fault.body(self._clock()), fault.retry_after, fault.code, fault.why)


def _unknown_version() -> InputError:
    return InputError("the api-version is not known", why=f"expected one of {', '.join(dps.API_VERSIONS)}")
