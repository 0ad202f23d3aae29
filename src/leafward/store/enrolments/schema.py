"""The provisioning service's tables. Times are microseconds since 1970, UTC.

They lie beside the registry, in one SQLite file, or in a PostgreSQL database that several services share.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

NAME = "provisioning"
metadata = sa.MetaData()

enrolments = sa.Table(
    "enrolments",
    metadata,
    sa.Column("folded", sa.Text, primary_key=True),  # the id in lower case
    sa.Column("grouped", sa.Boolean, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("primary_body", sa.LargeBinary, nullable=False),  # DER, key, endorsement key, or a CA's name
    sa.Column("secondary_body", sa.LargeBinary),
    sa.Column("device_id", sa.Text),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("allocation", sa.Text, nullable=False),
    sa.Column("hubs", sa.Text, nullable=False),  # joined by blanks, which no hub's name has
    sa.Column("reprovision", sa.Text, nullable=False),
    sa.Column("initial_twin", sa.Text),
    sa.Column("edge", sa.Boolean, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
cas = sa.Table(
    "enrolment_cas",
    metadata,
    sa.Column("folded", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
    sa.Column("signer", sa.LargeBinary, nullable=False, unique=True),  # `values.signer_of`
    sa.Column("verified", sa.Boolean, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("code_until", sa.BigInteger),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
)
# One row: counts the changes of groups and CAs, which the service keeps in memory.
revision = sa.Table(
    "enrolment_revision",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
)
_UNFINISHED = sa.text("status = 'assigning' OR twin IS NOT NULL")
registrations = sa.Table(
    "registrations",
    metadata,
    sa.Column("registration", sa.Text, primary_key=True),  # the id in lower case
    sa.Column("registration_id", sa.Text, nullable=False),
    sa.Column("enrolment", sa.Text),  # None: a device that the registry knew
    sa.Column("grouped", sa.Boolean, nullable=False),
    sa.Column("device_id", sa.Text, nullable=False),
    sa.Column("hub", sa.Text, nullable=False),
    sa.Column("previous_hub", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("substatus", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("auth", sa.Text, nullable=False),
    sa.Column("primary_key", sa.LargeBinary),
    sa.Column("secondary_key", sa.LargeBinary),
    sa.Column("primary_thumbprint", sa.Text),
    sa.Column("secondary_thumbprint", sa.Text),
    sa.Column("generation_id", sa.Text, nullable=False),
    sa.Column("previous_generation", sa.Text),
    sa.Column("leaf", sa.Text),  # sha256 of the certificate that it came with
    sa.Column("payload", sa.Text),
    sa.Column("challenge", sa.LargeBinary),  # what its TPM turns into the key
    sa.Column("twin", sa.Text),  # the initial twin that its hub has not got yet
    sa.Column("error_code", sa.Integer),
    sa.Column("error_message", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),  # counts all changes
    sa.Index("registrations_changed", "changed"),
    sa.Index("registrations_enrolment", "enrolment", "grouped"),
    sa.Index("registrations_unfinished", "hub", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
    sqlite_with_rowid=False,
)
challenges = sa.Table(
    "tpm_challenges",
    metadata,
    sa.Column("registration", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("blob", sa.LargeBinary, nullable=False),
    sa.Column("asked", sa.LargeBinary, nullable=False),  # SHA-256 of the TPM's keys that it was made for
    sa.Column("until", sa.BigInteger, nullable=False),
)
# In a home's own file: how far it has followed a database that it shares with others.
followed = sa.Table(
    "registrations_followed",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("changed", sa.BigInteger, nullable=False),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """An aware time as the tables keep it.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - _EPOCH) // _MICROSECOND


def moment(since_1970: int) -> datetime:
    """The aware UTC time of a number that the tables keep."""
    return _EPOCH + timedelta(microseconds=since_1970)
