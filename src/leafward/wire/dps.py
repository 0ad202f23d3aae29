"""The device API of the Device Provisioning Service, over HTTPS: a device says who it is and learns its hub.

`PUT /{idScope}/registrations/{id}/register` starts an operation, `GET …/operations/{operation}` asks how it goes.
Bodies and error bodies as the service writes them and the SDKs read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import quote

from leafward.errors import EncodingError
from leafward.pki.names import parse_registration_id
from leafward.wire.api_fields import Fields, moment, to_json
from leafward.wire.base64_text import encode_base64

API_VERSIONS = ("2017-11-15", "2018-11-01", "2019-01-15", "2019-03-31", "2021-06-01", "2021-10-01")
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
RESULTS = ("x509", "symmetricKey", "tpm")

# The error codes that devices meet; the first three digits are the HTTP status.
BAD_REQUEST, UNAUTHORIZED, INVALID_CERTIFICATE, NOT_FOUND = 400000, 401000, 401002, 404201
CONFLICT, STALE, THROTTLED, INTERNAL_ERROR, UNAVAILABLE = 409201, 412000, 429001, 500000, 503001
# Of a registration that failed: its device id is another's at the hub, or no hub may have it.
ID_TAKEN, NO_HUB = 409202, 400209


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
    """The body of `register`. `payload` is any JSON value that the device gives, None for none.

    A TPM gives its endorsement key and storage root key, TPM2B_PUBLIC structures.
    """

    registration_id: str
    payload: Any = None
    endorsement_key: bytes | None = None
    storage_root_key: bytes | None = None

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
        tpm, payload = fields.object("tpm"), fields.values.get("payload")
        if not tpm.values:
            return cls(registration_id, payload)
        return cls(registration_id, payload, tpm.binary("endorsementKey"), tpm.binary("storageRootKey"))

    def to_json(self) -> bytes:
        values: dict[str, Any] = {"registrationId": self.registration_id, "payload": self.payload}
        if self.endorsement_key is not None and self.storage_root_key is not None:
            keys = {"endorsementKey": self.endorsement_key, "storageRootKey": self.storage_root_key}
            values["tpm"] = {name: encode_base64(key) for name, key in keys.items()}
        return to_json(values)


@dataclass(frozen=True, slots=True)
class TpmChallenge:
    """What a TPM is answered first, with status 401: only it gets the key out of `authentication_key`."""

    authentication_key: bytes

    def to_json(self) -> bytes:
        message = "sign with the key that the TPM activates"
        key = encode_base64(self.authentication_key)
        return to_json({"message": message, "authenticationKey": key, "keyName": KEY_NAME})

    @classmethod
    def parse(cls, body: bytes) -> "TpmChallenge":
        """Raises `EncodingError`."""
        return cls(Fields.parse(body, "challenge", limit=MAX_RESPONSE_BODY).binary("authenticationKey"))


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
    # What it was admitted by: "x509", "symmetricKey" or "tpm", with what the service tells of that.
    result: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """The JSON object; fields that are None are left out, because the Python SDK joins what is there as text."""
        values: dict[str, Any] = {
            **self.result,
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
            result={name: fields.object(name).values for name in RESULTS if name in fields.values},
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
