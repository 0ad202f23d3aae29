"""What the tests of MQTT's interoperability share: one edge with two devices who may use any plain topic."""

from dataclasses import dataclass, replace
from typing import Any

from leafward.wire.mqtt.packets import Connect, Publish, Subscribe, SubscriptionOptions
from tests.clients.mqtt_client import MqttClient
from tests.clients.paho_client import PahoClient
from tests.clients.plant import Plant

# Small enough to be reached in a moment: what is too large, too much, too long for the hub.
KEEP_ALIVE, RECEIVE_MAXIMUM, PACKET_SIZE = 60, 16, 16_384
SETTINGS = f"""
[device]
hostname = "localhost"

[hub.limits]
keep_alive = {KEEP_ALIVE}
unstored = {RECEIVE_MAXIMUM}
packet_size = {PACKET_SIZE}

[hub.policy]
rules = [{{who = "*", publish = ["room/#"], subscribe = ["room/#", "+/+/+", "+/+/+/+"]}}]
"""
REFUSED_FILTER = "elsewhere/#"


@dataclass
class Room:
    """A topic that is one test's own, and clients of one version."""

    plant: Plant
    version: int
    topic: str

    def client(self, device: str = "one", **options: Any) -> PahoClient:
        """paho's, not connected yet."""
        return PahoClient(self.plant, device, self.version, **options)

    def bare(self, device: str = "one", *, connected: bool = True, **options: Any) -> MqttClient:
        """A connection packet by packet. `options`: of CONNECT."""
        client = MqttClient(self.plant.edge, port=self.plant.port, level=self.version)
        if connected:
            client.send(self.connecting(device, **options))
            assert client.receive().return_code == 0
        return client

    def connecting(self, device: str, **options: Any) -> Connect:
        """A CONNECT that is let in."""
        connect = Connect(device, 60, username=device, password=self.plant.add(device).encode(), level=self.version)
        return replace(connect, **options)

    def subscribed(self, client: MqttClient, topic: str, qos: int = 2) -> list[Any]:
        """Subscribes; what else came before SUBACK."""
        client.send(Subscribe(1, ((topic, qos if self.version == 4 else SubscriptionOptions(qos)),)))
        before = []
        while not hasattr(packet := client.receive(), "return_codes"):
            before.append(packet)
        return before


def message_from(client: MqttClient) -> Publish:
    """The next message, whatever else comes before it."""
    while not isinstance(packet := client.receive(), Publish):
        assert packet is not None, "the connection has ended"
    return packet
