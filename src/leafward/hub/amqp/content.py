"""Messages as bytes and back, by Qpid Proton: what they mean is `wire.amqp_messages`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from proton import Message, int32, symbol, timestamp, ubyte, ulong

from leafward.errors import EncodingError, InputError
from leafward.wire.amqp_messages import AmqpContent, Long, Ubyte, Ulong, text_of
from leafward.wire.property_bag import MAX_PROPERTIES


def read_content(data: bytes) -> AmqpContent:
    """Reads a message. Raises `InputError` for what is none, or holds more than one of IoT Hub's can."""
    message = Message()
    try:
        message.decode(data)
        return _content(message)
    except InputError:
        raise
    except Exception as error:  # whatever a decoder of someone else's makes of a stranger's bytes
        raise EncodingError("the AMQP message is malformed", why=type(error).__name__) from error


def write_message(content: AmqpContent) -> Any:
    """A message to send."""
    message: Any = Message(None if content.bodiless else content.body, inferred=True)
    message.address = content.to
    message.id = content.message_id
    message.correlation_id = content.correlation_id
    message.user_id = content.user_id
    if content.content_type:
        message.content_type = symbol(content.content_type)
    if content.content_encoding:
        message.content_encoding = symbol(content.content_encoding)
    if content.expiry is not None:
        message.expiry_time = content.expiry.timestamp()
    if content.created is not None:
        message.creation_time = content.created.timestamp()
    if content.application:
        message.properties = {name: _typed(value) for name, value in content.application.items()}
    if content.annotations:
        message.annotations = {symbol(name): _typed(value) for name, value in content.annotations.items()}
    return message


def _content(message: Message) -> AmqpContent:
    return AmqpContent(
        _body(message.body),
        to=message.address,
        message_id=_plain(message.id),
        correlation_id=message.correlation_id,
        user_id=bytes(message.user_id or b""),
        content_type=_symbol(message.content_type),
        content_encoding=_symbol(message.content_encoding),
        expiry=_time(message.expiry_time),
        created=_time(message.creation_time),
        application=_named(message.properties),
        annotations=_named(message.annotations),
    )


def _body(value: Any) -> bytes:
    """Data as it is; a text or number as text. Raises `InputError` for a list or a map."""
    if value is None:
        return b""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return (text_of(value) or "").encode()


def _symbol(value: Any) -> str | None:
    """NOTE: where there is none, Qpid Proton says "None"."""
    text = str(value or "")
    return None if text in ("", "None") else text


def _named(values: Mapping[Any, Any] | None) -> dict[str, Any]:
    if values is None:
        return {}
    if len(values) > MAX_PROPERTIES:
        raise InputError("the message has too many properties", why=f"got {len(values)}, at most {MAX_PROPERTIES}")
    return {str(name): _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """AMQP's own types as Python's: a time, a text, bytes."""
    if isinstance(value, timestamp):
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    if isinstance(value, memoryview):
        return bytes(value)
    return value


def _typed(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(round(value.timestamp() * 1000))
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    kind = _NUMBERS.get(type(value), int32)
    return kind(int(value))


# A plain int of Python's is a long to Qpid Proton.
_NUMBERS: dict[type, Any] = {Ulong: ulong, Ubyte: ubyte, Long: int}


def _time(seconds: float) -> datetime | None:
    """Raises `InputError` for a time that calendars do not know."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        raise InputError("the message has no such time", why=f"got {seconds:g} seconds since 1970") from None
