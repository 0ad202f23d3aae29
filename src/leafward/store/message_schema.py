"""The tables of the message store, and how an older one becomes the present one.

messages     one row a message
deliveries   one row for each queue that still waits for it: an endpoint, or one priority of an endpoint
delivered    the messages that nobody waits for any more and that stay readable: the first to go when room is needed
"""

import sqlalchemy as sa

from leafward.store.migrations import Migration

UPSTREAM = "$upstream"
# Where a message waits that upstream refused: for somebody to look at it, and to send it once more or not.
REFUSED = "$upstream/refused"
# Of a queue that has no priority: the last to be delivered, the first to be dropped.
LOWEST = 10
# Of messages for devices: nothing of the sort of telemetry goes before them.
_FOR_DEVICES = "devicebound/"

# SQLite's own row number, no index beside the table; elsewhere 64 bits have to be asked for.
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata = sa.MetaData()
messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=False),
    sa.Column("device_id", sa.Text, nullable=False),
    sa.Column("module_id", sa.Text),
    sa.Column("output", sa.Text),
    sa.Column("properties", sa.Text, nullable=False),  # JSON objects
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("enqueued", sa.BigInteger, nullable=False, index=True),  # microseconds since 1970, UTC
    sa.Column("upstream", sa.Boolean, nullable=False),
    # Since version 2: of its queues the best, 0 to `LOWEST`.
    sa.Column("priority", sa.SmallInteger, nullable=False, server_default=str(LOWEST)),
)
sa.Index("messages_by_priority", messages.c.priority.desc(), messages.c.id)
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("message_id", sa.ForeignKey(messages.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("expires", sa.BigInteger),  # since version 2: microseconds since 1970, UTC; NULL for never
    sa.Index("deliveries_by_endpoint", "endpoint", "message_id"),
    sqlite_with_rowid=False,
)
_has_expiry = deliveries.c.expires.is_not(None)
sa.Index("deliveries_by_expiry", deliveries.c.expires, sqlite_where=_has_expiry, postgresql_where=_has_expiry)
delivered = sa.Table(  # since version 2
    "delivered",
    metadata,
    sa.Column("message_id", sa.ForeignKey(messages.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
)
# The last id given out: ids grow in the order of the commits and none is used twice, however much is swept away.
last = sa.Table("last_message", metadata, sa.Column("id", sa.BigInteger, nullable=False))


def _priorities_and_ends(connection: sa.Connection) -> None:
    for statement in (
        f"ALTER TABLE messages ADD COLUMN priority SMALLINT NOT NULL DEFAULT {LOWEST}",
        "ALTER TABLE deliveries ADD COLUMN expires BIGINT",
    ):
        connection.exec_driver_sql(statement)
    delivered.create(connection)
    for index in (*messages.indexes, *deliveries.indexes):
        index.create(connection, checkfirst=True)
    waited_for = sa.exists().where(deliveries.c.message_id == messages.c.id)
    connection.execute(sa.insert(delivered).from_select(["message_id"], sa.select(messages.c.id).where(~waited_for)))


MIGRATIONS = (Migration(2, "priorities and times to live", _priorities_and_ends),)


def goes_upstream(endpoint: str) -> bool:
    """Whether this queue is one of those that lead upstream."""
    return endpoint.startswith(UPSTREAM)


def rank_of(endpoint: str) -> int:
    """The priority that a queue's name ends in ("$upstream#3"), `LOWEST` without one; 0 for messages to devices.

    >>> rank_of("$upstream#3"), rank_of("filter/inputs/in1#0"), rank_of("$upstream"), rank_of("devicebound/pump#3")
    (3, 0, 10, 0)
    """
    if endpoint.startswith(_FOR_DEVICES) and "/inputs/" not in endpoint:
        return 0
    return int(endpoint[-1]) if endpoint[-2:-1] == "#" and endpoint[-1:] in "0123456789" else LOWEST
