"""The Management API: how the operator's commands register modules and start programs as them.

The paths and bodies of IoT Edge's daemon where it has them. One is ours: `attach` binds the process that calls it to
a module, so that the Workload API knows afterwards, by its pid, which module it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from leafward.errors import InputError
from leafward.pki.names import parse_module_id
from leafward.wire.api_fields import Fields, to_json

MAX_REQUEST_BODY = 64 * 1024  # bytes
MAX_RESPONSE_BODY = 8 * 1024 * 1024  # bytes; a list of some thousand identities

# Paths as patterns of the server; the calling side fills them by `path`.
MODULES = "/modules"
MODULE = "/modules/{name}"
ATTACH = "/modules/{name}/attach"  # ours
START = "/modules/{name}/start"
STOP = "/modules/{name}/stop"
RESTART = "/modules/{name}/restart"
PREPARE_UPDATE = "/modules/{name}/prepareupdate"
LOGS = "/modules/{name}/logs"
IDENTITIES = "/identities"
IDENTITY = "/identities/{name}"
SYSTEM_INFO = "/systeminfo"
RESOURCES = "/systeminfo/resources"
SUPPORT_BUNDLE = "/systeminfo/supportbundle"
REPROVISION = "/device/reprovision"
STATUS = "/status"  # ours: what `leafward manager status` shows

DEFAULT_MANAGER = "iotedge"  # `managedBy` where a request does not say


def path(pattern: str, name: str = "") -> str:
    """`pattern` with the module's name filled in, percent-encoded."""
    return pattern.format(name=quote(name, safe=""))


@dataclass(frozen=True, slots=True)
class CreateModule:
    """POST /modules: registers a module. 201 with `ModuleEnvironment`. Of the daemon's body only the name is read."""

    name: str

    @classmethod
    def parse(cls, body: bytes) -> "CreateModule":
        """Raises `EncodingError`, or `NameFormatError` for what is no module id."""
        return cls(parse_module_id(_request(body).text("name")))

    def to_json(self) -> bytes:
        return to_json({"name": self.name, "type": "process", "config": {"settings": {}, "env": []}})


@dataclass(frozen=True, slots=True)
class ModuleEnvironment:
    """What a program needs to run as the module: the `IOTEDGE_*` variables. No secret is among them."""

    module_id: str
    environment: Mapping[str, str]

    @classmethod
    def parse(cls, body: bytes) -> "ModuleEnvironment":
        """Raises `EncodingError`."""
        fields = _response(body)
        return cls(fields.text("moduleId"), fields.object("environment").texts())

    def fields(self) -> dict[str, Any]:
        """The two fields, which the answer to POST /modules has beside the module's details."""
        return {"moduleId": self.module_id, "environment": dict(self.environment)}

    def to_json(self) -> bytes:
        return to_json(self.fields())


@dataclass(frozen=True, slots=True)
class CreateIdentity:
    """POST /identities, and PUT /identities/{name}."""

    module_id: str
    managed_by: str = DEFAULT_MANAGER

    @classmethod
    def parse(cls, body: bytes) -> "CreateIdentity":
        """Raises `EncodingError` or `NameFormatError`."""
        fields = _request(body)
        return cls(parse_module_id(fields.text("moduleId")), fields.text("managedBy", DEFAULT_MANAGER))

    def to_json(self) -> bytes:
        return to_json({"moduleId": self.module_id, "managedBy": self.managed_by})


@dataclass(frozen=True, slots=True)
class ModuleIdentity:
    """A registered module."""

    module_id: str
    generation_id: str
    managed_by: str = DEFAULT_MANAGER
    auth_type: str = "sas"

    @classmethod
    def of(cls, fields: Fields) -> "ModuleIdentity":
        """Reads one object."""
        return cls(
            module_id=fields.text("moduleId"),
            generation_id=fields.text("generationId"),
            managed_by=fields.text("managedBy", DEFAULT_MANAGER),
            auth_type=fields.text("authType", "sas"),
        )

    @classmethod
    def parse(cls, body: bytes) -> "ModuleIdentity":
        """Raises `EncodingError`."""
        return cls.of(_response(body))

    def fields(self) -> dict[str, Any]:
        """The JSON object of this identity."""
        return {
            "moduleId": self.module_id,
            "managedBy": self.managed_by,
            "generationId": self.generation_id,
            "authType": self.auth_type,
        }

    def to_json(self) -> bytes:
        return to_json(self.fields())


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """GET /systeminfo: what the manager runs on, and what it is."""

    os_type: str
    architecture: str
    version: str
    host_name: str

    @classmethod
    def parse(cls, body: bytes) -> "SystemInfo":
        """Raises `EncodingError`."""
        fields = _response(body)
        return cls(
            os_type=fields.text("osType"),
            architecture=fields.text("architecture"),
            version=fields.text("version"),
            host_name=fields.text("hostname"),
        )

    def to_json(self) -> bytes:
        values = {"osType": self.os_type, "architecture": self.architecture, "version": self.version}
        return to_json(values | {"hostname": self.host_name})


def identities_to_json(identities: Sequence[ModuleIdentity]) -> bytes:
    """The answer to GET /identities."""
    return to_json({"identities": [identity.fields() for identity in identities]})


def parse_identities(body: bytes) -> list[ModuleIdentity]:
    """Reads that answer. Raises `EncodingError`."""
    return [ModuleIdentity.of(fields) for fields in _response(body).objects("identities")]


def module_name(segment: str) -> str | None:
    """The module that a decoded path segment names; None when it can name none, so that the answer is 404."""
    try:
        return parse_module_id(segment)
    except InputError:
        return None


def _request(body: bytes) -> Fields:
    return Fields.parse(body, "request", limit=MAX_REQUEST_BODY)


def _response(body: bytes) -> Fields:
    return Fields.parse(body, "response", limit=MAX_RESPONSE_BODY)
