"""The inventory's promises in one place: who lives, who is found, what is revoked, replaced or compacted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from leafward.errors import AlreadyExists, NotFound
from leafward.store.database import lock_for_writing, reader, told_of
from leafward.store.inventory import conflict, insertion, replacement, revocation, search
from leafward.store.inventory.compaction import Compaction, compact
from leafward.store.inventory.entry import Entry
from leafward.store.inventory.issued import SELECTION, Issued, Status, at, status_now
from leafward.store.inventory.reader import Reader
from leafward.store.inventory.schema import bodies, certificates, lives, revocations
from leafward.store.maker_schema import moment

_columns = certificates.c
_SHA256 = _columns.sha256 == sa.bindparam("sha256", type_=sa.Text)
_BY_SHA256 = SELECTION.where(_SHA256)
_BODY = (
    sa.select(_columns.log_index, bodies.c.der)
    .select_from(certificates.outerjoin(bodies, bodies.c.log_index == _columns.log_index))
    .where(_SHA256)
)
_HOLDER = SELECTION.where(
    lives(),
    _columns.kind == sa.bindparam("kind", type_=sa.Text),
    _columns.name_key == sa.bindparam("key", type_=sa.Text),
)
# Fewer digits of a fingerprint could name anything, and soon would.
_SHORTEST_FINGERPRINT = 8
# How many revoked certificates are read at once.
_STEP = 5000


@dataclass(frozen=True)
class Count:
    """How many certificates of a kind have a status."""

    kind: str
    status: Status
    number: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """One line of a CRL: the serial, when (aware UTC), why (by its name in RFC 5280 5.3.1), and its end."""

    serial: int
    revoked: datetime
    reason: str
    not_after: datetime
    partition: int


class Inventory:
    """The certificates in the maker's database. Thread-safe; any number of processes may use it.

    `now` is an aware UTC time. What changes inside the caller's transaction takes its connection; the rest is a
    transaction of its own, durable when it returns. Every method raises `StoreError` when the database refuses.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reader = Reader(engine)

    def close(self) -> None:
        """Gives its connection back. May be repeated."""
        self._reader.close()

    def insert(
        self,
        connection: sa.Connection,
        entries: Sequence[Entry],
        indices: Sequence[int],
        *,
        issued: datetime,
        lot: str | None = None,
    ) -> None:
        """Adds certificates inside the caller's transaction, each at its index in the log. The ledger calls it.

        Raises SQLAlchemy's `IntegrityError` where a name lives or a serial was given out: `conflict` says which.
        """
        insertion.insert(connection, entries, indices, issued=issued, lot=lot)

    def replace(self, connection: sa.Connection, entries: Sequence[Entry], replacing: Mapping[str, str | None]) -> None:
        """Marks as replaced who lives under the names of the entries that `replacing` lists, as `Ledger.record` says.

        Inside the caller's transaction. Raises `NotFound` where the one certificate that is named does not live.
        """
        for entry in entries if replacing else ():
            if entry.sha256 in replacing:
                replacement.replace(connection, entry, replacing[entry.sha256])

    def living(self, kind: str, name: str, now: datetime) -> Issued | None:
        """Who lives under a name at `now`: valid, not expired. Names are compared without case."""
        row = self._reader.row(_HOLDER, at(now, kind=kind, key=name.casefold()))
        held = None if row is None else Issued.of(row)
        return held if held is not None and held.status is Status.VALID else None

    def all_living(self, kind: str, names: Sequence[str], now: datetime) -> dict[str, Issued]:
        """Of many names those that are in use, with who lives there. A look only: the ledger is what keeps them."""
        keys = {name.casefold() for name in names}
        with told_of(self._engine), reader(self._engine) as connection:
            found = conflict.living(connection, kind, keys, now)
        by_key = {(held.name or "").casefold(): held for held in found if held.status is Status.VALID}
        return {name: by_key[name.casefold()] for name in names if name.casefold() in by_key}

    def get(self, wanted: str, now: datetime, *, kind: str | None = None) -> Issued:
        """The certificate with this fingerprint (or 8 digits of its beginning and more), serial, or name.

        Of several with one name it is the living one. Raises `NotFound` where none, or more than one, is meant.
        """
        row = self._reader.row(_BY_SHA256, at(now, sha256=wanted))
        if row is not None:
            return Issued.of(row)
        for condition in _meanings(wanted):
            statement = SELECTION.where(condition, *([_columns.kind == kind] if kind else [])).limit(3)
            rows = [Issued.of(row) for row in self._reader.rows(statement, at(now))]
            alive = [row for row in rows if row.status is Status.VALID]
            if len(rows) == 1 or len(alive) == 1:
                return (alive or rows)[0]
            if rows:
                raise NotFound(f"no single certificate {wanted!r}", why="several match", hint="give its fingerprint")
        raise NotFound(f"no certificate {wanted!r}", why="none matches", hint="leafward ca search TEXT")

    def has(self, sha256: str) -> bool:
        """Whether this very certificate was issued here."""
        return self._reader.row(_BODY, {"sha256": sha256}) is not None

    def is_empty(self) -> bool:
        """Whether nothing was ever issued here."""
        return self._reader.row(sa.select(_columns.log_index).limit(1), {}) is None

    def der(self, sha256: str) -> bytes:
        """The certificate itself. Raises `NotFound` for one that is not there, or was compacted."""
        row = self._reader.row(_BODY, {"sha256": sha256})
        if row is None:
            raise NotFound(f"no certificate {sha256}", hint="leafward ca search TEXT")
        if row["der"] is None:
            raise NotFound(f"the certificate {sha256} is not kept any more", why="it was compacted after it expired")
        return bytes(row["der"])

    def search(
        self,
        text: str | None = None,
        *,
        now: datetime,
        kind: str | None = None,
        status: Status | None = None,
        lot: str | None = None,
        issuer_key_id: str | None = None,
        expiring_before: datetime | None = None,
        after: str | None = None,
        limit: int = search.PAGE,
    ) -> search.Page:
        """A page of what fulfils all that is given, after the place that the page before ended with.

        `text` is part of a name, without case, or the beginning of a fingerprint or serial. With `expiring_before`
        those that end first come first, else those issued first.
        """
        looked_for = search.Search(text, kind, status, lot, issuer_key_id, expiring_before)
        with told_of(self._engine), reader(self._engine) as connection:
            return search.find(connection, looked_for, now=now, after=after, limit=limit)

    def counts(self, now: datetime) -> list[Count]:
        """How many there are of each kind and status."""
        status = status_now.label("status")
        statement = sa.select(_columns.kind, status, sa.func.count()).group_by(_columns.kind, status)
        with told_of(self._engine), reader(self._engine) as connection:
            rows = connection.execute(statement.order_by(_columns.kind, status), at(now)).all()
        return [Count(kind, Status(found), number) for kind, found, number in rows]

    def revoke(
        self, sha256: str, reason: str, when: datetime, *, partition: int = 0, also: revocation.Also | None = None
    ) -> Issued:
        """Notes a certificate as revoked; as it was before. The name it had is free. `also` writes more with it.

        One that is on hold may be revoked for good: since when stays. Raises `NotFound`, or `AlreadyExists` where it
        was revoked before: the first reason and time stand.
        """
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            held = revocation.revoke(connection, sha256, reason, when, partition)
            if also is not None:
                also(connection, held)
        return held

    def release(self, sha256: str, when: datetime, *, also: revocation.Also | None = None) -> Issued:
        """Takes back that a certificate is on hold; as it was before. `also` writes more in the same transaction.

        Raises `NotFound` where it is not on hold, `AlreadyExists` where another one lives under its name meanwhile.
        """
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            held = revocation.release(connection, sha256, when)
            if also is not None:
                also(connection, held)
        return held

    def revoked(self, issuer_key_id: str, *, partition: int | None = None) -> Iterator[Revoked]:
        """The revoked certificates of an issuer, of one partition of its CRL or of all, in the order of issuing.

        Read in steps: a list of a million needs no memory, and nobody waits for its reader.
        """
        line = revocations.c
        statement = sa.select(line.log_index, line.serial, line.revoked, line.reason, line.not_after, line.partition)
        statement = statement.where(line.issuer_key_id == issuer_key_id).order_by(line.log_index).limit(_STEP)
        if partition is not None:
            statement = statement.where(line.partition == partition)
        last = -1
        while True:
            with told_of(self._engine), reader(self._engine) as connection:
                rows = connection.execute(statement.where(line.log_index > last)).all()
            for _, serial, revoked, reason, not_after, part in rows:
                yield Revoked(int(serial, 16), moment(revoked), reason, moment(not_after), part)
            if len(rows) < _STEP:
                return
            last = rows[-1].log_index

    def compact(self, before: datetime, *, dry_run: bool = False) -> Compaction:
        """Drops the bytes of certificates that ended before a time; what is known of them stays.

        Short transactions: issuing goes on meanwhile, and a kill leaves the rest for the next time.
        """
        return compact(self._engine, before, dry_run=dry_run)

    def release_expired(self, entries: Sequence[Entry], now: datetime) -> int:
        """Frees the names that `entries` want from those whose end has passed. How many."""
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            return conflict.release_expired(connection, entries, now)

    def conflict(
        self, entries: Sequence[Entry], now: datetime, *, replaced: Collection[str] = ()
    ) -> AlreadyExists | None:
        """Why the database refuses `entries`; None where it would take them, now or once expired names are released.

        `replaced` are the fingerprints of those among them that take the place of who lives.
        """
        with told_of(self._engine), reader(self._engine) as connection:
            return conflict.conflict(connection, entries, now, replaced)


def _meanings(wanted: str) -> Iterator[sa.ColumnElement[bool]]:
    """What `wanted` may mean, the most certain first."""
    digits = search.hexadecimal(wanted)
    if digits is not None and len(digits) >= _SHORTEST_FINGERPRINT:
        by_fingerprint, _ = search.numbered(digits)
        yield by_fingerprint
        yield _columns.serial == digits.lstrip("0")
    key = wanted.casefold()
    yield sa.and_(_columns.name_key == key, lives())
    yield _columns.name_key == key
