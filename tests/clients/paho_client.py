"""paho-mqtt, unmodified, for tests that go step by step: each call returns once the hub has answered."""

import queue
import socket
import ssl
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.clients.plant import Plant

TIMEOUT_SECONDS = 20.0
# MQTT 5's way to say what 3.1.1 says with a session that is not clean.
LASTING_SECONDS = 3600


def properties(packet: int, **values: Any) -> Properties:
    """Properties by their names in paho: properties(PacketTypes.PUBLISH, ContentType="text/plain")."""
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def sent_with(**values: Any) -> Properties:
    """Properties of a message."""
    return properties(PacketTypes.PUBLISH, **values)


class PahoClient:
    """A device's client of either version, which never connects again by itself."""

    def __init__(
        self, plant: Plant, device: str, version: int, *, named: bool = True, manual_ack: bool = False
    ) -> None:
        self.version = version
        self._plant, self._device = plant, device
        self._client_id, self._manual_ack = device if named else "", manual_ack
        self._client: paho.Client | None = None

    def _made(self, *, clean: bool) -> paho.Client:
        """paho's own client: a new one each time, with no memory."""
        options: dict[str, Any] = {} if self.version == paho.MQTTv5 else {"clean_session": clean}
        made = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=self.version,
            manual_ack=self._manual_ack,
            reconnect_on_failure=False,
            **options,
        )
        made.tls_set_context(ssl.create_default_context(cafile=str(self._plant.edge.root)))
        made.username_pw_set(self._device, self._plant.add(self._device))
        self._answers: queue.Queue[Any] = queue.Queue()
        self._messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.ended: queue.Queue[ReasonCode] = queue.Queue()
        made.on_connect = lambda _c, _u, flags, code, told: self._answers.put((flags, code, told))
        made.on_subscribe = lambda _c, _u, _m, codes, _p: self._answers.put(codes)
        made.on_unsubscribe = lambda _c, _u, _m, codes, _p: self._answers.put(codes)
        made.on_publish = lambda _c, _u, _m, code, _p: self._answers.put(code)
        made.on_message = lambda _c, _u, message: self._messages.put(message)
        made.on_disconnect = lambda _c, _u, _f, code, _p: self.ended.put(code)
        return made

    @property
    def client(self) -> paho.Client:
        """paho's, which is connected."""
        assert self._client is not None
        return self._client

    def __enter__(self) -> Self:
        return self if self._client else self.connect()

    def __exit__(self, *_: object) -> None:
        self.leave()

    def connect(self, *, clean: bool = True, keep_alive: int = 60, expiry: int | None = None, **told: Any) -> Self:
        """Raises nothing where the hub refuses: `code` says so. `told`: properties of CONNECT, for MQTT 5."""
        options: dict[str, Any] = {}
        if self.version == paho.MQTTv5:
            lasting = expiry if expiry is not None else (0 if clean else LASTING_SECONDS)
            told["SessionExpiryInterval"] = lasting
            options = {"clean_start": clean, "properties": properties(PacketTypes.CONNECT, **told)}
        self._client = self._made(clean=clean)
        self.client.connect("localhost", self._plant.port, keep_alive, **options)
        self.client.loop_start()
        self.connack = self._answers.get(timeout=TIMEOUT_SECONDS)
        return self

    @property
    def present(self) -> bool:
        """Whether the hub had a session."""
        return bool(self.connack[0].session_present)

    @property
    def told(self) -> Any:
        """The properties of CONNACK."""
        return self.connack[2]

    def leave(self, **told: Any) -> None:
        """Says goodbye. `told`: properties of DISCONNECT, for MQTT 5."""
        if self._client is not None:
            self.client.disconnect(properties=properties(PacketTypes.DISCONNECT, **told) if told else None)
            self._over()

    def vanish(self) -> None:
        """The connection is lost: no goodbye."""
        own = self.client.socket()
        assert own is not None
        own.shutdown(socket.SHUT_RDWR)
        self._over()

    def _over(self) -> None:
        self.client.loop_stop()
        self.client._reset_sockets()
        self._client = None

    def subscribe(self, topic: str, qos: int = 2, identifier: int | None = None, **options: Any) -> int:
        """The code of SUBACK. `options` and `identifier` are MQTT 5's."""
        if options or identifier is not None:
            told = None if identifier is None else properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=identifier)
            self.client.subscribe(topic, options=SubscribeOptions(qos, **options), properties=told)
        elif self.version == paho.MQTTv5:
            self.client.subscribe(topic, options=SubscribeOptions(qos))
        else:
            self.client.subscribe(topic, qos)
        (code,) = self._answers.get(timeout=TIMEOUT_SECONDS)
        return int(code.value)

    def unsubscribe(self, topic: str) -> None:
        """Returns when it is so."""
        self.client.unsubscribe(topic)
        self._answers.get(timeout=TIMEOUT_SECONDS)

    def publish(self, topic: str, body: bytes = b"x", qos: int = 1, *, retain: bool = False, **told: Any) -> int:
        """The code of the answer; of QoS 0, when it is sent. `told`: properties, for MQTT 5."""
        self.client.publish(topic, body, qos, retain, properties=sent_with(**told) if told else None)
        return int(self._answers.get(timeout=TIMEOUT_SECONDS).value)

    def message(self) -> paho.MQTTMessage:
        """The next one."""
        return self._messages.get(timeout=TIMEOUT_SECONDS)

    def messages(self, count: int) -> list[paho.MQTTMessage]:
        """The next ones."""
        return [self.message() for _ in range(count)]

    def nothing_before(self, topic: str) -> bool:
        """Whether nothing has come but what is published on `topic` now, which this client must take."""
        self.publish(topic, b"the last")
        return self.message().payload == b"the last"
