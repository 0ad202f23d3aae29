"""Who may use which plain topics: the `[hub.policy]` table, asked once a connection and topic.

A plain topic is one that is not IoT Hub's: it does not begin with `$`, and its first level is not `devices`. Nobody may
use any unless a rule says so. A rule names clients and topic filters; a client may publish on what one of its filters
takes, and subscribe to a filter that takes nothing which its own do not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leafward.errors import ProtocolError
from leafward.wire.mqtt.topics import check_filter, filter_takes, shared

DEVICE, MODULE = "{device}", "{module}"
RESERVED_LEVEL = "devices"
# Topics that a permit remembers, and characters of the longest: a client that uses more is judged again.
_REMEMBERED, _LONGEST_REMEMBERED = 256, 512


class PolicyRule(Protocol):
    """One rule as the settings have it; `settings.PolicyRule` says what each field means."""

    @property
    def who(self) -> str: ...
    @property
    def publish(self) -> Sequence[str]: ...
    @property
    def subscribe(self) -> Sequence[str]: ...
    @property
    def retain(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Filter:
    """A topic filter that a client may publish on; `retain`: also with the retain flag."""

    text: str
    retain: bool


class Permit:
    """What one client may do on plain topics. Made when it connects."""

    __slots__ = ("_publish", "_remembered", "_subscribe")

    def __init__(self, publish: Sequence[_Filter], subscribe: Sequence[str]) -> None:
        self._publish = tuple(publish)
        self._subscribe = tuple(subscribe)
        self._remembered: dict[str, tuple[bool, bool]] = {}

    def may_publish(self, topic: str) -> tuple[bool, bool]:
        """(whether it may publish on the topic, whether with the retain flag)."""
        if not self._publish:
            return False, False
        known = self._remembered.get(topic)
        if known is None:
            known = self._judge(topic)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            if len(topic) <= _LONGEST_REMEMBERED:
                self._remembered[topic] = known
        return known

    def may_subscribe(self, topic_filter: str) -> bool:
        """Whether it may subscribe; the filter may be a shared one (`$share/{name}/{filter}`)."""
        try:
            _, topic_filter = shared(topic_filter)
            check_filter(topic_filter)
        except ProtocolError:
            return False
        return is_plain(topic_filter) and any(covers(own, topic_filter) for own in self._subscribe)

    def _judge(self, topic: str) -> tuple[bool, bool]:
        if not is_plain(topic):
            return False, False
        taking = [own for own in self._publish if filter_takes(own.text, topic)]
        return bool(taking), any(own.retain for own in taking)


class PlainPolicy:
    """All rules. Without any, plain topics are nobody's."""

    def __init__(self, rules: Sequence[PolicyRule] = ()) -> None:
        self._rules = [(_who(rule.who), rule) for rule in rules]

    def permit(self, device_id: str, module_id: str | None) -> Permit:
        """What this device or module may do, by every rule that names it."""
        name = device_id if module_id is None else f"{device_id}/{module_id}"
        publish: list[_Filter] = []
        subscribe: list[str] = []
        for who, rule in self._rules:
            if who.fullmatch(name) is None and rule.who != "*":
                continue
            publish += (_Filter(text, rule.retain) for text in _own(rule.publish, device_id, module_id))
            subscribe += _own(rule.subscribe, device_id, module_id)
        return Permit(publish, subscribe) if publish or subscribe else _NOTHING


_NOTHING = Permit((), ())


def is_plain(topic: str) -> bool:
    """Whether a topic or filter is outside IoT Hub's own names.

    >>> is_plain("plant/1"), is_plain("devices/a/x"), is_plain("$SYS/x"), is_plain("#")
    (True, False, False, True)
    """
    return topic[0] != "$" and topic.partition("/")[0] != RESERVED_LEVEL


def covers(allowed: str, asked: str) -> bool:
    """Whether `allowed` takes every topic that `asked` takes; both are valid filters.

    >>> covers("plant/#", "plant/+/t"), covers("plant/+", "plant/#"), covers("a/#", "a")
    (True, False, True)
    """
    own, others = allowed.split("/"), asked.split("/")
    for number, level in enumerate(own):
        if level == "#":
            # A wildcard in front never reaches the server's own topics (4.7.2-1).
            return number > 0 or not asked.startswith("$")
        if number == len(others):
            return False
        other = others[number]
        if level == "+" and other != "#" and not (number == 0 and other.startswith("$")):
            continue
        if level != other or other == "#":
            return False
    return len(own) == len(others)


def _own(filters: Sequence[str], device_id: str, module_id: str | None) -> list[str]:
    """The filters with this client's ids in them. Ids hold no '/', '+' or '#' (`pki.names`)."""
    found = []
    for text in filters:
        if MODULE in text and module_id is None:
            continue
        own = text.replace(DEVICE, device_id).replace(MODULE, module_id or "")
        # An id may begin with '$', or be "devices".
        if is_plain(own):
            found.append(own)
    return found


def _who(pattern: str) -> re.Pattern[str]:
    """A client id, or a pattern of some: '*' stands for any characters of one id."""
    return re.compile("[^/]*".join(re.escape(part) for part in pattern.split("*")))
