"""What a device is answered, over whichever protocol it asks: a status, a body, and when to ask again."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from leafward.errors import InputError, LeafwardError, StoreError
from leafward.provisioning.admission import Credential
from leafward.provisioning.faults import fault_of
from leafward.provisioning.refusal_log import RefusalLog
from leafward.provisioning.refused import Refused
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
    """Asks `Registrations`, and puts what it says, errors too, into the API's form. `clock` gives aware UTC times.

    It is shut at first: devices are told to come back.
    """

    def __init__(self, clock: Callable[[], datetime], *, refusals: RefusalLog | None = None) -> None:
        """`refusals` is told who is refused, where no hub stands before this desk that keeps it."""
        self._registrations: Registrations | None = None
        self._clock = clock
        self._refusals = refusals

    def open(self, registrations: Registrations) -> None:
        """Asks these from now on."""
        self._registrations = registrations

    def shut(self) -> None:
        """Asks nobody any more."""
        self._registrations = None

    async def register(
        self, scope: str, registration_id: str, credential: Credential, body: bytes, *, version: str | None
    ) -> DeskAnswer:
        """Starts an operation. Never raises."""
        if version not in dps.API_VERSIONS:
            return self._refused(_unknown_version())
        if self._registrations is None:
            return self._refused(_shut())
        asked = self._registrations.register(scope, registration_id, credential, body, self._clock())
        return await self._answered(asked, registration_id)

    async def operation(
        self, scope: str, registration_id: str, operation_id: str, credential: Credential, *, version: str | None
    ) -> DeskAnswer:
        """How an operation goes. Never raises."""
        if version not in dps.API_VERSIONS:
            return self._refused(_unknown_version())
        if self._registrations is None:
            return self._refused(_shut())
        asked = self._registrations.operation(scope, registration_id, operation_id, credential, self._clock())
        return await self._answered(asked, registration_id)

    async def _answered(self, asked: Awaitable[Operation | TpmChallenge], registration_id: str) -> DeskAnswer:
        try:
            found = await asked
        except Refused as error:
            if self._refusals is not None:
                self._refusals.note(registration_id, error)
            return self._refused(error)
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
        elif fault.code >= dps.INTERNAL_ERROR and self._registrations is not None:
            logger.error("%s", error)
        return DeskAnswer(fault.status, fault.body(self._clock()), fault.retry_after, fault.code, fault.why)


def _shut() -> StoreError:
    return StoreError("registrations wait for the database")


def _unknown_version() -> InputError:
    return InputError("the api-version is not known", why=f"expected one of {', '.join(dps.API_VERSIONS)}")
