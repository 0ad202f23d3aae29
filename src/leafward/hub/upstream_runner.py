"""Keeps a connection upstream: makes it, renews its token before it ends, and makes it again, each time a little later.

    read the files -> TCP, TLS, CONNECT -> forward -> the connection ends -> a pause -> ...

The pauses double up to the longest, and are cut at random: a hundred gateways do not come back in the same second. A
connection that brought something, or stood for a while, begins with the first pause again.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from leafward.errors import LeafwardError, PeerUnavailable
from leafward.hub.metrics import HubMetrics
from leafward.hub.upstream import Forwarder
from leafward.hub.upstream_credentials import Destination, UpstreamCredentials
from leafward.hub.upstream_link import Ended, UpstreamLink
from leafward.hub.upstream_settings import UpstreamTable

logger = logging.getLogger(__name__)

# Seconds: how often the rate is noted, and how long a connection has to stand to count as a good one.
TICK = 5.0
GOOD_AFTER = 60.0
# Seconds that what is in flight has before its connection is replaced or the hub stops.
FINISH = 10.0


@dataclass(slots=True)
class UpstreamState:
    """What there is to say about the connection. Times are aware, UTC."""

    connected_since: datetime | None = None
    where: str = ""
    attempts: int = 0
    last_error: str | None = None
    last_error_at: datetime | None = None
    next_attempt_in: float | None = None


class Upstream:
    """Runs as a task. `clock` gives the time in UTC."""

    def __init__(
        self,
        table: UpstreamTable,
        credentials: UpstreamCredentials,
        forwarder: Forwarder,
        metrics: HubMetrics,
        clock: Callable[[], datetime],
        *,
        patience: float,
    ) -> None:
        """`patience`: seconds that `close` waits for what is in flight."""
        self._table = table
        self._patience = patience
        self._credentials = credentials
        self._forwarder = forwarder
        self._metrics = metrics
        self._clock = clock
        self._pause = table.first_pause
        self._link: UpstreamLink | None = None
        self._closing = False
        # (seconds of the loop's clock, messages forwarded until then), of the last minute.
        self._samples: deque[tuple[float, int]] = deque(maxlen=13)
        self.state = UpstreamState(where=credentials.where)

    @property
    def kind(self) -> str:
        """As the settings have it."""
        return self._table.kind

    @property
    def rate(self) -> float:
        """Messages a second that upstream acknowledged, over the last minute."""
        now, total = asyncio.get_running_loop().time(), self._metrics.upstream_forwarded
        if not self._samples:
            return 0.0
        since, before = self._samples[0]
        return (total - before) / max(now - since, 1e-3)

    async def run(self) -> None:
        """Until `close`, or until it is cancelled."""
        ticker = asyncio.create_task(self._tick())
        try:
            while not self._closing:
                began, forwarded = asyncio.get_running_loop().time(), self._metrics.upstream_forwarded
                ended = await self._one_connection()
                stood = asyncio.get_running_loop().time() - began
                if stood > GOOD_AFTER or self._metrics.upstream_forwarded > forwarded:
                    self._pause = self._table.first_pause
                if ended.error is not None:  # else it was our own goodbye, for a new token
                    await self._wait()
        finally:
            ticker.cancel()

    async def close(self) -> None:
        """What is in flight has a little time for its acknowledgements; then goodbye."""
        self._closing = True
        link = self._link
        if link is None:
            return
        self._forwarder.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await asyncio.shield(link.ended)
        link.end(None)

    async def _one_connection(self) -> Ended:
        """Makes one and stays until it ends; how that was. What fails before is told in the same way."""
        self.state.attempts += 1
        self.state.next_attempt_in = None
        try:
            destination = await asyncio.to_thread(self._credentials.read, self._clock())
            self.state.where = f"{destination.host}:{destination.port}"
            link = await self._connected(destination)
        except LeafwardError as error:
            self._tell(error)
            return Ended(error, by_server=False)
        except Exception as error:
            logger.exception("a fault of ours: the connection upstream was not made")
            self._tell(PeerUnavailable("the connection upstream was not made", why=f"{type(error).__name__}: {error}"))
            return Ended(PeerUnavailable("not made"), by_server=False)
        return await self._stay(link, destination)

    async def _connected(self, destination: Destination) -> UpstreamLink:
        loop = asyncio.get_running_loop()
        link = UpstreamLink(destination.terms, self._forwarder)
        try:
            async with asyncio.timeout(self._table.connect_timeout):
                await loop.create_connection(
                    lambda: link,
                    destination.host,
                    destination.port,
                    ssl=destination.tls,
                    server_hostname=destination.host,
                )
                await link.opened
        except ssl.SSLCertVerificationError as error:
            hint = "name the CA that vouches for it: hub.upstream.trust"
            raise PeerUnavailable(
                "upstream's certificate is not trusted", why=error.verify_message, hint=hint
            ) from error
        except (OSError, TimeoutError) as error:
            why = str(error) or "it does not answer in time"
            raise PeerUnavailable(f"upstream {self.state.where} cannot be reached", why=why) from error
        finally:
            if not link.opened.done() or link.opened.exception() is not None:
                link.end(PeerUnavailable("given up"))
        return link

    async def _stay(self, link: UpstreamLink, destination: Destination) -> Ended:
        self._link = link
        self.state.connected_since = self._clock()
        self._metrics.upstream_connected = 1
        self._metrics.upstream_connections += 1
        logger.info("connected upstream to %s", self.state.where)
        ended = None
        try:
            self._forwarder.attach(link, destination.form)
            ended = await self._until_over(link, destination.renew_after)
        finally:
            self._link = None
            self.state.connected_since = None
            self._metrics.upstream_connected = 0
            self._forwarder.detach(by_server=ended is not None and ended.by_server)
            link.end(PeerUnavailable("the hub stops"))
        if ended.error is not None:
            self._tell(ended.error)
        return ended

    async def _until_over(self, link: UpstreamLink, renew_after: float | None) -> Ended:
        """Until the connection ends by itself, or we end it because its token will not be good much longer."""
        if renew_after is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(renew_after):
                    return await asyncio.shield(link.ended)
            self._forwarder.finish()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FINISH):
                    return await asyncio.shield(link.ended)
            link.end(None)
        return await link.ended

    async def _wait(self) -> None:
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._pause = min(self._pause * 2, self._table.longest_pause)
        self.state.next_attempt_in = pause
        await asyncio.sleep(pause)

    async def _tick(self) -> None:
        """Notes the rate; and looks again where nothing moves, should a look into the store have failed."""
        while True:
            self._samples.append((asyncio.get_running_loop().time(), self._metrics.upstream_forwarded))
            self._metrics.upstream_in_flight = self._forwarder.in_flight
            if not self._forwarder.in_flight:
                self._forwarder.look_again()
            await asyncio.sleep(TICK)

    def _tell(self, error: LeafwardError) -> None:
        """The same trouble is told once, and then only counted."""
        text = str(error) if error.hint is None else f"{error}; {error.hint}"
        if text != self.state.last_error:
            logger.warning("%s", text)
        self.state.last_error, self.state.last_error_at = text, self._clock()
