"""Retained messages (MQTT 3.1.1 and 5, 3.3.1.3): the last word on a topic, for whoever subscribes later.

In a tree of topic levels, so that a filter with wildcards need not look at every topic. Bounded in number and bytes:
what is too much is not retained. Kept on disk by the journal.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from leafward.hub.journal import PlainJournal
from leafward.hub.plain_message import PlainMessage

# Counted for each message beside its bytes: the Python objects, measured.
RETAINED_OVERHEAD = 512


@dataclass(slots=True)
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    message: PlainMessage | None = None


class Retained:
    """The retained messages of all plain topics. `clock` gives the time in UTC."""

    def __init__(self, journal: PlainJournal, clock: Callable[[], datetime], *, most: int, most_bytes: int) -> None:
        self._journal = journal
        self._clock = clock
        self._most = most
        self._most_bytes = most_bytes
        self._root = _Node()
        self._topics: dict[str, PlainMessage] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._topics)

    def restore(self, messages: Iterable[PlainMessage]) -> None:
        """Takes back what an earlier run kept; what has expired since goes."""
        for message in messages:
            if message.expired(self._clock):
                self._journal.retain(message.topic, None)
            else:
                self._put(message)

    def put(self, message: PlainMessage) -> bool:
        """Retains a message in the place of its topic's; one without a payload only takes that away (3.3.1-6, -7).

        False when there is no room for it; then the topic keeps what it has.
        """
        topic = message.topic
        if not message.payload:
            if topic in self._topics:
                self._remove(topic)
                self._journal.retain(topic, None)
            return True
        older = self._topics.get(topic)
        freed = 0 if older is None else _cost(older)
        if older is None and len(self._topics) >= self._most:
            return False
        if self.bytes - freed + _cost(message) > self._most_bytes:
            return False
        if older is not None:
            self._remove(topic)
        self._put(message)
        self._journal.retain(topic, message)
        return True

    def get(self, topic: str) -> PlainMessage | None:
        """A topic's retained message, unless its time is over."""
        message = self._topics.get(topic)
        if message is not None and message.expired(self._clock):
            self._remove(topic)
            self._journal.retain(topic, None)
            return None
        return message

    def topics(self, topic_filter: str) -> list[str]:
        """The topics with a retained message that a filter takes (4.7)."""
        return list(_matching(self._root, topic_filter.split("/")))

    def sweep(self) -> None:
        """Forgets the messages whose time is over."""
        for topic in [message.topic for message in self._topics.values() if message.expired(self._clock)]:
            self._remove(topic)
            self._journal.retain(topic, None)

    def _put(self, message: PlainMessage) -> None:
        node = self._root
        for level in message.topic.split("/"):
            node = node.children.setdefault(level, _Node())
        node.message = message
        self._topics[message.topic] = message
        self.bytes += _cost(message)

    def _remove(self, topic: str) -> None:
        self.bytes -= _cost(self._topics.pop(topic))
        levels = topic.split("/")
        path = [self._root]
        for level in levels:
            path.append(path[-1].children[level])
        path[-1].message = None
        for number in range(len(levels), 0, -1):
            if path[number].children or path[number].message is not None:
                return
            del path[number - 1].children[levels[number - 1]]


def _cost(message: PlainMessage) -> int:
    """A node of the tree for each level, at most."""
    return message.size + RETAINED_OVERHEAD + 256 * message.topic.count("/")


def _matching(root: _Node, wanted: list[str]) -> Iterator[str]:
    nodes = [root]
    for number, level in enumerate(wanted):
        if level == "#":
            for node in nodes:
                yield from _all_below(node, hidden=number == 0)
            return
        if level == "+":
            nodes = [
                child
                for node in nodes
                for name, child in node.children.items()
                if number or not name.startswith("$")  # 4.7.2-1
            ]
        else:
            nodes = [child for node in nodes if (child := node.children.get(level)) is not None]
    yield from (node.message.topic for node in nodes if node.message is not None)


def _all_below(start: _Node, *, hidden: bool) -> Iterator[str]:
    """The topics of a node and of all below it; without recursion, a topic may have thousands of levels."""
    nodes = [start]
    while nodes:
        node = nodes.pop()
        if node.message is not None:
            yield node.message.topic
        if node is start and hidden:
            nodes += [child for name, child in node.children.items() if not name.startswith("$")]
        else:
            nodes += node.children.values()
