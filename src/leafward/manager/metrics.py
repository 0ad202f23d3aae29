"""The manager's metrics in Prometheus' text format: everything that a person would otherwise have to look up.

Read from what is in use at the moment of asking; only the requests are counted as they pass. Labels are roles, routes
and statuses, of which there are few: nothing that a caller can make up becomes one.
"""

from leafward.manager.request_counts import RequestCounts
from leafward.manager.start import Standing

__all__ = ["CONTENT_TYPE", "RequestCounts", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(standing: Standing, requests: RequestCounts) -> bytes:
    """Everything, in Prometheus' text format."""
    from leafward.manager import metric_families  # noqa: PLC0415 - its library is loaded by the first who asks

    return metric_families.exposition(standing, requests)
