"""Checkpoints held against a walk: who signed them, and whether the log still begins with what they say."""

from collections.abc import Sequence
from dataclasses import dataclass

from leafward.errors import InputError
from leafward.store.issuance_log.checkpoint import Checkpoint
from leafward.store.issuance_log.difference import Report
from leafward.store.issuance_log.note import Note, VerifierKey
from leafward.store.issuance_log.walk import Walk


@dataclass(frozen=True, slots=True)
class Held:
    """A checkpoint, and where it was kept. `row_size` is the size under which the database kept it."""

    where: str
    note: bytes
    row_size: int | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    where: str
    checkpoint: Checkpoint


class Signatures:
    """The checkpoints that a log is to be compared with, opened by its key. What does not open is reported."""

    def __init__(self, held: Sequence[Held], key: VerifierKey | None, report: Report) -> None:
        self._report = report
        self._opened: list[_Opened] = []
        for one in held:
            try:
                if key is None:
                    raise InputError("the log has no key to verify it with")
                checkpoint = Checkpoint.from_note(Note.parse(one.note), key)
                if one.row_size not in {None, checkpoint.size}:
                    raise InputError(f"it is of {checkpoint.size} entries, and stands under {one.row_size}")
            except InputError as error:
                report.add("checkpoint-forged", f"{one.where} is no checkpoint of this log: {error}")
            else:
                self._opened.append(_Opened(one.where, checkpoint))
        self._opened.sort(key=lambda one: one.checkpoint.size)

    @property
    def sizes(self) -> list[int]:
        """The sizes at which root hashes are wanted."""
        return [one.checkpoint.size for one in self._opened]

    def compare(self, walk: Walk, size: int) -> None:
        """Reports each checkpoint that the walked log of `size` entries does not begin with."""
        good, bad = 0, 0
        for one in self._opened:
            checkpoint, root = one.checkpoint, walk.roots.get(one.checkpoint.size)
            if checkpoint.size > size:
                what = (
                    f"{one.where} has {checkpoint.size} entries, the log {size}: the log is older than what was signed"
                )
                self._report.add("log-older", what)
            elif root is None:
                what = f"{one.where} has {checkpoint.size} entries, and what is missing before them leaves no root hash"
                self._report.add("not-compared", what)
            elif root == checkpoint.root:
                good = checkpoint.size
            elif not bad:
                bad = checkpoint.size
                what = f"{one.where} signed other entries: the log was changed or forked"
                self._report.add("fork", what, good, bad - 1)
            else:
                self._report.add("fork", f"{one.where} signed other entries too")
        self._report.signed = good
