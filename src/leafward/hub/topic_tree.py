"""Who gets a message on a topic: every subscription to a plain topic, in a tree of topic levels.

    plant ── + ── temperature   [leaf1]
          └─ # [historian, group "line" of 3]

A topic that was asked for is remembered until a subscription changes: a fleet publishes on the same topics again and
again. Several subscriptions of one client that take the same topic give it one message, at the highest of their QoS,
with the identifiers of all (MQTT 5, 3.3.4-2 to -4).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from leafward.hub.sessions import Session
from leafward.hub.share_group import ShareGroup
from leafward.hub.subscription import Subscription
from leafward.hub.target import Target
from leafward.wire.mqtt.topics import shared

# What is remembered: topics, receivers of all of them together, and characters of the longest one.
REMEMBERED_TOPICS = 4096
REMEMBERED_TARGETS = 65_536
LONGEST_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Match:
    """Who gets a message: each target, and one member of each group."""

    targets: tuple[Target, ...]
    groups: tuple[ShareGroup, ...]

    def __bool__(self) -> bool:
        return bool(self.targets or self.groups)


@dataclass(slots=True)
class _Node:
    """One level of some filters. `taken`: the subscriptions whose filter ends here, by whom."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    taken: dict[Session | ShareGroup, Subscription | None] = field(default_factory=dict)


class TopicTree:
    """The subscriptions of all clients to plain topics. Filters are valid ones; `$share/…` among them."""

    def __init__(self) -> None:
        self._root = _Node()
        self._groups: dict[str, ShareGroup] = {}
        self._remembered: dict[str, Match] = {}
        self._remembered_targets = 0
        self.count = 0

    def add(self, session: Session, topic_filter: str, subscription: Subscription) -> bool:
        """Adds a subscription, or replaces the session's own to the same filter. Whether it is new."""
        self._forget()
        name, plain = shared(topic_filter)
        node = self._root
        for level in plain.split("/"):
            node = node.children.setdefault(level, _Node())
        if name is None:
            new = session not in node.taken
            node.taken[session] = subscription
        else:
            group = self._groups.get(topic_filter)
            if group is None:
                group = self._groups[topic_filter] = ShareGroup()
                node.taken[group] = None
            new = group.add(session, subscription)
        self.count += new
        return new

    def remove(self, session: Session, topic_filter: str) -> bool:
        """Forgets a subscription; False where there is none."""
        name, plain = shared(topic_filter)
        path = self._path(plain)
        if path is None:
            return False
        node = path[-1][1]
        if name is None:
            if node.taken.pop(session, None) is None:
                return False
        elif not self._leave(topic_filter, session, node):
            return False
        self._forget()
        self.count -= 1
        _prune(self._root, path)
        return True

    def match(self, topic: str) -> Match:
        """Who gets a message on `topic`, in the order of their subscriptions."""
        match = self._remembered.get(topic)
        if match is None:
            match = self._find(topic)
            size = 1 + len(match.targets) + len(match.groups)
            full = self._remembered_targets + size > REMEMBERED_TARGETS or len(self._remembered) >= REMEMBERED_TOPICS
            if full:
                self._forget()
            if len(topic) <= LONGEST_REMEMBERED:
                self._remembered[topic] = match
                self._remembered_targets += size
        return match

    def _find(self, topic: str) -> Match:
        targets: dict[Session, Target] = {}
        groups: list[ShareGroup] = []
        for node in self._taking(topic):
            for who, subscription in node.taken.items():
                if isinstance(who, ShareGroup):
                    groups.append(who)
                elif subscription is not None:
                    _merge(targets, who, subscription)
        return Match(tuple(targets.values()), tuple(groups))

    def _taking(self, topic: str) -> Iterator[_Node]:
        """The nodes whose filters take `topic` (4.7.1-4.7.3). The tree is as deep as the longest filter, no deeper."""
        nodes = [self._root]
        for number, level in enumerate(topic.split("/")):
            below: list[_Node] = []
            hidden = number == 0 and topic[0] == "$"  # 4.7.2-1
            for node in nodes:
                children = node.children
                if (same := children.get(level)) is not None:
                    below.append(same)
                if not hidden:
                    if (rest := children.get("#")) is not None:
                        yield rest
                    if (any_ := children.get("+")) is not None:
                        below.append(any_)
            if not below:
                return
            nodes = below
        for node in nodes:
            yield node
            if (rest := node.children.get("#")) is not None:
                yield rest

    def _leave(self, topic_filter: str, session: Session, node: _Node) -> bool:
        group = self._groups.get(topic_filter)
        if group is None or not group.remove(session):
            return False
        if not group:
            del self._groups[topic_filter], node.taken[group]
        return True

    def _path(self, plain: str) -> list[tuple[str, _Node]] | None:
        node, path = self._root, []
        for level in plain.split("/"):
            found = node.children.get(level)
            if found is None:
                return None
            path.append((level, found))
            node = found
        return path

    def _forget(self) -> None:
        self._remembered.clear()
        self._remembered_targets = 0


def _merge(targets: dict[Session, Target], session: Session, subscription: Subscription) -> None:
    """One message for each client, whichever of its subscriptions take it."""
    target = targets.get(session)
    if target is None:
        targets[session] = Target.of(session, subscription)
    else:
        target.take_in(subscription)


def _prune(root: _Node, path: list[tuple[str, _Node]]) -> None:
    """Takes away the nodes that nothing ends at or below any more, from the end."""
    for number in range(len(path) - 1, -1, -1):
        level, node = path[number]
        if node.children or node.taken:
            return
        parent = path[number - 1][1] if number else root
        del parent.children[level]
