"""Percent-encoding (RFC 3986 section 2.1), read strictly.

`urllib.parse.unquote` keeps a broken escape and replaces broken UTF-8; two readers would then see two values. Writing
needs no room: `urllib.parse.quote(text, safe="")` is what every SDK understands.
"""

import re
from urllib.parse import unquote

from leafward.errors import EncodingError

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


def percent_decoded(text: str, what: str) -> str:
    """`text` decoded; '+' stays '+'.

    Raises `EncodingError` for '%' without two hex digits, and for bytes that are not UTF-8.

    >>> percent_decoded("a%20b+c", "name")
    'a b+c'
    """
    if "%" not in text:
        return text
    if _BROKEN.search(text):
        raise EncodingError(f"the {what} is not percent-encoded", why="a '%' stands without two hex digits after it")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise EncodingError(f"the {what} is not percent-encoded", why="its bytes are not UTF-8") from error
