"""One certificate in the place of another: the old one is marked, and its name is free for the new."""

import sqlalchemy as sa

from leafward.errors import NotFound
from leafward.store.database import run
from leafward.store.inventory.entry import Entry
from leafward.store.inventory.issued import Status
from leafward.store.inventory.schema import certificates

# `status` is spelled as in the index of living names (`schema.lives`).
_WHOEVER = (
    f"UPDATE {certificates.name} SET status = '{Status.REPLACED}', replaced_by = ?"  # noqa: S608 - ours
    f" WHERE status = '{Status.VALID}' AND kind = ? AND name_key = ?"
)
_THAT_ONE = f"{_WHOEVER} AND sha256 = ?"


def replace(connection: sa.Connection, new: Entry, old: str | None) -> None:
    """Marks who lives under the name of `new` as replaced by it: the one with the fingerprint `old`, or whoever does.

    Inside the caller's transaction. Raises `NotFound` where `old` does not live: somebody was faster.
    """
    values = (new.sha256, new.kind, new.name_key)
    if old is None:
        run(connection, _WHOEVER, values)
    elif run(connection, _THAT_ONE, (*values, old)).rowcount == 0:
        why = f"it does not live as the {new.kind} {new.name!r}: it was replaced, revoked, or is of another"
        raise NotFound(f"the certificate {old} cannot be replaced", why=why, hint=f"leafward ca show {old}")
