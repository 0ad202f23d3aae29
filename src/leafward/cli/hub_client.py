"""The commands' side of the hub's service API, on the hub's own socket: no credential, the kernel says who we are."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from leafward.errors import PeerUnavailable
from leafward.store.home import Home
from leafward.wire.devicebound import CONTENT_TYPE, DeviceMessage
from leafward.wire.methods import MethodCall, MethodResult
from leafward.wire.service_api import VERSION, read_fault

TIMEOUT_SECONDS = 30.0
# How much longer than the hub itself waits we wait for its word.
_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class HubAnswer:
    """What the hub answered to a call that it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The object in the body."""
        value: dict[str, Any] = json.loads(self.body)
        return value


def ask(
    home: Home,
    method: str,
    path: str,
    *,
    what: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    seconds: float = TIMEOUT_SECONDS,
) -> HubAnswer:
    """Makes one call; `path` is encoded already (`segment`), `what` says what failed if it is refused.

    Raises `PeerUnavailable` where no hub answers, and what the hub's own error means (`read_fault`).
    """
    sent = _ask(home, method, path, what=what, body=body, headers=headers or {}, query=query or {}, seconds=seconds)
    return asyncio.run(sent)


def invoke(home: Home, device_id: str, module_id: str | None, call: MethodCall) -> MethodResult:
    """Calls a direct method and waits for its answer."""
    name = device_id if module_id is None else f"{device_id}/{module_id}"
    answer = ask(
        home,
        "POST",
        f"/twins/{_identity(device_id, module_id)}/methods",
        what=f"the method {call.name!r} of {name} was not answered",
        body=call.to_json(),
        seconds=call.connect_timeout + call.response_timeout + _GRACE,
    )
    return MethodResult.parse(answer.body)


def send(home: Home, device_id: str, message: DeviceMessage) -> tuple[int, str]:
    """Hands over a message for a device: its number at the hub, and its message id."""
    answer = ask(
        home,
        "POST",
        f"/devices/{segment(device_id)}/messages/deviceBound",
        what=f"the message to {device_id} was not taken",
        body=message.to_json(),
        headers={"Content-Type": CONTENT_TYPE},
    )
    return int(answer.headers["iothub-sequencenumber"]), answer.headers["iothub-messageid"]


def state_of(home: Home, device_id: str, number: int, *, wait: int = 0) -> str:
    """What became of a message; waits for its end for `wait` seconds at most."""
    path = f"/hub/devices/{segment(device_id)}/devicebound/{number}"
    what = f"the message {number} to {device_id} cannot be followed"
    answer = ask(home, "GET", path, what=what, query={"wait": str(wait)}, seconds=wait + _GRACE)
    return str(answer.json()["state"])


def waiting(home: Home, device_id: str) -> list[dict[str, Any]]:
    """The messages that wait for a device, oldest first."""
    path = f"/hub/devices/{segment(device_id)}/devicebound"
    found: list[dict[str, Any]] = ask(home, "GET", path, what=f"cannot look into {device_id}'s queue").json()[
        "messages"
    ]
    return found


def purge(home: Home, device_id: str) -> int:
    """Takes everything that waits for a device away; how much that was."""
    path = f"/devices/{segment(device_id)}/commands"
    answer = ask(home, "DELETE", path, what=f"{device_id}'s queue was not emptied")
    return int(answer.json()["totalMessagesPurged"])


def status(home: Home) -> dict[str, Any]:
    """Who is connected, and the counters."""
    return ask(home, "GET", "/hub/status", what="the hub does not say how it stands").json()


def disconnect(home: Home, device_id: str, module_id: str | None) -> None:
    """Ends the connection of a client."""
    path = f"/hub/clients/{_identity(device_id, module_id)}"
    ask(home, "DELETE", path, what="the client was not disconnected")


def segment(text: str) -> str:
    """A name as it stands in a path."""
    return quote(text, safe="")


def _identity(device_id: str, module_id: str | None) -> str:
    own = segment(device_id)
    return own if module_id is None else f"{own}/modules/{segment(module_id)}"


async def _ask(
    home: Home,
    method: str,
    path: str,
    *,
    what: str,
    body: bytes | None,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    seconds: float,
) -> HubAnswer:
    connector = aiohttp.UnixConnector(path=str(home.hub_socket))
    timeout = aiohttp.ClientTimeout(total=seconds)
    url = URL(f"http://hub{path}", encoded=True).update_query({"api-version": VERSION, **query})
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, url, data=body, headers=headers) as answer,
        ):
            found = HubAnswer(answer.status, answer.headers, await answer.read())
    except aiohttp.ClientConnectorError as error:
        why = f"{home.hub_socket}: {error.os_error.strerror}"
        raise PeerUnavailable("the hub does not answer", why=why, hint="leafward up") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        raise PeerUnavailable("the hub does not answer", why=why, hint="leafward up") from error
    if found.status >= 300:
        raise read_fault(found.status, found.body, what)
    return found
