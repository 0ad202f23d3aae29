"""The hub's counters: plain integers where messages pass, turned into Prometheus text only when somebody asks.

A `prometheus_client.Counter` takes a lock at each increment, which at 100,000 messages a second is a tenth of a core.
Everything here is touched by the event loop's thread alone.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(slots=True)
class HubMetrics:
    """The counters. Those of kind `Counter` count by reason."""

    connections: int = 0
    accepted: int = 0
    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    batches: int = 0
    batched_messages: int = 0
    store_failures: int = 0
    certificate_changes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    handshakes_failed: Counter[str] = field(default_factory=Counter)


_GAUGES = {"connections": "MQTT connections open now"}
_COUNTERS = {
    "accepted": "MQTT connections authenticated",
    "messages_in": "Messages taken in",
    "messages_out": "Messages that modules have acknowledged",
    "bytes_in": "Body bytes of those messages",
    "batches": "Durable transactions of the message store",
    "batched_messages": "Messages in those transactions",
    "store_failures": "Transactions that the message store refused",
    "certificate_changes": "Times the serving certificate was replaced",
}
_BY_REASON = {
    "refused": "Connections, requests and messages refused",
    "ended": "MQTT connections ended otherwise than by the client's goodbye",
    "handshakes_failed": "TLS handshakes that failed, by alert",
}


class _HubCollector(Collector):
    def __init__(self, metrics: HubMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"leafward_hub_{name}", text, value=getattr(self._metrics, name))
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
