"""The hub as a module of the manager: it attaches as `$edgeHub` and gets its certificate like any other.

The manager may start after us and may be restarted under us. At the start we wait for it, a bounded time and with
growing pauses; later a call that is refused because a new manager does not know us is repeated after attaching again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509

from leafward.errors import AccessDenied, EncodingError, LeafwardError, NotFound, PeerUnavailable
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_certificates, load_private_key
from leafward.store.home import Home
from leafward.wire import management_api, rotation, server_sent_events, workload_api
from leafward.wire.api_fields import Fields
from leafward.wire.api_version import LATEST
from leafward.wire.management_api import ModuleEnvironment
from leafward.wire.rotation import HubVerdict
from leafward.wire.workload_api import CertificateResponse, ServerCertificateRequest

logger = logging.getLogger(__name__)

MODULE = "$edgeHub"
CALL_SECONDS = 10.0
# The manager writes a comment each minute on a stream that has nothing to tell.
SILENCE_SECONDS = 150.0
# How long to wait for the manager at the start: longer than its own first start, which makes every key and certificate.
PATIENCE_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A chain, leaf first, and the leaf's private key."""

    chain: Chain
    key: Any = field(repr=False)


class WorkloadClient:
    """Calls the manager's two sockets. Make it with `attached`."""

    def __init__(self, home: Home, hostname: str) -> None:
        self._workload = home.workload_socket
        self._management = home.management_socket
        self._hostname = hostname
        self._generation_id = ""
        self._environment: Mapping[str, str] = {}

    @classmethod
    async def attached(
        cls, home: Home, hostname: str, stop: asyncio.Event, *, patience: float = PATIENCE_SECONDS
    ) -> "WorkloadClient":
        """A client that the manager knows as `$edgeHub`.

        Raises `PeerUnavailable` when no manager answers within `patience` seconds, or when `stop` is set meanwhile.
        """
        client = cls(home, hostname)
        deadline = asyncio.get_running_loop().time() + patience
        pause = FIRST_PAUSE
        while True:
            try:
                await client.attach()
                return client
            except PeerUnavailable:
                if stop.is_set() or asyncio.get_running_loop().time() + pause > deadline:
                    raise
            logger.debug("the manager does not answer yet, asking again in %.2f s", pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    @property
    def hub_name(self) -> str:
        """The IoT hub's name, which clients have in their tokens; ours where the manager names none."""
        return self._environment.get("IOTEDGE_IOTHUBHOSTNAME") or self._hostname

    async def attach(self) -> None:
        """Tells the manager that this process is `$edgeHub`; learns the module's generation and environment."""
        path = management_api.path(management_api.ATTACH, MODULE)
        body = await self._call(self._management, "POST", path)
        module = ModuleEnvironment.parse(body)
        self._environment = module.environment
        self._generation_id = module.environment.get("IOTEDGE_MODULEGENERATIONID", "")

    async def server_certificate(self) -> ServerCertificate:
        """The hub's server certificate of now. Raises `PeerUnavailable`, `AccessDenied` or `EncodingError`."""
        try:
            body = await self._ask_for_certificate()
        except (AccessDenied, NotFound):
            # A manager that was started anew has forgotten us, or has another generation of us.
            await self.attach()
            body = await self._ask_for_certificate()
        answer = CertificateResponse.parse(body)
        return ServerCertificate(Chain.from_pem(answer.certificate), load_private_key(answer.private_key))

    async def trust_bundle(self) -> list[x509.Certificate]:
        """The anchors that client certificates must lead to."""
        body = await self._call(self._workload, "GET", workload_api.TRUST_BUNDLE)
        return load_certificates(workload_api.parse_trust_bundle(body))

    async def changes(self) -> AsyncIterator[str]:
        """The kinds of what changes, as the manager tells; the first is "open", from when on nothing is missed.

        Ends with the stream. Raises `PeerUnavailable`, `AccessDenied`, `NotFound` or `ProtocolError`.
        """
        # A manager that was started anew does not know us, and would tell us nothing that is ours.
        await self.attach()
        url = f"http://manager{server_sent_events.PATH}?api-version={LATEST}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CALL_SECONDS, sock_read=SILENCE_SECONDS)
        connector = aiohttp.UnixConnector(path=str(self._workload))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(url) as response,
            ):
                if response.status != 200:
                    raise _refused(response.status, server_sent_events.PATH, await _whole(response.content))
                yield "open"
                decoder = server_sent_events.Decoder()
                async for piece in response.content.iter_any():
                    for event in decoder.receive(piece):
                        yield event.kind
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PeerUnavailable("the manager's events end", why=str(error), hint="leafward manager run") from error

    async def report(self, verdict: HubVerdict) -> None:
        """Tells the manager what the hub found. Raises as `server_certificate`."""
        path = workload_api.path(rotation.VERDICT, MODULE, self._generation_id)
        await self._call(self._workload, "POST", path, verdict.to_json())

    async def _ask_for_certificate(self) -> bytes:
        path = workload_api.path(workload_api.SERVER_CERTIFICATE, MODULE, self._generation_id)
        return await self._call(self._workload, "POST", path, ServerCertificateRequest(self._hostname).to_json())

    async def _call(self, socket: Path, method: str, path: str, body: bytes | None = None) -> bytes:
        """One call on a connection of its own: there are few, and none may be stale."""
        url = f"http://manager{path}?api-version={LATEST}"
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket)), timeout=timeout) as session,
                session.request(method, url, data=body) as response,
            ):
                answer = await _whole(response.content)
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PeerUnavailable("the manager does not answer", why=str(error), hint="leafward manager run") from error
        if not 200 <= status < 300:
            raise _refused(status, path, answer)
        return answer


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """All of an answer: `read(n)` gives what has come until then. Raises `PeerUnavailable` for one without end."""
    answer = bytearray()
    async for piece in content.iter_any():
        answer += piece
        if len(answer) > workload_api.MAX_RESPONSE_BODY:
            why = f"got more than {workload_api.MAX_RESPONSE_BODY} bytes"
            raise PeerUnavailable("the manager's answer is too long", why=why, hint="a smaller trust bundle")
    return bytes(answer)


def _refused(status: int, path: str, body: bytes) -> LeafwardError:
    try:
        why = Fields.parse(body, "error", limit=workload_api.MAX_RESPONSE_BODY).text("message")
    except EncodingError:
        why = "no reason given"
    kinds: dict[int, type[LeafwardError]] = {403: AccessDenied, 404: NotFound}
    return kinds.get(status, PeerUnavailable)(f"the manager refused {path}", why=f"{status}, {why}")
