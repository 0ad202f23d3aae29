"""What a message becomes on its way upstream: topics, bodies, properties."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import ProtocolError, SettingsError
from leafward.wire.hub_topics import HubTopics, Telemetry
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.packets import Publish
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.topics import check_name
from leafward.wire.upstream import BrokerForm, HubForm, username
from leafward.wire.upstream_topic import TopicTemplate, TopicWriter

NOW = datetime(2030, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)


@dataclass
class Kept:
    """A message as the hub keeps it."""

    device_id: str = "leaf1"
    module_id: str | None = None
    output: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    enqueued: datetime = NOW
    id: int | None = 7


def sent(form: Any, message: Kept, level: int = 4) -> Publish:
    (packet,) = Decoder(level=level).feed(form.packet(message, 9))
    assert isinstance(packet, Publish)
    assert (packet.qos, packet.packet_id, packet.dup, packet.retain) == (1, 9, False, False)
    return packet


def writer(text: str) -> TopicWriter:
    return TopicWriter(TopicTemplate.parse(text), "gw")


class TestTopics:
    @pytest.mark.parametrize(
        ("template", "leaf", "module", "output"),
        [
            ("plant/{device}/{module}/{output}", "plant/leaf1", "plant/gw/filter", "plant/gw/filter/out1"),
            ("{gateway}/{device}-{module}", "gw/leaf1-", "gw/gw-filter", "gw/gw-filter"),
            ("telemetry", "telemetry", "telemetry", "telemetry"),
        ],
    )
    def test_templates(self, template: str, leaf: str, module: str, output: str) -> None:
        """A level that is empty is left out."""
        messages = (Kept(), Kept("gw", "filter"), Kept("gw", "filter", "out1"))
        assert [writer(template).topic_of(message) for message in messages] == [leaf, module, output]

    def test_ids_that_no_level_may_hold(self) -> None:
        """Encoded: '/', wildcards, '%' itself, control characters, and '$' where the topic begins."""
        message = Kept("a+b#c%d", "$edgeHub", "out/1\x01")
        assert writer("p/{device}/{module}/{output}").topic_of(message) == "p/a%2Bb%23c%25d/$edgeHub/out%2F1%01"
        assert writer("{module}/{device}").topic_of(message) == "%24edgeHub/a%2Bb%23c%25d"

    @pytest.mark.parametrize(
        "template",
        [
            "",
            "plant//x",
            "/plant",
            "plant/",
            "plant/+",
            "#",
            "$SYS/{device}",
            "{devic}",
            "{device",
            "a}",
            "{module}/x\0",
        ],
    )
    def test_what_is_no_template(self, template: str) -> None:
        """Refused when it is set."""
        with pytest.raises(SettingsError):
            TopicTemplate.parse(template)

    def test_nothing_left_for_a_leaf_device(self) -> None:
        """Its module and output are empty: the topic would be."""
        with pytest.raises(SettingsError, match="empty for a leaf device"):
            TopicTemplate.parse("{module}/{output}")

    @given(st.text(min_size=1, max_size=20), st.text(max_size=20) | st.none(), st.text(max_size=20) | st.none())
    def test_any_ids_make_a_topic(self, device: str, module: str | None, output: str | None) -> None:
        """A name that may stand in PUBLISH, of as many levels as the template has at most."""
        topic = writer("{device}/{module}/{output}").topic_of(Kept(device, module, output))
        assert check_name(topic)
        assert "\0" not in topic
        assert topic.count("/") <= 2


class TestHub:
    def test_from_a_leaf_device(self) -> None:
        """Its properties, whose it is, and when it came: it reads back as what was sent."""
        message = Kept(properties={"a b": "x/y"}, system={"contentType": "application/json"})
        packet = sent(HubForm("gw", "$edgeHub"), message)
        prefix, _, bag = packet.topic.rpartition("/")
        assert prefix == "devices/gw/modules/$edgeHub/messages/events"
        assert set(bag.split("&")) == {
            "a%20b=x%2Fy",
            "%24.ct=application%2Fjson",
            "%24.ctime=2030-01-02T03%3A04%3A05.600000Z",
            "%24.cdid=leaf1",
        }
        parsed = HubTopics("gw", "$edgeHub").parse_publish(packet.topic)
        assert isinstance(parsed, Telemetry)
        assert parsed.properties == message.properties
        assert parsed.system["$.cdid"] == "leaf1"

    def test_from_a_module_s_output(self) -> None:
        """With the output; a creation time of its own is kept. A device's identity has no outputs."""
        message = Kept("gw", "filter", "out1", system={"creationTimeUtc": "2020-01-01T00:00:00Z"})
        assert sent(HubForm("gw", "$edgeHub"), message).topic.endswith(
            "%24.ctime=2020-01-01T00%3A00%3A00Z&%24.cdid=gw&%24.cmid=filter&%24.on=out1"
        )
        assert "%24.on" not in sent(HubForm("gw", None), message).topic
        assert sent(HubForm("gw", None), message).topic.startswith("devices/gw/messages/events/")

    def test_the_user_name(self) -> None:
        """As the SDKs write it."""
        assert username("h.example", "gw", "$edgeHub", "x%2F1") == (
            "h.example/gw/$edgeHub/?api-version=2021-04-12&DeviceClientType=x%2F1"
        )
        assert username("h", "gw", None, "x").startswith("h/gw/?api-version=")

    def test_one_that_fits_in_no_topic(self) -> None:
        """Told as such."""
        with pytest.raises(ProtocolError):
            HubForm("gw", "$edgeHub").packet(Kept(properties={"x": "(" * 30_000}), 1)


class TestBroker:
    def test_as_it_came(self) -> None:
        """MQTT 3.1.1 has no place for properties; MQTT 5 has."""
        message = Kept(
            properties={"a": "b"}, system={"contentType": "text/plain", "messageId": "m1"}, body=bytes([0, 255])
        )
        packet = sent(BrokerForm(writer("p/{device}"), envelope=False), message)
        assert (packet.topic, packet.payload, packet.properties) == ("p/leaf1", bytes([0, 255]), None)
        packet = sent(BrokerForm(writer("p/{device}"), envelope=False, level=5), message, 5)
        assert packet.payload == bytes([0, 255])
        assert packet.properties == Properties(content_type="text/plain", user_property=(("$.mid", "m1"), ("a", "b")))
        assert sent(BrokerForm(writer("p"), envelope=False, level=5), Kept(), 5).properties is None

    @pytest.mark.parametrize("level", [4, 5])
    def test_in_an_envelope(self, level: int) -> None:
        """The line of `leafward messages --json`, and the number by which a reader finds doubles."""
        packet = sent(BrokerForm(writer("p"), envelope=True, level=level), Kept(body=b'{"t": 21}'), level)
        assert json.loads(packet.payload) == {
            "id": 7,
            "device_id": "leaf1",
            "module_id": None,
            "output": None,
            "properties": {},
            "system": {},
            "body": {"t": 21},
            "encoding": "json",
            "enqueued": "2030-01-02T03:04:05.600000Z",
        }

    def test_too_many_properties(self) -> None:
        """More than a packet of ours takes."""
        message = Kept(properties={f"n{number}": "" for number in range(101)})
        with pytest.raises(ProtocolError, match="too many properties"):
            BrokerForm(writer("p"), envelope=False, level=5).packet(message, 1)
