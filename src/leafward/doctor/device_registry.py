"""Who is registered in a home, read as it stands: opened for reading, and nothing is made or migrated."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from leafward.store.identity import Identity
from leafward.store.identity_rows import FIELDS, identity_of

_QUERY = f"SELECT {', '.join(FIELDS)} FROM identities WHERE device_id = ? AND module_id = ?"  # noqa: S608 - own names
_SECONDS = 2.0


def registered_in(path: Path) -> Callable[[str, str | None], Identity | None] | None:
    """What answers for an id; None where the registry cannot be read, so that nobody is called unknown for that."""
    try:
        with closing(_open(path)) as connection:
            connection.execute(_QUERY, ("", "")).fetchone()
    except sqlite3.Error:
        return None

    def registered(device_id: str, module_id: str | None) -> Identity | None:
        with closing(_open(path)) as connection:
            row = connection.execute(_QUERY, (device_id, module_id or "")).fetchone()
        return None if row is None else identity_of(row)

    return registered


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=_SECONDS)
