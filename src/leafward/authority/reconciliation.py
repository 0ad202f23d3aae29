"""The account of a lot: what became of every certificate it was allowed, and which request got none, and why."""

from dataclasses import dataclass

from leafward.errors import Busy, Damaged
from leafward.store.lots import Lot, LotBook, Rejection, Spoiled


@dataclass(frozen=True)
class Reconciliation:
    """`issued` = `delivered` + `not_delivered`; `unused` = quota - `issued`. Spoiled ones are issued, in vain.

    `rejected` is counted by code; `rejections` and `spoiled` name each one.
    """

    lot: Lot
    issued: int
    delivered: int
    not_delivered: int
    rejected: dict[str, int]
    rejections: tuple[Rejection, ...]
    spoiled: tuple[Spoiled, ...]

    @property
    def unused(self) -> int:
        """How many of the quota were never issued."""
        return self.lot.quota - self.issued


# Between two batches of a line there is more time than reading takes.
_TRIES = 10


def reconcile(book: LotBook, name: str) -> Reconciliation:
    """The account of a lot, at one instant: while somebody issues in it, it is read again until it held still.

    Raises `NotFound`, `Busy` where it never did, and `Damaged` where the inventory has another number of certificates
    than the lot.
    """
    for _ in range(_TRIES):
        lot = book.get(name)
        in_inventory, account = book.in_inventory(name), _read(book, lot)
        if book.get(name) != lot:
            continue
        if in_inventory != lot.issued:
            why = f"the inventory has {in_inventory} certificates of it, the lot counted {lot.issued}"
            raise Damaged(f"the lot {name!r} does not add up", why=why, hint="restore the database from a copy")
        return account
    hint = "try again, or end the runs that issue in it first"
    raise Busy(f"the lot {name!r} does not hold still", why="certificates are issued in it all the time", hint=hint)


def _read(book: LotBook, lot: Lot) -> Reconciliation:
    waiting = sum(batch.size for batch in book.undelivered(lot.name))
    return Reconciliation(
        lot=lot,
        issued=lot.issued,
        delivered=lot.issued - waiting,
        not_delivered=waiting,
        rejected=book.rejected_by_code(lot.name),
        rejections=tuple(book.rejected(lot.name)),
        spoiled=tuple(book.spoiled(lot.name)),
    )
