"""IoT Hub's REST API as the hub serves it: its versions, its error codes and bodies, read from both sides.

An error is `{"Message": "ErrorCode:DeviceNotOnline;what and why", "ExceptionMessage": "…", "errorCode": 404103}` with
the code's name in the header `iothub-errorcode`. The SDKs take the name from the header or from the message, and the
class of the error from the status. `errorCode` is our addition: the number that IoT Hub's documents list.
"""

import enum
import json
import re
from typing import Any

from leafward.errors import (
    AccessDenied,
    AlreadyExists,
    EncodingError,
    InputError,
    LeafwardError,
    NotFound,
    PeerUnavailable,
    StoreError,
)
from leafward.wire.api_fields import to_json

# What the commands of ours ask for. IoT Hub counts its versions by day; the SDKs send many.
VERSION = "2021-04-12"
OLDEST = "2016-02-03"
ERROR_CODE_HEADER = "iothub-errorcode"
# Who calls, `device/module`, in a request of a module to its own edge.
EDGE_MODULE_HEADER = "x-ms-edge-moduleId"

_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](-preview)?")
# Of a peer's text in an answer of ours.
_SHOWN = 400


class Fault(enum.Enum):
    """IoT Hub's error codes: the HTTP status and the number; the member's value is (number, name)."""

    GENERIC_BAD_REQUEST = (400000, "GenericBadRequest")
    ARGUMENT_INVALID = (400004, "ArgumentInvalid")
    UNAUTHORIZED = (401002, "IotHubUnauthorizedAccess")
    FORBIDDEN = (403000, "GenericForbidden")
    QUEUE_FULL = (403004, "DeviceMaximumQueueDepthExceeded")
    GENERIC_NOT_FOUND = (404000, "GenericNotFound")
    DEVICE_NOT_FOUND = (404001, "DeviceNotFound")
    MODULE_NOT_FOUND = (404010, "ModuleNotFound")
    DEVICE_NOT_ONLINE = (404103, "DeviceNotOnline")
    METHOD_NOT_ALLOWED = (405000, "GenericMethodNotAllowed")
    REQUEST_TIMEOUT = (408000, "GenericTimeout")
    CONFLICT = (409000, "GenericConflict")
    PRECONDITION_FAILED = (412001, "PreconditionFailed")
    LOCK_LOST = (412002, "DeviceMessageLockLost")
    TOO_LARGE = (413001, "MessageTooLarge")
    UNSUPPORTED_MEDIA_TYPE = (415000, "GenericUnsupportedMediaType")
    THROTTLED = (429001, "ThrottlingException")
    SERVER_ERROR = (500001, "ServerError")
    NOT_IMPLEMENTED = (501000, "GenericNotImplemented")
    BAD_DEVICE_RESPONSE = (502000, "BadDeviceResponse")
    UNAVAILABLE = (503001, "ServiceUnavailable")
    GATEWAY_TIMEOUT = (504101, "GatewayTimeout")

    @property
    def number(self) -> int:
        """As IoT Hub's documents list it."""
        return self.value[0]

    @property
    def code(self) -> str:
        """Its name, for the header and the message."""
        return self.value[1]

    @property
    def status(self) -> int:
        """The HTTP status: the number's first three digits."""
        return self.number // 1000


# The error's class -> the code, the first that fits: what an answer says of an error that no route foresaw.
_FAULTS: tuple[tuple[type[LeafwardError], Fault], ...] = (
    (AccessDenied, Fault.FORBIDDEN),
    (NotFound, Fault.GENERIC_NOT_FOUND),
    (AlreadyExists, Fault.CONFLICT),
    (InputError, Fault.ARGUMENT_INVALID),
    (StoreError, Fault.UNAVAILABLE),
    (PeerUnavailable, Fault.UNAVAILABLE),
)
# And back, for the command line.
_KINDS: dict[int, type[LeafwardError]] = {
    400: InputError,
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: AlreadyExists,
    412: LeafwardError,
    413: InputError,
    415: InputError,
    504: PeerUnavailable,
}


def check_service_version(version: str | None) -> str:
    """The `api-version` if it may be one of IoT Hub's. Raises `EncodingError` for none and for one that is no day.

    What has the same shape in every version needs no list of them.
    """
    if not version:
        raise EncodingError("the api-version is missing", why=f"expected a day, such as {VERSION}")
    if not _VERSION.fullmatch(version) or version < OLDEST:
        raise EncodingError("the api-version is not one of IoT Hub's", why=f"got {version[:32]!r}, expected {VERSION}")
    return version


def fault_of(error: LeafwardError) -> Fault:
    """The code of an error that no route has foreseen."""
    return next((fault for kind, fault in _FAULTS if isinstance(error, kind)), Fault.SERVER_ERROR)


def fault_body(fault: Fault, message: str, tracking: str = "") -> bytes:
    """The body of an error. `tracking` tells one answer from another, for whoever looks into the log."""
    return to_json(
        {"Message": f"ErrorCode:{fault.code};{message}", "ExceptionMessage": tracking, "errorCode": fault.number}
    )


def read_fault(status: int, body: bytes, what: str) -> LeafwardError:
    """The error that an answer tells, for the calling side; `what` says what was refused."""
    message, number = _told(body)
    why = message or f"HTTP status {status}"
    return _KINDS.get(status, PeerUnavailable)(what, why=f"{why} ({number})" if number else why)


def _told(body: bytes) -> tuple[str, int | None]:
    """(the sentence, the number) of an error body; ("", None) for one of another form."""
    try:
        value: Any = json.loads(body)
        message, number = str(value["Message"]), value.get("errorCode")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", None
    sentence = message.partition(";")[2] if message.startswith("ErrorCode:") else message
    shown = "".join(letter if letter.isprintable() else " " for letter in sentence[:_SHOWN])
    return shown, number if isinstance(number, int) else None
