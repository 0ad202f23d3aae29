"""Factory lots: how many certificates may be made, which requests got one, which were refused, what was handed over.

A lot's progress is written in the transaction that writes the certificates, so the two cannot disagree after a power
cut: a request has its certificate and is marked so, or neither. Certificates are handed over in batches once they are
durable; a batch that was made and not handed over is known by that, and can be handed over again.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leafward.errors import AccessDenied, AlreadyExists, NotFound
from leafward.store.database import lock_for_writing, reader, told_of
from leafward.store.inventory.schema import bodies, certificates
from leafward.store.lots import schema
from leafward.store.lots.values import Batch, Lot, Made, Rejection, Spoiled
from leafward.store.maker_schema import seconds

# SQLite takes no more than 32,766 values in a statement.
_STEP = 1000


class LotFull(AccessDenied):
    """The lot has no room for as many as were to be recorded, or it was closed; nothing was recorded."""


class LotBook:
    """The lots in the maker's database. Any number of processes may use it; raises `StoreError` when it refuses."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def open(self, lot: Lot) -> None:
        """Writes a new lot down. Raises `AlreadyExists` for a name in use, also a closed lot's."""
        row = {
            name: getattr(lot, name) for name in ("name", "kind", "issuer", "issuer_sha256", "quota", "issued", "days")
        }
        with told_of(self._engine):
            try:
                with self._engine.begin() as connection:
                    lock_for_writing(connection)
                    last = connection.execute(sa.select(sa.func.max(schema.lots.c.number))).scalar()
                    more = {"number": (last or 0) + 1, "opened": seconds(lot.opened), "closed": None}
                    connection.execute(sa.insert(schema.lots).values(**row, **more))
            except IntegrityError as error:
                what = f"a lot {lot.name!r} exists"
                raise AlreadyExists(
                    what, why="each lot has a name of its own", hint="leafward ca lot status"
                ) from error

    def get(self, name: str) -> Lot:
        """A lot. Raises `NotFound`."""
        with told_of(self._engine), reader(self._engine) as connection:
            row = connection.execute(sa.select(schema.lots).where(schema.lots.c.name == name)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no lot {name!r}", why="none was opened under this name", hint="leafward ca lot status")
        return Lot.of(row)

    def all(self) -> list[Lot]:
        """Every lot, those opened first first."""
        with told_of(self._engine), reader(self._engine) as connection:
            rows = connection.execute(
                sa.select(schema.lots).order_by(schema.lots.c.opened, schema.lots.c.name)
            ).mappings()
            return [Lot.of(row) for row in rows]

    def close(self, name: str, at: datetime) -> None:
        """Ends a lot: nothing is issued in it from now on. A closed one stays as it is."""
        change = (
            sa.update(schema.lots)
            .where(schema.lots.c.name == name, schema.lots.c.closed.is_(None))
            .values(closed=seconds(at))
        )
        self._write(lambda connection: connection.execute(change))

    def issued_before(self, lot: Lot, requests: Sequence[bytes]) -> set[bytes]:
        """Those among the requests that have their certificate."""
        mark = "?" if self._engine.dialect.paramstyle == "qmark" else "%s"
        found: set[bytes] = set()
        with told_of(self._engine), reader(self._engine) as connection:
            for start in range(0, len(requests), _STEP):
                some = tuple(requests[start : start + _STEP])
                marks = ", ".join([mark] * len(some))
                statement = f"SELECT request FROM lot_requests WHERE lot = {mark} AND request IN ({marks})"  # noqa: S608
                found.update(bytes(row[0]) for row in connection.exec_driver_sql(statement, (lot.number, *some)))
        return found

    def note(
        self, connection: sa.Connection, lot: Lot, station: str, requests: Sequence[bytes], sha256s: Sequence[str]
    ) -> Batch:
        """Inside the transaction that records them: these requests have got these certificates.

        Raises `LotFull` where the lot has no room for them or was closed, SQLAlchemy's `IntegrityError` where one has
        its certificate already.
        """
        lots, batches = schema.lots, schema.batches
        room = (lots.c.name == lot.name, lots.c.closed.is_(None), lots.c.issued + len(requests) <= lots.c.quota)
        if not connection.execute(sa.update(lots).where(*room).values(issued=lots.c.issued + len(requests))).rowcount:
            raise LotFull(f"the lot {lot.name!r} has no room", why="its quota is used up, or it was closed")
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        statement = f"INSERT INTO lot_requests (lot, request) VALUES ({mark}, {mark})"  # noqa: S608 - marks only
        connection.exec_driver_sql(statement, [(lot.number, request) for request in requests])
        ends = sa.select(certificates.c.log_index).where(certificates.c.sha256.in_((sha256s[0], sha256s[-1])))
        indices = connection.execute(ends).scalars().all()
        last = connection.execute(sa.select(sa.func.max(batches.c.number)).where(batches.c.lot == lot.name)).scalar()
        batch = Batch((last or 0) + 1, len(requests))
        row = {"lot": lot.name, "number": batch.number, "station": station, "size": batch.size, "delivered": False}
        connection.execute(sa.insert(batches).values(**row, first=min(indices), last=max(indices)))
        return batch

    def reject(self, lot: str, refused: Collection[Rejection], at: datetime) -> None:
        """Writes down why requests got nothing; one that is known keeps its newest reason."""
        if refused:
            rows = {one.input: one for one in refused}

            def write(connection: sa.Connection) -> None:
                _forget(connection, lot, list(rows))
                line = [
                    {
                        "lot": lot,
                        "input": one.input,
                        "name": one.name,
                        "source": one.source,
                        "code": one.code,
                        "reason": one.reason,
                        "at": seconds(at),
                    }
                    for one in rows.values()
                ]
                connection.execute(sa.insert(schema.rejections), line)

            self._write(write)

    def forget_rejections(self, connection: sa.Connection, lot: str, inputs: Sequence[bytes]) -> None:
        """Inside the caller's transaction: these have their certificate now, whatever stood against it before."""
        _forget(connection, lot, inputs)

    def delivered(self, lot: str, numbers: Collection[int]) -> None:
        """Says that these batches have been handed over."""
        change = sa.update(schema.batches).where(
            schema.batches.c.lot == lot, schema.batches.c.number.in_(list(numbers))
        )
        self._write(lambda connection: connection.execute(change.values(delivered=True)))

    def undelivered(self, lot: str, station: str | None = None) -> list[Batch]:
        """Batches that were recorded and not handed over: a station's, or all."""
        statement = sa.select(schema.batches.c.number, schema.batches.c.size).where(
            schema.batches.c.lot == lot, ~schema.batches.c.delivered
        )
        if station is not None:
            statement = statement.where(schema.batches.c.station == station)
        with told_of(self._engine), reader(self._engine) as connection:
            return [Batch(*row) for row in connection.execute(statement.order_by(schema.batches.c.number))]

    def certificates(self, lot: str, batch: int) -> list[Made]:
        """The certificates of a batch. One that was compacted is left out."""
        row = certificates.c
        ends = sa.select(schema.batches.c.first, schema.batches.c.last).where(
            schema.batches.c.lot == lot, schema.batches.c.number == batch
        )
        with told_of(self._engine), reader(self._engine) as connection:
            first, last = connection.execute(ends).one()
            statement = (
                sa.select(row.name, row.serial, row.sha256, bodies.c.der, row.log_index)
                .join(bodies, bodies.c.log_index == row.log_index)
                .where(row.lot == lot, row.log_index.between(first, last))
                .order_by(row.log_index)
            )
            return [
                Made(name, serial, sha256, bytes(der), log_index)
                for name, serial, sha256, der, log_index in connection.execute(statement)
            ]

    def rejected(self, lot: str) -> list[Rejection]:
        """Every request that got nothing, in the order of its source."""
        row = schema.rejections.c
        statement = sa.select(row.input, row.name, row.source, row.code, row.reason).where(row.lot == lot)
        with told_of(self._engine), reader(self._engine) as connection:
            found = connection.execute(statement.order_by(row.source, row.input))
            return [Rejection(bytes(key), *others) for key, *others in found]

    def rejected_by_code(self, lot: str) -> dict[str, int]:
        """How many got nothing, for each reason's code."""
        row = schema.rejections.c
        statement = sa.select(row.code, sa.func.count()).where(row.lot == lot).group_by(row.code).order_by(row.code)
        with told_of(self._engine), reader(self._engine) as connection:
            return {str(code): int(number) for code, number in connection.execute(statement)}

    def declare_spoiled(self, lot: str, names: Sequence[str], why: str) -> None:
        """Says that certificates of the lot reached no device. Raises `NotFound` for a name that is not of the lot."""
        row = certificates.c

        def write(connection: sa.Connection) -> None:
            for name in names:
                found = connection.execute(sa.select(row.sha256).where(row.lot == lot, row.name == name)).first()
                if found is None:
                    raise NotFound(f"no certificate for {name!r} in the lot {lot!r}", hint="check the name")
                known = sa.select(schema.spoiled.c.sha256).where(
                    schema.spoiled.c.lot == lot, schema.spoiled.c.sha256 == found.sha256
                )
                if connection.execute(known).first() is None:
                    connection.execute(
                        sa.insert(schema.spoiled).values(lot=lot, sha256=found.sha256, name=name, why=why)
                    )

        self._write(write)

    def spoiled(self, lot: str) -> Iterator[Spoiled]:
        """Those declared so, then those that were never handed over."""
        with told_of(self._engine), reader(self._engine) as connection:
            rows = connection.execute(
                sa.select(schema.spoiled).where(schema.spoiled.c.lot == lot).order_by(schema.spoiled.c.name)
            )
            declared = {row.sha256: Spoiled(row.name, row.sha256, row.why) for row in rows}
        yield from declared.values()
        for batch in self.undelivered(lot):
            for made in self.certificates(lot, batch.number):
                if made.sha256 not in declared:
                    yield Spoiled(made.name, made.sha256, "issued and never handed over")

    def in_inventory(self, lot: str) -> int:
        """How many certificates of the lot the inventory has: counted, not remembered."""
        statement = sa.select(sa.func.count()).select_from(certificates).where(certificates.c.lot == lot)
        with told_of(self._engine), reader(self._engine) as connection:
            return int(connection.execute(statement).scalar_one())

    def _write(self, action: Callable[[sa.Connection], object]) -> None:
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            action(connection)


def _forget(connection: sa.Connection, lot: str, inputs: Sequence[bytes]) -> None:
    for start in range(0, len(inputs), _STEP):
        known = schema.rejections.c.input.in_(inputs[start : start + _STEP])
        connection.execute(sa.delete(schema.rejections).where(schema.rejections.c.lot == lot, known))
