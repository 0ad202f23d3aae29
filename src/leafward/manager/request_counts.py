"""How many requests were answered, by API, route and status: what the metrics tell of them."""

from collections import Counter
from collections.abc import Callable
from functools import partial


class RequestCounts:
    """Requests by API, route and status. For the loop's thread."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def count(self, api: str, endpoint: str, status: int) -> None:
        """One request was answered. `endpoint` is the route's pattern, never what a caller wrote."""
        self._counts[api, endpoint, status] += 1

    def of(self, api: str) -> Callable[[str, int], None]:
        """What counts the requests of one API."""
        return partial(self.count, api)

    def items(self) -> list[tuple[tuple[str, str, int], int]]:
        """All that was counted."""
        return sorted(self._counts.items())
