"""The authority as a server: EST for devices, and whatever else it publishes, until it is told to stop.

    HTTPS  EST (RFC 7030), behind the certificate it issues to itself
    HTTP   what is published (revocation lists and answers), where there is anything: CRLs and OCSP answers are signed,
           and a client that has to fetch one to judge a TLS certificate could not fetch it over TLS (RFC 5280 8)

Stopping: nobody new, what is being answered is answered, what waits for the disk becomes durable, then goodbye.
"""

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from leafward.authority.authorities import Authorities, Authority
from leafward.authority.connection_guard import ConnectionGuard, Limits
from leafward.authority.est_accounts import AccountDoor
from leafward.authority.est_clients import CertificateDoor
from leafward.authority.est_desk import Desk
from leafward.authority.est_labels import Labels
from leafward.authority.est_server import EstServer
from leafward.authority.est_settings import EstTable
from leafward.authority.issuance import Issuance
from leafward.authority.log_signing import IdleSigning
from leafward.authority.serve_certificate import FOLDER, ServeCertificate
from leafward.authority.serve_connection import HttpConnection
from leafward.authority.serve_http import Handler, Writer
from leafward.authority.serve_routes import Route, Routes
from leafward.authority.serve_tls import TlsHttpConnection
from leafward.errors import Busy, LeafwardError, StoreError
from leafward.pki.names import Host
from leafward.store.accounts import Accounts
from leafward.store.lock import HomeLock
from leafward.wire.est.bodies import MAX_REQUEST_BODY
from leafward.wire.tls.context import TlsContext

logger = logging.getLogger(__name__)

TEND_SECONDS = 60.0
LIMITS = Limits()
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
    published: Sequence[Route] = (),
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
        port = await _listen(stack, est.handle, (options.bind, options.port), certificate.context)
        http_port = (
            await _listen(stack, Routes(published), (options.bind, options.http_port), None) if published else None
        )
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


async def _listen(
    stack: contextlib.AsyncExitStack, handler: Handler, address: tuple[str, int], tls: TlsContext | None
) -> int:
    """Serves until `stack` is closed. The port it really has."""
    guard, writer = ConnectionGuard(LIMITS), Writer()

    def connection() -> asyncio.Protocol:
        if tls is None:
            return HttpConnection(handler, guard, writer, MAX_REQUEST_BODY)
        return TlsHttpConnection(handler, guard, writer, MAX_REQUEST_BODY, tls)

    try:
        server = await asyncio.get_running_loop().create_server(
            connection, *address, backlog=BACKLOG, reuse_address=True
        )
    except OSError as error:
        raise _told(error, *address, "--port" if tls else "--http-port") from error
    stack.push_async_callback(guard.close)
    stack.callback(server.close)
    found: int = server.sockets[0].getsockname()[1]
    return found


def _told(error: OSError, bind: str, port: int, option: str) -> LeafwardError:
    what = f"cannot listen on {bind} port {port}"
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    if error.errno == errno.EADDRINUSE:
        return Busy(what, why=why, hint=f"end what listens there, or choose another port with {option}")
    return StoreError(what, why=why, hint=f"choose a port above 1023 with {option}, and an address of this machine")
