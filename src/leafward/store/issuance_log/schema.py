"""The tables of the issuance log, in the maker's database: an entry and what it is about commit as one.

`log_entries` has all that the tree is made of. The rest is kept so that an append and a proof need not read it again:
each full tile (`log_tiles`), the frontier and the size (`log_head`, one row), the checkpoints that were signed.
`leafward ca log verify` makes all of it anew from the entries and compares.
"""

import sqlalchemy as sa

from leafward.store.maker_schema import metadata

# SQLite's own row number, no index beside the table; elsewhere 64 bits have to be asked for.
_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")

entries = sa.Table(
    "log_entries",
    metadata,
    sa.Column("position", _POSITION, primary_key=True, autoincrement=False),  # from 0, without gaps
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
)
tiles = sa.Table(
    "log_tiles",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("hashes", sa.LargeBinary, nullable=False),  # 256 of them: full tiles only
    sa.Column("root", sa.LargeBinary, nullable=False),  # over these hashes: one hash of the level above
)
head = sa.Table(
    "log_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # always 1; its lock serialises the appends
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("verifier_key", sa.Text),  # signed-note vkey of the log's key, from the first checkpoint on
)
checkpoints = sa.Table(
    "log_checkpoints",
    metadata,
    sa.Column("size", _POSITION, primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
)
