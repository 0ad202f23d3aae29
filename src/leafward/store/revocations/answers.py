"""The OCSP answers that were signed, each until it ends or its certificate's standing changes."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from leafward.errors import Busy
from leafward.store.database import reader, told_of
from leafward.store.inventory.schema import certificates, revocations
from leafward.store.maker_schema import moment, seconds
from leafward.store.revocations.schema import answers

_certificate, _revocation, _answer = certificates.c, revocations.c, answers.c
_KEY_ID, _SERIAL, _ALGORITHM = (sa.bindparam(name, type_=sa.Text) for name in ("key_id", "serial_hex", "digest"))
_FACTS = (
    _certificate.log_index,
    _certificate.serial,
    _certificate.not_after,
    _revocation.revoked,
    _revocation.reason,
    _answer.this_update,
    _answer.next_update,
)
_ONE = (
    sa.select(*_FACTS, _answer.der)
    .select_from(
        certificates.outerjoin(revocations, _revocation.log_index == _certificate.log_index).outerjoin(
            answers, sa.and_(_answer.log_index == _certificate.log_index, _answer.algorithm == _ALGORITHM)
        )
    )
    .where(_certificate.serial == _SERIAL, _certificate.issuer_key_id == _KEY_ID)
)
# Nobody asks about these: a root is trusted or not, and a responder says that it need not be asked for.
_UNANSWERED = ("root_ca", "ocsp_responder")
_AFTER, _ENDS, _LIMIT = (sa.bindparam(name, type_=sa.BigInteger) for name in ("after", "ends", "many"))
_LIVING = (
    sa.select(*_FACTS)
    .select_from(
        certificates.outerjoin(revocations, _revocation.log_index == _certificate.log_index).outerjoin(
            answers, sa.and_(_answer.log_index == _certificate.log_index, _answer.algorithm == _ALGORITHM)
        )
    )
    .where(
        _certificate.issuer_key_id == _KEY_ID,
        _certificate.kind.not_in(_UNANSWERED),
        _certificate.not_after >= _ENDS,
        _certificate.log_index > _AFTER,
    )
    .order_by(_certificate.log_index)
    .limit(_LIMIT)
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A certificate that somebody asks about: since when and why it is revoked, None where it is not.

    `last` is when the answer before begins; `der` that answer where it still holds, until `until`.
    """

    log_index: int
    serial: int
    not_after: datetime
    revoked: datetime | None
    reason: str | None
    last: datetime | None
    until: datetime | None
    der: bytes | None

    def is_due(self, now: datetime) -> bool:
        """Whether an answer should be signed: there is none, or half of its time is over."""
        return self.last is None or self.until is None or now >= self.last + (self.until - self.last) / 2


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed answer for a certificate, in one algorithm; it says what `about` says."""

    about: Asked
    algorithm: str
    this_update: datetime
    next_update: datetime
    der: bytes


class Answers:
    """The answers in the maker's database. Thread-safe. Every method raises `StoreError` when the database refuses."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def find(self, issuer_key_id: str, serial: int, algorithm: str) -> Asked | None:
        """The certificate of a CA with this serial, and its answer; None where no such certificate was issued."""
        asked = {"key_id": issuer_key_id, "serial_hex": f"{serial:x}", "digest": algorithm}
        with told_of(self._engine), reader(self._engine) as connection:
            row = connection.execute(_ONE, asked).one_or_none()
        return None if row is None else _asked(row, bytes(row.der) if row.der is not None else None)

    def living(self, issuer_key_id: str, algorithm: str, now: datetime, *, after: int, limit: int) -> list[Asked]:
        """Certificates of a CA that have not ended, in the order of issuing, from behind the log index `after`.

        Without the answers themselves.
        """
        asked = {"key_id": issuer_key_id, "digest": algorithm, "ends": seconds(now), "after": after, "many": limit}
        with told_of(self._engine), reader(self._engine) as connection:
            return [_asked(row, None) for row in connection.execute(_LIVING, asked)]


def withdraw(connection: sa.Connection, log_index: int) -> None:
    """A certificate's standing changes, in the caller's transaction: its answers do not hold any more."""
    connection.execute(sa.update(answers).where(_answer.log_index == log_index).values(next_update=0))


def keep(connection: sa.Connection, answer: Answer) -> None:
    """Keeps a signed answer, in the caller's transaction.

    Raises `Busy` where the certificate's standing changed since it was looked up: the answer is wrong now.
    """
    about = answer.about
    standing = sa.select(_revocation.revoked, _revocation.reason).where(_revocation.log_index == about.log_index)
    now = connection.execute(standing).one_or_none()
    was = None if about.revoked is None else (seconds(about.revoked), about.reason)
    if (None if now is None else tuple(now)) != was:
        raise Busy("the certificate was revoked or released meanwhile", hint="ask again")
    key = {"log_index": about.log_index, "algorithm": answer.algorithm}
    held = (_answer.log_index == about.log_index, _answer.algorithm == answer.algorithm)
    values = {"this_update": seconds(answer.this_update), "next_update": seconds(answer.next_update), "der": answer.der}
    if connection.execute(sa.update(answers).where(*held).values(**values)).rowcount == 0:
        connection.execute(sa.insert(answers).values(**key, **values))


def _asked(row: sa.Row[*tuple[object, ...]], der: bytes | None) -> Asked:
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    holds = bool(found["next_update"])
    return Asked(
        log_index=found["log_index"],
        serial=int(found["serial"], 16),
        not_after=moment(found["not_after"]),
        revoked=None if found["revoked"] is None else moment(found["revoked"]),
        reason=found["reason"],
        last=None if found["this_update"] is None else moment(found["this_update"]),
        until=moment(found["next_update"]) if holds else None,
        der=der if holds else None,
    )
