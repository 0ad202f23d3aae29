"""Twins: what a patch does (RFC 7396), what is refused, and what device and service see."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import InputError
from leafward.wire.twins import MAX_INTEGER, Section, Twin, merge, parse_etag, parse_patch, parse_service_patch

keys = st.text("abcdef", min_size=1, max_size=3)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz", max_size=3)
documents = st.dictionaries(
    keys, st.recursive(leaves, lambda below: st.dictionaries(keys, below, max_size=3), max_leaves=6), max_size=4
)


def without_null(value: object) -> object:
    return {k: without_null(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


@settings(max_examples=100)
@given(documents, documents)
def test_a_patch_is_merged_as_rfc_7396_says(document: dict[str, object], patch: dict[str, object]) -> None:
    """Every member of the patch is in the result, but for null, which is nowhere; the rest is as it was."""
    document = merge({}, document)
    merged = merge(document, patch)
    assert merge(merged, patch) == merged
    assert without_null(merged) == merged
    for key in document.keys() - patch.keys():
        assert merged[key] == document[key]


def test_the_version_grows_with_each_change_and_is_always_told() -> None:
    section = Section().patched({"interval": 5}).patched({"interval": None})
    assert section.document() == {"$version": 3}
    assert Twin().for_device() == {"desired": {"$version": 1}, "reported": {"$version": 1}}


def test_what_the_service_sees() -> None:
    twin = parse_service_patch(b'{"tags": {"line": 3}, "properties": {"desired": {"on": true}}}').applied(Twin())
    assert twin.for_service("pump", "filter") == {
        "deviceId": "pump",
        "moduleId": "filter",
        "etag": '"2"',
        "version": 2,
        "tags": {"line": 3},
        "properties": {"desired": {"on": True, "$version": 2}, "reported": {"$version": 1}},
    }


def test_a_whole_twin_replaces_and_a_patch_merges() -> None:
    twin = parse_service_patch(b'{"properties": {"desired": {"a": 1, "b": 2}}}').applied(Twin())
    merged = parse_service_patch(b'{"properties": {"desired": {"b": null}}}').applied(twin)
    assert merged.desired.values == {"a": 1}
    again = json.dumps(twin.for_service("pump", None)).encode()
    replaced = parse_service_patch(again.replace(b'"a"', b'"c"'), whole=True).applied(twin)
    assert replaced.desired.values == {"c": 1, "b": 2}


@pytest.mark.parametrize(
    ("defect", "text"),
    [
        ("no object", "[1]"),
        ("no JSON", "{"),
        ("NaN", '{"a": NaN}'),
        ("a dot in a key", '{"a.b": 1}'),
        ("a dollar in a key below", '{"a": {"$b": 1}}'),
        ("an empty key", '{"": 1}'),
        ("a control in a key", '{"a\\u0001": 1}'),
        ("a key too long", json.dumps({"k" * 1025: 1})),
        ("a text too long", json.dumps({"a": "x" * 4097})),
        ("a number too large", json.dumps({"a": MAX_INTEGER + 1})),
        ("eleven levels", '{"a":' * 12 + "1" + "}" * 12),
    ],
)
def test_refused(defect: str, text: str) -> None:
    with pytest.raises(InputError):
        parse_patch(text.encode())


def test_a_document_that_grows_too_large_is_refused() -> None:
    section = Section()
    for number in range(7):
        section = section.patched({f"k{number}": "x" * 4096})
    with pytest.raises(InputError, match="too large"):
        section.patched({"k7": "x" * 4096})


@pytest.mark.parametrize(
    "text",
    ['{"properties": {"reported": {}}}', '{"other": 1}', '{"properties": []}', "[]", '{"properties": {"desired": 1}}'],
)
def test_a_service_changes_only_what_is_its_own(text: str) -> None:
    with pytest.raises(InputError):
        parse_service_patch(text.encode())


def test_etags() -> None:
    assert [parse_etag(text) for text in (None, "*", '"7"', 'W/"7"', "7")] == [None, None, 7, 7, 7]
    with pytest.raises(InputError):
        parse_etag('"AAA="')
