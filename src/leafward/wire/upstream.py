"""What a message becomes on its way upstream: a PUBLISH at QoS 1, in the words of whoever is there.

    IoT Hub, leafward   devices/{d}[/modules/{m}]/messages/events/{properties}, the sender in `$.cdid` and `$.cmid`
    a broker            a topic of its own, the body as it came or in an envelope

Pure: a message in, a packet out. A message may arrive twice; the envelope's `id` grows, and tells.
"""

import json
from datetime import UTC, datetime
from typing import Protocol

from leafward.errors import ProtocolError
from leafward.wire.hub_messages import HubMessage, shown
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL, Publish
from leafward.wire.mqtt.properties import MAX_USER_PROPERTIES, Properties
from leafward.wire.property_bag import CONNECTION_DEVICE, CONNECTION_MODULE, OUTPUT, join_system, write_pairs
from leafward.wire.upstream_topic import TopicWriter

# Which version of IoT Hub's API we speak.
API_VERSION = "2021-04-12"
_CREATED = "creationTimeUtc"


class Forwarded(HubMessage, Protocol):
    """A message of the store."""

    @property
    def id(self) -> int | None: ...


class Form(Protocol):
    """How messages are written for one upstream. Raises `ProtocolError` for one that fits in no packet."""

    def packet(self, message: Forwarded, packet_id: int) -> bytes: ...


class HubForm:
    """For an IoT Hub or a leafward hub, where we are the module `module_id` of `device_id`, or the device.

    The time that a message came to us goes with it as its creation time, where it has none of its own: it may have
    waited for days.
    """

    def __init__(self, device_id: str, module_id: str | None) -> None:
        own = f"devices/{device_id}" if module_id is None else f"devices/{device_id}/modules/{module_id}"
        self._events = f"{own}/messages/events/"
        self._is_module = module_id is not None

    def packet(self, message: Forwarded, packet_id: int) -> bytes:
        """See `Form`."""
        pairs = join_system(message.properties, message.system)
        if _CREATED not in message.system:
            pairs.append(("$.ctime", _written(message.enqueued)))
        pairs.append((CONNECTION_DEVICE, message.device_id))
        if message.module_id is not None:
            pairs.append((CONNECTION_MODULE, message.module_id))
        if message.output is not None and self._is_module:
            pairs.append((OUTPUT, message.output))
        return encode(Publish(self._events + write_pairs(pairs), message.body, 1, packet_id=packet_id))


class BrokerForm:
    """For any broker. In MQTT 5 a body as it came is accompanied by its properties as user properties."""

    def __init__(self, topics: TopicWriter, *, envelope: bool, level: int = PROTOCOL_LEVEL) -> None:
        self._topics = topics
        self._envelope = envelope
        self._level = level

    def packet(self, message: Forwarded, packet_id: int) -> bytes:
        """See `Form`."""
        properties = None
        if self._envelope:
            body = json.dumps({**shown(message), "id": message.id}).encode()
            if self._level != PROTOCOL_LEVEL:
                properties = Properties(content_type="application/json", payload_format_indicator=1)
        else:
            body = message.body
            if self._level != PROTOCOL_LEVEL:
                properties = _properties(message)
        topic = self._topics.topic_of(message)
        return encode(Publish(topic, body, 1, packet_id=packet_id, properties=properties), self._level)


def username(host: str, device_id: str, module_id: str | None, client_type: str) -> str:
    """The MQTT user name of an identity at an IoT hub; `client_type` says who we are."""
    identity = device_id if module_id is None else f"{device_id}/{module_id}"
    return f"{host}/{identity}/?api-version={API_VERSION}&DeviceClientType={client_type}"


def _properties(message: Forwarded) -> Properties | None:
    pairs = join_system(message.properties, message.system)
    content_type = message.system.get("contentType")
    if content_type is not None:
        pairs = [pair for pair in pairs if pair[0] != "$.ct"]
    if len(pairs) > MAX_USER_PROPERTIES:
        why = f"got {len(pairs)}, at most {MAX_USER_PROPERTIES} go into a packet"
        raise ProtocolError("the message has too many properties", why=why)
    return Properties(content_type=content_type, user_property=tuple(pairs)) if pairs or content_type else None


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
