"""The commands' side of the Management API, on the manager's own socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from leafward.errors import AccessDenied, AlreadyExists, InputError, LeafwardError, NotFound, PeerUnavailable
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from leafward.wire import management_api, server_sent_events
from leafward.wire.api_version import LATEST
from leafward.wire.rotation import ROTATE, Level, RotateRequest
from leafward.wire.server_sent_events import Event

TIMEOUT_SECONDS = 10.0
# An enrolment asks a server far away, and the hub is waited for.
ROTATE_SECONDS = 300.0
# The manager writes a comment each minute on a stream that has nothing to tell.
SILENCE_SECONDS = 150.0


def attach(home: Home, module: str) -> dict[str, str]:
    """Tells the manager that this very process is `module`: the environment of it, by the manager's own settings.

    The kernel, not this message, says which process it is.

    Raises `PeerUnavailable` where no manager answers, `NotFound` for a module that is not registered.
    """
    answer = json.loads(asyncio.run(_ask(home, "POST", management_api.path(management_api.ATTACH, module))))
    environment: dict[str, str] = answer["environment"]
    return environment


def get_status(home: Home) -> dict[str, Any]:
    """How the manager stands (`manager/status.py`). Raises `PeerUnavailable` where none answers."""
    status: dict[str, Any] = json.loads(asyncio.run(_ask(home, "GET", management_api.STATUS)))
    return status


def rotate(home: Home, level: Level, *, dry_run: bool = False) -> dict[str, Any]:
    """What became of a rotation (`manager/rotation_outcome.py`).

    Raises `PeerUnavailable` where no manager answers, and for what failed, with the manager's reason; the old
    certificates are in use then.
    """
    body = RotateRequest(level, dry_run).to_json()
    answer = asyncio.run(_ask(home, "POST", ROTATE, body, seconds=ROTATE_SECONDS))
    outcome: dict[str, Any] = json.loads(answer)
    return outcome


def watch_events(home: Home, seen: Callable[[Event], None], *, follow: bool) -> None:
    """Calls `seen` with the events that the manager keeps, and with each new one where `follow`: until it stops.

    Raises `PeerUnavailable` where no manager answers, or it stops.
    """
    asyncio.run(_watch(home, seen, follow=follow))


async def _watch(home: Home, seen: Callable[[Event], None], *, follow: bool) -> None:
    query = {server_sent_events.RECENT: "true", server_sent_events.FOLLOW: "true" if follow else "false"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_SECONDS, sock_read=SILENCE_SECONDS)
    decoder = server_sent_events.Decoder()
    async with _answer(home, "GET", server_sent_events.PATH, query=query, timeout=timeout) as answer:
        async for piece in answer.content.iter_any():
            for event in decoder.receive(piece):
                seen(event)
    if follow:
        raise PeerUnavailable("the manager has stopped", hint="leafward up")


async def _ask(
    home: Home, method: str, path: str, body: bytes | None = None, *, seconds: float = TIMEOUT_SECONDS
) -> bytes:
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with _answer(home, method, path, body=body, timeout=timeout) as answer:
        return await answer.read()


@contextlib.asynccontextmanager
async def _answer(
    home: Home,
    method: str,
    path: str,
    *,
    timeout: aiohttp.ClientTimeout,
    body: bytes | None = None,
    query: dict[str, str] | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    connector = aiohttp.UnixConnector(path=str(home.management_socket))
    params = {"api-version": LATEST, **(query or {})}
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://manager{path}", params=params, data=body) as answer,
        ):
            if answer.status >= 300:
                raise _refused(answer.status, await answer.text())
            yield answer
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _silent(home, error) from error


def _silent(home: Home, error: Exception) -> PeerUnavailable:
    """No answer: no manager runs, or one that serves nothing yet."""
    lock, what = HomeLock(home.manager / "lock"), "the manager does not answer"
    if isinstance(error, TimeoutError):
        return PeerUnavailable(what, why="it took too long", hint="see its log")
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    why = f"{home.management_socket}: {why}"
    if not home.manager.is_dir():
        return PeerUnavailable(what, why=f"there is no {home.manager}", hint="leafward up, or give --home")
    if lock.holder() is None:
        return PeerUnavailable(what, why=why, hint="start it: leafward up, or leafward manager run")
    hint = "see its log: it may be asking for its first device CA"
    return PeerUnavailable("the manager runs and serves nothing yet", why=why, hint=hint)


def _refused(status: int, body: str) -> LeafwardError:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP status {status}"
    kinds: dict[int, type[LeafwardError]] = {400: InputError, 403: AccessDenied, 404: NotFound, 409: AlreadyExists}
    return kinds.get(status, PeerUnavailable)("the manager refused", why=message)
