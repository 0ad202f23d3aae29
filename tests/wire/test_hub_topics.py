"""Topics: own ones read, others refused; and what we write, the SDKs' own code reads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import AccessDenied, InputError
from leafward.wire.hub_topics import (
    HubTopics,
    MethodResponse,
    Telemetry,
    TwinGet,
    TwinReported,
    devicebound_topic,
    input_topic,
    may_subscribe,
    method_topic,
    parse_publish,
    subscriptions,
    telemetry_topic,
    twin_patch_topic,
    twin_response_topic,
)
from leafward.wire.mqtt.topics import check_filter, check_name

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = texts.filter(lambda text: text and not text.startswith("$."))
properties = st.dictionaries(names, texts, max_size=5)
systems = st.dictionaries(
    st.sampled_from(["messageId", "correlationId", "contentType", "contentEncoding", "userId", "$.xyz"]), texts
)


@dataclass
class Sent:
    """A message as a topic needs it."""

    device_id: str = "leaf1"
    module_id: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)


@given(properties, systems, st.none() | texts.filter(bool))
def test_telemetry_there_and_back(props: dict[str, str], system: dict[str, str], output: str | None) -> None:
    """telemetry_topic -> a valid MQTT topic -> parse_publish gives all of it back, with Node's last '/' as without."""
    topic = check_name(telemetry_topic("gw", "m", properties=props, system=system, output=output))
    assert parse_publish("gw", "m", topic) == Telemetry(props, system, output)
    assert parse_publish("gw", "m", topic + "/") == Telemetry(props, system, output)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("devices/leaf1/messages/events/", Telemetry()),
        ("devices/leaf1/messages/events", Telemetry()),
        (
            "devices/leaf1/messages/events/%24.mid=m1&%24.ct=application%2Fjson&%24.ce=utf-8&a%20b=x%2Fy",
            Telemetry(
                {"a b": "x/y"}, {"messageId": "m1", "contentType": "application/json", "contentEncoding": "utf-8"}
            ),
        ),
        ("devices/leaf1/messages/events/$.mid=m1&a=b", Telemetry({"a": "b"}, {"messageId": "m1"})),
        ("devices/leaf1/messages/events/flag", Telemetry({"flag": ""})),
        ("devices/leaf1/messages/events/%24.on=out1", Telemetry()),
        ("$iothub/methods/res/200/?$rid=7", MethodResponse(200, "7")),
        ("$iothub/methods/res/-1/?$rid=7", MethodResponse(-1, "7")),
        ("$iothub/twin/GET/?$rid=3f-a", TwinGet("3f-a")),
        ("$iothub/twin/PATCH/properties/reported/?$rid=1", TwinReported("1")),
        ("$iothub/twin/PATCH/properties/reported/?$rid=1&$version=4", TwinReported("1", 4)),
    ],
)
def test_a_devices_own(topic: str, expected: object) -> None:
    """As captured from the SDKs; a leaf has no outputs."""
    assert parse_publish("leaf1", None, topic) == expected


@pytest.mark.parametrize("mark", ["%24", "$"])
@pytest.mark.parametrize("end", ["", "/"])
def test_an_output_in_both_spellings(mark: str, end: str) -> None:
    """Python writes %24.on, others $.on; Node ends with '/'."""
    topic = f"devices/gw/modules/m/messages/events/{mark}.on=out1&level=high{end}"
    assert parse_publish("gw", "m", topic) == Telemetry({"level": "high"}, {}, "out1")


def test_a_senders_claim_of_identity_is_dropped() -> None:
    """A module that passes a message on repeats its $.cdid and $.cmid: neither believed nor refused."""
    topic = "devices/gw/modules/m/messages/events/%24.on=o&%24.cdid=leaf9&%24.cmid=x&a=1"
    assert parse_publish("gw", "m", topic) == Telemetry({"a": "1"}, {}, "o")


@pytest.mark.parametrize(
    "topic",
    [
        "devices/leaf2/messages/events/",
        "devices/LEAF1/messages/events/",
        "devices/leaf1/modules/m/messages/events/",
        "devices/leaf1/messages/eventsx/",
        "devices/leaf1/messages/devicebound/",
        "devices/leaf1/",
        "devices/leaf1x/messages/events/",
        "/devices/leaf1/messages/events/",
        "$iothub/methods/POST/reboot/?$rid=1",
        "$iothub/twin/res/200/?$rid=1",
        "$iothub/twin/PATCH/properties/desired/?$version=1",
        "$SYS/broker",
        "anything",
        "x" * 60000,
    ],
)
def test_what_is_not_a_devices_to_write(topic: str) -> None:
    """Other devices, its own modules, the hub's own topics -> AccessDenied."""
    with pytest.raises(AccessDenied):
        parse_publish("leaf1", None, topic)


@pytest.mark.parametrize(
    "topic",
    ["devices/gw/messages/events/", "devices/gw/modules/n/messages/events/", "devices/gw/modules/m/inputs/in1/"],
)
def test_what_is_not_a_modules_to_write(topic: str) -> None:
    """Its device's, another module's, an input -> AccessDenied."""
    with pytest.raises(AccessDenied):
        parse_publish("gw", "m", topic)


MALFORMED = {
    "property_twice": "devices/leaf1/messages/events/a=1&a=2",
    "property_twice_in_two_spellings": "devices/leaf1/messages/events/$.mid=1&%24.mid=2",
    "property_without_name": "devices/leaf1/messages/events/=1",
    "property_missing": "devices/leaf1/messages/events/a=1&&b=2",
    "escape_broken": "devices/leaf1/messages/events/a=100%",
    "escape_not_utf8": "devices/leaf1/messages/events/a=%ff",
    "slash_in_properties": "devices/leaf1/messages/events/a=1/b=2",
    "too_many_properties": "devices/leaf1/messages/events/" + "&".join(f"p{n}=1" for n in range(300)),
    "twin_without_rid": "$iothub/twin/GET/?",
    "twin_rid_empty": "$iothub/twin/GET/?$rid=",
    "twin_without_mark": "$iothub/twin/GET/",
    "twin_text_before_mark": "$iothub/twin/GET/x?$rid=1",
    "twin_version_no_number": "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=x",
    "method_status_no_number": "$iothub/methods/res/ok/?$rid=1",
    "method_status_empty": "$iothub/methods/res//?$rid=1",
    "method_without_rid": "$iothub/methods/res/200/",
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_malformed(defect: str) -> None:
    """Named after the defect -> InputError, not a refusal."""
    with pytest.raises(InputError):
        parse_publish("leaf1", None, MALFORMED[defect])


@pytest.mark.parametrize(("device", "module"), [("leaf1", None), ("gw", "m"), ("gw", "$edgeHub")])
def test_what_the_sdks_subscribe_to(device: str, module: str | None) -> None:
    """Every filter of theirs is a filter, and allowed; C#'s for a whole module too."""
    for text in subscriptions(device, module):
        assert may_subscribe(device, module, check_filter(text))
    if module is not None:
        assert may_subscribe(device, module, f"devices/{device}/modules/{module}/#")


@pytest.mark.parametrize(
    "text",
    [
        "#",
        "+",
        "+/#",
        "devices/#",
        "devices/+/messages/devicebound/#",
        "devices/leaf2/messages/devicebound/#",
        "devices/leaf1/#",
        "devices/leaf1/+/devicebound/#",
        "devices/leaf1/messages/#",
        "devices/leaf1/modules/m/inputs/#",
        "devices/leaf1/modules/#",
        "devices/leaf1/messages/events/#",
        "devices/leaf1/messages/devicebound",
        "$iothub/#",
        "$iothub/methods/#",
        "$iothub/twin/#",
        "$iothub/twin/PATCH/properties/reported/#",
        "$SYS/#",
    ],
)
def test_what_a_device_may_not_subscribe_to(text: str) -> None:
    """Anything wider than its own, and anybody else's."""
    assert not may_subscribe("leaf1", None, text)


@pytest.mark.parametrize("text", ["devices/gw/modules/n/inputs/#", "devices/gw/modules/#", "devices/gw/#", "#"])
def test_what_a_module_may_not_subscribe_to(text: str) -> None:
    """Its neighbours' and its device's."""
    assert not may_subscribe("gw", "m", text)


@pytest.mark.parametrize("device", ["+", "#", "a/+"])
def test_an_id_that_is_a_wildcard_opens_nothing(device: str) -> None:
    """No such id passes the registry; if one did, it would still read nobody's messages."""
    assert not HubTopics(device).may_subscribe(f"devices/{device}/messages/devicebound/#")


def test_topics_that_the_hub_writes() -> None:
    """The exact forms."""
    message = Sent(properties={"a b": "x/y"}, system={"contentType": "text/plain"})
    topic = input_topic("gw", "m", "in1", message)
    assert topic == "devices/gw/modules/m/inputs/in1/%24.ct=text%2Fplain&a%20b=x%2Fy&%24.cdid=leaf1"
    assert input_topic("gw", "m", "in1", Sent("gw", "other")).endswith("/in1/%24.cdid=gw&%24.cmid=other")
    assert devicebound_topic("d", {}, {}) == "devices/d/messages/devicebound/"
    assert method_topic("reboot", "1") == "$iothub/methods/POST/reboot/?$rid=1"
    assert twin_response_topic(204, "r", 3) == "$iothub/twin/res/204/?$rid=r&$version=3"
    assert twin_response_topic(200, "r") == "$iothub/twin/res/200/?$rid=r"
    assert twin_patch_topic(8) == "$iothub/twin/PATCH/properties/desired/?$version=8"


def test_a_property_cannot_pose_as_a_system_one() -> None:
    """A property `$.cdid` that came another way than MQTT does not reach a module."""
    topic = input_topic("gw", "m", "in1", Sent(properties={"$.cdid": "boss"}, system={"not a system name": "x"}))
    assert topic.endswith("/inputs/in1/%24.cdid=leaf1")


TOPICS = "iothub/pipeline/mqtt_topic_iothub.py"
Sdk = Callable[[str], ModuleType]


@given(properties.map(lambda found: {k: v for k, v in found.items() if k != "iothub-ack"}))
def test_the_python_sdk_reads_our_inputs(python_sdk: Sdk, props: dict[str, str]) -> None:
    """input_topic -> the SDK's own parser gives the input name and every property."""
    sdk = python_sdk(TOPICS)
    topic = input_topic("gw", "m", "in1", Sent(properties=props, system={"messageId": "m/1"}))
    got = SimpleNamespace(custom_properties={}, message_id=None)
    sdk.extract_message_properties_from_topic(topic, got)
    assert sdk.is_input_topic(topic, "gw", "m")
    assert sdk.get_input_name_from_topic(topic) == "in1"
    assert got.message_id == "m/1"
    assert got.custom_properties == {**props, "$.cdid": "leaf1"}


@given(properties, texts, st.none() | texts.filter(bool))
def test_we_read_the_python_sdks_telemetry(
    python_sdk: Sdk, props: dict[str, str], message_id: str, output: str | None
) -> None:
    """The SDK's own encoder -> parse_publish gives every property and the output."""
    sdk = python_sdk(TOPICS)
    nothing = dict.fromkeys(["correlation_id", "user_id", "content_encoding", "iothub_interface_id", "expiry_time_utc"])
    message = SimpleNamespace(
        output_name=output, message_id=message_id, content_type="a/b", custom_properties=props, **nothing
    )
    base = sdk.get_telemetry_topic_for_publish("gw", "m")
    topic = sdk.encode_message_properties_in_topic(message, base)
    system = {"contentType": "a/b"} | ({"messageId": message_id} if message_id else {})
    assert parse_publish("gw", "m", topic) == Telemetry(props, system, output)


def test_the_python_sdk_reads_our_answers(python_sdk: Sdk) -> None:
    """Method and twin topics through the SDK's own parser."""
    sdk = python_sdk(TOPICS)
    assert sdk.get_method_name_from_topic(method_topic("re boot", "7")) == "re boot"
    assert sdk.get_method_request_id_from_topic(method_topic("x", "7")) == "7"
    assert sdk.get_twin_request_id_from_topic(twin_response_topic(200, "a-1", 5)) == "a-1"
    assert sdk.get_twin_status_code_from_topic(twin_response_topic(404, "a")) == "404"
    assert sdk.is_twin_desired_property_patch_topic(twin_patch_topic(2))
    assert sdk.is_c2d_topic(devicebound_topic("d", {"a": "b"}, {}), "d")
