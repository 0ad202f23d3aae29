"""Devices put into the registry from lines of JSON: in batches, each of them whole or not at all.

A line that is wrong, or whose id is taken, is told with its number and left out; the others of its batch go in. With
`strict` nothing goes in unless every line is good: the file is read twice then.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from leafward.errors import InputError
from leafward.provisioning.device_lines import LONGEST_LINE, read_line, replaced
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.store.registry_bulk import Outcome, keep_present, put_many

BATCH = 5000


@dataclass(slots=True)
class Counts:
    """What became of the lines."""

    added: int = 0
    replaced: int = 0
    same: int = 0
    refused: int = 0

    @property
    def seen(self) -> int:
        """How many lines have been dealt with."""
        return self.added + self.replaced + self.same + self.refused

    def count(self, outcome: Outcome) -> None:
        """One more."""
        name = "refused" if outcome == "taken" else outcome
        setattr(self, name, getattr(self, name) + 1)


# The number of a line, from 1, and what is wrong with it.
Refuse = Callable[[int, str], None]


class DeviceImport:
    """Puts lines into a registry; `refuse` is told of each that is left out, `progress` after each batch."""

    def __init__(
        self,
        registry: Registry,
        now: datetime,
        *,
        refuse: Refuse,
        progress: Callable[[Counts], None] = lambda _counts: None,
        replacing: bool = False,
    ) -> None:
        self._registry = registry
        self._now = now
        self._refuse = refuse
        self._progress = progress
        self._merge = replaced if replacing else keep_present
        self._replacing = replacing

    def run(self, lines: Iterable[bytes], *, dry: bool = False) -> Counts:
        """All lines; with `dry` nothing is written. Raises `StoreError`: what went in before stays."""
        counts = Counts()
        seen: set[tuple[str, str]] = set()
        for batch in _batches(self._read(lines, counts)):
            if dry:
                outcomes = [self._judge(identity, seen) for _number, identity in batch]
            else:
                outcomes = put_many(self._registry, [identity for _number, identity in batch], self._merge)
            for (number, identity), outcome in zip(batch, outcomes, strict=True):
                counts.count(outcome)
                if outcome == "taken":
                    self._refuse(number, f"{identity.label} is registered, or stands there twice")
            self._progress(counts)
        return counts

    def _read(self, lines: Iterable[bytes], counts: Counts) -> Iterator[tuple[int, Identity]]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield number, read_line(line, self._now)
            except InputError as error:
                counts.refused += 1
                self._refuse(number, str(error))

    def _judge(self, identity: Identity, seen: set[tuple[str, str]]) -> Outcome:
        """What would become of it. Remembers the ids of the file, some 150 bytes each."""
        key = identity.device_id.lower(), (identity.module_id or "").lower()
        present = self._registry.get(identity.device_id, identity.module_id)
        if key in seen or (present is not None and not self._replacing):
            return "taken"
        seen.add(key)
        return "added" if present is None else "same" if replaced(present, identity) == present else "replaced"


def _batches(items: Iterable[tuple[int, Identity]]) -> Iterator[list[tuple[int, Identity]]]:
    batch: list[tuple[int, Identity]] = []
    for item in items:
        batch.append(item)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def lines_of(file: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a binary file; the rest of one that is far too long is not kept for it."""
    for line in file:
        yield line if len(line) <= LONGEST_LINE + 2 else line[: LONGEST_LINE + 2]
