"""The hub's counters: plain integers where messages pass, turned into Prometheus text only when somebody asks.

A `prometheus_client.Counter` takes a lock at each increment, which at 100,000 messages a second is a tenth of a core.
Everything here is touched by the event loop's thread alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(slots=True)
class HubMetrics:
    """The counters. Those of kind `Counter` count by reason; `measured` are asked when somebody wants to know."""

    connections: int = 0
    accepted: int = 0
    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    plain_in: int = 0
    plain_out: int = 0
    batches: int = 0
    batched_messages: int = 0
    store_failures: int = 0
    certificate_changes: int = 0
    certificates_refused: int = 0
    sockets: int = 0
    handshakes_under_way: int = 0
    handshakes: int = 0
    handshakes_resumed: int = 0
    left_without_a_word: int = 0
    refusals_delayed: int = 0
    refusals_waiting: int = 0
    failures_listed: int = 0
    ticket_keys: int = 0
    revoked_certificates: int = 0
    revocation_failures: int = 0
    crl_ends: float = 0.0
    store_bytes: int = 0
    upstream_connected: int = 0
    upstream_connections: int = 0
    upstream_in_flight: int = 0
    upstream_forwarded: int = 0
    upstream_refused: int = 0
    measured: dict[str, Callable[[], float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    handshakes_failed: Counter[str] = field(default_factory=Counter)
    service_calls: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    twins: Counter[str] = field(default_factory=Counter)
    devicebound: Counter[str] = field(default_factory=Counter)
    key_exchanges: Counter[str] = field(default_factory=Counter)
    store_dropped: Counter[str] = field(default_factory=Counter)


_GAUGES = {
    "connections": "MQTT connections open now",
    "sockets": "Sockets open now, TLS handshakes under way among them",
    "handshakes_under_way": "TLS handshakes under way",
    "refusals_waiting": "Refused logins whose answer waits",
    "store_bytes": "Bytes of the message store's pages in use, looked at each minute",
    "upstream_connected": "Whether the connection upstream stands",
    "upstream_in_flight": "Messages sent upstream and not acknowledged",
    "failures_listed": "Entries of `leafward hub failures`",
    "revoked_certificates": "Certificates that are known to be revoked",
    "crl_ends": "When the first of the revocation lists in use ends, in seconds since 1970; 0 where there is none",
}
_MEASURED = {
    "sessions": "Sessions, of clients that are here and that are away",
    "amqp_connections": "AMQP connections open now",
    "plain_subscriptions": "Subscriptions to plain topics",
    "retained_messages": "Retained messages",
    "retained_bytes": "Bytes that these are counted as",
    "publishers_waiting": "Publishers whose messages are set aside because a subscriber does not keep up",
    "queued_bytes": "Bytes of messages of QoS 1 and 2 on plain topics that clients have not acknowledged",
}
_COUNTERS = {
    "accepted": "MQTT connections authenticated",
    "messages_in": "Messages taken in",
    "messages_out": "Messages of QoS 1 and 2 that clients have acknowledged",
    "bytes_in": "Body bytes of those messages",
    "plain_in": "Messages published on plain topics",
    "plain_out": "Messages sent on plain topics at QoS 0",
    "batches": "Durable transactions of the message store",
    "batched_messages": "Messages in those transactions",
    "store_failures": "Transactions that the message store refused",
    "upstream_connections": "Connections upstream that were accepted",
    "upstream_forwarded": "Messages that upstream has acknowledged",
    "upstream_refused": "Messages that upstream does not take, which were set aside",
    "certificate_changes": "Times the serving certificate was replaced",
    "certificates_refused": "New certificates that did not prove and were not served",
    "handshakes": "TLS handshakes that came to their end",
    "handshakes_resumed": "Of these, those that took up an earlier session",
    "left_without_a_word": "Clients that left right after the handshake, as some do that refuse the certificate",
    "refusals_delayed": "Refused logins that were answered late",
    "ticket_keys": "Times the key that seals session tickets was changed, other than by a new certificate",
    "revocation_failures": "Times a revocation list could not be read or believed; the one before goes on counting",
}
_BY_REASON = {
    "refused": "Connections, requests and messages refused",
    "dropped": "Messages on plain topics that somebody did not get, or that are not retained",
    "ended": "MQTT connections ended otherwise than by the client's goodbye",
    "handshakes_failed": "TLS handshakes that failed, by alert",
    "service_calls": "Calls of the service API, by HTTP status",
    "methods": "Direct methods by their outcome, and answers of devices that were passed over",
    "twins": "Requests for twins by what became of them, and changes told to clients",
    "devicebound": "Messages for devices by what became of them",
    "store_dropped": "Messages dropped from the store that somebody still waited for",
    "key_exchanges": "TLS handshakes by the key exchange agreed on",
}


class _HubCollector(Collector):
    def __init__(self, metrics: HubMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"leafward_hub_{name}", text, value=getattr(self._metrics, name))
        for name, text in _MEASURED.items():
            measure = self._metrics.measured.get(name)
            yield GaugeMetricFamily(f"leafward_hub_{name}", text, value=0.0 if measure is None else measure())
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"leafward_hub_{name}", text, value=getattr(self._metrics, name))
        for name, text in _BY_REASON.items():
            family = CounterMetricFamily(f"leafward_hub_{name}", text, labels=["reason"])
            for reason, count in getattr(self._metrics, name).items():
                family.add_metric([reason], count)
            yield family


def exposition(metrics: HubMetrics) -> bytes:
    """The counters in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_HubCollector(metrics))
    return generate_latest(registry)
