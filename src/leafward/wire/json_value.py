"""JSON from outside (RFC 8259), read strictly, and the one place that says when a message's body is JSON.

Python's reader takes NaN, numbers larger than any double and half a surrogate pair; none of these can be written as
JSON again, so none is read.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeAlias

from leafward.errors import EncodingError

Json: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

_JSON_TYPE = re.compile(r"\s*(application|text)/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE)


def read_json(data: bytes, what: str) -> Json:
    """The value of UTF-8 JSON text. Raises `EncodingError` naming `what`, never its content."""
    try:
        text = data.decode("utf-8")
        value: Json = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate fails here
    except UnicodeDecodeError as error:
        raise EncodingError(f"the {what} is not JSON", why="it is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise EncodingError(f"the {what} is not JSON", why="it has half a surrogate pair") from error
    except RecursionError as error:
        raise EncodingError(f"the {what} is not JSON that we read", why="it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise EncodingError(f"the {what} is not JSON", why=f"{error.msg} at character {error.pos + 1}") from None
    except ValueError as error:
        raise EncodingError(f"the {what} is not JSON that we read", why="a number is too large") from error
    return value


def read_body(body: bytes, system: Mapping[str, str]) -> Json:
    """A message's body as JSON, where its system properties do not say that it is something else.

    `contentType` must be a JSON type or absent, `contentEncoding` UTF-8 or absent. NOTE: IoT Hub wants both to be
    there; a device that says nothing and sends JSON is understood here. Raises `EncodingError`.
    """
    content_type, encoding = system.get("contentType"), system.get("contentEncoding")
    if content_type and not _JSON_TYPE.fullmatch(content_type):
        raise EncodingError("the body is not JSON", why=f"its content type is {content_type[:64]!r}")
    if encoding and encoding.lower() not in ("utf-8", "utf8"):
        raise EncodingError("the body is not JSON that we read", why=f"its content encoding is {encoding[:64]!r}")
    return read_json(body, "body")


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
