"""The hub's serving certificate and trust bundle, kept as the manager has them.

The manager decides when to renew and answers with the same certificate until it does, so asking once a minute is cheap
and a rotated workload CA is served within a minute. A new certificate counts for new connections; those that stand live
on. While the manager does not answer, the old certificate goes on serving.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from leafward.errors import LeafwardError
from leafward.hub.metrics import HubMetrics
from leafward.hub.workload_client import ServerCertificate
from leafward.hub.x509_authenticator import Trust, ca_identity
from leafward.pki.renewal import Renew, RenewalPolicy
from leafward.wire.tls.connection import TlsConnection
from leafward.wire.tls.context import TlsContext

logger = logging.getLogger(__name__)

ASK_EVERY = timedelta(minutes=1)


class CertificateSource(Protocol):
    """Where certificates come from: the Workload API."""

    async def server_certificate(self) -> ServerCertificate: ...
    async def trust_bundle(self) -> list[x509.Certificate]: ...


class ServingCertificate:
    """Holds the TLS context that every listener shares. `begin` first; then `run` as a task until cancelled."""

    def __init__(
        self,
        source: CertificateSource,
        metrics: HubMetrics,
        clock: Callable[[], datetime],
        *,
        leaf_cas: Iterable[x509.Certificate] = (),
        seen: Callable[[Iterable[x509.Certificate]], None] = lambda _certificates: None,
    ) -> None:
        """`leaf_cas`: CAs that sign leaf devices beside the gateway's own. `seen` is told each chain that is served."""
        self._leaf_cas = frozenset(ca_identity(one) for one in leaf_cas)
        self._seen = seen
        self._source = source
        self._metrics = metrics
        self._clock = clock
        self._policy = RenewalPolicy.parse()
        self._context: TlsContext | None = None
        self._trust = Trust()
        # Every workload CA seen while we run: after a rotation the old one's certificates are still about.
        self._workload_cas: frozenset[bytes] = frozenset()

    @property
    def context(self) -> TlsContext:
        """The context; only after `begin`."""
        assert self._context is not None
        return self._context

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that new connections are shown."""
        return self.context.chain.certificates[0]

    def trust(self) -> Trust:
        """What client certificates are judged by now."""
        return self._trust

    async def begin(self, handshake_failed: Callable[[TlsConnection, ssl.SSLError], None] | None = None) -> None:
        """Gets the first certificate. Raises `PeerUnavailable` when the manager does not answer in time."""
        certificate = await self._source.server_certificate()
        await self._read_trust(certificate)
        self._context = TlsContext.server(
            certificate.chain, certificate.key, client_certificates=True, handshake_failed=handshake_failed
        )

    async def refresh(self) -> bool:
        """Asks once; True when another certificate is served from now on."""
        certificate = await self._source.server_certificate()
        await self._read_trust(certificate)
        if certificate.chain.certificates == self.context.chain.certificates:
            return False
        self.context.replace(certificate.chain, certificate.key)
        self._metrics.certificate_changes += 1
        logger.info("serving a new certificate until %s", certificate.chain.leaf.not_valid_after_utc)
        return True

    async def run(self) -> None:
        """Never returns."""
        while True:
            await asyncio.sleep(ASK_EVERY.total_seconds())
            try:
                await self.refresh()
            except LeafwardError as error:
                logger.warning("the manager gave no certificate, the old one is served: %s", error)
            except Exception:
                # Whatever a strange answer leads to, it must not end a hub that serves.
                logger.exception("asking for the certificate failed, the old one is served")
            decision = self._policy.decide(self.leaf, self._clock())
            if isinstance(decision, Renew):
                logger.warning("the serving certificate is due and not renewed yet: %s", decision.reason)

    async def _read_trust(self, certificate: ServerCertificate) -> None:
        """The served chain says who we are: server, workload CA, device CA, and the CAs above it."""
        anchors = await self._source.trust_bundle()
        issuers = certificate.chain.issuers
        self._workload_cas |= {issuer.subject.public_bytes() for issuer in issuers[:1]}
        through = self._leaf_cas | {ca_identity(one) for one in issuers[1:2]}
        above = frozenset(ca_identity(one) for one in issuers[2:])
        self._trust = Trust(tuple(anchors), self._workload_cas, through, above)
        self._seen(certificate.chain)
