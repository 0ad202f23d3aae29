"""Why the database refused a certificate: whose name, serial or very bytes are there already."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from leafward.errors import AlreadyExists
from leafward.store.inventory.entry import Entry
from leafward.store.inventory.issued import SELECTION, Issued, Status, at
from leafward.store.inventory.schema import certificates, lives
from leafward.store.maker_schema import seconds

# A statement with many values is slow to build, and SQLite takes no more than 32,766 of them.
STEP = 500
_columns = certificates.c


_HOLDERS = SELECTION.where(
    lives(),
    _columns.kind == sa.bindparam("kind", type_=sa.Text),
    _columns.name_key.in_(sa.bindparam("keys", expanding=True, type_=sa.Text)),
)
_TAKEN = SELECTION.where(
    sa.or_(
        _columns.sha256 == sa.bindparam("sha256", type_=sa.Text),
        sa.and_(
            _columns.serial == sa.bindparam("serial", type_=sa.Text),
            _columns.issuer_key_id == sa.bindparam("issuer", type_=sa.Text),
        ),
    )
)


def living(connection: sa.Connection, kind: str, keys: Collection[str], now: datetime) -> list[Issued]:
    """Those of a kind who hold the given name keys: not replaced, not revoked; their end may have passed."""
    found: list[Issued] = []
    left = list(keys)
    while left:
        step, left = left[:STEP], left[STEP:]
        found += [Issued.of(row) for row in connection.execute(_HOLDERS, at(now, kind=kind, keys=step)).mappings()]
    return found


def _holders(connection: sa.Connection, entries: Sequence[Entry], now: datetime) -> list[Issued]:
    """Those who hold the names of `entries`."""
    wanted: dict[str, list[str]] = {}
    for entry in entries:
        if entry.is_certificate and entry.name_key is not None:
            wanted.setdefault(entry.kind, []).append(entry.name_key)
    return [held for kind, keys in wanted.items() for held in living(connection, kind, keys, now)]


def release_expired(connection: sa.Connection, entries: Sequence[Entry], now: datetime) -> int:
    """Notes as expired those whose end has passed and whose name is wanted. How many."""
    ended = [held.log_index for held in _holders(connection, entries, now) if held.status is Status.EXPIRED]
    for start in range(0, len(ended), STEP):
        change = sa.update(certificates).values(status=Status.EXPIRED.value)
        still = (_columns.log_index.in_(ended[start : start + STEP]), _columns.status == Status.VALID.value)
        connection.execute(change.where(*still, _columns.not_after < seconds(now)))
    return len(ended)


def conflict(
    connection: sa.Connection, entries: Sequence[Entry], now: datetime, replaced: Collection[str]
) -> AlreadyExists | None:
    """The first reason why `entries` cannot be inserted; None where there is none any more.

    `replaced` are the fingerprints of those that take the place of who lives: no living name stands in their way.
    """
    asked = [entry for entry in entries if entry.is_certificate]
    for held in _holders(connection, [entry for entry in asked if entry.sha256 not in replaced], now):
        if held.status is Status.VALID:
            return held.in_use()
    for entry in asked:
        values = at(now, sha256=entry.sha256, serial=f"{entry.serial:x}", issuer=entry.issuer_key_id)
        row = connection.execute(_TAKEN, values).mappings().first()
        if row is not None:
            return _given_out(Issued.of(row), entry)
    return _twice(asked)


def _given_out(held: Issued, entry: Entry) -> AlreadyExists:
    if held.sha256 == entry.sha256:
        return AlreadyExists(f"the certificate {held.sha256} is recorded", why=f"at index {held.log_index} of the log")
    return AlreadyExists(
        f"the serial {entry.serial:x} was given out",
        why=f"this issuer's certificate {held.sha256} ({held.label}) has it",
        hint="issue it again with another serial",
    )


def _twice(asked: Sequence[Entry]) -> AlreadyExists | None:
    names = Counter((entry.kind, entry.name_key) for entry in asked if entry.name_key is not None)
    serials = Counter((entry.issuer_key_id, entry.serial) for entry in asked)
    for (kind, name), count in names.items():
        if count > 1:
            return AlreadyExists(f"a {kind} {name!r} {count} times in one batch", hint="give each a name of its own")
    for (_, serial), count in serials.items():
        if count > 1:
            return AlreadyExists(f"the serial {serial:x} {count} times in one batch", hint="issue them again")
    return None
