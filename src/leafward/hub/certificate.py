"""The hub's serving certificate and trust bundle, kept as the manager has them.

The manager decides when to renew, and tells by an event at once (`run` listens; a look every few minutes is a safety
net). A new certificate counts for new connections; those that stand live on. The hub proves it for itself before it
serves it: by a strict verification with its own clock, and by a TLS handshake with itself. What fails is not served,
and the manager is told why, so that it goes back to the one before. While the manager does not answer, the old
certificate goes on serving.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from leafward.errors import LeafwardError, PeerUnavailable
from leafward.hub.metrics import HubMetrics
from leafward.hub.named_certificates import Presentation
from leafward.hub.workload_client import ServerCertificate
from leafward.hub.x509_authenticator import Trust, ca_identity
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.names import Host
from leafward.pki.renewal import Renew, RenewalPolicy
from leafward.pki.verify import verify
from leafward.wire.rotation import HubVerdict
from leafward.wire.tls.connection import TlsConnection
from leafward.wire.tls.context import TlsContext
from leafward.wire.tls.handshake import prove

logger = logging.getLogger(__name__)

# The safety net: changes come as events.
ASK_EVERY = timedelta(minutes=5)
# Between two attempts to listen to events.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 60.0
# How often to ask at the start for a certificate that can be proved: the manager goes back to another when told.
MOST_ATTEMPTS = 3


class CertificateSource(Protocol):
    """Where certificates come from: the Workload API."""

    async def server_certificate(self) -> ServerCertificate: ...
    async def trust_bundle(self) -> list[x509.Certificate]: ...
    def changes(self) -> AsyncIterator[str]: ...
    async def report(self, verdict: HubVerdict) -> None: ...


class ServingCertificate:
    """Holds the TLS context that every listener shares. `begin` first; then `run` as a task until cancelled."""

    def __init__(
        self,
        source: CertificateSource,
        metrics: HubMetrics,
        clock: Callable[[], datetime],
        *,
        host: Host,
        leaf_cas: Iterable[x509.Certificate] = (),
        seen: Callable[[Iterable[x509.Certificate]], None] = lambda _certificates: None,
    ) -> None:
        """`host`: the name that leaf devices use. `leaf_cas`: CAs that sign leaf devices beside the gateway's own.

        `seen` is told each chain that is served.
        """
        self._leaf_cas = frozenset(ca_identity(one) for one in leaf_cas)
        self._seen = seen
        self._source = source
        self._metrics = metrics
        self._clock = clock
        self._host = host
        self._policy = RenewalPolicy.parse()
        self._context: TlsContext | None = None
        self._trust = Trust()
        # Every workload CA seen while we run: after a rotation the old one's certificates are still about.
        self._workload_cas: frozenset[bytes] = frozenset()
        # And every device CA: its leaf devices reconnect with what they have. After a restart `leaf_cas` names it.
        self._device_cas = self._leaf_cas
        self._one_at_a_time = asyncio.Lock()

    @property
    def context(self) -> TlsContext:
        """The context; only after `begin`."""
        assert self._context is not None
        return self._context

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that new connections are shown."""
        return self.context.chain.certificates[0]

    def authorities(self) -> list[x509.Certificate]:
        """Every CA whose revocation list may be believed, but for `leaf_cas`: the served chain's, and the anchors."""
        return [*self.context.chain.issuers, *self._trust.anchors]

    def trust(self) -> Trust:
        """What client certificates are judged by now."""
        return self._trust

    async def begin(
        self,
        handshake_failed: Callable[[TlsConnection, ssl.SSLError], None] | None = None,
        *,
        presentation: Presentation | None = None,
    ) -> None:
        """Gets the first certificate. Raises `PeerUnavailable` when the manager does not answer in time.

        One that cannot be proved is served all the same where there is no other: those leaf devices that refuse it are
        no worse off than with a hub that is down, and the log says what is wrong.
        """
        certificate, anchors = await self._first()
        shown = presentation or Presentation()
        self._context = TlsContext.server(
            certificate.chain,
            certificate.key,
            client_certificates=True,
            present_root=shown.present_root,
            others=shown.others,
            refuse_unknown_names=shown.refuse_unknown_names,
            handshake_failed=handshake_failed,
        )
        self._take_trust(certificate.chain, anchors)

    async def _first(self) -> tuple[ServerCertificate, list[x509.Certificate]]:
        """What proves, or else the last that was given: told of a fault, the manager goes back to the one before."""
        given, anchors = await self._ask()
        for _ in range(MOST_ATTEMPTS):
            fault = await self._fault(given, anchors)
            await self._report(given.chain, fault)
            if fault is None:
                return given, anchors
            faulty = given.chain
            given, anchors = await self._ask()
            if given.chain == faulty:
                break
        logger.error("there is no other certificate: it is served all the same")
        return given, anchors

    async def refresh(self) -> bool:
        """Asks once; True when another certificate is served from now on."""
        async with self._one_at_a_time:
            certificate, anchors = await self._ask()
            if certificate.chain == self.context.chain:
                self._take_trust(certificate.chain, anchors)
                await self._report(certificate.chain, None)
                return False
            fault = await self._fault(certificate, anchors) or self._replaced(certificate)
            if fault is None:
                self._take_trust(certificate.chain, anchors)
                self._metrics.certificate_changes += 1
                logger.info("serving a new certificate until %s", certificate.chain.leaf.not_valid_after_utc)
            await self._report(certificate.chain, fault)
            return fault is None

    async def run(self) -> None:
        """Never returns."""
        await asyncio.gather(self._listen(), self._look())

    async def _listen(self) -> None:
        """Takes what is new as soon as the manager tells. A stream that ends is opened again, later each time."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while True:
            began = loop.time()
            try:
                async for _ in self._source.changes():
                    await self._tried()
            except LeafwardError as error:
                logger.debug("no events to listen to: %s", error)
            except Exception:
                logger.exception("listening to events failed")
            pause = FIRST_PAUSE if loop.time() - began > LONGEST_PAUSE else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(ASK_EVERY.total_seconds())
            await self._tried()
            decision = self._policy.decide(self.leaf, self._clock())
            if isinstance(decision, Renew):
                logger.warning("the serving certificate is due and not renewed yet: %s", decision.reason)

    async def _tried(self) -> None:
        try:
            await self.refresh()
        except LeafwardError as error:
            logger.warning("the manager gave no certificate, the old one is served: %s", error)
        except Exception:
            # Whatever a strange answer leads to, it must not end a hub that serves.
            logger.exception("asking for the certificate failed, the old one is served")

    async def _ask(self) -> tuple[ServerCertificate, list[x509.Certificate]]:
        return await self._source.server_certificate(), await self._source.trust_bundle()

    async def _fault(self, certificate: ServerCertificate, anchors: Sequence[x509.Certificate]) -> str | None:
        """Why a chain and its key cannot be served; None where they prove. In a thread: connections go on meanwhile."""
        try:
            return await asyncio.to_thread(self._prove, certificate, anchors)
        except LeafwardError as error:
            return str(error)
        except Exception as error:
            logger.exception("the new certificate could not be proved")
            return f"{type(error).__name__}: {error}"

    def _prove(self, certificate: ServerCertificate, anchors: Sequence[x509.Certificate]) -> str | None:
        now = self._clock()
        verdict = verify(certificate.chain, anchors, now=now, name=self._host, purpose="server")
        if not verdict.valid:
            return verdict.reason or "it does not verify"
        prove(certificate.chain, certificate.key, anchors, self._host, now=now)
        return None

    def _replaced(self, certificate: ServerCertificate) -> str | None:
        """Serves it from the next connection on; why not, and then the old one goes on."""
        try:
            self.context.replace(certificate.chain, certificate.key)
        except LeafwardError as error:
            return str(error)
        return None

    async def _report(self, chain: Chain, fault: str | None) -> None:
        """The manager keeps the old certificate until it knows; one that cannot be told asks no more of us."""
        if fault is not None:
            self._metrics.certificates_refused += 1
            logger.error("the certificate that the manager gives does not prove: %s", fault)
        verdict = HubVerdict(fingerprint(chain.leaf), fault is None, fault, self._metrics.connections)
        try:
            await self._source.report(verdict)
        except PeerUnavailable as error:
            logger.warning("the manager was not told about the certificate: %s", error)
        except LeafwardError as error:
            logger.debug("the manager takes no verdict: %s", error)

    def _take_trust(self, chain: Chain, anchors: Sequence[x509.Certificate]) -> None:
        """The served chain says who we are: server, workload CA, device CA, and the CAs above it."""
        issuers = chain.issuers
        self._workload_cas |= {issuer.subject.public_bytes() for issuer in issuers[:1]}
        self._device_cas |= {ca_identity(one) for one in issuers[1:2]}
        above = frozenset(ca_identity(one) for one in issuers[2:])
        before, self._trust = self._trust, Trust(tuple(anchors), self._workload_cas, self._device_cas, above)
        if self._context is not None and not set(before.anchors) <= set(anchors):
            # Who was let in by a root that is gone shall not take up that session.
            self._context.forget_tickets()
        self._seen(chain)
