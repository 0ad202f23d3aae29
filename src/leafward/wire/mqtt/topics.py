"""Topic names and topic filters (OASIS mqtt-v3.1.1, 4.7): what is one, and which filter takes which name.

One room for both directions and for the session, so that a topic cannot be valid to the decoder and not to the encoder.
"""

from leafward.errors import ProtocolError
from leafward.wire.mqtt.packets import MAX_STRING


def read_text(raw: bytes, what: str) -> str:
    """Decodes an MQTT string (1.5.3): well-formed UTF-8, surrogates and U+0000 excluded.

    Raises `ProtocolError` (1.5.3-1, 1.5.3-2). A leading U+FEFF stays in the text (1.5.3-3).
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the {what} is not UTF-8", why=f"{error.reason} at byte {error.start}") from error
    if "\0" in text:
        raise ProtocolError(f"the {what} holds the character U+0000")
    return text


def write_text(text: str, what: str) -> bytes:
    """Encodes an MQTT string without its length. Raises `ProtocolError` as `read_text` would at the other end."""
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ProtocolError(f"the {what} is not Unicode text", why=f"{error.reason} at {error.start}") from error
    if "\0" in text:
        raise ProtocolError(f"the {what} holds the character U+0000")
    if len(raw) > MAX_STRING:
        raise ProtocolError(f"the {what} is too long", why=f"got {len(raw)} bytes, at most {MAX_STRING} fit")
    return raw


def check_name(topic: str) -> str:
    """`topic` if it may stand in PUBLISH: one character at least and no wildcard (4.7.3-1, 3.3.2-2)."""
    if not topic:
        raise ProtocolError("the topic is empty", why="a topic name has one character at least")
    if "+" in topic or "#" in topic:
        raise ProtocolError("the topic holds a wildcard", why="'+' and '#' belong in topic filters only")
    return topic


def check_filter(topic_filter: str) -> str:
    """`topic_filter` if it is one: '#' alone in the last level, '+' alone in a level (4.7.1-2, 4.7.1-3)."""
    if not topic_filter:
        raise ProtocolError("the topic filter is empty", why="a topic filter has one character at least")
    if "#" not in topic_filter and "+" not in topic_filter:
        return topic_filter
    levels = topic_filter.split("/")
    for number, level in enumerate(levels, start=1):
        if len(level) > 1 and ("#" in level or "+" in level):
            raise ProtocolError("the topic filter is malformed", why=f"a wildcard must fill level {number} alone")
        if level == "#" and number != len(levels):
            raise ProtocolError("the topic filter is malformed", why="'#' stands in the last level only")
    return topic_filter


def filter_takes(topic_filter: str, topic: str) -> bool:
    """Whether a valid filter matches a valid name (4.7.1-4.7.3).

    >>> filter_takes("sport/+/score", "sport/tennis/score"), filter_takes("sport/#", "sport"), filter_takes("#", "$SYS")
    (True, True, False)
    """
    if topic[0] == "$" and topic_filter[0] in "#+":
        return False  # 4.7.2-1: a leading wildcard never reaches the server's own topics
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number == len(levels) or level not in ("+", levels[number]):
            return False
    return len(wanted) == len(levels)


SHARE = "$share/"


def shared(topic_filter: str) -> tuple[str | None, str]:
    """A filter as (share name, filter): `$share/{name}/{filter}` is taken by one member of its group (MQTT 5 4.8.2).

    Raises `ProtocolError` for a share without a name or filter (4.8.2-1, 4.8.2-2).

    >>> shared("$share/line/press/+"), shared("press/+")
    (('line', 'press/+'), (None, 'press/+'))
    """
    if not topic_filter.startswith(SHARE):
        return None, topic_filter
    name, slash, rest = topic_filter[len(SHARE) :].partition("/")
    if not name or not slash or not rest or "+" in name or "#" in name:
        raise ProtocolError("the shared subscription is malformed", why=f"got {topic_filter[:100]!r}")
    return name, rest
