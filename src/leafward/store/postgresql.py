"""What PostgreSQL needs beside SQLAlchemy: settings of a session, the writers' lock, and its errors in our words.

It is reached by URL, for makers whose stations share one database. Passwords need not stand in the URL: libpq reads
PGPASSWORD, PGPASSFILE and PGSERVICE.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from leafward.errors import Busy, StoreError

NAME = "postgresql"

# The number of our lock among a database's advisory locks: "leafward" in ASCII.
_WRITERS = int.from_bytes(b"leafward", "big")
_PREPARE = (
    # What is committed is on the disk, even where the server was set not to wait for that.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)


def patience(url: sa.URL, seconds: float) -> dict[str, int]:
    """Parameters of libpq: a server that is cut off is given up after that long, where the URL says nothing else."""
    wanted = {"connect_timeout": int(seconds), "tcp_user_timeout": int(seconds * 1000)}
    return {name: value for name, value in wanted.items() if name not in url.query}


def prepare(engine: sa.Engine, *, wait_seconds: float) -> None:
    """Sets each new session up: nobody waits for a lock longer than `wait_seconds`, and commits are durable."""
    statements = (f"SET lock_timeout = {int(wait_seconds * 1000)}", *_PREPARE)

    def set_up(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.commit()

    event.listen(engine, "connect", set_up)


def lock_writers(connection: sa.Connection) -> None:
    """Makes this transaction the only one that holds the writers' lock, until it ends."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")


def told(state: str, why: str, where: str) -> StoreError:
    """An error of the server (its SQLSTATE, PostgreSQL appendix A) as one of ours."""
    match state[:2], state:
        case _, "55P03" | "40001" | "40P01":
            return Busy(f"the database {where} is in use", why=why, hint="try again when the other process is done")
        case "08" | "57", _:
            hint = "check that the server runs, and the names of host, database and user"
            return StoreError(f"the database {where} cannot be reached", why=why, hint=hint)
        case "53", _:
            hint = "free some space, memory or connections on the server"
            return StoreError(f"the database {where} has no room", why=why, hint=hint)
        case ("28", _) | (_, "42501"):
            hint = "check the user, its password and its rights on the database"
            return StoreError(f"the database {where} refuses this user", why=why, hint=hint)
        case _:
            return StoreError(f"the database {where} refused", why=why)
