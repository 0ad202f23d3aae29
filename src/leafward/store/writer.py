"""Transactions that write, one after the other, as a server makes them for each request: on one connection, kept.

What SQLite has read stays in that connection's cache. Taking one from the pool, and beginning and ending as SQLAlchemy
does, costs as much as the statements of one certificate.
"""

import threading
from types import TracebackType

import sqlalchemy as sa

from leafward.store.database import keep_driver, lock_for_writing, reader, run


class Writer:
    """Thread-safe: who comes while another writes waits for its end. Not to be entered again inside a transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # A server may have hung up meanwhile: the pool tries its connections before it hands one out.
        self.is_kept = engine.dialect.name == "sqlite"
        self.guard = threading.Lock()
        self.connection: sa.Connection | None = None
        self._transaction = _Transaction(self)

    def begin(self) -> "_Transaction":
        """A transaction that nobody writes beside (`lock_for_writing`): durable at the end, nothing after an error.

        It is entered with `with`, which gives the connection. Raises what SQLAlchemy raises; see `told_of`.
        """
        return self._transaction

    def close(self) -> None:
        """Gives the connection back. May be repeated; the next transaction takes another."""
        with self.guard:
            if self.connection is not None:
                self.connection.close()
            self.connection = None


class _Transaction:
    """One for all of a writer's, since there is one at a time: a generator for each would cost as much as a row."""

    __slots__ = ("_connection", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._connection: sa.Connection | None = None

    def __enter__(self) -> sa.Connection:
        writer = self._writer
        writer.guard.acquire()
        connection, writer.connection = writer.connection, None
        try:
            if connection is None:
                connection = reader(writer.engine)
                keep_driver(connection)
            run(connection, "BEGIN IMMEDIATE" if writer.is_kept else "BEGIN")
            if not writer.is_kept:
                lock_for_writing(connection)
        except BaseException:
            self._give_up(connection)
            raise
        self._connection = connection
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        writer, connection, self._connection = self._writer, self._connection, None
        assert connection is not None
        if kind is not None:
            self._give_up(connection)
            return
        try:
            run(connection, "COMMIT")
        except BaseException:
            self._give_up(connection)
            raise
        if writer.is_kept:
            writer.connection = connection
        else:
            connection.close()
        writer.guard.release()

    def _give_up(self, connection: sa.Connection | None) -> None:
        """Takes back what was begun."""
        try:
            if connection is not None:
                connection.close()
        finally:
            self._writer.guard.release()
