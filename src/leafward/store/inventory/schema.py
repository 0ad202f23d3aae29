"""The tables of the inventory. A certificate's number is its index in the issuance log.

What must be unique is kept so by the database, on SQLite and PostgreSQL alike, because several processes and stations
issue at once: a look before an insert proves nothing.
"""

import sqlalchemy as sa

from leafward.store.maker_schema import metadata

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite's own row number needs exactly this type

certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("log_index", _Number, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),  # of the DER; lower-case hexadecimal, as all below
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text),  # the subject's common name
    sa.Column("name_key", sa.Text),  # the name as it is compared; NULL where a name may be carried twice
    sa.Column("issuer_key_id", sa.Text, nullable=False),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("not_before", sa.BigInteger, nullable=False),  # seconds since 1970, UTC
    sa.Column("not_after", sa.BigInteger, nullable=False, index=True),
    sa.Column("issued", sa.BigInteger, nullable=False),
    sa.Column("lot", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("replaced_by", sa.Text),  # sha256
    sa.UniqueConstraint("serial", "issuer_key_id"),
)


def lives() -> sa.ColumnElement[bool]:
    """Who holds a name. Spelled with a constant, as in the index: with a parameter, SQLite would not use it."""
    return certificates.c.status == sa.literal_column("'valid'")


# As text, the same on both databases: an `Index` with a condition loads SQLAlchemy's PostgreSQL part at each start.
for _statement in (
    "CREATE UNIQUE INDEX certificates_living_name ON certificates (name_key, kind) WHERE status = 'valid'",
    "CREATE INDEX certificates_by_lot ON certificates (lot) WHERE lot IS NOT NULL",
):
    sa.event.listen(certificates, "after_create", sa.DDL(_statement))  # type: ignore[no-untyped-call]

# Apart from the facts, so that a search reads little, and a compacted certificate gives its room back.
bodies = sa.Table(
    "certificate_bodies",
    metadata,
    sa.Column("log_index", _Number, primary_key=True, autoincrement=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
)

revocations = sa.Table(
    "revocations",
    metadata,
    sa.Column("log_index", _Number, primary_key=True, autoincrement=False),  # of the certificate
    sa.Column("issuer_key_id", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("not_after", sa.BigInteger, nullable=False),
    sa.Column("revoked", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("revocations_by_issuer", "issuer_key_id", "partition", "log_index"),
)
