"""Properties in topics: encoded so that nothing can break out of its place."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError, InputError, ProtocolError
from leafward.wire.hub_topics import input_topic, parse_publish
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import MAX_STRING, Publish
from leafward.wire.percent import percent_decoded
from leafward.wire.property_bag import (
    MAX_BAG,
    MAX_PROPERTIES,
    SYSTEM_NAMES,
    check_forwardable,
    join_system,
    read_pairs,
    split_system,
    write_pairs,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.dictionaries(texts.filter(bool), texts, max_size=6))
def test_there_and_back(pairs: dict[str, str]) -> None:
    """write -> read; nothing of MQTT's or the bag's own signs is left in the text."""
    text = write_pairs(pairs.items())
    assert read_pairs(text) == pairs
    assert not set(text) & set("/+#\0 ?$")
    assert text.count("&") == max(len(pairs) - 1, 0)


def test_a_plus_is_a_plus() -> None:
    """'+' is no blank here, in contrast to HTML forms."""
    assert read_pairs("a=1+1") == {"a": "1+1"}
    assert write_pairs([("a", "1 + 1")]) == "a=1%20%2B%201"


def test_an_equals_sign_in_a_value_stays() -> None:
    """Only the first '=' parts name and value."""
    assert read_pairs("k=a=b&$rid=1") == {"k": "a=b", "$rid": "1"}


def test_system_properties_have_long_names() -> None:
    """Short on the wire, long inside, unknown ones as they came."""
    wire = {"$.mid": "1", "$.ct": "text/plain", "$.on": "out", "$.zz": "?", "colour": "red", "$cost": "9"}
    found = split_system(wire)
    assert found == (
        {"colour": "red", "$cost": "9"},
        {"messageId": "1", "contentType": "text/plain", "$.zz": "?"},
        "out",
    )
    assert dict(join_system(*found[:2])) == {name: value for name, value in wire.items() if name != "$.on"}


@pytest.mark.parametrize("text", ["a=1&a=2", "%61=1&a=2", "=1", "&", "a=1&", "a=%", "a=%4", "a=%gg", "a=%c3"])
def test_malformed(text: str) -> None:
    """Twice, nameless, empty, a broken escape, half a character."""
    with pytest.raises(InputError):
        read_pairs(text)


@pytest.mark.parametrize("text", ["%", "%1", "a%zz", "%ff", "%ed%a0%80", "%c0%80"])
def test_percent_strictly(text: str) -> None:
    """Broken escapes, no UTF-8, surrogates, overlong forms."""
    with pytest.raises(EncodingError):
        percent_decoded(text, "text")


# ---- what a message can take on with it

sizes = st.integers(0, 30_000)
characters = st.sampled_from(["a", "(", "é", "%", "\U0001f600"])


@given(st.lists(st.tuples(characters, sizes), max_size=4), st.sampled_from(sorted(SYSTEM_NAMES.values())), sizes)
def test_what_is_taken_can_be_passed_on(values: list[tuple[str, int]], name: str, size: int) -> None:
    """Whatever passes the check fits in a topic for the longest of all names; what does not is too long indeed."""
    properties = {f"p{number}": character * size for number, (character, size) in enumerate(values)}
    system = {name: "/" * size}
    try:
        check_forwardable(properties, system)
    except ProtocolError:
        assert len(write_pairs(join_system(properties, system))) > MAX_BAG
        return
    longest = SimpleNamespace(device_id="=" * 128, module_id="=" * 128, properties=properties, system=system)
    topic = input_topic("d" * 128, "m" * 128, "i" * 128, longest)
    assert len(topic) <= MAX_STRING
    encode(Publish(topic, b""))


def test_just_as_much_as_fits() -> None:
    """To the byte, name and '=' included."""
    check_forwardable({"x": "a" * (MAX_BAG - 2)}, {})
    with pytest.raises(ProtocolError, match="the properties are too long"):
        check_forwardable({"x": "a" * (MAX_BAG - 1)}, {})
    check_forwardable({f"n{number}": "" for number in range(MAX_PROPERTIES)}, {})


@pytest.mark.parametrize("where", ["name", "value", "system"])
def test_what_is_no_unicode(where: str) -> None:
    """Half of a surrogate pair, as HTTP headers of other bytes become."""
    half = "\udcff"
    with pytest.raises(ProtocolError, match="no Unicode text"):
        check_forwardable(
            {half: ""} if where == "name" else {"a": half} if where == "value" else {},
            {"messageId": half} if where == "system" else {},
        )


def test_a_topic_that_would_grow_too_long_is_refused() -> None:
    """Where it is read: 40,000 times '(' are three times as many bytes when we write them."""
    with pytest.raises(ProtocolError, match="too long"):
        parse_publish("leaf1", None, "devices/leaf1/messages/events/x=" + "(" * 40_000)
