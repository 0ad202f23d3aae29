"""Which filter takes which topic: the examples of the specification."""

import pytest

from leafward.errors import ProtocolError
from leafward.wire.mqtt.topics import check_filter, check_name, filter_takes


@pytest.mark.parametrize(
    ("topic_filter", "topic", "takes"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("#", "anything/at/all", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/monitor", False),
        ("+/monitor", "$SYS/monitor", False),
        ("$SYS/#", "$SYS/monitor", True),
        ("$SYS/monitor/+", "$SYS/monitor/clients", True),
        ("ACCOUNTS", "Accounts", False),
        ("a/b", "a", False),
        ("a", "a/b", False),
    ],
)
def test_section_4_7(topic_filter: str, topic: str, takes: bool) -> None:
    """4.7.1 to 4.7.3, example by example."""
    assert filter_takes(topic_filter, topic) is takes


@pytest.mark.parametrize("text", ["#", "+", "a/#", "+/a/#", "/", "/+", "a//b", "a b", "$iothub/twin/res/#"])
def test_filters_that_are(text: str) -> None:
    """4.7.1."""
    assert check_filter(text) == text


@pytest.mark.parametrize("text", ["", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##"])
def test_filters_that_are_not(text: str) -> None:
    """4.7.1-2, 4.7.1-3, 4.7.3-1."""
    with pytest.raises(ProtocolError):
        check_filter(text)


@pytest.mark.parametrize("text", ["", "a/+/b", "#"])
def test_names_that_are_not(text: str) -> None:
    """3.3.2-2, 4.7.3-1."""
    with pytest.raises(ProtocolError):
        check_name(text)
