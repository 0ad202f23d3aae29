"""How many sockets may be open, and how fast new ones may come: counted from the accept on, before any handshake.

A stranger who opens sockets and says nothing would otherwise use up the process's descriptors, and nobody else could
come in. Whoever is too many, or too fast, is reset at once.

    all together             `connections`
    from one address         `connections_per_address`, and `connection_rate` new ones a second after `connection_burst`
    not through with TLS     `handshakes`: here it is not the newcomer who goes, but one who has been at it for long

A handshake that never ends is worth nothing to anybody. So where too many are under way the oldest is dropped, of the
newcomer's own address first if that has more than its share: an honest client is through in a moment.

Processes of this machine count in all, and not by address: they are behind no other limit of ours anyway, and a proxy
or a simulated fleet on the gateway comes from one address. An IPv6 host has its whole /64 network, and counts as one.
"""

import ipaddress
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache

from leafward.hub.log_budget import LogBudget
from leafward.hub.metrics import HubMetrics
from leafward.hub.settings import Limits

logger = logging.getLogger(__name__)

TOLD_EVERY_SECONDS = 60.0
# Addresses whose rate is remembered, about 200 bytes each; the one that came longest ago is forgotten first.
MOST_RATES = 8192
# Of all handshakes that may be under way, one address may have this part before its own are dropped first.
SHARE = 8

# What has connections that are not through with TLS: an address, or None for this machine.
_Source = str | None


class Ticket:
    """One open socket. `leave` when it is closed; more than once does no harm."""

    __slots__ = ("_gate", "_source", "give_up")

    def __init__(self, gate: "Gate", source: _Source, give_up: Callable[[], object] | None = None) -> None:
        self._gate: Gate | None = gate
        self._source = source
        # Ends the handshake; set by the listener. None once it is done.
        self.give_up = give_up

    @property
    def source(self) -> _Source:
        """What it counts for."""
        return self._source

    def established(self) -> None:
        """The handshake is done."""
        self.give_up = None
        if self._gate is not None:
            self._gate.through(self)

    def leave(self) -> None:
        """The socket is closed."""
        gate, self._gate = self._gate, None
        # The task that it would end holds us: what is over shall not wait for the garbage collector.
        self.give_up = None
        if gate is not None:
            gate.left(self)


class Gate:
    """Counts the sockets of every listener together. `monotonic` gives seconds."""

    def __init__(
        self,
        limits: Limits,
        metrics: HubMetrics,
        *,
        budget: LogBudget | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = limits.connections
        self._most_of_one = limits.most_from_one_address
        self._most_shaking = limits.most_handshakes
        self._rates = _Rates(limits.connection_rate, limits.connection_burst, monotonic)
        self._metrics = metrics
        self._open = 0
        self._sources: Counter[str] = Counter()
        # In the order they came, of each address and of all.
        self._shaking: dict[Ticket, None] = {}
        self._shaking_of: dict[_Source, dict[Ticket, None]] = {}
        self._budget = LogBudget(1, TOLD_EVERY_SECONDS) if budget is None else budget

    def __len__(self) -> int:
        return self._open

    def enter(self, address: str) -> Ticket | None:
        """A ticket for a socket from `address`, or None when there are too many or they come too fast."""
        source = source_of(address)
        if self._open >= self._most:
            self._refuse("too-many-connections", f"{self._open} are open", address)
            return None
        if source is not None:
            if self._sources[source] >= self._most_of_one:
                self._refuse("too-many-from-one-address", f"{self._sources[source]} are open from there", address)
                return None
            if not self._rates.take(source):
                self._refuse("too-fast-from-one-address", "it opens them too fast", address)
                return None
            self._sources[source] += 1
        if len(self._shaking) >= self._most_shaking:
            self._drop_one(source)
        ticket = Ticket(self, source)
        self._shaking[ticket] = None
        self._shaking_of.setdefault(source, {})[ticket] = None
        self._counted(1)
        return ticket

    def through(self, ticket: Ticket) -> None:
        """For tickets alone."""
        if self._shaking.pop(ticket, ticket) is None:
            of_source = self._shaking_of[ticket.source]
            del of_source[ticket]
            if not of_source:
                del self._shaking_of[ticket.source]
            self._metrics.handshakes_under_way = len(self._shaking)

    def left(self, ticket: Ticket) -> None:
        """For tickets alone."""
        self.through(ticket)
        self._counted(-1)
        source = ticket.source
        if source is not None:
            self._sources[source] -= 1
            if not self._sources[source]:
                del self._sources[source]

    def _counted(self, step: int) -> None:
        self._open += step
        self._metrics.sockets = self._open
        self._metrics.handshakes_under_way = len(self._shaking)

    def _drop_one(self, newcomer: _Source) -> None:
        """The handshake that has been under way for longest gives way."""
        own = self._shaking_of.get(newcomer, {})
        victim = next(iter(own if len(own) * SHARE > self._most_shaking else self._shaking))
        give_up = victim.give_up
        self.through(victim)
        self._metrics.refused["too-many-handshakes"] += 1
        if self._budget.take():
            logger.warning("%d TLS handshakes are under way: the oldest is dropped", self._most_shaking)
        if give_up is not None:
            give_up()

    def _refuse(self, code: str, why: str, address: str) -> None:
        self._metrics.refused[code] += 1
        if self._budget.take():
            count = self._metrics.refused[code]
            logger.warning("a connection from %s is reset: %s (%s, %d until now)", address, why, code, count)


class _Rates:
    """A bucket of connections for each address, which refills steadily. One that is full again need not be kept."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, source: str) -> bool:
        now = self._monotonic()
        level, since = self._buckets.pop(source, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        taken = level >= 1.0
        self._buckets[source] = (level - 1.0 if taken else level, now)
        if len(self._buckets) > MOST_RATES:
            self._buckets.popitem(last=False)
        return taken


def with_port(peer: Sequence[object]) -> str:
    """A socket's address as people write it.

    >>> with_port(("192.0.2.1", 1883)), with_port(("2001:db8::1", 1883, 0, 0))
    ('192.0.2.1:1883', '[2001:db8::1]:1883')
    """
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def host_of(address: str) -> str:
    """The address in what may be `with_port`.

    >>> host_of("192.0.2.1:1883"), host_of("[2001:db8::1]:1883"), host_of("2001:db8::1"), host_of("?")
    ('192.0.2.1', '2001:db8::1', '2001:db8::1', '?')
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or (":" in host and not host.startswith("[")):
        return address
    return host.strip("[]") or address


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What counts as one source: an IPv4 address, an IPv6 network of 64 bits; what is none of them, as it is.

    >>> network_of("2001:db8::1:2"), network_of("::ffff:192.0.2.1"), network_of("127.0.0.9")
    ('2001:db8::/64', '192.0.2.1', '127.0.0.9')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(parsed) if parsed.is_loopback else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed if isinstance(parsed, ipaddress.IPv4Address) else parsed.ipv4_mapped)


@lru_cache(maxsize=4096)
def source_of(address: str) -> str | None:
    """As `network_of`, but None for this machine and for no address: these are not limited.

    >>> source_of("2001:db8::1:2"), source_of("::ffff:192.0.2.1"), source_of("127.0.0.9")
    ('2001:db8::/64', '192.0.2.1', None)
    """
    network = network_of(address)
    try:
        return None if ipaddress.ip_address(network).is_loopback else network
    except ValueError:
        return network if "/" in network else None
