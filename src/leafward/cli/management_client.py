"""The commands' side of the Management API, on the manager's own socket."""

import asyncio
import json
from typing import Any

import aiohttp

from leafward.errors import AccessDenied, LeafwardError, NotFound, PeerUnavailable
from leafward.store.home import Home
from leafward.wire import management_api
from leafward.wire.api_version import LATEST

TIMEOUT_SECONDS = 10.0


def attach(home: Home, module: str) -> None:
    """Tells the manager that this very process is `module`. The kernel, not this message, says which process it is.

    Raises `PeerUnavailable` where no manager answers, `NotFound` for a module that is not registered.
    """
    asyncio.run(_ask(home, "POST", management_api.path(management_api.ATTACH, module)))


def get_status(home: Home) -> dict[str, Any]:
    """How the manager stands (`manager/status.py`). Raises `PeerUnavailable` where none answers."""
    status: dict[str, Any] = json.loads(asyncio.run(_ask(home, "GET", management_api.STATUS)))
    return status


async def _ask(home: Home, method: str, path: str) -> bytes:
    connector = aiohttp.UnixConnector(path=str(home.management_socket))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://manager{path}", params={"api-version": LATEST}) as answer,
        ):
            if answer.status >= 300:
                raise _refused(answer.status, await answer.text())
            return await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PeerUnavailable("the manager does not answer", why=str(error), hint="leafward up") from error


def _refused(status: int, body: str) -> LeafwardError:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP status {status}"
    kinds: dict[int, type[LeafwardError]] = {403: AccessDenied, 404: NotFound}
    return kinds.get(status, PeerUnavailable)("the manager refused", why=message)
