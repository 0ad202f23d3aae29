"""What a verification of the log found: one difference a fault, with a stable code and the entries it is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

# More are counted, not kept: a log that differs everywhere is told in a few lines.
_MOST = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` is a sentence; `first` and `last` are the positions it is about, None where it is about none."""

    code: str
    what: str
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.first is None:
            return f"{self.code}: {self.what}"
        entries = f"entry {self.first}" if self.last == self.first else f"entries {self.first} to {self.last}"
        return f"{self.code}: {entries}: {self.what}"

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"code": self.code, "what": self.what, "first": self.first, "last": self.last}


@dataclass
class Report:
    """The verdict over a log of `size` entries: it is as signed when there is no difference."""

    size: int = 0
    root: bytes | None = None
    signed: int = 0
    differences: list[Difference] = field(default_factory=list)
    not_shown: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def add(self, code: str, what: str, position: int | None = None, last: int | None = None) -> None:
        """Adds a difference. One that is about the entry behind the last one's, and says the same, is joined to it."""
        end = last if last is not None else position
        previous = self.differences[-1] if self.differences else None
        if (
            previous is not None
            and (previous.code, previous.what) == (code, what)
            and previous.last is not None
            and position == previous.last + 1
        ):
            self.differences[-1] = Difference(code, what, previous.first, end)
        elif len(self.differences) < _MOST:
            self.differences.append(Difference(code, what, position, end))
        else:
            self.not_shown += 1

    def add_all(self, differences: Iterable[Difference]) -> None:
        """Adds several."""
        for found in differences:
            self.add(found.code, found.what, found.first, found.last)


CHANGED = "is not what was logged"
REMOVED = "was removed, and what followed moved down"
INSERTED = "was inserted, and what followed moved up"
REORDERED = "were logged in another order"


def differing(first: int, found: Sequence[bytes], expected: Sequence[bytes]) -> list[Difference]:
    """How the leaf hashes `found` from the position `first` on differ from those that were logged there."""
    places = [at for at, (ours, theirs) in enumerate(zip(found, expected, strict=True)) if ours != theirs]
    if not places:
        return []
    start, end = places[0], places[-1]
    if len(places) > 1 and sorted(found) == sorted(expected):
        return [Difference("entry-reordered", REORDERED, first + start, first + end)]
    # Of a moved run only what is in this window can be compared; at its edge one entry is unknown.
    if len(places) > 1 and list(found[start:-1]) == list(expected[start + 1 :]):
        return [Difference("entry-removed", REMOVED, first + start, first + start)]
    if len(places) > 1 and list(found[start + 1 :]) == list(expected[start:-1]):
        return [Difference("entry-inserted", INSERTED, first + start, first + start)]
    return [Difference("entry-changed", CHANGED, first + at, first + at) for at in places]
