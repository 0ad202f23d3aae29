"""HTTP Basic credentials (RFC 7617): a name and a password in one header."""

from dataclasses import dataclass, field

from leafward.errors import EncodingError
from leafward.wire.base64_text import decode_base64, encode_base64

# Longer ones are nobody's; hashing them would only cost time.
MAX_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """A name and a password as they were sent, unjudged. The password is never shown."""

    name: str
    password: str = field(repr=False)


def parse_basic(header: str) -> BasicCredentials | None:
    """The credentials of an Authorization header; None where it has another scheme. UTF-8.

    Raises `EncodingError`, which never repeats the value.
    """
    scheme, _, text = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    if len(text) > MAX_LENGTH:
        raise EncodingError("the Authorization header is too long", why=f"expected at most {MAX_LENGTH} characters")
    try:
        name, colon, password = decode_base64(text.strip(), "Authorization header").decode("utf-8").partition(":")
    except UnicodeDecodeError:
        raise EncodingError("the Authorization header is not in UTF-8") from None
    if not colon:
        raise EncodingError("the Authorization header has no colon", why="expected name:password in base64")
    return BasicCredentials(name, password)


def basic_header(credentials: BasicCredentials) -> str:
    """The header's value, the client's side of `parse_basic`."""
    return f"Basic {encode_base64(f'{credentials.name}:{credentials.password}'.encode())}"
