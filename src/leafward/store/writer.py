"""Transactions that write, one after the other, as a server makes them for each request: on one connection, kept.

What SQLite has read stays in that connection's cache. Taking one from the pool, and beginning and ending as SQLAlchemy
does, costs as much as the statements of one certificate.
"""

import contextlib
import threading
from collections.abc import Iterator

import sqlalchemy as sa

from leafward.store.database import lock_for_writing, reader, run


class Writer:
    """Thread-safe: who comes while another writes waits for its end. Not to be entered again inside a transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # A server may have hung up meanwhile: the pool tries its connections before it hands one out.
        self._is_kept = engine.dialect.name == "sqlite"
        self._guard = threading.Lock()
        self._connection: sa.Connection | None = None

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction that nobody writes beside (`lock_for_writing`): durable at the end, nothing after an error.

        Raises what SQLAlchemy raises; see `told_of`.
        """
        with self._guard:
            connection = self._connection or reader(self._engine)
            self._connection = None
            try:
                run(connection, "BEGIN IMMEDIATE" if self._is_kept else "BEGIN")
                lock_for_writing(connection)
                yield connection
                run(connection, "COMMIT")
            except BaseException:
                connection.close()  # which takes back what was begun
                raise
            if self._is_kept:
                self._connection = connection
            else:
                connection.close()

    def close(self) -> None:
        """Gives the connection back. May be repeated; the next transaction takes another."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
