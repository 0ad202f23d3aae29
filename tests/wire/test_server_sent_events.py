"""Server-sent events: one end against the other, and what is no stream."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import EncodingError, LeafwardError, ProtocolError
from leafward.wire.rotation import HubVerdict, RotateRequest
from leafward.wire.server_sent_events import COMMENT, LONGEST_EVENT, Decoder, Event, encode

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
FACTS = st.dictionaries(
    st.text(max_size=8), st.text(max_size=20) | st.integers() | st.none() | st.booleans(), max_size=4
)


@settings(max_examples=50)
@given(
    facts=st.lists(FACTS, min_size=1, max_size=4),
    cuts=st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=8),
)
def test_what_is_written_is_read_in_pieces_of_any_size(facts: list[dict[str, object]], cuts: list[int]) -> None:
    events = [Event(number, "certificate", AT, one) for number, one in enumerate(facts, start=1)]
    data = COMMENT + b"".join(encode(event) + COMMENT for event in events)
    decoder, read, at = Decoder(), [], 0
    while at < len(data):
        size = cuts[at % len(cuts)]
        read += decoder.receive(data[at : at + size])
        at += size
    assert read == events


def test_other_writers_are_understood() -> None:
    """CRLF, no blank behind the colon, fields that nobody knows, an event without data."""
    text = b'retry: 5\r\n\r\nevent:warning\r\nid:x\r\ndata:{"at":"2026-06-01T12:00:00Z"}\r\nother: 1\r\n\r\n'
    assert Decoder().receive(text) == [Event(0, "warning", AT, {})]


@pytest.mark.parametrize(
    "data",
    [b"data: {}\n\n", b"data: no json\n\n", b"data: \xff\n\n", b"data: []\n\n", b":" + b"x" * (LONGEST_EVENT + 1)],
    ids=["no-time", "no-json", "no-utf-8", "no-object", "no-end"],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(LeafwardError):
        Decoder().receive(data)


def test_an_endless_event_is_bounded() -> None:
    decoder = Decoder()
    decoder.receive(b"data: " + b"x" * (LONGEST_EVENT - 6))
    with pytest.raises(ProtocolError, match="no end"):
        decoder.receive(b"x")


@pytest.mark.parametrize("level", ["device", "workload", "hub"])
def test_a_wish_is_read_as_it_was_written(level: object) -> None:
    wish = RotateRequest(level, dry_run=True)  # type: ignore[arg-type]
    assert RotateRequest.parse(wish.to_json()) == wish


def test_a_verdict_is_read_as_it_was_written() -> None:
    verdict = HubVerdict("ab" * 32, accepted=False, reason="expired", connections=3)
    assert HubVerdict.parse(verdict.to_json()) == verdict


@pytest.mark.parametrize(
    "body",
    [b'{"level":"root"}', b'{"level":7}', b'{"dryRun":1}', b"[]", b"{"],
    ids=["level", "type", "flag", "list", "cut"],
)
def test_a_wish_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(EncodingError):
        RotateRequest.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"sha256":"a"}',
        b'{"sha256":"a","accepted":"yes"}',
        b'{"sha256":"a","accepted":true,"connections":-1}',
        b'{"sha256":"a","accepted":true,"connections":true}',
    ],
)
def test_a_verdict_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(EncodingError):
        HubVerdict.parse(body)
