"""Questions that every login or registration asks, each for one row: of a server prepared, in one round trip.

The pool's own way costs three: it asks whether the connection still lives, reads, and rolls back. Here connections to a
server stay in autocommit, the last one back goes out first, and whether it lives is found out by the question itself.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from leafward.store import postgresql
from leafward.store.database import reader

# Idle connections beyond these are closed.
MOST_IDLE = 4


class SingleReads:
    """Reads of one engine. Thread-safe: each thread that reads has a connection of its own meanwhile.

    What it holds is closed with the engine.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._guard = threading.Lock()
        self._idle: list[Any] = []
        self._texts: dict[sa.Select[Any], str] = {}
        self._closed = False
        self._server = engine.dialect.name == postgresql.NAME
        event.listen(engine, "engine_disposed", lambda _engine: self._close())

    def one(self, statement: sa.Select[Any], values: Mapping[str, Any]) -> Sequence[Any] | None:
        """The one row of a statement, or None. The statement is one of few: its text is kept.

        A connection that a restarted server has cut is replaced, and the question asked once more. Raises `DBAPIError`
        as the engine does.
        """
        if not self._server:
            with reader(self._engine) as plain:
                return plain.execute(statement, values).one_or_none()
        text = self._text(statement)
        for connection in (self._take(), None):
            try:
                return self._ask(self._fresh() if connection is None else connection, text, values)
            except self._driver.Error as error:
                if connection is None or not connection.closed:
                    raise self._told(text, error) from error
        raise AssertionError

    def _close(self) -> None:
        """Closes what is idle; what is in use follows."""
        with self._guard:
            idle, self._idle, self._closed = self._idle, [], True
        for connection in idle:
            connection.close()

    @property
    def _driver(self) -> Any:
        return self._engine.dialect.loaded_dbapi

    def _ask(self, connection: Any, text: str, values: Mapping[str, Any]) -> Sequence[Any] | None:
        try:
            with connection.cursor(binary=True) as cursor:
                cursor.execute(text, values, prepare=True)
                found: Sequence[Any] | None = cursor.fetchone()
        except BaseException:
            if connection.info.transaction_status:
                connection.close()
            raise
        finally:
            self._give_back(connection)
        return found

    def _text(self, statement: sa.Select[Any]) -> str:
        text = self._texts.get(statement)
        if text is None:
            text = self._texts[statement] = str(statement.compile(dialect=self._engine.dialect))
        return text

    def _take(self) -> Any:
        with self._guard:
            return self._idle.pop() if self._idle else None

    def _fresh(self) -> Any:
        made = self._engine.raw_connection()
        connection: Any = made.driver_connection
        made.detach()
        connection.autocommit = True
        return connection

    def _give_back(self, connection: Any) -> None:
        with self._guard:
            if not connection.closed and not self._closed and len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _told(self, text: str, error: Exception) -> Exception:
        return DBAPIError.instance(
            text, None, error, self._driver.Error, hide_parameters=True, dialect=self._engine.dialect
        )
