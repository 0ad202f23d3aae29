"""The SQLAlchemy engine of every database here: SQLite in a file by default, PostgreSQL by URL.

SQLite is set to lose nothing that was committed (WAL with synchronous=FULL) and to let any number of processes read
while one writes. Whatever the driver raises becomes an error of ours that names the database, and never shows the
values of a statement: they may be keys.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from leafward.errors import Damaged, NotFound, SettingsError, StoreError
from leafward.store import postgresql
from leafward.store.migrations import Migration, bring_up_to_date, refuse_other_versions
from leafward.store.sqlite_file import LOOKED_OVER_SIZE, PRAGMAS, RESTORE, make_private, make_wal, sqlite_error

BUSY_SECONDS = 10.0
# Where `keep_driver` keeps the driver's connection on SQLAlchemy's.
_KEPT = "leafward_driver"


def open_database(
    url_or_path: str | Path,
    metadata: sa.MetaData,
    *,
    migrations: Sequence[Migration] = (),
    name: str = "leafward",
    read_only: bool = False,
    pragmas: Sequence[str] = (),
) -> sa.Engine:
    """Opens, and where it is new makes, the database of `metadata`, in the version that `migrations` lead to.

    `url_or_path` is a SQLite file (made with mode 0600) or a database URL. `name` keeps apart several schemas in one
    PostgreSQL database. With `read_only` nothing is made, migrated or locked: writers never wait for such an engine.
    `pragmas` are SQLite's, for each connection beside our own.

    `engine.begin()` is a write transaction that holds the database from its start; `reader(engine)` is a connection
    for single statements. The engine is thread-safe, its connections are not. `engine.dispose()` closes it.

    Raises `Damaged`, `Busy` (another process kept it for `BUSY_SECONDS`), `NotFound` (with `read_only`),
    `SettingsError` (a URL that is none) and `StoreError` (a newer version; the disk) naming the database.
    """
    path, url = _where(url_or_path)
    engine = _server_engine(url) if path is None else _file_engine(path, (*PRAGMAS, *pragmas), read_only=read_only)
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
    return _shown(engine.url)


class told_of:  # noqa: N801 - it reads as the function that it stands for, and costs a third of a generator
    """Turns what the driver raises into `Busy`, `Damaged` or `StoreError` that names the database."""

    __slots__ = ("_engine",)

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, DBAPIError):
            raise _told(error, described(self._engine)) from error


def run(connection: sa.Connection, statement: str, *rows: Sequence[Any]) -> Any:
    """Runs a statement, once for each of `rows`, by the driver itself; the driver's cursor. A `?` stands for a value.

    For what each certificate waits for: SQLAlchemy's own way costs seven times what SQLite does with it. Raises as that
    does.
    """
    driver: sqlite3.Connection | None = connection.__dict__.get(_KEPT)
    try:
        if driver is None:
            return _run_on_cursor(connection, statement, rows)
        return driver.executemany(statement, rows) if len(rows) > 1 else driver.execute(statement, *rows)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(
            statement,
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            dialect=connection.dialect,
        ) from error


def keep_driver(connection: sa.Connection) -> None:
    """Lets `run` go straight to SQLite on a connection that is kept for long: looking the driver's up costs as much as
    a statement. Other databases are left as they are.
    """
    if connection.dialect.name == "sqlite":
        connection.__dict__[_KEPT] = connection.connection.dbapi_connection


def _run_on_cursor(connection: sa.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> Any:
    if connection.dialect.paramstyle != "qmark":
        statement = statement.replace("?", "%s")
    cursor = connection.connection.cursor()
    if len(rows) > 1:
        cursor.executemany(statement, rows)
    else:
        cursor.execute(statement, *rows)
    return cursor


def lock_for_writing(connection: sa.Connection) -> None:
    """Makes this transaction the only one of leafward's that writes, until it ends; others wait `BUSY_SECONDS` for it.

    SQLite is locked by beginning. PostgreSQL lets transactions run beside one another: where an order has to be kept
    (a log's), or two transactions would wait for one another, each takes this lock first.
    """
    if connection.dialect.name == postgresql.NAME:
        postgresql.lock_writers(connection)


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


def _shown(url: URL) -> str:
    # libpq takes a password among the parameters too.
    return url.set(query={}).render_as_string(hide_password=True)


def _server_engine(url: URL) -> sa.Engine:
    patience = postgresql.patience(url, BUSY_SECONDS) if url.get_backend_name() == postgresql.NAME else {}
    try:
        engine = sa.create_engine(
            url, hide_parameters=True, pool_pre_ping=True, pool_use_lifo=True, connect_args=patience
        )
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        what = f"no driver for the database {_shown(url)}"
        raise StoreError(what, why=str(error), hint="pip install 'psycopg[binary]' for PostgreSQL") from error
    if engine.dialect.name == postgresql.NAME:
        postgresql.prepare(engine, wait_seconds=BUSY_SECONDS)
    return engine


def _file_engine(path: Path, pragmas: Sequence[str], *, read_only: bool) -> sa.Engine:
    if not read_only:
        make_private(path)
    elif not path.exists():
        raise NotFound(f"no database {path}", why="the file does not exist", hint="it is made when the edge first runs")
    address = f"file:{quote(str(path))}" + ("?mode=ro" if read_only else "?mode=rw")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    # The last one back goes out first: what it has in its cache is still good, where nobody else has written since.
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)), creator=connect, hide_parameters=True, pool_use_lifo=True
    )

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        if not read_only:
            make_wal(connection, patience=BUSY_SECONDS)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    # A transaction that begins by reading and then writes may find that another was faster and has to be repeated:
    # IMMEDIATE waits at the start instead.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        run(connection, "BEGIN IMMEDIATE")


def _look_over(engine: sa.Engine, path: Path) -> None:
    with reader(engine) as connection:
        connection.exec_driver_sql("PRAGMA schema_version")
        if path.stat().st_size <= LOOKED_OVER_SIZE:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise Damaged(f"the database {path} is damaged", why=str(found).splitlines()[0], hint=RESTORE)


def _told(error: DBAPIError, where: str) -> StoreError:
    cause = error.orig
    why = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if (state := _server_state(error)) is not None:
        return postgresql.told(state, why, where)
    return sqlite_error(cause, where)


def _server_state(error: DBAPIError) -> str | None:
    """The SQLSTATE of a server's error; None for SQLite's. One that never connected has none of its own."""
    if isinstance(error.orig, sqlite3.Error):
        return None
    return getattr(error.orig, "sqlstate", None) or ("08001" if isinstance(error, OperationalError) else "")
