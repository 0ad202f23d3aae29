"""Which hub a device gets: by a hash, the first of the list, or the one with the lowest latency.

A latency is the device's own measure where its registration's payload has one, as `{"latency": {"hub": milliseconds}}`:
nobody else knows it. Otherwise it is the operator's (`[provisioning.latency]`).
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from leafward.store.enrolments.values import Allocation

MEASURES = "latency"


def choose(allocation: Allocation, hubs: Sequence[str], registration_id: str, measures: Mapping[str, float]) -> str:
    """One of `hubs`, which are not empty. The same device gets the same hub as long as nothing else changes."""
    if allocation == "static":
        return hubs[0]
    if allocation == "geoLatency":
        known = [hub for hub in hubs if hub in measures]
        if known:
            return min(known, key=lambda hub: (measures[hub], hubs.index(hub)))
    return _hashed(hubs, registration_id)


def measures_of(payload: Any, configured: Mapping[str, float]) -> Mapping[str, float]:
    """The device's measures before the operator's; what is no number of milliseconds is left out."""
    found = payload.get(MEASURES) if isinstance(payload, dict) else None
    own = {name: float(value) for name, value in found.items() if _is_time(value)} if isinstance(found, dict) else {}
    return {**configured, **own}


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _hashed(hubs: Sequence[str], registration_id: str) -> str:
    """The hub with the highest hash (rendezvous): a hub that comes or goes moves its own devices only."""
    folded = registration_id.lower()
    return max(hubs, key=lambda hub: hashlib.sha256(f"{hub}\0{folded}".encode()).digest())
