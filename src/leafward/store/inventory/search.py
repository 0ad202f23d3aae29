"""Finding certificates: by a piece of a name, the beginning of a serial or fingerprint, kind, status, lot, expiry.

Answers come in pages, each with the place where the next begins, so that a list of a million costs no memory.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from leafward.errors import UsageError
from leafward.store.inventory.issued import SELECTION, Issued, Status, at, status_now
from leafward.store.inventory.schema import certificates
from leafward.store.maker_schema import seconds

PAGE = 100
_columns = certificates.c
_HEX = re.compile(r"[0-9a-f]+")
_PLACE = re.compile(r"(-?\d{1,18})\.(\d{1,18})")
# Comparing up to this character finds all that begins with some hexadecimal digits, by the index of the column.
_AFTER_HEX = "g"


@dataclass(frozen=True)
class Page:
    """Some of the certificates found, and where the next page begins; None after the last."""

    found: tuple[Issued, ...]
    next: str | None


@dataclass(frozen=True)
class Search:
    """What to look for; what is None does not matter. `text` is part of a name, or the beginning of a number."""

    text: str | None = None
    kind: str | None = None
    status: Status | None = None
    lot: str | None = None
    issuer_key_id: str | None = None
    expiring_before: datetime | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """All that a row has to fulfil."""
        for column, wanted in (
            (_columns.kind, self.kind),
            (_columns.lot, self.lot),
            (_columns.issuer_key_id, self.issuer_key_id),
        ):
            if wanted is not None:
                yield column == wanted
        if self.status is not None:
            yield status_now == self.status
        if self.expiring_before is not None:
            yield _columns.not_after < seconds(self.expiring_before)
        if self.text:
            yield sa.or_(_columns.name.icontains(self.text, autoescape=True), *numbered(self.text))


def numbered(text: str) -> Iterator[sa.ColumnElement[bool]]:
    """Whose fingerprint or serial begins with `text`; nothing where that is no hexadecimal number."""
    digits = hexadecimal(text)
    if digits is not None:
        for column in (_columns.sha256, _columns.serial):
            yield sa.and_(column >= digits, column < digits + _AFTER_HEX)


def hexadecimal(text: str) -> str | None:
    """A number as tools print it (`0x1A`, `1A:2B`) as the tables hold it; None for what is none.

    >>> hexadecimal("1A:2B")
    '1a2b'
    """
    digits = text.lower().removeprefix("0x").replace(":", "").replace(" ", "")
    return digits if _HEX.fullmatch(digits) else None


def find(connection: sa.Connection, search: Search, *, now: datetime, after: str | None, limit: int) -> Page:
    """A page, in the order of issuing, or of expiry where that is asked for. Raises `UsageError`."""
    by_expiry = search.expiring_before is not None
    first = _columns.not_after if by_expiry else _columns.log_index
    statement = SELECTION.where(*search.conditions()).order_by(first, _columns.log_index).limit(limit + 1)
    if after is not None:
        place = _place(after)
        statement = statement.where(sa.or_(first > place[0], sa.and_(first == place[0], _columns.log_index > place[1])))
    found = [Issued.of(row) for row in connection.execute(statement, at(now)).mappings()]
    if len(found) <= limit:
        return Page(tuple(found), None)
    last = found[limit - 1]
    return Page(tuple(found[:limit]), f"{seconds(last.not_after) if by_expiry else last.log_index}.{last.log_index}")


def _place(after: str) -> tuple[int, int]:
    matched = _PLACE.fullmatch(after)
    if matched is None:
        raise UsageError(f"{after!r} is no place in a list", hint="give the one that the page before ended with")
    return int(matched[1]), int(matched[2])
