"""The SQLAlchemy engine of every database here: SQLite in a file by default, PostgreSQL by URL.

SQLite is set to lose nothing that was committed (WAL with synchronous=FULL) and to let any number of processes read
while one writes. Whatever the driver raises becomes an error of ours that names the database, and never shows the
values of a statement: they may be keys.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from leafward.disk import PRIVATE, make_folder, sync_folder, told
from leafward.errors import Busy, Damaged, NotFound, SettingsError, StoreError
from leafward.store.migrations import Migration, bring_up_to_date, refuse_other_versions

BUSY_SECONDS = 10.0
_PAUSE = 0.02
# A small file is looked over at each start, so that damage is met then and not in the middle of work.
_LOOKED_OVER_SIZE = 8 * 1024 * 1024
_PRAGMAS = ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "journal_size_limit = 16777216")
_RESTORE = "restore it from a copy, or move it away to begin anew"


def open_database(
    url_or_path: str | Path,
    metadata: sa.MetaData,
    *,
    migrations: Sequence[Migration] = (),
    name: str = "leafward",
    read_only: bool = False,
) -> sa.Engine:
    """Opens, and where it is new makes, the database of `metadata`, in the version that `migrations` lead to.

    `url_or_path` is a SQLite file (made with mode 0600) or a database URL. `name` keeps apart several schemas in one
    PostgreSQL database. With `read_only` nothing is made, migrated or locked: writers never wait for such an engine.

    `engine.begin()` is a write transaction that holds the database from its start; `reader(engine)` is a connection
    for single statements. The engine is thread-safe, its connections are not. `engine.dispose()` closes it.

    Raises `Damaged`, `Busy` (another process kept it for `BUSY_SECONDS`), `NotFound` (with `read_only`),
    `SettingsError` (a URL that is none) and `StoreError` (a newer version; the disk) naming the database.
    """
    path, url = _where(url_or_path)
    engine = _server_engine(url) if path is None else _file_engine(path, read_only=read_only)
    try:
        with told_of(engine):
            if path is not None:
                _look_over(engine, path)
            if read_only:
                with reader(engine) as connection:
                    refuse_other_versions(connection, name, migrations, where=described(engine))
            else:
                bring_up_to_date(engine, metadata, name, migrations, where=described(engine))
    except BaseException:
        engine.dispose()
        raise
    return engine


def reader(engine: sa.Engine) -> sa.Connection:
    """A connection on which each statement stands alone and sees what was last committed; close it."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def described(engine: sa.Engine) -> str:
    """The database as messages name it: its file, or its URL without the password."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        return engine.url.database
    return engine.url.render_as_string(hide_password=True)


@contextlib.contextmanager
def told_of(engine: sa.Engine) -> Iterator[None]:
    """Turns what the driver raises into `Busy`, `Damaged` or `StoreError` that names the database."""
    try:
        yield
    except DBAPIError as error:
        raise _told(error, described(engine)) from error


class ChangeWatch:
    """Tells whether a database changed, so that what was read from it may be kept in memory.

    `changed()` is True when any other connection, of this process or another, committed since the last call (or since
    the watch was made). It costs some 15 microseconds on SQLite. Other databases have no such counter: there it is True
    always, and nothing may be kept. Thread-safe. Holds one connection until `close`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._guard = threading.Lock()
        self._connection = reader(engine)
        self._seen = self._version()

    def changed(self) -> bool:
        """See above. Raises `StoreError` when the database cannot be read any more."""
        with self._guard, told_of(self._engine):
            seen, self._seen = self._seen, self._version()
        return self._seen is None or seen != self._seen

    def close(self) -> None:
        """Gives the connection back; the watch cannot be used any more."""
        with self._guard:
            self._connection.close()

    def _version(self) -> int | None:
        if self._engine.dialect.name != "sqlite":
            return None
        return int(self._connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def _where(url_or_path: str | Path) -> tuple[Path | None, URL]:
    """The file of a SQLite database, or None for a server's."""
    text = str(url_or_path)
    if isinstance(url_or_path, Path) or "://" not in text:
        return Path(url_or_path).absolute(), URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise SettingsError("the database URL is none", hint="postgresql+psycopg://user@host/name, or a path") from None
    if url.get_backend_name() != "sqlite":
        return None, url
    if not url.database or url.database == ":memory:":
        raise SettingsError("a database in memory does not last", hint="give the path of a file")
    return Path(url.database).absolute(), url


def _server_engine(url: URL) -> sa.Engine:
    try:
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        what = f"no driver for the database {url.render_as_string(hide_password=True)}"
        raise StoreError(what, why=str(error), hint="pip install 'psycopg[binary]' for PostgreSQL") from error


def _file_engine(path: Path, *, read_only: bool) -> sa.Engine:
    if not read_only:
        _make_private(path)
    elif not path.exists():
        raise NotFound(f"no database {path}", why="the file does not exist", hint="it is made when the edge first runs")
    address = f"file:{quote(str(path))}" + ("?mode=ro" if read_only else "?mode=rw")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    engine = sa.create_engine(URL.create("sqlite", database=str(path)), creator=connect, hide_parameters=True)
    event.listen(engine, "connect", _prepare_reader if read_only else _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _make_private(path: Path) -> None:
    """The file with mode 0600 before SQLite sees it; its WAL and shared memory get the mode of the file."""
    make_folder(path.parent)
    with told(f"cannot open the database {path}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, PRIVATE)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # Changing the journal mode needs the file for itself and does not wait; once changed, it is kept in the file.
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _switch_to_wal(connection)
    _prepare_reader(connection, _record)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    last = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _prepare_reader(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # A transaction that begins by reading and then writes may find that another was faster and has to be repeated:
    # IMMEDIATE waits at the start instead.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _look_over(engine: sa.Engine, path: Path) -> None:
    with reader(engine) as connection:
        connection.exec_driver_sql("PRAGMA schema_version")
        if path.stat().st_size <= _LOOKED_OVER_SIZE:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise Damaged(f"the database {path} is damaged", why=str(found).splitlines()[0], hint=_RESTORE)


def _told(error: DBAPIError, where: str) -> StoreError:
    cause = error.orig
    code = getattr(cause, "sqlite_errorcode", None) or 0
    why = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Busy(f"the database {where} is in use", why=why, hint="try again when the other process is done")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Damaged(f"the database {where} is damaged", why=why, hint=_RESTORE)
        case sqlite3.SQLITE_FULL:
            return StoreError(f"cannot write the database {where}", why=why, hint="free some space on that disk")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            hint = "run as the user that owns it, or correct its permissions and those of its folder"
            return StoreError(f"cannot open or write the database {where}", why=why, hint=hint)
        case _:
            return StoreError(f"the database {where} refused", why=why)
