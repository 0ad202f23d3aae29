"""Ends live connections whose client certificate is revoked, and those that rest on an anchor which is trusted no more.

The registry is watched elsewhere (`registry_watch.py`). Here the files are looked at: a connection lives for some two
seconds after its certificate appeared on a list. Who is cut may come again, and is judged by what holds then. Session
tickets of before go with it: nobody takes up a session that was made under another standing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from cryptography import x509

from leafward.hub.broker import Broker
from leafward.hub.revocation import CertificateId, Revocations, id_of

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0


class RevocationWatch:
    """`run` is a task; cancel it to stop. `anchors` gives the trust bundle of now; `forget_tickets` is told why."""

    def __init__(
        self,
        revocations: Revocations,
        broker: Broker,
        *,
        anchors: Callable[[], Iterable[x509.Certificate]],
        forget_tickets: Callable[[str], None],
    ) -> None:
        self._revocations = revocations
        self._broker = broker
        self._anchors = anchors
        self._forget_tickets = forget_tickets
        self._trusted = self._anchors_now()

    async def run(self) -> None:
        """Never returns."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.look()
            except Exception:
                # Whatever strange files lead to, it must not end a hub that serves.
                logger.exception("looking at the revocation lists failed")

    async def look(self) -> None:
        """One look; cuts who must be cut."""
        revoked = await asyncio.to_thread(self._revocations.look)
        trusted = self._anchors_now()
        gone, self._trusted = self._trusted - trusted, trusted
        if revoked:
            self._cut(self._revocations.any_of, "its certificate is revoked")
        if gone:
            self._cut(lambda proved: not gone.isdisjoint(proved), "its root is trusted no more")

    def _cut(self, is_void: Callable[[Iterable[CertificateId]], bool], why: str) -> None:
        self._forget_tickets(why)
        for client_id, peer in self._broker.peers().items():
            if peer.proved and is_void(peer.proved):
                self._broker.cut(client_id, peer, why, forget=False)

    def _anchors_now(self) -> frozenset[CertificateId]:
        return frozenset(id_of(anchor) for anchor in self._anchors())
