"""What the message store drops, and in which order: what is over, what is too old, and what there is no room for.

1. Waiting in a queue ends when its time to live is over. A message that nobody else waits for goes; what goes upstream
   stays readable.
2. A message goes, with all that waits for it, when it is older than `age`.
3. While there are more than `messages`, or the database takes more than `bytes`: first the oldest that nobody waits
   for; then, unless `keep_waiting`, the oldest of the lowest priority.

Each step is one short transaction: appends go on between two. What somebody still waited for is counted in `dropped`;
where there is no upstream, waiting for it is nobody's loss.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from leafward.store.database import run, told_of
from leafward.store.message_limits import StoreLimits
from leafward.store.message_rows import microseconds
from leafward.store.message_schema import UPSTREAM, goes_upstream
from leafward.store.writer import Writer

# Messages in one step: some 20 milliseconds.
STEP = 1000

_OVER = "SELECT message_id, endpoint FROM deliveries WHERE expires <= ? ORDER BY expires LIMIT ?"
_END = "DELETE FROM deliveries WHERE message_id = ? AND endpoint = ?"
_STAYS = (
    "INSERT INTO delivered (message_id) SELECT id FROM messages WHERE id = ? AND upstream"
    " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.id) ON CONFLICT DO NOTHING"
)
_GOES = (
    "DELETE FROM messages WHERE id = ? AND NOT upstream"
    " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.id)"
)
_OLD = (
    "SELECT id, EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.id AND endpoint NOT LIKE ?)"
    " FROM messages WHERE enqueued < ? ORDER BY enqueued LIMIT ?"
)
_DELIVERED = "SELECT message_id FROM delivered ORDER BY message_id LIMIT ?"
_LEAST = (
    "SELECT id, EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.id AND endpoint NOT LIKE ?)"
    " FROM messages ORDER BY priority DESC, id LIMIT ?"
)
_DROP = "DELETE FROM messages WHERE id = ?"
_COUNT = "SELECT count(*) FROM messages"
_PAGES = "SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count)"

# Runs a question and gives all its rows.
Ask = Callable[..., list[Sequence[Any]]]


class MessageRoom:
    """The room of one message store. `ask` reads what was last committed."""

    def __init__(self, engine: sa.Engine, writer: Writer, ask: Ask) -> None:
        self._engine = engine
        self._writer = writer
        self._ask = ask
        self._is_file = engine.dialect.name == "sqlite"
        self._page_size = 0
        self._count: int | None = None
        self.dropped: Counter[str] = Counter()
        # Set where nothing leads upstream: what waits there is not counted when it goes.
        self.no_upstream = False

    def added(self, count: int) -> None:
        """So many messages are new."""
        if self._count is not None:
            self._count += count

    def used(self) -> int:
        """Bytes of the pages in use; 0 where there are no files of ours."""
        if not self._is_file:
            return 0
        if not self._page_size:
            self._page_size = int(self._ask("SELECT page_size FROM pragma_page_size")[0][0])
        pages, free = self._ask(_PAGES)[0]
        return int(pages - free) * self._page_size

    def is_over(self, limits: StoreLimits) -> bool:
        """More is kept than may be."""
        return self._excess(limits) > 0

    def step(self, now: datetime, limits: StoreLimits) -> int:
        """One transaction of what there is to do; how many messages or waits ended by it, 0 when nothing is left."""
        return self._end_waits(now) or self._drop_old(now, limits.age) or self.make_room(limits)

    def make_room(self, limits: StoreLimits, most: int = STEP) -> int:
        """One transaction of what is too much, of `STEP` messages at most, or of `most` where that is more.

        How many messages went; 0 when nothing may go, or nothing has to.
        """
        excess = self._excess(limits, max(most, STEP))
        if excess <= 0:
            return 0
        found = [number for (number,) in self._ask(_DELIVERED, excess)]
        if found:
            return self._drop(found)
        if limits.keep_waiting:
            return 0
        return self._drop_counted(self._ask(_LEAST, self._uncounted, excess), "full")

    def settle(self, connection: sa.Connection, ids: Iterable[int], *, upstream_only: bool) -> None:
        """Somebody does not wait any more for these: those that nobody waits for become readable only, or go.

        `upstream_only`: all of them go upstream.
        """
        rows = [(number,) for number in ids]
        run(connection, _STAYS, *rows)
        if not upstream_only:
            self.added(-max(0, int(run(connection, _GOES, *rows).rowcount)))

    def _end_waits(self, now: datetime) -> int:
        over = self._ask(_OVER, microseconds(now), STEP)
        if over:
            with told_of(self._engine), self._writer.begin() as connection:
                run(connection, _END, *(tuple(row) for row in over))
                self.settle(connection, dict.fromkeys(number for number, _ in over), upstream_only=False)
            lost = [queue for _, queue in over if not (self.no_upstream and goes_upstream(queue))]
            if lost:
                self.dropped["expired"] += len(lost)
        return len(over)

    def _drop_old(self, now: datetime, age: timedelta) -> int:
        return self._drop_counted(self._ask(_OLD, self._uncounted, microseconds(now - age), STEP), "too-old")

    @property
    def _uncounted(self) -> str:
        """A pattern of the queues in which nobody waits."""
        return f"{UPSTREAM}%" if self.no_upstream else ""

    def _drop_counted(self, found: Sequence[Sequence[Any]], why: str) -> int:
        gone = self._drop([number for number, _ in found])
        if waited := sum(bool(waited_for) for _, waited_for in found):
            self.dropped[why] += waited
        return gone

    def _drop(self, ids: Sequence[int]) -> int:
        """Removes messages; what waits for them goes with them."""
        if ids:
            with told_of(self._engine), self._writer.begin() as connection:
                run(connection, _DROP, *((number,) for number in ids))
            self.added(-len(ids))
        return len(ids)

    def _excess(self, limits: StoreLimits, most: int = STEP) -> int:
        """How many messages the next step is to remove, at most `most`; 0 or less for none."""
        if self._count is None:
            self._count = int(self._ask(_COUNT)[0][0])
        used = 0 if limits.bytes is None else self.used()
        if limits.bytes is not None and used > limits.bytes and self._count:
            # As many as have so many bytes on the average, and a little more: so that not each append drops a few.
            surplus = used - limits.bytes + limits.bytes // 64
            return min(most, max(1, surplus * self._count // used))
        return min(most, self._count - limits.messages)
