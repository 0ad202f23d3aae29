"""How much the message store keeps: a value of the settings, which are read where no database is."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """`bytes`: of the database's pages in use, on SQLite; None for any.

    `keep_waiting`: what somebody waits for is not dropped for room; then nothing new may be taken.
    """

    age: timedelta
    messages: int
    bytes: int | None = None
    keep_waiting: bool = False
