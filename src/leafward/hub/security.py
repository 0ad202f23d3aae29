"""What guards a hub, put together: who may come in, who came in vain, who has to go.

accept ── Gate ── HandshakeWatch ── TLS ── Authenticator ── Refusals ── in
                      `── Failures ─────────────────────────'
RevocationWatch, TicketKeys: what was proved before and does not hold any more
"""

import asyncio
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

from cryptography import x509

from leafward.hub.authenticator import Authenticator
from leafward.hub.broker import Broker
from leafward.hub.certificate import ServingCertificate
from leafward.hub.clock import HubClock
from leafward.hub.failures import Failures
from leafward.hub.failures_file import FailuresFile
from leafward.hub.failures_handshakes import HandshakeWatch
from leafward.hub.failures_service import FailuresService
from leafward.hub.login_delay import LoginDelay
from leafward.hub.metrics import HubMetrics
from leafward.hub.named_certificates import NamedCertificates
from leafward.hub.nested_authenticator import NestedAuthenticator
from leafward.hub.refusals import Refusals
from leafward.hub.revocation import Revocations
from leafward.hub.revocation_watch import RevocationWatch
from leafward.hub.sas_authenticator import SasAuthenticator
from leafward.hub.service_api import ServiceRoute
from leafward.hub.settings import HubSettings, Limits
from leafward.hub.tickets import TicketKeys
from leafward.hub.x509_authenticator import X509Authenticator
from leafward.store.home import Home
from leafward.store.identity import Identities

FAILURES_FILE = "failures.json"


class Security:
    """Made first; `open` when the certificate can be asked for. For the loop's thread."""

    def __init__(self, home: Home, settings: HubSettings, limits: Limits, metrics: HubMetrics, clock: HubClock) -> None:
        self.failures = Failures(metrics, clock())
        # An answer that comes after `connect_timeout` would not come at all.
        longest = min(limits.login_delay, limits.connect_timeout / 2)
        self.refusals = Refusals(metrics, failures=self.failures, delay=LoginDelay(longest=longest))
        self.handshakes = HandshakeWatch(
            self.failures,
            metrics,
            clock,
            monotonic=asyncio.get_running_loop().time,
            handshake_timeout=limits.handshake_timeout,
            connect_timeout=limits.connect_timeout,
        )
        self.limits = limits
        self.metrics = metrics
        self._home = home
        self._settings = settings
        self._clock = clock
        self._file = FailuresFile(home.hub / FAILURES_FILE, self.failures)
        self._names = NamedCertificates(settings.hub, home.settings.parent, clock)
        self._certificate: ServingCertificate | None = None
        self._revocations: Revocations | None = None

    async def open(
        self,
        certificate: ServingCertificate,
        registry: Identities,
        *,
        hub_name: str,
        leaf_cas: Iterable[x509.Certificate],
    ) -> Authenticator:
        """Gets the certificate, reads the revocation lists and the failures of before; the judge of who may come in.

        `hub_name` is the IoT hub's. Raises what `ServingCertificate.begin` and `Revocations.load` do.
        """
        self._file.restore()
        await certificate.begin(self.handshakes.failed, presentation=self._names.presentation())
        known = tuple(leaf_cas)
        revocations = Revocations(
            [_path(self._home, name) for name in self._settings.hub.crls],
            self._home.published_retired,
            cas=lambda: (*known, *certificate.authorities()),
            clock=self._clock,
            metrics=self.metrics,
        )
        revocations.load()
        self._certificate, self._revocations = certificate, revocations
        sas = SasAuthenticator(registry, frozenset(name.lower() for name in (self._settings.hostname, hub_name)))
        return Authenticator(
            sas,
            X509Authenticator(registry, certificate.trust, revoked=revocations.any_of),
            NestedAuthenticator(registry, sas, self._settings.device_id),
        )

    def tasks(self, broker: Broker) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the hub does; after `open`."""
        certificate, revocations = self._certificate, self._revocations
        assert certificate is not None
        assert revocations is not None
        tickets = TicketKeys(lambda: certificate.context, self.metrics)
        watch = RevocationWatch(
            revocations, broker, anchors=lambda: certificate.trust().anchors, forget_tickets=tickets.forget
        )
        return [
            watch.run(),
            tickets.run(),
            self._file.run(),
            self._names.run(certificate.context.serve_also),
        ]

    def routes(self) -> list[ServiceRoute]:
        """What the operator may ask."""
        return FailuresService(self.failures, self._clock).routes()

    async def close(self) -> None:
        """From now on the hub ends connections itself; what is known is kept."""
        self.handshakes.stopping = True
        await self._file.save()


def _path(home: Home, name: str) -> Path:
    return home.settings.parent / name
