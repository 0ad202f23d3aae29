"""A module as both APIs list it.

`{"id","name","type","config":{"settings":{},"env":[{"key","value"}]},"status":{…}}`. The list is open to every local
process, so no environment and no settings are put in it: they may hold secrets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leafward.wire.api_fields import Fields, moment, to_json

# Names of our own; IoT Edge's daemon has docker's.
RUNNING, STOPPED, UNKNOWN = "running", "stopped", "unknown"

MAX_LIST = 8 * 1024 * 1024  # bytes of a list that the calling side reads


@dataclass(frozen=True, slots=True)
class ModuleDetails:
    """`status` is one of the words above; `started` is when its process attached, None where it did not."""

    name: str
    type: str = "process"
    status: str = UNKNOWN
    description: str | None = None
    started: datetime | None = None

    def fields(self) -> dict[str, Any]:
        """The JSON object of this module."""
        status: dict[str, Any] = {"runtimeStatus": {"status": self.status}}
        if self.description is not None:
            status["runtimeStatus"]["description"] = self.description
        if self.started is not None:
            status["startTime"] = moment(self.started)
        config: dict[str, Any] = {"settings": {}, "env": []}
        return {"id": self.name, "name": self.name, "type": self.type, "config": config, "status": status}

    @classmethod
    def of(cls, fields: Fields) -> "ModuleDetails":
        """Reads one object of the list."""
        status = fields.object("status")
        runtime = status.object("runtimeStatus")
        return cls(
            name=fields.text("name"),
            type=fields.text("type", "process"),
            status=runtime.text("status", UNKNOWN),
            description=runtime.optional_text("description"),
            started=status.optional_time("startTime"),
        )


def modules_to_json(modules: Sequence[ModuleDetails]) -> bytes:
    """The answer to GET /modules."""
    return to_json({"modules": [module.fields() for module in modules]})


def parse_modules(data: bytes) -> list[ModuleDetails]:
    """Reads that answer. Raises `EncodingError`."""
    found = Fields.parse(data, "list of modules", limit=MAX_LIST).objects("modules")
    return [ModuleDetails.of(fields) for fields in found]
