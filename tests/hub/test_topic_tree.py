"""The tree of subscriptions and the tree of retained messages against the plain rule, `filter_takes`."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.hub.plain_message import PlainMessage
from leafward.hub.retained import Retained
from leafward.hub.subscription import Subscription
from leafward.hub.topic_tree import REMEMBERED_TOPICS, TopicTree
from leafward.wire.mqtt.topics import filter_takes
from tests.hub.plain_world import NOW

LEVELS = ["", "a", "b", "$x"]
LEVEL = st.sampled_from(LEVELS)
TOPICS = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(st.one_of(LEVEL, st.just("+")), max_size=4), st.booleans())
    .map(lambda parts: "/".join([*parts[0], "#"] if parts[1] else parts[0]))
    .filter(bool)
)


class Someone:
    """A session as the tree sees it."""


@given(st.lists(st.tuples(st.integers(0, 3), FILTERS, st.integers(0, 2)), max_size=12), TOPICS, st.data())
@settings(max_examples=200, deadline=None)
def test_the_tree_takes_what_filters_take(held: list[tuple[int, str, int]], topic: str, data: st.DataObject) -> None:
    """Added, some removed again, asked twice: each client once, with the highest QoS of what takes the topic."""
    people: list[Any] = [Someone() for _ in range(4)]
    tree, kept = TopicTree(), {}
    for who, text, qos in held:
        assert tree.add(people[who], text, Subscription(qos)) is ((who, text) not in kept)
        kept[who, text] = qos
        tree.match(topic)
    for who, text in data.draw(st.sets(st.sampled_from(sorted(kept)))) if kept else ():
        assert tree.remove(people[who], text)
        assert not tree.remove(people[who], text)
        del kept[who, text]
    expected: dict[int, int] = {}
    for (who, text), qos in kept.items():
        if filter_takes(text, topic):
            expected[who] = max(qos, expected.get(who, 0))
    for _ in range(2):
        assert {people.index(target.session): target.qos for target in tree.match(topic).targets} == expected
    assert tree.count == len(kept)


def test_nothing_is_left_of_what_was_removed() -> None:
    """No empty levels stay behind: a client that subscribes and unsubscribes for ever costs nothing."""
    tree, someone = TopicTree(), Someone()
    who: Any = someone
    for text in ("a/b/c", "a/b", "a/#", "$share/g/a/b/c", "+/+"):
        tree.add(who, text, Subscription(0))
    for text in ("a/b", "a/#", "a/b/c", "+/+", "$share/g/a/b/c"):
        assert tree.remove(who, text)
    assert not tree.remove(who, "a/b")
    assert tree.count == 0
    assert not tree._root.children
    assert not tree._groups


def test_what_is_remembered_is_bounded() -> None:
    """Topics of a publisher that never repeats itself."""
    tree, someone = TopicTree(), Someone()
    who: Any = someone
    tree.add(who, "#", Subscription(0))
    for number in range(REMEMBERED_TOPICS + 10):
        assert len(tree.match(f"t/{number}").targets) == 1
    assert len(tree._remembered) <= REMEMBERED_TOPICS
    long = "x" * 60_000
    assert tree.match(long).targets
    assert long not in tree._remembered


class Nowhere:
    """A journal that keeps nothing."""

    def retain(self, topic: str, message: PlainMessage | None) -> None: ...


def retained(**limits: int) -> Retained:
    """An empty set."""
    journal: Any = Nowhere()
    return Retained(journal, lambda: NOW, most=limits.get("most", 100), most_bytes=limits.get("most_bytes", 1 << 20))


def message(topic: str, payload: bytes = b"x") -> PlainMessage:
    """To be retained."""
    return PlainMessage(topic, payload, 0, retain=True)


@given(st.lists(TOPICS, max_size=12), st.lists(TOPICS, max_size=6), FILTERS)
@settings(max_examples=200, deadline=None)
def test_a_filter_finds_what_is_retained(put: list[str], removed: list[str], topic_filter: str) -> None:
    """Put, some taken away: the filter finds those it takes, each once, and nothing is left of the others."""
    kept = retained()
    for topic in put:
        assert kept.put(message(topic))
    for topic in removed:
        assert kept.put(message(topic, b""))
    left = set(put) - set(removed)
    assert sorted(kept.topics(topic_filter)) == sorted(topic for topic in left if filter_takes(topic_filter, topic))
    assert len(kept) == len(left)
    for topic in left:
        kept.put(message(topic, b""))
    assert (kept.bytes, len(kept)) == (0, 0)
    assert not kept._root.children


def test_retained_messages_are_bounded() -> None:
    """In number and in bytes; a topic that has one may have another in its place."""
    kept = retained(most=2)
    assert kept.put(message("a"))
    assert kept.put(message("b"))
    assert not kept.put(message("c"))
    assert kept.put(message("b", b"another"))
    assert kept.put(message("a", b""))
    assert kept.put(message("c"))
    small = retained(most_bytes=2000)
    assert small.put(message("a", bytes(1000)))
    assert not small.put(message("b", bytes(1000)))
    assert not small.put(message("a", bytes(2000)))
    found = small.get("a")
    assert found is not None
    assert len(found.payload) == 1000


def test_a_topic_of_very_many_levels() -> None:
    """65,535 slashes: no recursion, and its levels are counted."""
    kept = retained(most_bytes=1 << 30)
    deep = "/" * 65_535
    assert kept.put(message(deep))
    assert kept.topics("#") == [deep]
    assert kept.bytes > 65_535 * 256
    assert kept.put(message(deep, b""))
    assert kept.topics("#") == []
