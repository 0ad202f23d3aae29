"""Errors as the provisioning service tells them: one table for every door, one form."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from leafward.errors import AccessDenied, AlreadyExists, Busy, InputError, LeafwardError, NotFound, StoreError
from leafward.provisioning.refused import Refused, Throttled
from leafward.store.enrolments import Stale
from leafward.wire import dps

logger = logging.getLogger(__name__)

# The first kind that fits decides; the first three digits of a code are its HTTP status.
CODES: tuple[tuple[type[LeafwardError], int], ...] = (
    (Throttled, dps.THROTTLED),
    (AccessDenied, dps.UNAUTHORIZED),
    (NotFound, dps.NOT_FOUND),
    (AlreadyExists, dps.CONFLICT),
    (Stale, dps.STALE),
    (InputError, dps.BAD_REQUEST),
    (Busy, dps.UNAVAILABLE),
    (StoreError, dps.UNAVAILABLE),
)
# What a device is told that is not admitted, whatever the reason.
_REFUSED = {dps.UNAUTHORIZED: "unauthorized", dps.INVALID_CERTIFICATE: "Invalid certificate"}
# Seconds after which a database that did not answer is asked again.
_LATER = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """What is told: an error code and a sentence; and to the operator alone, `why`."""

    code: int
    message: str
    retry_after: int | None = None
    why: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.code // 1000

    def body(self, now: datetime) -> bytes:
        """The error body."""
        return dps.ServiceError(self.code, self.message, secrets.token_hex(16), now).to_json()


def fault_of(error: LeafwardError) -> Fault:
    """How an error is told."""
    if isinstance(error, Refused):
        return Fault(error.number, _REFUSED.get(error.number, "unauthorized"), why=f"{error.code};{error.why}")
    code = next((code for kind, code in CODES if isinstance(error, kind)), dps.INTERNAL_ERROR)
    if isinstance(error, Throttled):
        return Fault(code, str(error), error.retry_after)
    # A database's error names the database; that is the operator's business.
    message = "unavailable" if code >= dps.INTERNAL_ERROR else str(error)
    return Fault(code, message, _LATER if code == dps.UNAVAILABLE else None)


def told_as_faults(clock: Callable[[], datetime]) -> Middleware:
    """Gives every error of a handler its body."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except LeafwardError as error:
            return response_of(fault_of(error), clock())
        except web.HTTPException as error:
            return response_of(Fault(error.status * 1000, error.reason), clock())

    return told


def response_of(fault: Fault, now: datetime) -> web.Response:
    """A fault over HTTP; `why` is not in it."""
    headers = {"x-ms-error-code": str(fault.code)}
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    return web.Response(status=fault.status, body=fault.body(now), content_type="application/json", headers=headers)
