"""The account of a lot: what became of every certificate it was allowed, and which request got none, and why."""

from dataclasses import dataclass

from leafward.errors import Damaged
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


def reconcile(book: LotBook, lot: Lot) -> Reconciliation:
    """The account of a lot. Raises `Damaged` where the inventory has another number of certificates than the lot."""
    in_inventory = book.in_inventory(lot.name)
    if in_inventory != lot.issued:
        why = f"the inventory has {in_inventory} certificates of it, the lot counted {lot.issued}"
        raise Damaged(f"the lot {lot.name!r} does not add up", why=why, hint="restore the database from a copy")
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
