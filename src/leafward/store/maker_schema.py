"""The maker's database (`maker.db`, or a PostgreSQL one that several stations share): the one list of its tables.

Each room of it defines its tables on `metadata` in a `schema.py` of its own, which `maker_database.py` imports: what
happens in one transaction lies in one database.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import sqlalchemy as sa

metadata = sa.MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache  # the certificates of a lot share their times
def seconds(moment: datetime) -> int:
    """An aware time as the tables keep it: whole seconds since 1970 in UTC, as X.509 has no finer ones.

    >>> seconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400
    """
    return (moment - _EPOCH) // timedelta(seconds=1)


def moment(since_1970: int) -> datetime:
    """The aware UTC time of a number that the tables keep."""
    return _EPOCH + timedelta(seconds=since_1970)
