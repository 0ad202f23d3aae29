"""Base64 as keys, signatures and API fields carry it (RFC 4648 section 4), strictly: one text for each value.

`base64.b64decode` skips what it does not know and takes stray bits at the end; a key that was pasted with a missing
letter must be refused here instead of failing as a wrong signature later.
"""

import base64
import binascii

from leafward.errors import EncodingError


def decode_base64(text: str, what: str) -> bytes:
    """The bytes of `text`. Raises `EncodingError` for blanks, other alphabets, wrong padding or stray bits.

    `what` names the field in the error; its value is never repeated there, it may be a secret.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        why = "it has characters outside ASCII" if isinstance(error, UnicodeEncodeError) else str(error).lower()
        raise EncodingError(f"the {what} is not base64", why=why, hint="copy it whole, its '=' included") from None
    if base64.b64encode(data) != text.encode("ascii"):
        raise EncodingError(f"the {what} is not base64", why="its last character has stray bits", hint="copy it again")
    return data


def encode_base64(data: bytes) -> str:
    """The base64 text of `data`, in one line."""
    return base64.b64encode(data).decode("ascii")
