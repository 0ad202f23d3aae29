"""The inventory held against the log: each certificate has its entry, each entry its certificate, and both agree.

Revocation and replacement are no part of an entry: those change. The CRLs that say them are in the log.
"""

from datetime import datetime

import sqlalchemy as sa
from cryptography import x509

from leafward.errors import LeafwardError
from leafward.store.inventory.entry import Entry
from leafward.store.inventory.schema import bodies, certificates
from leafward.store.issuance_log.difference import Report
from leafward.store.issuance_log.entry import OTHER_KINDS, fields_of
from leafward.store.issuance_log.walk import Window
from leafward.store.maker_schema import moment, seconds

_columns = certificates.c
_FROM, _TO = (sa.bindparam(name, type_=sa.BigInteger) for name in ("from_", "to"))
_ROWS = (
    sa.select(certificates, bodies.c.der)
    .select_from(certificates.outerjoin(bodies, bodies.c.log_index == _columns.log_index))
    .order_by(_columns.log_index)
)
_BETWEEN = _ROWS.where(_columns.log_index >= _FROM, _columns.log_index < _TO)


class InventoryCheck:
    """`window` is called for each window of the log, `end` after the last. `now` is aware."""

    def __init__(self, connection: sa.Connection, report: Report, *, now: datetime) -> None:
        self._connection = connection
        self._report = report
        self._now = now

    def window(self, window: Window) -> None:
        """Compares the certificates of these positions."""
        limits = {"from_": window.first, "to": window.first + window.width}
        held = {row.log_index: row for row in self._connection.execute(_BETWEEN, limits)}
        for at, entry in window.entries.items():
            position = window.first + at
            fields = fields_of(entry)
            row = held.pop(position, None)
            if fields is None:
                self._report.add("entry-malformed", "is no entry of ours", position)
            elif row is not None:
                self._compare(position, fields, row)
            elif fields[0] not in OTHER_KINDS:
                what = "its certificate is not in the inventory"
                self._report.add("certificate-missing", what, position)
        for position in held:
            self._report.add("certificate-not-logged", "the inventory has a certificate and the log no entry", position)

    def end(self, size: int) -> None:
        """Reports certificates at positions that the log has not, and bytes without a certificate."""
        beyond = ~_columns.log_index.between(0, size - 1)
        for row in self._connection.execute(_ROWS.where(beyond).limit(1000)):
            what = f"the inventory's certificate {row.sha256} is not in the log"
            self._report.add("certificate-not-logged", what, row.log_index)
        lost = sa.select(bodies.c.log_index).outerjoin(certificates, bodies.c.log_index == _columns.log_index)
        for position in self._connection.execute(lost.where(_columns.log_index.is_(None)).limit(1000)).scalars():
            self._report.add("certificate-missing", "the inventory has its bytes and nothing else", position)

    def _compare(self, position: int, fields: tuple[str, ...], row: sa.Row[*tuple[object, ...]]) -> None:
        kind, time, issuer_key_id, serial, sha256 = fields
        held = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
        logged = {"kind": kind, "issuer_key_id": issuer_key_id, "serial": serial, "sha256": sha256}
        wrong = [name for name, value in logged.items() if held[name] != value]
        if _text(held["issued"]) != time:
            wrong.append("issued")
        if wrong:
            self._report.add("certificate-differs", f"the inventory says otherwise in {', '.join(wrong)}", position)
        elif held["der"] is not None:
            self._compare_bytes(position, held)
        elif type(held["not_after"]) is not int or held["not_after"] >= seconds(self._now):
            self._report.add("certificate-missing", "its bytes are not in the inventory, and it is valid", position)

    def _compare_bytes(self, position: int, held: sa.RowMapping) -> None:
        try:
            found = Entry.of(str(held["kind"]), x509.load_der_x509_certificate(held["der"]))
        except (LeafwardError, ValueError, TypeError):
            self._report.add("certificate-changed", "the certificate in the inventory cannot be read", position)
            return
        if found.sha256 != held["sha256"]:
            self._report.add("certificate-changed", "the certificate in the inventory is not the logged one", position)
            return
        said = {
            "name": found.name,
            "name_key": found.name_key,
            "not_before": seconds(found.not_before),
            "not_after": seconds(found.not_after),
        }
        wrong = [name for name, value in said.items() if held[name] != value]
        if wrong:
            what = f"the inventory says otherwise than the certificate in {', '.join(wrong)}"
            self._report.add("certificate-differs", what, position)


def _text(since_1970: object) -> str:
    if type(since_1970) is not int or not 0 <= since_1970 < 1 << 37:
        return ""
    return f"{moment(since_1970):%Y-%m-%dT%H:%M:%SZ}"
