"""Who could not connect: each failed handshake and each refused login, counted by who it was and what went wrong.

The log says it once and forgets; a counter knows how many and not who. Here one entry stands for all failures of one
kind from one address: how often, first and last, and what the last one looked like. So a leaf device that tries each
second is one line for the operator, and the list is bounded whatever strangers do.

    key       handshake: address, server name, symptom      login: address, identity claimed, code
    bound     512 of each kind, 16 of one network: the one that was last seen longest ago goes first

Whether somebody from that address, or that identity, has connected since stands beside it: an entry of yesterday that
has come in today is nobody's trouble any more.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from leafward.hub.gate import network_of
from leafward.hub.metrics import HubMetrics

Kind = Literal["handshake", "login"]
MOST, MOST_OF_ONE = 512, 16
# Addresses whose device is remembered, about 200 bytes each.
MOST_CLIENTS = 4096
# Several devices have come from there: none of them is meant.
_SEVERAL = ""

Evidence: TypeAlias = Mapping[str, str | int | bool | list[str] | None]
Key: TypeAlias = tuple[Kind, str, str, str]


@dataclass(slots=True)
class Failure:
    """One line of the list.

    `who` is the server name that was asked for, or the identity that was claimed; "" for none. `symptom` is the alert
    or what else was seen, and for a login its code. `code` is the doctor's, `alternatives` what it may be besides.
    `evidence` is of the last time. `device`: who has come from that address before, where that is one device alone.
    `connected`: when somebody from there (a login: this identity) came in after the first failure. All times are UTC.
    """

    kind: Kind
    address: str
    who: str
    symptom: str
    code: str
    first: datetime
    last: datetime
    count: int = 1
    alternatives: tuple[str, ...] = ()
    evidence: Evidence = field(default_factory=dict)
    certificate: str | None = None
    device: str | None = None
    connected: datetime | None = None

    @property
    def key(self) -> Key:
        """What makes two failures one line."""
        return self.kind, self.address, self.who, self.symptom


class Failures:
    """The list. For the loop's thread."""

    def __init__(self, metrics: HubMetrics, since: datetime) -> None:
        """`since` is the time of now: nothing before it is known."""
        self.since = since
        # Something is not on disk yet.
        self.changed = False
        self._metrics = metrics
        # The one that was last seen longest ago first.
        self._all: dict[Kind, OrderedDict[Key, Failure]] = {"handshake": OrderedDict(), "login": OrderedDict()}
        self._of_network: dict[tuple[Kind, str], OrderedDict[Key, None]] = {}
        self._clients: OrderedDict[str, str] = OrderedDict()

    def note(self, failure: Failure) -> Failure:
        """One more failure; the line that it counts in."""
        known = self._all[failure.kind].get(failure.key)
        if known is not None:
            failure.count, failure.first = known.count + failure.count, known.first
            failure.connected = known.connected
        failure.device = self._clients.get(failure.address) or (known.device if known is not None else None)
        self._put(failure)
        return failure

    def connected(self, address: str, client_id: str, at: datetime) -> None:
        """Somebody has come in from `address` (without its port)."""
        known = self._clients.pop(address, client_id)
        self._clients[address] = client_id if known == client_id else _SEVERAL
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        network = network_of(address)
        for kind in self._all:
            for key in self._of_network.get((kind, network), ()):
                failure = self._all[kind][key]
                if failure.address == address and (kind == "handshake" or failure.who == client_id):
                    failure.connected, self.changed = at, True

    def all(self) -> list[Failure]:
        """Every line, the latest first."""
        found = [failure for kind in self._all.values() for failure in kind.values()]
        return sorted(found, key=lambda failure: failure.last, reverse=True)

    def clear(self, at: datetime) -> int:
        """Forgets all of it; how many lines there were."""
        count = len(self)
        for kind in self._all.values():
            kind.clear()
        self._of_network.clear()
        self.since, self.changed = at, True
        self._counted()
        return count

    def restore(self, failures: Iterable[Failure], since: datetime) -> None:
        """Takes back what an earlier run knew."""
        self.since = since
        for failure in sorted(failures, key=lambda one: one.last):
            self._put(failure)
        self.changed = False

    def __len__(self) -> int:
        return sum(map(len, self._all.values()))

    def _put(self, failure: Failure) -> None:
        kind, key, network = failure.kind, failure.key, (failure.kind, network_of(failure.address))
        own = self._of_network.setdefault(network, OrderedDict())
        own[key] = None
        own.move_to_end(key)
        self._all[kind][key] = failure
        self._all[kind].move_to_end(key)
        if len(own) > MOST_OF_ONE:
            self._drop(kind, next(iter(own)))
        if len(self._all[kind]) > MOST:
            self._drop(kind, next(iter(self._all[kind])))
        self.changed = True
        self._counted()

    def _drop(self, kind: Kind, key: Key) -> None:
        failure = self._all[kind].pop(key)
        network = (kind, network_of(failure.address))
        own = self._of_network[network]
        del own[key]
        if not own:
            del self._of_network[network]

    def _counted(self) -> None:
        self._metrics.failures_listed = len(self)
