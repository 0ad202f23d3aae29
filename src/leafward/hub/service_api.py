"""The hub's service API: one table of routes in IoT Hub's REST shapes, served on two doors.

    HTTPS port      modules and devices of this edge, with their own credential; each route says who may (`permit`)
                    services, with a token of a shared access policy; each route says if (`for_services`)
    run/hub.sock    the operator's commands, without a credential: the kernel says whose process it is

For every call, in this order:

1. the `api-version` (400), which may be left out on the HTTPS port: Node's SDK does;
2. who calls (401), and may they (403): nothing of the body is read before;
3. is there a place (429): so many calls at once in all, and of one caller;
4. the body, bounded in size (413) and time (408);
5. the route's own function, bounded in time (504).

A route that names no `permit` is the operator's alone, and on the HTTPS port there is no such route (404).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from leafward.hub.peer import Peer
from leafward.wire.access_policy import Permission
from leafward.wire.api_fields import to_json
from leafward.wire.service_api import ERROR_CODE_HEADER, Fault, fault_body

# IoT Hub's own bound for a body: a method's payload of 128 KiB, escaped, and what is around it.
BODY_LIMIT = 256 * 1024
# Seconds for an answer, where a route does not say.
ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """One call. `caller` is None for the operator and for services, else who has proved to be this device or module.

    `names` are the path's parameters, decoded ("device_id", "module_id", …); `query` is without the api-version.
    `headers` are looked up without case. `body` is empty while `permit` is asked.
    """

    caller: Peer | None
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def device_id(self) -> str:
        """The device that the path names."""
        return self.names["device_id"]

    @property
    def module_id(self) -> str | None:
        """The module that the path names, None where it names none."""
        return self.names.get("module_id")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


# Whether who has proved to be somebody (`call.caller`) may make this call. The operator is never asked.
Permit: TypeAlias = Callable[[ServiceCall], bool]


def operator_only(_call: ServiceCall) -> bool:
    """For nobody who comes by the HTTPS port."""
    return False


def modules_of(edge_device: str) -> Permit:
    """For the modules of this edge, as edgeHub has it; for no leaf device, and no leaf device's modules."""

    def permit(call: ServiceCall) -> bool:
        caller = call.caller
        return caller is not None and caller.module_id is not None and caller.device_id == edge_device

    return permit


def itself(call: ServiceCall) -> bool:
    """For exactly the device or module that the path names."""
    caller = call.caller
    return caller is not None and (caller.device_id, caller.module_id) == (call.device_id, call.module_id)


@dataclass(frozen=True, slots=True)
class ServiceRoute:
    """A method and path ("/twins/{device_id}/methods"), the function that answers, and who may.

    `answer` may raise `LeafwardError`, which becomes IoT Hub's error body. `seconds` bound it. `body_limit` in bytes.
    `for_operator`: whether the operator's socket has it too; not what only a device can mean. `for_services`: what a
    shared access policy must allow its holder, who then is answered as the operator is; None: it is not for services.
    """

    method: str
    path: str
    answer: Callable[[ServiceCall], Awaitable[Answer]]
    permit: Permit = operator_only
    seconds: float = ANSWER_SECONDS
    body_limit: int = BODY_LIMIT
    for_operator: bool = True
    for_services: Permission | None = None


def json_answer(value: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that is one JSON object."""
    return Answer(status, to_json(value), headers or {})


def refused(fault: Fault, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that says why there is no other, in IoT Hub's form."""
    return Answer(fault.status, fault_body(fault, message), {ERROR_CODE_HEADER: fault.code, **(headers or {})})
