"""Topic aliases of MQTT 5 (3.3.2.3.4): a number for a topic that was named before on the same connection."""

from leafward.wire.mqtt.packets import Publish
from leafward.wire.mqtt.reasons import MqttFault, Reason

# Characters of all topics that a client has numbered, and of one that the hub numbers: they are kept in memory.
MOST_CHARACTERS = 65_536
LONGEST_NUMBERED = 512


class IncomingAliases:
    """What the client's numbers mean. `most` is what the hub has said it takes."""

    __slots__ = ("_characters", "_most", "_topics")

    def __init__(self, most: int) -> None:
        self._most = most
        self._topics: dict[int, str] = {}
        self._characters = 0

    def resolve(self, packet: Publish, alias: int) -> None:
        """Puts the topic in its place, or learns it. Raises `MqttFault` for a number that means nothing (3.3.2-7)."""
        if not 0 < alias <= self._most:
            why = f"got {alias}, at most {self._most} are taken"
            raise MqttFault("the topic alias is out of range", why=why, reason=Reason.TOPIC_ALIAS_INVALID)
        if packet.topic:
            self._learn(alias, packet.topic)
            return
        topic = self._topics.get(alias)
        if topic is None:
            raise MqttFault("the topic alias is not known", why=f"got {alias}", reason=Reason.PROTOCOL_ERROR)
        packet.topic = topic

    def _learn(self, alias: int, topic: str) -> None:
        self._characters += len(topic) - len(self._topics.get(alias, ""))
        if self._characters > MOST_CHARACTERS:
            why = f"they have {self._characters} characters, at most {MOST_CHARACTERS} are taken"
            raise MqttFault("the topics with aliases are too long", why=why, reason=Reason.QUOTA_EXCEEDED)
        self._topics[alias] = topic


class OutgoingAliases:
    """The hub's numbers for the topics it sends on: the first `most` topics of a connection have one."""

    __slots__ = ("_most", "_next", "_numbers")

    def __init__(self, most: int) -> None:
        self._most = most
        self._next = 1
        self._numbers: dict[str, int] = {}

    def shorten(self, topic: str) -> tuple[str, int | None]:
        """(the topic as it is to be written, its alias): "" for a topic the client knows the number of."""
        number = self._numbers.get(topic)
        if number is not None:
            return "", number
        if self._next > self._most or len(topic) > LONGEST_NUMBERED:
            return topic, None
        number = self._numbers[topic] = self._next
        self._next += 1
        return topic, number

    def forget(self, topic: str) -> None:
        """The packet that would have told the number was not sent."""
        self._numbers.pop(topic, None)
