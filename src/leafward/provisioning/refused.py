"""Why a registration is refused: told to the operator, never to the device.

A device gets one answer whatever the reason, so that nobody learns which registrations there are.
"""

from leafward.errors import AccessDenied, PeerUnavailable
from leafward.wire import dps


class Refused(AccessDenied):
    """A device that is not admitted. `code` is one of the doctor's where one fits; `number` is what the device gets."""

    def __init__(self, code: str, why: str, *, number: int = dps.UNAUTHORIZED) -> None:
        super().__init__("the registration is refused", why=why)
        self.code = code
        self.number = number


class Throttled(PeerUnavailable):
    """Too many at once; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many registrations at once", hint=f"come back in {retry_after} seconds")
        self.retry_after = retry_after
