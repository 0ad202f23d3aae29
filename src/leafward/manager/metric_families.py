"""The manager's metrics as Prometheus' library builds them, read from what is in use at the moment of asking.

A room of its own, because the library is loaded by the first who asks: most gateways have nobody who does.
"""

from collections.abc import Iterator

from cryptography import x509
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from leafward.manager.announcer import certificates
from leafward.manager.request_counts import RequestCounts
from leafward.manager.schedule import moments, offline_end
from leafward.manager.start import Standing
from leafward.pki.chain import Chain

_PREFIX = "leafward_manager"


class _ManagerCollector(Collector):
    def __init__(self, standing: Standing, requests: RequestCounts) -> None:
        self._standing = standing
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        yield self._not_after()
        yield from self._times()
        yield from self._renewals()
        yield self._requests_family()

    def _not_after(self) -> Metric:
        family = GaugeMetricFamily(
            f"{_PREFIX}_certificate_not_after_seconds", "When a certificate ends (Unix time)", labels=["certificate"]
        )
        for name, certificate in {**certificates(self._standing), **_above(self._standing.device_ca.chain)}.items():
            family.add_metric([name], certificate.not_valid_after_utc.timestamp())
        return family

    def _times(self) -> Iterator[Metric]:
        standing = self._standing
        gauges = {
            "next_event_seconds": ("When something happens next (Unix time)", moments(standing)[0].at.timestamp()),
            "safe_offline_until_seconds": (
                "Until when leaf devices keep connecting with nothing from outside (Unix time)",
                offline_end(standing.device_ca.chain).at.timestamp(),
            ),
            "time_seconds": ("The time that is used (Unix time)", standing.time.now().timestamp()),
            "time_floor_in_use": ("1 while the system's clock is behind what is known", float(standing.time.in_use)),
            "subscribers": ("Who listens to events", float(len(standing.events))),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)

    def _renewals(self) -> Iterator[Metric]:
        done = CounterMetricFamily(f"{_PREFIX}_renewals", "Certificates replaced", labels=["certificate"])
        failed = CounterMetricFamily(f"{_PREFIX}_renewals_failed", "Renewals that failed", labels=["certificate"])
        for role in certificates(self._standing):
            record = self._standing.journal.of(role)
            done.add_metric([role], record.done)
            failed.add_metric([role], record.failed)
        yield from (done, failed)

    def _requests_family(self) -> Metric:
        family = CounterMetricFamily(f"{_PREFIX}_requests", "Requests answered", labels=["api", "endpoint", "status"])
        for (api, endpoint, status), count in self._requests.items():
            family.add_metric([api, endpoint, str(status)], count)
        return family


def exposition(standing: Standing, requests: RequestCounts) -> bytes:
    """Everything, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ManagerCollector(standing, requests))
    return generate_latest(registry)


def _above(device_ca: Chain) -> dict[str, x509.Certificate]:
    """The maker's certificates above the device CA: intermediates counted from below, and the root."""
    *intermediates, root = device_ca.issuers or (device_ca.leaf,)
    named = {f"intermediate_ca_{number}": one for number, one in enumerate(intermediates, start=1)}
    return {**named, "root_ca": root}
