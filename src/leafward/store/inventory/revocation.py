"""Revoking a certificate, and releasing one that was on hold; what depends on it changes in the same transaction."""

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leafward.errors import AlreadyExists, NotFound
from leafward.pki.revocation import HOLD
from leafward.store.inventory.issued import SELECTION, Issued, Status, at
from leafward.store.inventory.schema import certificates, revocations
from leafward.store.maker_schema import seconds

_columns, _line = certificates.c, revocations.c
_BY_SHA256 = SELECTION.where(_columns.sha256 == sa.bindparam("sha256", type_=sa.Text))

Also = Callable[[sa.Connection, Issued], None]


def revoke(connection: sa.Connection, sha256: str, reason: str, when: datetime, partition: int) -> Issued:
    """See `Inventory.revoke`; inside the caller's transaction. The certificate as it was."""
    held = _held(connection, sha256, when)
    if held.revoked is not None and (held.reason != HOLD or reason == HOLD):
        why = f"on {held.revoked:%Y-%m-%dT%H:%M:%SZ}, reason {held.reason}"
        raise AlreadyExists(f"the {held.label} is revoked already", why=why, hint=f"leafward ca show {sha256}")
    if held.revoked is not None:
        # It has not been valid since it was put on hold: that time stands, the reason becomes final.
        connection.execute(sa.update(revocations).where(_line.log_index == held.log_index).values(reason=reason))
        return held
    connection.execute(_status(held, Status.REVOKED))
    connection.execute(
        sa.insert(revocations).values(
            log_index=held.log_index,
            issuer_key_id=held.issuer_key_id,
            partition=partition,
            serial=f"{held.serial:x}",
            not_after=seconds(held.not_after),
            revoked=seconds(when),
            reason=reason,
        )
    )
    return held


def release(connection: sa.Connection, sha256: str, when: datetime) -> Issued:
    """See `Inventory.release`; inside the caller's transaction. The certificate as it was."""
    held = _held(connection, sha256, when)
    if held.reason != HOLD:
        why = "it is not revoked" if held.revoked is None else f"it is revoked for good, reason {held.reason}"
        raise NotFound(f"the certificate {sha256} is not on hold", why=why, hint=f"leafward ca show {sha256}")
    status = Status.VALID if held.replaced_by is None else Status.REPLACED
    try:
        connection.execute(_status(held, status))
    except IntegrityError:
        why = "while it was on hold, another certificate was issued under its name"
        hint = "revoke that one first, or leave this one on hold"
        raise AlreadyExists(f"a {held.label} lives", why=why, hint=hint) from None
    connection.execute(sa.delete(revocations).where(_line.log_index == held.log_index))
    return held


def _held(connection: sa.Connection, sha256: str, now: datetime) -> Issued:
    row = connection.execute(_BY_SHA256, at(now, sha256=sha256)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no certificate {sha256}", hint="leafward ca search TEXT")
    return Issued.of(row)


def _status(held: Issued, status: Status) -> sa.Update:
    return sa.update(certificates).where(_columns.log_index == held.log_index).values(status=status.value)
