"""What a reader of a configuration has to say: faults, which refuse it, and notes, which do not."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from leafward.errors import Fault


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is understood, and means nothing here or something else: nobody shall find out by its absence."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        return f"{self.file}{line}: {self.key}: {self.message}" if self.key else f"{self.file}{line}: {self.message}"


class Findings:
    """Collects while a file is read; `source` is its name. `lenient`: numbers and booleans are texts too (YAML)."""

    def __init__(self, source: str, *, lenient: bool) -> None:
        self.source = source
        self.lenient = lenient
        self._faults: list[Fault] = []
        self._notes: list[Note] = []

    @property
    def faults(self) -> tuple[Fault, ...]:
        """By line."""
        return tuple(sorted(dict.fromkeys(self._faults), key=lambda fault: fault.line or 0))

    @property
    def notes(self) -> tuple[Note, ...]:
        """By line."""
        return tuple(sorted(dict.fromkeys(self._notes), key=lambda note: note.line or 0))

    def fault(
        self,
        key: str,
        line: int | None,
        message: str,
        *,
        expected: str | None = None,
        got: str | None = None,
    ) -> None:
        """`expected` is taken from a message that says it, or is the message itself."""
        said = message.partition("expected ")[2] or message
        self._faults.append(Fault(self.source, line, key, message, expected=expected or said, got=got))

    def unknown(self, key: str, line: int | None, known: Sequence[str]) -> None:
        """A key that is none of `known`; its value is not told, since nobody knows what it is."""
        nearest = nearest_key(key.rpartition(".")[2], known)
        meant = f"did you mean {nearest!r}?" if nearest else f"known are {', '.join(known) or 'none'}"
        expected = f"one of {', '.join(known)}" if known else "no keys"
        self._faults.append(Fault(self.source, line, key, f"not known, {meant}", expected=expected, nearest=nearest))

    def note(self, key: str, line: int | None, message: str) -> None:
        """Something that does not refuse the file."""
        self._notes.append(Note(self.source, line, key, message))


def nearest_key(name: str, known: Collection[str]) -> str | None:
    """The known key that `name` is likely meant to be: case and hyphens count for nothing."""
    plain = {_plain(one): one for one in known}
    found = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace("_", "")
