"""The key that seals session tickets: this process's alone, in memory, and changed from time to time.

A ticket lets a client take up an earlier TLS session: its certificate is remembered, its key is not proved anew. So no
ticket may outlive what was proved. Every CONNECT is judged by what holds then, whatever TLS remembers; and beyond that
the key is changed, which makes every ticket of before worthless, when

    the hub starts                 the key was never written down: a wipe or a restart ends every ticket
    another certificate is served  `TlsContext.replace`
    something is revoked, or less is trusted than before
    twelve hours have passed       whoever steals a key reads the sessions that were resumed under it, and no others

A client that comes with a worthless ticket gets a full handshake, and notices nothing but half a millisecond.
"""

import asyncio
import logging
from collections.abc import Callable

from leafward.hub.metrics import HubMetrics
from leafward.wire.tls.context import TICKET_LIFETIME, TlsContext

logger = logging.getLogger(__name__)


class TicketKeys:
    """Changes the key. `run` is a task; cancel it to stop."""

    def __init__(self, context: Callable[[], TlsContext], metrics: HubMetrics) -> None:
        self._context = context
        self._metrics = metrics

    def forget(self, why: str) -> None:
        """From now on every client gets a full handshake first."""
        self._context().forget_tickets()
        self._metrics.ticket_keys += 1
        logger.info("session tickets of before are worthless: %s", why)

    async def run(self) -> None:
        """Never returns."""
        while True:
            await asyncio.sleep(TICKET_LIFETIME.total_seconds())
            self.forget("their time is over")
