"""Reading single certificates often, as a server does for each request: one connection kept, statements built once."""

import threading
from typing import Any

import sqlalchemy as sa

from leafward.store.database import reader, told_of


class Reader:
    """Asks one statement after the other, each of which sees what was last committed. Thread-safe.

    Taking a connection from the pool for each costs more than the answer. It is opened when it is first needed.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._guard = threading.Lock()
        self._connection: sa.Connection | None = None

    def rows(self, statement: sa.Select[Any], parameters: dict[str, object]) -> list[sa.RowMapping]:
        """All rows of the answer. Raises `StoreError`."""
        with self._guard, told_of(self._engine):
            if self._connection is None:
                self._connection = reader(self._engine)
            return list(self._connection.execute(statement, parameters).mappings())

    def row(self, statement: sa.Select[Any], parameters: dict[str, object]) -> sa.RowMapping | None:
        """The first row of the answer; None where there is none."""
        return next(iter(self.rows(statement, parameters)), None)

    def close(self) -> None:
        """Gives the connection back. May be repeated; the next question takes another."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
