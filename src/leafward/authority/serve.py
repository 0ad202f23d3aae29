"""The authority as a server: EST for devices, and whatever else it publishes, until it is told to stop.

    HTTPS  EST (RFC 7030), behind the certificate it issues to itself
    HTTP   what is published (revocation lists and answers), where there is anything: CRLs and OCSP answers are signed,
           and a client that has to fetch one to judge a TLS certificate could not fetch it over TLS (RFC 5280 8)

EST goes past aiohttp's router and middlewares, which cost as much as a signature.

Stopping: nobody new, what is being answered is answered, what waits for the disk becomes durable, then goodbye.
"""

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.typedefs import Handler

from leafward.authority.authorities import Authorities, Authority
from leafward.authority.connection_guard import ConnectionGuard
from leafward.authority.est_accounts import AccountDoor
from leafward.authority.est_clients import CertificateDoor
from leafward.authority.est_desk import Desk
from leafward.authority.est_labels import Labels
from leafward.authority.est_server import EstServer
from leafward.authority.est_settings import EstTable
from leafward.authority.issuance import Issuance
from leafward.authority.log_signing import IdleSigning
from leafward.authority.serve_certificate import FOLDER, ServeCertificate
from leafward.errors import Busy, LeafwardError, StoreError
from leafward.pki.names import Host
from leafward.store.accounts import Accounts
from leafward.store.lock import HomeLock
from leafward.wire.est.bodies import MAX_REQUEST_BODY
from leafward.wire.tls.context import TlsContext

logger = logging.getLogger(__name__)

TEND_SECONDS = 60.0
HANDSHAKE_SECONDS = 30.0
SHUTDOWN_SECONDS = 2.0
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where to listen, and under which names. A port of 0 lets the system choose; the first host names the server.

    `tls_issuer` signs the server's own certificate; None: who signs for the default label.
    """

    bind: str
    port: int
    http_port: int
    hosts: tuple[Host, ...]
    tls_issuer: Authority | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """What is there when it serves. `http_port` None: nothing is published."""

    port: int
    http_port: int | None
    labels: tuple[str, ...]
    default_label: str
    certificate_until: datetime


async def run_authority(
    issuance: Issuance,
    settings: EstTable,
    options: ServeOptions,
    *,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
    ready: Callable[[Serving], None],
    published: Sequence[web.RouteDef] = (),
) -> None:
    """Serves until `stop` is set; calls `ready` once every listener answers. `published` is served over HTTP as well.

    Raises `NotFound` where no authority can sign, `KeyUnavailable` where the server has no certificate yet and none can
    be signed, `Busy` where another server runs on this folder or a port is taken, `StoreError`.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(HomeLock(issuance.folder / FOLDER / "lock").hold("ca serve"))
        labels = Labels.of(settings, issuance.authorities)
        issuer = options.tls_issuer or labels.get(None).authority
        certificate = ServeCertificate(issuance.folder, issuance, issuer, options.hosts)
        await asyncio.to_thread(certificate.begin, clock())
        desk = Desk(issuance.ledger, clock, issuance.pointers).start()
        stack.push_async_callback(desk.close)
        est = EstServer(
            labels,
            certificates=CertificateDoor(issuance.ledger.inventory),
            accounts=AccountDoor(Accounts(issuance.ledger.engine)),
            desk=desk,
            clock=clock,
            retry_after=settings.retry_after,
        )
        port = await _listen_for_est(stack, est, options, certificate.context)
        http_port = await _listen_for_all(stack, published, options) if published else None
        tending = asyncio.create_task(_tend(certificate, est, _Watch(settings, issuance.authorities), clock))
        stack.callback(tending.cancel)
        await stack.enter_async_context(IdleSigning(issuance.ledger.sign))
        ready(
            Serving(
                port,
                http_port,
                tuple(labels.by_name),
                labels.default,
                certificate.context.chain.leaf.not_valid_after_utc,
            )
        )
        await stop.wait()


async def _tend(certificate: ServeCertificate, est: EstServer, watch: "_Watch", clock: Callable[[], datetime]) -> None:
    """Once a minute: the server's own certificate, and what changed among the CAs. Never returns."""
    while True:
        await asyncio.sleep(TEND_SECONDS)
        try:
            await asyncio.to_thread(certificate.tend, clock())
            labels = await asyncio.to_thread(watch.changed)
        except LeafwardError as error:
            logger.warning("the authorities could not be read anew, the old ones are served: %s", error)
        except Exception:
            # Whatever goes wrong here must not end a server that serves.
            logger.exception("tending failed, what is there is served")
        else:
            if labels is not None:
                logger.info("the authorities have changed")
                est.replace(labels)


class _Watch:
    """Notices a new CA, a rollover, a cross-signed certificate, by the files of the authorities."""

    def __init__(self, settings: EstTable, authorities: Authorities) -> None:
        self._settings = settings
        self._authorities = authorities
        self._seen = _fingerprints(authorities.folder)

    def changed(self) -> Labels | None:
        """The labels as they are now, where anything changed since the last call. Raises as `Labels.of`."""
        found = _fingerprints(self._authorities.folder)
        if found == self._seen:
            return None
        labels = Labels.of(self._settings, self._authorities)
        self._seen = found
        return labels


def _fingerprints(folder: Path) -> frozenset[tuple[str, int, int]]:
    found = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return frozenset((str(path), status.st_mtime_ns, status.st_size) for path, status in found)


async def _listen_for_est(
    stack: contextlib.AsyncExitStack, est: EstServer, options: ServeOptions, tls: TlsContext
) -> int:
    guard = ConnectionGuard()
    server = web.Server(guard.watched(est.handle), request_factory=_bounded, access_log=None)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS)
    return await _listen(stack, runner, guard, (options.bind, options.port), tls)


async def _listen_for_all(
    stack: contextlib.AsyncExitStack, published: Iterable[web.RouteDef], options: ServeOptions
) -> int:
    guard = ConnectionGuard()

    @web.middleware
    async def watched(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.watched(handler)(request)  # type: ignore[arg-type]  # an application's handler

    application = web.Application(client_max_size=MAX_REQUEST_BODY, middlewares=[watched])
    application.add_routes(published)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS)
    return await _listen(stack, runner, guard, (options.bind, options.http_port), None)


def _bounded(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """A request whose body is refused with 413 when it is larger than any certificate request."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_REQUEST_BODY)


async def _listen(
    stack: contextlib.AsyncExitStack,
    runner: web.BaseRunner,
    guard: ConnectionGuard,
    address: tuple[str, int],
    tls: TlsContext | None,
) -> int:
    """Serves until `stack` is closed. The port it really has."""
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None
    try:
        server = await asyncio.get_running_loop().create_server(
            guard.guarded(runner.server),
            *address,
            ssl=tls,
            backlog=BACKLOG,
            reuse_address=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS if tls else None,
        )
    except OSError as error:
        raise _told(error, *address, "--port" if tls else "--http-port") from error
    stack.callback(server.close)
    found: int = server.sockets[0].getsockname()[1]
    return found


def _told(error: OSError, bind: str, port: int, option: str) -> LeafwardError:
    what = f"cannot listen on {bind} port {port}"
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    if error.errno == errno.EADDRINUSE:
        return Busy(what, why=why, hint=f"end what listens there, or choose another port with {option}")
    return StoreError(what, why=why, hint=f"choose a port above 1023 with {option}, and an address of this machine")
