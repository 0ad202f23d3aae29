"""The tables of factory lots, in the maker's database. Times are seconds since 1970, UTC."""

import sqlalchemy as sa

from leafward.store.maker_schema import metadata

lots = sa.Table(
    "lots",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("issuer", sa.Text, nullable=False),  # short name of the authority
    sa.Column("issuer_sha256", sa.Text, nullable=False),
    sa.Column("quota", sa.BigInteger, nullable=False),
    sa.Column("issued", sa.BigInteger, nullable=False),
    sa.Column("days", sa.Integer),
    sa.Column("opened", sa.BigInteger, nullable=False),  # seconds since 1970, UTC
    sa.Column("closed", sa.BigInteger),
)
batches = sa.Table(
    "lot_batches",
    metadata,
    sa.Column("lot", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("station", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),  # index in the issuance log
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("delivered", sa.Boolean, nullable=False),
)
# Kept narrow: a row's place is random, so on a line of thousands a second each page of this table is written often.
requests = sa.Table(
    "lot_requests",
    metadata,
    sa.Column("lot", sa.Integer, primary_key=True, autoincrement=False),  # its number
    sa.Column("request", sa.LargeBinary, primary_key=True),  # 16 octets of the SHA-256 of public key and name
    sqlite_with_rowid=False,
)
rejections = sa.Table(
    "lot_rejections",
    metadata,
    sa.Column("lot", sa.Text, primary_key=True),
    sa.Column("input", sa.LargeBinary, primary_key=True),  # SHA-256 of what was handed in, and under which name
    sa.Column("name", sa.Text),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
spoiled = sa.Table(
    "lot_spoiled",
    metadata,
    sa.Column("lot", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("why", sa.Text, nullable=False),
)
