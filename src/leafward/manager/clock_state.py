"""What the manager keeps of the time between two starts: `manager/last-seen`, two lines.

    2026-06-01T12:00:00+00:00        not before this; the first line is all that other parts read
    {"firm": true, "weight": 86400, "boot": "…", "steady": 123.4}

`firm`     the clock was set by a time server when it said so (or the time was counted on from such a moment)
`weight`   seconds that the clock has run without contradiction up to then
`boot`     of which start of the machine `steady`, the seconds since then, are
"""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from leafward import disk
from leafward.errors import NotFound, StoreError

_LIMIT = 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClockState:
    """`seen` is aware UTC."""

    seen: datetime
    firm: bool = False
    weight: float = 0.0
    boot: str = ""
    steady: float = 0.0

    def write(self, path: Path) -> None:
        """Durably. Raises `StoreError`."""
        facts = {name: value for name, value in asdict(self).items() if name != "seen"}
        disk.write_file(path, f"{self.seen.isoformat()}\n{json.dumps(facts)}\n".encode(), mode=disk.PUBLIC)


def read_clock_state(path: Path) -> ClockState | None:
    """What was kept; None on the first start, and, with a warning, for a file that is damaged: a floor is a help, not a
    need. A file of one line is an older leafward's.
    """
    try:
        first, _, rest = disk.read_file(path, limit=_LIMIT).decode("ascii").partition("\n")
        seen = datetime.fromisoformat(first)
        facts = json.loads(rest) if rest.strip() else {}
        if seen.tzinfo is None or not isinstance(facts, dict):
            raise ValueError("it has no time zone, or another form")
        return ClockState(
            seen.astimezone(UTC),
            firm=facts.get("firm") is True,
            weight=max(0.0, float(facts.get("weight", 0.0))),
            boot=str(facts.get("boot", "")),
            steady=float(facts.get("steady", 0.0)),
        )
    except NotFound:
        return None
    except (StoreError, ValueError, TypeError, OverflowError, RecursionError) as error:
        _log.warning("%s holds no time and is not used: %s", path, error)
        return None
