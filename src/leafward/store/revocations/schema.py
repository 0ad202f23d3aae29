"""The tables of published revocations. Times are seconds since 1970, UTC; what was never signed has none."""

import sqlalchemy as sa

from leafward.store.maker_schema import metadata

# One row a list: the complete one of a CA (partition 0), or the part for the certificates that name its address.
lists = sa.Table(
    "crl_lists",
    metadata,
    sa.Column("issuer_key_id", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("address", sa.Text),  # as in its certificates; NULL for the complete list
    sa.Column("given", sa.BigInteger, nullable=False),  # how many certificates were given this address
    sa.Column("last_not_after", sa.BigInteger, nullable=False),  # none of these ends later
    sa.Column("changes", sa.BigInteger, nullable=False),  # how often one of them was revoked or released
    sa.Column("told", sa.BigInteger, nullable=False),  # `changes` as the last list tells
    sa.Column("number", sa.BigInteger, nullable=False),  # of the last list; 0: none yet
    sa.Column("this_update", sa.BigInteger),
    sa.Column("next_update", sa.BigInteger),
    sa.Column("lines", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text),
    sa.UniqueConstraint("address"),
)

# Apart, so that looking for what is due reads little. A kill between here and the file is mended from here.
list_bodies = sa.Table(
    "crl_bodies",
    metadata,
    sa.Column("issuer_key_id", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
)

answers = sa.Table(
    "ocsp_answers",
    metadata,
    sa.Column("log_index", sa.BigInteger, primary_key=True, autoincrement=False),  # of the certificate
    sa.Column("algorithm", sa.Text, primary_key=True),  # in which the question names the issuer
    sa.Column("this_update", sa.BigInteger, nullable=False),
    sa.Column("next_update", sa.BigInteger, nullable=False),  # 0: withdrawn, the certificate's standing has changed
    sa.Column("der", sa.LargeBinary, nullable=False),
)
