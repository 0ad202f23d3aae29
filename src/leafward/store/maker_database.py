"""Opens the maker's database with all its tables: one SQLite file, or PostgreSQL for makers with several stations."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from leafward.store import accounts as _accounts  # noqa: F401 - puts its table on `metadata`
from leafward.store.database import open_database
from leafward.store.inventory import schema as _inventory  # noqa: F401 - puts its tables on `metadata`
from leafward.store.issuance_log import schema as _log  # noqa: F401
from leafward.store.lots import schema as _lots  # noqa: F401
from leafward.store.maker_schema import metadata
from leafward.store.revocations import schema as _revocations  # noqa: F401

FILE = "maker.db"

# Fingerprints and serials fall anywhere in their indices: with SQLite's own 2 MB of cache and a checkpoint each 4 MB, a
# lot of 100,000 rows wrote most pages several times, and took a fifth more of the processor.
_CACHE = ("cache_size = -32000", "wal_autocheckpoint = 4000")
# SQLite keeps no queue of those who wait. With three writers that never paused, one waited three seconds: a line that
# stops costs more than one that waits.
PATIENCE_SECONDS = 60.0


def open_maker_database(url_or_path: str | Path) -> sa.Engine:
    """The database of the inventory and the issuance log, made where it is new. Raises as `open_database`."""
    pragmas = (*_CACHE, f"busy_timeout = {int(PATIENCE_SECONDS * 1000)}")
    return open_database(url_or_path, metadata, name="maker", pragmas=pragmas)


def read_maker_database(url: URL) -> sa.Engine:
    """The database that an engine here has opened, for reading alone: for a process that was forked from its own."""
    where = (
        Path(url.database or "") if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=False)
    )
    return open_database(where, metadata, name="maker", read_only=True)
