"""How many sockets may be open, in all and from one address: counted from the accept on, before any handshake.

A stranger who opens sockets and says nothing would otherwise use up the process's descriptors, and nobody else could
come in. Whoever is too many is reset at once.

Processes of this machine count in all, and not by address: they are behind no other limit of ours anyway, and a proxy
or a simulated fleet on the gateway comes from one address. An IPv6 host has its whole /64 network, and counts as one.
"""

import ipaddress
import logging
from collections import Counter
from functools import lru_cache

from leafward.hub.log_budget import LogBudget
from leafward.hub.metrics import HubMetrics
from leafward.hub.settings import Limits

logger = logging.getLogger(__name__)

TOLD_EVERY_SECONDS = 60.0


class Ticket:
    """One open socket. `leave` when it is closed; more than once does no harm."""

    __slots__ = ("_gate", "_source")

    def __init__(self, gate: "Gate", source: str | None) -> None:
        self._gate: Gate | None = gate
        self._source = source

    def leave(self) -> None:
        """The socket is closed."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.left(self._source)


class Gate:
    """Counts the sockets of every listener together."""

    def __init__(self, limits: Limits, metrics: HubMetrics, *, budget: LogBudget | None = None) -> None:
        self._most = limits.connections
        self._most_of_one = limits.most_from_one_address
        self._metrics = metrics
        self._open = 0
        self._sources: Counter[str] = Counter()
        self._budget = LogBudget(1, TOLD_EVERY_SECONDS) if budget is None else budget

    def __len__(self) -> int:
        return self._open

    def enter(self, address: str) -> Ticket | None:
        """A ticket for a socket from `address`, or None when there are too many."""
        source = source_of(address)
        if self._open >= self._most:
            self._refuse("too-many-connections", f"{self._open} are open", address)
            return None
        if source is not None and self._sources[source] >= self._most_of_one:
            self._refuse("too-many-from-one-address", f"{self._sources[source]} are open from there", address)
            return None
        self._open += 1
        if source is not None:
            self._sources[source] += 1
        return Ticket(self, source)

    def left(self, source: str | None) -> None:
        """For tickets alone."""
        self._open -= 1
        if source is not None:
            self._sources[source] -= 1
            if not self._sources[source]:
                del self._sources[source]

    def _refuse(self, code: str, why: str, address: str) -> None:
        self._metrics.refused[code] += 1
        if self._budget.take():
            count = self._metrics.refused[code]
            logger.warning("a connection from %s is reset: %s (%s, %d until now)", address, why, code, count)


@lru_cache(maxsize=4096)
def source_of(address: str) -> str | None:
    """What counts as one: an IPv4 address, an IPv6 network of 64 bits; None for this machine and for no address.

    >>> source_of("2001:db8::1:2"), source_of("::ffff:192.0.2.1"), source_of("127.0.0.9")
    ('2001:db8::/64', '192.0.2.1', None)
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return None if parsed.is_loopback else str(ipaddress.ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return None if parsed.is_loopback else str(parsed)
