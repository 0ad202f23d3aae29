"""Properties in topics: encoded so that nothing can break out of its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError, InputError
from leafward.wire.percent import percent_decoded
from leafward.wire.property_bag import join_system, read_pairs, split_system, write_pairs

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
