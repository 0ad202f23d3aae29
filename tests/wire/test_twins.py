"""Twins: what a patch does (RFC 7396), what is refused, and what device and service see."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import InputError
from leafward.wire.twins import (
    MAX_INTEGER,
    Section,
    Twin,
    difference,
    merge,
    parse_etag,
    parse_patch,
    parse_reported_patch,
    parse_service_patch,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
STAMP, LATER_STAMP = "2026-07-01T00:00:00.000Z", "2026-07-01T00:00:01.000Z"

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


@settings(max_examples=100)
@given(documents, documents)
def test_a_difference_makes_one_document_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    before, after = merge({}, before), merge({}, after)
    assert json.dumps(merge(before, difference(before, after)), sort_keys=True) == json.dumps(after, sort_keys=True)
    assert difference(after, after) == {}


def test_a_difference_tells_1_from_true() -> None:
    """To Python they are the same."""
    assert difference({"a": 1, "b": [1], "c": {"d": 0}}, {"a": True, "b": [1.0], "c": {"d": False}}) == {
        "a": True,
        "b": [1.0],
        "c": {"d": False},
    }


@settings(max_examples=100)
@given(documents, documents)
def test_every_property_has_its_time_and_nothing_else_has(first: dict[str, Any], then: dict[str, Any]) -> None:
    """The shape of `$metadata` is that of the document; what the second patch named is the later."""
    section = Section().patched(first, NOW).patched(then, LATER)
    metadata = section.for_service()["$metadata"]

    def check(values: dict[str, Any], marks: dict[str, Any], patch: dict[str, Any] | None) -> None:
        assert marks.keys() - {"$lastUpdated"} == values.keys()
        assert marks["$lastUpdated"] == (STAMP if patch is None else LATER_STAMP)
        for key, value in values.items():
            below = None if patch is None else patch.get(key)
            if isinstance(value, dict):
                check(value, marks[key], below if isinstance(below, dict) else None)
            else:
                assert marks[key] == {"$lastUpdated": STAMP if below is None else LATER_STAMP}

    check(section.values, metadata, then)


def test_the_version_grows_with_each_change_and_is_always_told() -> None:
    section = Section().patched({"interval": 5}, NOW).patched({"interval": None}, NOW)
    assert section.document() == {"$version": 3}
    assert Twin().for_device() == {"desired": {"$version": 1}, "reported": {"$version": 1}}


def test_what_the_service_sees() -> None:
    twin = parse_service_patch(b'{"tags": {"line": 3}, "properties": {"desired": {"on": true}}}').applied(Twin(), NOW)
    assert twin.for_service("pump", "filter") == {
        "deviceId": "pump",
        "moduleId": "filter",
        "etag": "2",
        "version": 2,
        "tags": {"line": 3},
        "properties": {
            "desired": {
                "on": True,
                "$metadata": {"$lastUpdated": STAMP, "on": {"$lastUpdated": STAMP}},
                "$version": 2,
            },
            "reported": {"$metadata": {}, "$version": 1},
        },
    }


def test_a_whole_twin_replaces_and_a_patch_merges() -> None:
    twin = parse_service_patch(b'{"properties": {"desired": {"a": 1, "b": 2}}}').applied(Twin(), NOW)
    merged = parse_service_patch(b'{"properties": {"desired": {"b": null}}}').applied(twin, NOW)
    assert merged.desired.values == {"a": 1}
    again = json.dumps(twin.for_service("pump", None)).encode()
    replaced = parse_service_patch(again.replace(b'"a"', b'"c"'), whole=True).applied(twin, NOW)
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
        section = section.patched({f"k{number}": "x" * 4096}, NOW)
    with pytest.raises(InputError, match="too large"):
        section.patched({"k7": "x" * 4096}, NOW)


@pytest.mark.parametrize(
    "text",
    ['{"properties": {"reported": {}}}', '{"other": 1}', '{"properties": []}', "[]", '{"properties": {"desired": 1}}'],
)
def test_a_service_changes_only_what_is_its_own(text: str) -> None:
    with pytest.raises(InputError):
        parse_service_patch(text.encode())


def test_what_a_device_reports_is_not_the_services_change() -> None:
    """The ETag is of what services write; the version counts all."""
    twin = Twin().reporting({"on": True}, NOW)
    assert (twin.etag, twin.version, twin.reported.version) == (1, 2, 2)


def test_what_the_device_is_told() -> None:
    """A patch goes as it came, a whole as the difference; tags are not told at all."""
    patch = parse_service_patch(b'{"properties": {"desired": {"a": 1, "b": null}}, "tags": {"x": 1}}')
    first = patch.applied(Twin(), NOW)
    assert patch.told(Twin(), first) == {"a": 1, "b": None, "$version": 2}
    whole = parse_service_patch(b'{"properties": {"desired": {"c": 1}}}', whole=True)
    second = whole.applied(first, NOW)
    assert whole.told(first, second) == {"a": None, "c": 1, "$version": 3}
    tags = parse_service_patch(b'{"tags": {"x": 2}}')
    assert tags.told(second, tags.applied(second, NOW)) is None


def test_a_device_reports_over_https_and_nothing_else() -> None:
    assert parse_reported_patch(b'{"properties": {"reported": {"on": true, "$version": 3}}}') == {"on": True}
    for text in (b"{}", b"[]", b'{"tags": {}, "properties": {"reported": {}}}', b'{"properties": {"desired": {}}}'):
        with pytest.raises(InputError):
            parse_reported_patch(text)


def test_etags() -> None:
    assert [parse_etag(text) for text in (None, "*", '"7"', 'W/"7"', "7")] == [None, None, 7, 7, 7]
    with pytest.raises(InputError):
        parse_etag('"AAA="')
