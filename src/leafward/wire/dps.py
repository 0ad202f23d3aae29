"""The device API of the Device Provisioning Service, over HTTPS: a device says who it is and learns its hub.

`PUT /{idScope}/registrations/{id}/register` starts an operation, `GET …/operations/{operation}` asks how it goes.
Bodies and error bodies as the service writes them and the SDKs read them.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import quote

from leafward.errors import EncodingError, NameFormatError
from leafward.wire.api_fields import Fields, moment, to_json

API_VERSIONS = ("2018-11-01", "2019-03-31", "2021-06-01")
API_VERSION = "2019-03-31"  # what both SDKs send
MAX_REQUEST_BODY = 64 * 1024  # bytes
MAX_RESPONSE_BODY = 256 * 1024  # bytes

# Paths as patterns of the server; the calling side uses `register_path` and `operation_path`.
REGISTER = "/{scope}/registrations/{registration}/register"
OPERATION = "/{scope}/registrations/{registration}/operations/{operation}"

RETRY_AFTER = 2  # seconds; what the SDKs wait when nothing is said
KEY_NAME = "registration"  # `skn` of a symmetric key's token

Status: TypeAlias = Literal["unassigned", "assigning", "assigned", "failed", "disabled"]
STATUSES: tuple[str, ...] = get_args(Status)

# Letters, digits and - . _ : of which the last is a letter, a digit or a dash; case does not matter.
_REGISTRATION_ID = re.compile(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]")

# HTTP status -> error code, for the errors that devices meet.
BAD_REQUEST, UNAUTHORIZED, INVALID_CERTIFICATE, NOT_FOUND = 400000, 401000, 401002, 404201


def parse_registration_id(text: str) -> str:
    """A registration id as it stands. Raises `NameFormatError`."""
    if not _REGISTRATION_ID.fullmatch(text):
        why = "expected 1 to 128 letters, digits and - . _ : with a letter, a digit or a dash at the end"
        raise NameFormatError(f"{text[:128]!r} is no registration id", why=why)
    return text


def register_path(scope: str, registration_id: str) -> str:
    """Where a registration starts."""
    return REGISTER.format(scope=quote(scope, safe=""), registration=quote(registration_id, safe=""))


def operation_path(scope: str, registration_id: str, operation_id: str) -> str:
    """Where it is asked how the operation goes."""
    parts = {"scope": scope, "registration": registration_id, "operation": operation_id}
    return OPERATION.format(**{name: quote(value, safe="") for name, value in parts.items()})


def resource(scope: str, registration_id: str) -> str:
    """The resource that a symmetric key's token is signed for."""
    return f"{scope}/registrations/{registration_id}"


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """The body of `register`. `payload` is any JSON value for a custom allocation, None for none."""

    registration_id: str
    payload: Any = None

    @classmethod
    def parse(cls, body: bytes, path_id: str) -> "RegisterRequest":
        """`path_id`: the registration id of the path; the body's must be the same one, in any case.

        Raises `EncodingError`, `NameFormatError`.
        """
        fields = Fields.parse(body, "request", limit=MAX_REQUEST_BODY)
        registration_id = parse_registration_id(fields.text("registrationId"))
        if registration_id.lower() != path_id.lower():
            why = f"got {registration_id!r} in the body and {path_id[:128]!r} in the path"
            raise EncodingError("the registrationId is another than the path's", why=why)
        return cls(registration_id, fields.values.get("payload"))

    def to_json(self) -> bytes:
        return to_json({"registrationId": self.registration_id, "payload": self.payload})


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """What the service knows of a registration. Times in UTC. Hub, device id and substatus are there once assigned."""

    registration_id: str
    status: Status
    created: datetime
    updated: datetime
    etag: str
    assigned_hub: str | None = None
    device_id: str | None = None
    substatus: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    payload: Any = None

    def fields(self) -> dict[str, Any]:
        """The JSON object; fields that are None are left out, because the Python SDK joins what is there as text."""
        values = {
            "registrationId": self.registration_id,
            "createdDateTimeUtc": moment(self.created),
            "assignedHub": self.assigned_hub,
            "deviceId": self.device_id,
            "status": self.status,
            "substatus": self.substatus,
            "lastUpdatedDateTimeUtc": moment(self.updated),
            "etag": self.etag,
            "errorCode": self.error_code,
            "errorMessage": self.error_message,
            "payload": self.payload,
        }
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def of(cls, fields: Fields) -> "RegistrationState":
        """Reads one."""
        code = fields.values.get("errorCode")
        return cls(
            registration_id=fields.text("registrationId"),
            status=_status(fields),
            created=fields.time("createdDateTimeUtc"),
            updated=fields.time("lastUpdatedDateTimeUtc"),
            etag=fields.text("etag", ""),
            assigned_hub=fields.optional_text("assignedHub"),
            device_id=fields.optional_text("deviceId"),
            substatus=fields.optional_text("substatus"),
            error_code=code if isinstance(code, int) else None,
            error_message=fields.optional_text("errorMessage"),
            payload=fields.values.get("payload"),
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """The body of both answers: 202 while it is assigning (with Retry-After), 200 when it has come to an end."""

    operation_id: str
    status: Status
    state: RegistrationState | None = None

    @property
    def http_status(self) -> int:
        return 202 if self.status == "assigning" else 200

    @classmethod
    def parse(cls, body: bytes) -> "Operation":
        """Raises `EncodingError`."""
        fields = Fields.parse(body, "response", limit=MAX_RESPONSE_BODY)
        state = fields.object("registrationState")
        found = RegistrationState.of(state) if state.values else None
        return cls(fields.text("operationId"), _status(fields), found)

    def to_json(self) -> bytes:
        values: dict[str, Any] = {"operationId": self.operation_id, "status": self.status}
        if self.state is not None:
            values["registrationState"] = self.state.fields()
        return to_json(values)


@dataclass(frozen=True, slots=True)
class ServiceError:
    """An error body. The first three digits of `code` are the HTTP status."""

    code: int
    message: str
    tracking_id: str
    time: datetime = field(compare=False)

    @property
    def http_status(self) -> int:
        return self.code // 1000

    def to_json(self) -> bytes:
        values = {"errorCode": self.code, "trackingId": self.tracking_id, "message": self.message}
        return to_json(values | {"timestampUtc": moment(self.time)})


def _status(fields: Fields) -> Status:
    status = fields.text("status")
    if status not in STATUSES:
        raise EncodingError("the status is unknown", why=f"got {status[:32]!r}, expected one of {', '.join(STATUSES)}")
    return status  # type: ignore[return-value]  # one of STATUSES
